/** The live strip: how the server is, as it tells. */

import { ApiError, call, events } from "./api.js";
import { $ } from "./dom.js";
import { number, onLanguage, t } from "./language.js";

const AGAIN_MS = [1000, 2000, 5000, 10000];
const POLL_MS = 5000;

const show = (id, text) => ($(id).textContent = text);

/** Follow the server's status as long as the page is seen; `tell` is given each. */
export function followHealth(tell) {
  let leaving = new AbortController();
  let status = null;
  let reached = true; // though it may not have told: a key is missing
  const draw = () => {
    const health = $("health");
    health.dataset.level = status ? status.level : "none";
    show("level-name", t(status ? status.level_name : reached ? "unknown" : "offline"));
    show("queue", status ? number(status.queue_depth) : "–");
    show("rate", status ? number(status.requests_per_s, status.requests_per_s < 10 ? 1 : 0) : "–");
    const p95 = status?.first_audio_p95_s;
    show("p95", p95 == null ? "–" : `${number(p95 * 1000, p95 < 0.01 ? 1 : 0)} ms`);
    const tired = Object.entries(status?.breakers ?? {}).filter(([, state]) => state !== "closed");
    const say = ([engine, state]) => t(state === "open" ? "breakerOpen" : "breakerHalf", { engine });
    $("breakers").hidden = !tired.length;
    show("breakers", tired.map(say).join(" · "));
  };
  const take = (found) => {
    status = found;
    draw();
    tell(found);
  };
  const wait = (ms, signal) =>
    new Promise((go) => {
      const timer = setTimeout(go, ms);
      signal.addEventListener("abort", () => (clearTimeout(timer), go()), { once: true });
    });
  const follow = async (signal) => {
    let poll = false;
    for (let failures = 0; !signal.aborted; ) {
      try {
        if (poll) {
          take(await (await call("api/tts/status", { signal, quiet: true })).json());
          await wait(POLL_MS, signal);
          continue;
        }
        for await (const { data } of events(await call("api/tts/status/events", { signal, quiet: true }))) {
          failures = 0;
          take(data);
        }
      } catch (error) {
        if (signal.aborted) return;
        if (error.status === 404) return void ($("health").hidden = true); // it is not watched
        poll ||= error.code === "too_many_listeners";
        reached = error instanceof ApiError && error.status !== 0;
      }
      take(null);
      await wait(AGAIN_MS[Math.min(failures++, AGAIN_MS.length - 1)], signal);
    }
  };
  const begin = () => follow(leaving.signal);
  // A page that nobody sees takes no place among those who listen.
  document.addEventListener("visibilitychange", () => {
    leaving.abort();
    leaving = new AbortController();
    if (!document.hidden) begin();
  });
  onLanguage(draw);
  if (!document.hidden) begin();
}
