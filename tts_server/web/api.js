/** The server's API: requests with the key, errors as they are told, event streams. */

import { keep, recall } from "./storage.js";
import { createParser } from "./vendor/eventsource-parser.js";

let key = recall("key", "", "sessionStorage") || recall("key", "");
let askForKey = async () => false;

/** A request that was refused, or could not be made (status 0). */
export class ApiError extends Error {
  constructor(status, code, message, retryAfterS = 0) {
    super(message);
    this.status = status;
    this.code = code;
    this.retryAfterS = retryAfterS;
  }
}

/** `ask(wrong)` shows the key's dialog and tells whether there is a key now; `wrong`: one was sent, and refused. */
export function onUnauthorized(ask) {
  askForKey = ask;
}

export function hasKey() {
  return key !== "";
}

/** Send this key from now on; it is forgotten with the tab unless it is to be remembered. */
export function useKey(secret, remember) {
  key = secret;
  keep("key", secret || null, "sessionStorage");
  keep("key", remember && secret ? secret : null);
}

/** An answer with status 200 to 299. ApiError for any other, and when the server cannot be reached. */
export async function call(path, { method = "GET", body, signal, quiet = false } = {}) {
  for (;;) {
    const sent = key;
    const headers = sent ? { Authorization: `Bearer ${sent}` } : {};
    if (body !== undefined) headers["Content-Type"] = "application/json";
    let answer;
    try {
      answer = await fetch(path, { method, headers, body: body && JSON.stringify(body), signal, cache: "no-store" });
    } catch (error) {
      if (signal?.aborted) throw error;
      throw new ApiError(0, "network", String(error.message));
    }
    if (answer.ok) return answer;
    const { error = {} } = await answer.json().catch(() => ({}));
    if (answer.status === 401 && !quiet && (sent !== key || (await askForKey(sent !== "")))) continue;
    const retryAfterS = Number(answer.headers.get("Retry-After")) || 0;
    throw new ApiError(answer.status, error.code ?? "", error.message ?? answer.statusText, retryAfterS);
  }
}

/** The server-sent events of an answer, each as {event, data} with its data read. EventSource could send no key. */
export async function* events(answer) {
  const waiting = [];
  const parser = createParser({ onEvent: ({ event, data }) => waiting.push({ event, data: JSON.parse(data) }) });
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      parser.feed(value);
      yield* waiting.splice(0);
    }
  } finally {
    reader.cancel().catch(() => {}); // whoever leaves early ends the request
  }
}
