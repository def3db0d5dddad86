/** All voices side by side, each to be heard with the same text. */

import { $, button, element } from "./dom.js";
import { number, onLanguage, voiceName } from "./language.js";
import { Waveform } from "./waveform.js";

let voices = [];
let rows = [];
let speak = async () => false;
let fill = () => {};

/** `speakWith(voice, row)` speaks the text and resolves, when it has been heard, to whether to go on to the next. */
export function showVoices(speakWith) {
  speak = speakWith;
  fill = () => {
    rows = voices.map((voice) => makeRow(voice));
    $("voices").replaceChildren(...rows.map(({ entry }) => entry));
  };
  $("speak-all").addEventListener("click", async () => {
    for (const row of rows) if (!(await row.run())) return;
  });
  onLanguage(fill);
}

export function setVoices(known) {
  voices = known;
  fill();
}

function makeRow(voice) {
  const entry = element("li");
  const press = button("item", "", () => run());
  press.title = voice.description;
  const canvas = element("canvas", "small");
  const facts = element("small", "", `${number(voice.sample_rate / 1000, 1)} kHz`);
  const title = element("span", "line", `${voiceName(voice.id)} · ${voice.engine}`);
  press.append(title, canvas, facts);
  entry.append(press);
  const waveform = new Waveform(canvas);
  const row = {
    waveform,
    tell: ({ firstMs, durationS }) => (facts.textContent = `${number(firstMs)} ms · ${number(durationS, 1)} s`),
  };
  const run = async () => {
    entry.classList.add("active");
    const goOn = await speak(voice, row);
    entry.classList.remove("active");
    return goOn;
  };
  return { entry, run };
}
