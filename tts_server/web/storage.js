/** What this browser remembers. Where it may not (a private window, a full disk), the page works without. */

const PREFIX = "tts-server.";

/** What was kept under that name, or else `otherwise`. */
export function recall(name, otherwise, storage = "localStorage") {
  try {
    const kept = window[storage].getItem(PREFIX + name);
    return kept === null ? otherwise : JSON.parse(kept);
  } catch {
    return otherwise;
  }
}

/** Keep a value; null removes it. */
export function keep(name, value, storage = "localStorage") {
  try {
    if (value === null) window[storage].removeItem(PREFIX + name);
    else window[storage].setItem(PREFIX + name, JSON.stringify(value));
  } catch {
    // nothing is lost but the memory of it
  }
}
