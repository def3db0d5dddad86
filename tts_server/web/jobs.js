/** Long texts as jobs: ordered, followed while they are spoken, fetched. */

import { call, events, hasKey } from "./api.js";
import { $, button, element } from "./dom.js";
import { number, onLanguage, t } from "./language.js";
import { keep, recall } from "./storage.js";

const SHOWN = 10;
const FOLLOWED = 2; // a browser has six connections for one server, and the page needs others
const TITLE_CHARACTERS = 60;

let jobs = [];
let titles = recall("jobs", {}); // the server tells no texts back: of those of another browser, when they were ordered
let fail = () => {};
const followed = new Map();

/** Show the caller's jobs; `tellError` is given what goes wrong. */
export function showJobs(tellError) {
  fail = tellError;
  onLanguage(draw);
}

/** Order a job. */
export async function order(wanted) {
  const answer = await call("api/tts/jobs", { method: "POST", body: wanted });
  const { job_id: id } = await answer.json();
  titles[id] = wanted.text.slice(0, TITLE_CHARACTERS);
  await refresh();
}

/** Ask for the list, and follow those that are not at their end. */
export async function refresh() {
  const answer = await call(`api/tts/jobs?limit=${SHOWN}`);
  jobs = (await answer.json()).jobs;
  titles = Object.fromEntries(jobs.filter(({ job_id: id }) => id in titles).map(({ job_id: id }) => [id, titles[id]]));
  keep("jobs", titles);
  draw();
  const open = jobs.filter(isOpen).reverse();
  for (const job of open.slice(0, FOLLOWED)) if (!followed.has(job.job_id)) follow(job.job_id);
}

async function follow(id) {
  const leaving = new AbortController();
  followed.set(id, leaving);
  try {
    for await (const { data } of events(await call(`api/tts/jobs/${id}/events`, { signal: leaving.signal }))) {
      jobs = jobs.map((job) => (job.job_id === id ? data : job));
      draw();
    }
    followed.delete(id);
    await refresh();
  } catch (error) {
    followed.delete(id);
    if (!leaving.signal.aborted) fail(error);
  }
}

function draw() {
  const focused = document.activeElement?.dataset.press;
  $("jobs").replaceChildren(...(jobs.length ? jobs.map(row) : [element("li", "hint", t("noJobs"))]));
  if (focused) $("jobs").querySelector(`[data-press="${CSS.escape(focused)}"]`)?.focus();
}

function row(job) {
  const entry = element("li", "job");
  const progress = element("progress");
  progress.max = 1;
  progress.value = job.progress;
  progress.setAttribute("aria-label", t(job.status));
  const facts = [t(job.status), `${number(job.progress * 100)} %`, `${number(job.audio_seconds, 1)} s`, job.format];
  if (job.position) facts.splice(1, 0, t("before", { count: job.position }));
  const buttons = element("span", "buttons");
  if (job.status === "done") buttons.append(press(job, "listen", listen), press(job, "fetch", fetchAudio));
  buttons.append(press(job, isOpen(job) ? "cancel" : "remove", end));
  const title = titles[job.job_id] ?? new Date(job.created * 1000).toLocaleString(document.documentElement.lang);
  entry.append(element("span", "line", title), progress, element("small", "", facts.join(" · ")));
  if (job.error) entry.append(element("small", "warn", job.error.message));
  entry.append(buttons);
  return entry;
}

function isOpen({ status }) {
  return status === "queued" || status === "running";
}

function press(job, name, act) {
  const made = button("quiet", t(name), () => act(job).catch(fail));
  made.dataset.press = `${job.job_id} ${name}`; // the list is drawn anew as jobs go on: whoever is there stays there
  return made;
}

async function end(job) {
  followed.get(job.job_id)?.abort();
  followed.delete(job.job_id);
  await call(`api/tts/jobs/${job.job_id}`, { method: "DELETE" });
  await refresh();
}

/** Where a browser finds the audio: at the server, or, where that wants a key, in its own memory. */
async function sourceOf(job) {
  const path = `api/tts/jobs/${job.job_id}/audio`;
  return hasKey() ? URL.createObjectURL(await (await call(path)).blob()) : path;
}

async function listen(job) {
  const audio = $("job-audio");
  if (audio.src.startsWith("blob:")) URL.revokeObjectURL(audio.src);
  audio.src = await sourceOf(job);
  audio.hidden = false;
  await audio.play();
}

async function fetchAudio(job) {
  save(await sourceOf(job), `${job.job_id}.${job.format === "pcm" ? "raw" : job.format}`);
}

/** Have the browser save what is found there. */
export function save(url, name) {
  const link = element("a");
  link.href = url;
  link.download = name;
  link.click();
  if (url.startsWith("blob:")) setTimeout(() => URL.revokeObjectURL(url), 60_000); // when the browser has it, for sure
}
