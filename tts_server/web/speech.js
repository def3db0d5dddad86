/** A text spoken by the server, piece by piece, and as a file. */

import { ApiError, call, events } from "./api.js";

const WAV_HEADER_BYTES = 44;

/**
 * What the server makes of `wanted`: first {head}, then {samples}, an Int16Array, and {words}, as they come. ApiError if
 * it is refused or breaks off; an AbortError after `signal`.
 */
export async function* speak(wanted, signal) {
  const body = { ...wanted, format: "pcm", stream: true, timestamps: true };
  const answer = await call("api/tts/preview", { method: "POST", body, signal });
  yield { head: headOf(answer.headers) };
  let whole = false;
  let odd = new Uint8Array(0); // half a sample: pieces are cut anywhere
  try {
    for await (const { event, data } of events(answer)) {
      if (event === "speech.audio.words") yield { words: data.words };
      if (event === "speech.audio.error") throw new ApiError(200, data.error.code, data.error.message);
      if (event === "speech.audio.done") whole = true;
      if (event !== "speech.audio.delta") continue;
      const bytes = joined(odd, bytesOf(data.audio));
      const even = bytes.length - (bytes.length % 2);
      odd = bytes.slice(even);
      if (even) yield { samples: new Int16Array(bytes.buffer, 0, even / 2) }; // little-endian, as every browser is
    }
  } catch (error) {
    if (signal.aborted || error instanceof ApiError) throw error;
    throw new ApiError(0, "cut", String(error.message));
  }
  if (!whole) throw new ApiError(0, "cut", "the stream ended without its last event");
}

function headOf(headers) {
  return {
    rateHz: Number(headers.get("X-Sample-Rate")),
    engine: headers.get("X-Engine"),
    cache: headers.get("X-Cache"),
    unspoken: Number(headers.get("X-Unspoken-Characters") ?? 0),
  };
}

function bytesOf(base64) {
  const letters = atob(base64);
  const bytes = new Uint8Array(letters.length);
  for (let i = 0; i < letters.length; i++) bytes[i] = letters.charCodeAt(i);
  return bytes;
}

function joined(first, second) {
  if (!first.length) return second;
  const bytes = new Uint8Array(first.length + second.length);
  bytes.set(first);
  bytes.set(second, first.length);
  return bytes;
}

/** The whole as a file of the format that is wanted. */
export async function fetchFile(wanted) {
  const answer = await call("api/tts/preview", { method: "POST", body: wanted });
  return answer.blob();
}

/** Samples as a wav file. */
export function wavFile(pieces, rateHz) {
  const bytes = pieces.reduce((sum, piece) => sum + piece.byteLength, 0);
  const header = new DataView(new ArrayBuffer(WAV_HEADER_BYTES));
  const write = (at, letters) => [...letters].forEach((letter, i) => header.setUint8(at + i, letter.charCodeAt(0)));
  write(0, "RIFF");
  header.setUint32(4, WAV_HEADER_BYTES - 8 + bytes, true);
  write(8, "WAVEfmt ");
  header.setUint32(16, 16, true); // of this part: the plainest
  header.setUint16(20, 1, true); // PCM
  header.setUint16(22, 1, true); // mono
  header.setUint32(24, rateHz, true);
  header.setUint32(28, rateHz * 2, true);
  header.setUint16(32, 2, true);
  header.setUint16(34, 16, true);
  write(36, "data");
  header.setUint32(40, bytes, true);
  return new Blob([header, ...pieces], { type: "audio/wav" });
}
