/** The text that is spoken, with the word that is heard now. */

import { element } from "./dom.js";

export class Transcript {
  #place;
  #words = []; // {startS, endS, span}
  #rest = null; // the text after the last word
  #done = 0; // of its UTF-16 units, those that stand before #rest
  #units = null; // code points to UTF-16 units, where they differ
  #now = null;

  /** `seek` is called with the time of a word that is pressed. */
  constructor(place, seek) {
    this.#place = place;
    place.addEventListener("click", ({ target }) => {
      const word = this.#words.find(({ span }) => span === target);
      if (word) seek(word.startS);
    });
  }

  /** Another text. */
  open(text) {
    this.#units = unitsOf(text);
    this.#words = [];
    this.#now = null;
    this.#done = 0;
    this.#rest = document.createTextNode(text);
    this.#place.replaceChildren(this.#rest);
  }

  /** When words are said, as the server tells: in the text's order, each where it stands. */
  append(words) {
    for (const { start, end, start_s: startS, end_s: endS } of words) {
      const [from, to] = this.#units ? [this.#units[start], this.#units[end]] : [start, end];
      const span = this.#rest.splitText(from - this.#done);
      this.#rest = span.splitText(to - from);
      const word = element("span", "word", span.data);
      span.replaceWith(word);
      this.#words.push({ startS, endS, span: word });
      this.#done = to;
    }
  }

  /** Show what is heard at that time. */
  show(positionS) {
    let [from, to] = [0, this.#words.length];
    while (from < to) {
      const middle = (from + to) >> 1;
      if (this.#words[middle].startS <= positionS) from = middle + 1;
      else to = middle;
    }
    const word = this.#words[from - 1];
    const now = word && positionS < word.endS ? word.span : null;
    if (now === this.#now) return;
    this.#now?.classList.remove("now");
    now?.classList.add("now");
    this.#now = now;
    if (now) this.#keepInSight(now);
  }

  #keepInSight(span) {
    const [box, frame] = [span.getBoundingClientRect(), this.#place.getBoundingClientRect()];
    if (box.top < frame.top || box.bottom > frame.bottom) {
      this.#place.scrollTop += box.top - frame.top - (frame.height - box.height) / 2;
    }
  }
}

/** Where each code point of a text begins, in UTF-16 units, and where the last one ends; null where that is the same. */
function unitsOf(text) {
  const ends = [0];
  for (const point of text) ends.push(ends[ends.length - 1] + point.length);
  return ends.length === text.length + 1 ? null : ends;
}
