/** The page: what is pressed, and what is shown for it. */

import { ApiError, call, hasKey, onUnauthorized, useKey } from "./api.js";
import { $, button } from "./dom.js";
import { followHealth } from "./health.js";
import { order, refresh, save, showJobs } from "./jobs.js";
import { number, onLanguage, switchLanguage, t, translate, voiceName } from "./language.js";
import { EXAMPLES } from "./messages.js";
import { Player } from "./player.js";
import { remember, showRecent } from "./recent.js";
import { snippet } from "./snippets.js";
import { fetchFile, speak, wavFile } from "./speech.js";
import { keep, recall } from "./storage.js";
import { Transcript } from "./transcript.js";
import { setVoices, showVoices } from "./voices.js";
import { Waveform } from "./waveform.js";

const AUDIO_S_PER_BYTE = 0.075; // of UTF-8 text, about; as the server reckons
const LONG_STEP_S = 5;

const player = new Player();
const waveform = new Waveform($("canvas"));
const transcript = new Transcript($("transcript"), (seconds) => player.seek(seconds));
let voices = [];
let most = 5000;
let run = null; // what is being asked of the server: {abort, wanted}
let heard = null; // what the player holds: {wanted, facts, drawings}
let previewOff = false;
let kind = "curl";
let frame = 0;
let learning = false;

// --- what is wanted ---------------------------------------------------------------------------------------------------

function wanted() {
  return {
    text: $("text").value,
    voice: $("voice").value,
    engine: $("engine").value,
    speed: Number($("speed").value),
    format: $("format").value,
  };
}

function want({ text, voice, engine, speed, format }) {
  $("text").value = text;
  if (voices.some((known) => known.engine === engine)) $("engine").value = engine;
  offerVoices(voice);
  $("speed").value = speed;
  if ([...$("format").options].some((option) => option.value === format)) $("format").value = format;
  changed();
}

function offerVoices(chosen = $("voice").value) {
  const there = voices.filter((voice) => voice.engine === $("engine").value);
  $("voice").replaceChildren(...there.map((voice) => new Option(voiceName(voice.id), voice.id)));
  if (there.some((voice) => voice.id === chosen)) $("voice").value = chosen;
  $("voice").title = there.find((voice) => voice.id === $("voice").value)?.description ?? "";
}

function offer(select, names, chosen) {
  select.replaceChildren(...names.map((name) => new Option(name, name)));
  if (names.includes(chosen)) select.value = chosen;
}

function changed() {
  const now = wanted();
  const characters = [...now.text].length;
  $("count").textContent = t("characters", { count: number(characters), most: number(most) });
  $("count").classList.toggle("warn", characters > most);
  $("speed-shown").textContent = `${number(now.speed, 2)}×`;
  $("snippet").textContent = snippet(kind, now, { withKey: hasKey() });
  if (voices.length) keep("draft", now);
  update();
}

// --- speaking ---------------------------------------------------------------------------------------------------------

/** Speak, now. Resolves when it has been heard, to whether it was heard to its end. `row` is shown the same. */
async function speakNow(asked, row) {
  stop({ silently: true });
  tellProblem(null);
  if (!asked.text.trim()) return tellProblem("errorEmpty", "");
  if ([...asked.text].length > most) return tellProblem("errorLong", t("orderInstead"));
  const abort = new AbortController();
  const mine = (run = { abort, wanted: asked });
  const facts = { firstMs: null, durationS: 0, engine: "", cache: "", whole: false };
  const rateHz = voices.find(({ id, engine }) => id === asked.voice && engine === asked.engine)?.sample_rate ?? 24000;
  const expectedS = (new TextEncoder().encode(asked.text).length * AUDIO_S_PER_BYTE) / asked.speed;
  const drawings = [waveform, ...(row ? [row.waveform] : [])];
  heard = { wanted: asked, facts, drawings };
  player.open(rateHz);
  for (const drawing of drawings) drawing.open(rateHz, expectedS);
  transcript.open(asked.text);
  say(t("speaking"));
  update();
  const sinceMs = performance.now();
  try {
    for await (const { head, samples, words } of speak(asked, abort.signal)) {
      if (head) {
        Object.assign(facts, head);
        if (head.rateHz !== player.rateHz) player.open(head.rateHz);
      } else if (words) {
        transcript.append(words);
      } else {
        facts.firstMs ??= performance.now() - sinceMs;
        player.append(samples);
        for (const drawing of drawings) drawing.append(samples);
      }
      facts.durationS = player.durationS;
      update();
    }
    facts.whole = true;
    remember(asked, { durationS: facts.durationS, firstMs: facts.firstMs });
    row?.tell(facts);
    say(t("finished", { seconds: number(facts.durationS, 1) }));
  } catch (error) {
    if (!abort.signal.aborted) tellError(error);
  } finally {
    if (heard.facts === facts) {
      // else the player and the drawing are another's by now
      for (const drawing of drawings) drawing.end();
      player.end();
    }
    if (run === mine) run = null;
    update();
  }
  return abort.signal.aborted ? false : toTheEnd();
}

/** When the player has come to the end of what it plays, or plays something else. */
function toTheEnd() {
  const what = heard;
  return new Promise((resolve) => {
    const look = () => {
      if (player.playing && heard === what) return;
      player.removeEventListener("change", look);
      resolve(heard === what && player.positionS >= player.durationS);
    };
    player.addEventListener("change", look);
    look();
  });
}

function stop({ silently = false } = {}) {
  if (!run && !player.playing) return;
  run?.abort.abort();
  run = null;
  player.pause();
  if (!silently) say(t("stopped"));
  update();
}

async function download() {
  const { wanted: asked, facts } = heard;
  const name = `speech.${asked.format === "pcm" ? "raw" : asked.format}`;
  $("download").disabled = true;
  try {
    const local = asked.format === "wav" && facts.durationS > 0 && facts.whole;
    save(URL.createObjectURL(local ? wavFile(player.samples, player.rateHz) : await fetchFile(asked)), name);
  } catch (error) {
    tellError(error);
  } finally {
    update();
  }
}

// --- what is shown ----------------------------------------------------------------------------------------------------

const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;

function update() {
  const facts = heard?.facts;
  const active = run !== null || player.playing;
  $("stop").disabled = !active;
  $("speak").disabled = previewOff || !voices.length;
  $("toggle").disabled = !facts || !facts.durationS;
  $("toggle").classList.toggle("playing", player.playing);
  $("toggle").setAttribute("aria-label", t(player.playing ? "pause" : "play"));
  $("download").disabled = !facts?.durationS || run !== null;
  $("download").textContent = t("download", { format: (heard?.wanted ?? wanted()).format });
  $("fact-first").textContent = facts?.firstMs == null ? "–" : `${number(facts.firstMs, facts.firstMs < 10 ? 1 : 0)} ms`;
  $("fact-duration").textContent = facts?.durationS ? `${number(facts.durationS, 2)} s` : "–";
  $("fact-engine").textContent = facts?.engine || "–";
  $("fact-cache").textContent = facts?.cache ? t(facts.cache.toLowerCase()) : "–";
  $("unspoken").hidden = !facts?.unspoken;
  $("unspoken").textContent = facts?.unspoken ? t("unspoken", { count: facts.unspoken }) : "";
  drawPosition();
}

function drawPosition() {
  const [at, total] = [player.positionS, player.durationS];
  for (const drawing of heard?.drawings ?? [waveform]) drawing.draw(at);
  transcript.show(at);
  $("clock").textContent = `${clock(at)} / ${clock(total)}`;
  $("wave").setAttribute("aria-valuemax", total.toFixed(1));
  $("wave").setAttribute("aria-valuenow", at.toFixed(1));
  $("wave").setAttribute("aria-valuetext", t("at", { at: clock(at), total: clock(total) }));
}

function animate() {
  drawPosition();
  frame = player.playing ? requestAnimationFrame(animate) : 0;
}

/** For those who do not see the page. */
function say(message) {
  $("live").textContent = message;
}

function tellProblem(title, text = "") {
  $("notice").hidden = title === null;
  $("notice-title").textContent = title === null ? "" : t(title);
  $("notice-text").textContent = text;
  return false;
}

function tellError(error) {
  const known = {
    network: "errorNetwork",
    cut: "errorCut",
    preview_off: "errorPreview",
    rate_limit_exceeded: "errorRate",
    invalid_api_key: "errorKey",
    input_too_long: "errorLong",
    empty_input: "errorEmpty",
  };
  const byStatus = { 401: "errorKey", 403: "errorForbidden", 429: "errorRate", 503: "errorBusy" };
  const title = known[error.code] ?? byStatus[error.status] ?? "errorOther";
  const own = { errorNetwork: "errorNetworkText", errorCut: "errorCutText", errorPreview: "errorPreviewText" }[title];
  const again = error.retryAfterS ? t("retryAfter", { seconds: number(error.retryAfterS) }) : "";
  tellProblem(title, [own ? t(own) : error.message, again].filter(Boolean).join(" "));
  if (!(error instanceof ApiError)) throw error; // a bug of ours: the console has where
}

function takeStatus(status) {
  const off = status !== null && !status.preview;
  if (off && !previewOff) tellProblem("errorPreview", t("errorPreviewText"));
  if (!off && previewOff) tellProblem(null);
  previewOff = off;
  if (status && !voices.length && !learning) learn(); // it was not there when the page came
  update();
}

// --- keys of the server ------------------------------------------------------------------------------------------------

let asking = null; // several requests meet a 401 at once; one dialog is enough

function askForKey(wrong) {
  asking ??= new Promise((resolve) => {
    $("key-wrong").hidden = !wrong;
    $("key-wrong").textContent = wrong ? t("keyWrong") : "";
    $("key-dialog").addEventListener("close", () => ((asking = null), resolve($("key-dialog").returnValue === "use")), { once: true });
    $("key-dialog").returnValue = "";
    $("key-dialog").showModal();
  });
  return asking;
}

function prepareKeys() {
  onUnauthorized(askForKey);
  $("key").addEventListener("click", async () => {
    if (await askForKey(false)) await learn();
  });
  $("key-form").addEventListener("submit", (event) => {
    event.preventDefault();
    useKey($("key-input").value.trim(), $("key-remember").checked);
    $("key-input").value = "";
    $("key-dialog").close("use");
    changed();
  });
  $("key-cancel").addEventListener("click", () => $("key-dialog").close(""));
  $("key-forget").addEventListener("click", () => {
    useKey("", false);
    $("key-dialog").close("");
    changed();
  });
}

// --- tabs --------------------------------------------------------------------------------------------------------------

/** Tabs as screen readers know them; `choose` is called with the tab that is chosen. */
function prepareTabs(list, choose) {
  const tabs = [...list.querySelectorAll("[role=tab]")];
  const select = (tab) => {
    for (const other of tabs) {
      other.setAttribute("aria-selected", String(other === tab));
      other.tabIndex = other === tab ? 0 : -1;
    }
    choose(tab);
  };
  list.addEventListener("click", ({ target }) => target.closest("[role=tab]") && select(target.closest("[role=tab]")));
  list.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const next = tabs[(tabs.indexOf(event.target) + step + tabs.length) % tabs.length];
    next.focus();
    select(next);
  });
  select(tabs[0]);
  return select;
}

// --- all together ------------------------------------------------------------------------------------------------------

/** What the server has: its voices, formats and limits. */
async function learn() {
  const draft = recall("draft", null) ?? { text: EXAMPLES.example3, speed: 1 };
  learning = true;
  try {
    const [found, described] = await Promise.all([
      call("v1/audio/voices").then((answer) => answer.json()),
      call("openapi.json").then((answer) => answer.json()),
    ]);
    voices = found.voices;
    const fields = described.components.schemas.TtsBody.properties;
    most = fields.text.maxLength;
    offer($("format"), fields.format.enum, draft.format ?? "wav");
    offer($("engine"), [...new Set(voices.map(({ engine }) => engine))], draft.engine);
    setVoices(voices);
    want({ ...wanted(), ...draft, engine: $("engine").value });
  } catch (error) {
    tellError(error);
  }
  learning = false;
  update();
}

function prepare() {
  translate();
  const mac = /Mac|iPhone|iPad/.test(navigator.platform);
  $("speak-key").textContent = mac ? "⌘ Enter" : "Ctrl Enter";
  $("text").value = recall("draft", null)?.text ?? EXAMPLES.example3;
  for (const example of Object.keys(EXAMPLES)) {
    const chip = button("chip", t(example), () => (($("text").value = EXAMPLES[example]), changed()));
    chip.lang = example === "example1" ? "en" : "zh-CN";
    $("examples").append(chip);
  }

  for (const id of ["text", "voice", "speed", "format"]) $(id).addEventListener("input", changed);
  $("engine").addEventListener("input", () => (offerVoices(), changed()));
  $("speak").addEventListener("click", () => speakNow(wanted()));
  $("stop").addEventListener("click", () => stop());
  $("download").addEventListener("click", download);
  $("toggle").addEventListener("click", () => (player.playing ? player.pause() : player.play()));
  $("order").addEventListener("click", async () => {
    tellProblem(null);
    chooseSide($("tab-jobs"));
    await order(wanted()).then(() => say(t("ordered")), tellError);
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !$("speak").disabled) {
      event.preventDefault();
      speakNow(wanted());
    } else if (event.key === "Escape" && !$("key-dialog").open) {
      stop();
    }
  });
  $("wave").addEventListener("click", ({ offsetX }) => player.seek((offsetX / $("wave").clientWidth) * waveform.spanS));
  $("wave").addEventListener("keydown", (event) => {
    const steps = { ArrowRight: 1, ArrowLeft: -1, PageUp: LONG_STEP_S, PageDown: -LONG_STEP_S };
    const places = { Home: 0, End: player.durationS };
    if (event.key === " ") $("toggle").click();
    else if (event.key in steps) player.seek(player.positionS + steps[event.key]);
    else if (event.key in places) player.seek(places[event.key]);
    else return;
    event.preventDefault();
  });
  player.addEventListener("change", () => (update(), (frame ||= requestAnimationFrame(animate))));
  $("copy").addEventListener("click", copy);
  $("language").addEventListener("click", switchLanguage);

  prepareTabs($("code-tabs"), (tab) => {
    kind = tab.dataset.snippet;
    $("code").setAttribute("aria-labelledby", tab.id);
    changed();
  });
  const chooseSide = prepareTabs($("side-tabs"), (tab) => {
    for (const panel of document.querySelectorAll(".side > [role=tabpanel]")) {
      panel.hidden = panel.id !== tab.getAttribute("aria-controls");
    }
    if (tab.id === "tab-jobs") refresh().catch(tellError);
  });
  showRecent((again) => (want(again), speakNow(again)));
  showVoices((voice, row) => speakNow({ ...wanted(), voice: voice.id, engine: voice.engine }, row));
  showJobs(tellError);
  prepareKeys();
  onLanguage(() => {
    $("language").textContent = t("otherLanguage");
    offerVoices();
    changed();
  });
  followHealth(takeStatus);
  learn();
}

async function copy() {
  const text = $("snippet").textContent;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    getSelection().selectAllChildren($("snippet")); // by plain http there is no clipboard but the user's own keys
    return;
  }
  $("copy").textContent = t("copied");
  say(t("copied"));
  setTimeout(() => ($("copy").textContent = t("copy")), 2000);
}

prepare();
