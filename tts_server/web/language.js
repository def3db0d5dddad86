/** The language of the page: the browser's until another is chosen. */

import { MESSAGES } from "./messages.js";
import { recall, keep } from "./storage.js";

const followers = new Set();
const preferred = (navigator.languages ?? [navigator.language]).find((tag) => /^(zh|en)\b/i.test(tag)) ?? "en";
const chosen = recall("language", "");
let current = chosen in MESSAGES ? chosen : preferred.slice(0, 2).toLowerCase();

/** The message of that name, its {places} filled in. */
export function t(name, places = {}) {
  return MESSAGES[current][name].replace(/\{(\w+)\}/g, (_, place) => places[place]);
}

/** The numbers of the page are written as its language has them. */
export function number(value, digits = 0) {
  return value.toLocaleString(current, { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** How a voice is called. */
export function voiceName(id) {
  return id === "female" || id === "male" ? t(id) : id;
}

/** Call `follow` now, and whenever the language changes. */
export function onLanguage(follow) {
  followers.add(follow);
  follow();
}

/** The other language, from now on. */
export function switchLanguage() {
  current = current === "zh" ? "en" : "zh";
  keep("language", current);
  translate();
}

/** Write the messages into the document. */
export function translate() {
  document.documentElement.lang = current === "zh" ? "zh-CN" : "en";
  for (const element of document.querySelectorAll("[data-i18n]")) element.textContent = t(element.dataset.i18n);
  for (const attribute of ["aria-label", "placeholder", "title"]) {
    const name = `data-i18n-${attribute.replace("aria-", "")}`;
    for (const element of document.querySelectorAll(`[${name}]`)) element.setAttribute(attribute, t(element.getAttribute(name)));
  }
  for (const follow of followers) follow();
}
