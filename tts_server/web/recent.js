/** What was spoken lately, in this browser alone. */

import { $, button, element } from "./dom.js";
import { number, onLanguage, t, voiceName } from "./language.js";
import { keep, recall } from "./storage.js";

const MOST = 20;
const LABEL_CHARACTERS = 80;

let items = recall("recent", []);
let draw = () => {};

/** Show them; `speak` is given what was wanted when one is pressed. */
export function showRecent(speak) {
  draw = () => {
    $("forget").hidden = !items.length;
    const rows = items.map((item) => row(item, speak));
    $("recent").replaceChildren(...(rows.length ? rows : [element("li", "hint", t("nothingYet"))]));
  };
  $("forget").addEventListener("click", () => change([]));
  onLanguage(draw);
}

/** Put one in front; one that is there already moves. */
export function remember(wanted, facts) {
  const same = (item) => JSON.stringify(item.wanted) === JSON.stringify(wanted);
  change([{ wanted, ...facts }, ...items.filter((item) => !same(item))].slice(0, MOST));
}

function change(now) {
  items = now;
  keep("recent", items.length ? items : null);
  draw();
}

function row(item, speak) {
  const again = button("item", "", () => speak(item.wanted));
  again.append(element("span", "line", item.wanted.text), element("small", "", about(item)));
  again.setAttribute("aria-label", t("again", { text: item.wanted.text.slice(0, LABEL_CHARACTERS) }));
  const remove = button("quiet close", "×", () => change(items.filter((other) => other !== item)));
  remove.setAttribute("aria-label", t("remove"));
  const entry = element("li", "recent");
  entry.append(again, remove);
  return entry;
}

function about({ wanted, durationS, firstMs }) {
  const speed = wanted.speed === 1 ? [] : [`${number(wanted.speed, 2)}×`];
  return [voiceName(wanted.voice), wanted.engine, ...speed, `${number(durationS, 1)} s`, `${number(firstMs)} ms`].join(" · ");
}
