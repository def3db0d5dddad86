/** Elements, found and made. */

export const $ = (id) => document.getElementById(id);

/** An element of that name, class and text. */
export function element(name, kind = "", text = "") {
  const made = document.createElement(name);
  if (kind) made.className = kind;
  made.textContent = text;
  return made;
}

/** A button that says so. */
export function button(kind, text, press) {
  const made = element("button", kind, text);
  made.type = "button";
  made.addEventListener("click", press);
  return made;
}
