// What session-state says: JSON pages, and events that come as they happen. With the admin key, if it needs one.
//
// EventSource cannot send a key in a header, so Server-Sent Events are read with fetch.

/** @typedef {Record<string, any>} Json */

/** Milliseconds: the first and the longest pause between two attempts to watch. */
const FIRST_PAUSE = 250;
const LONGEST_PAUSE = 8_000;

/** Session-state wants an admin key, or another one. */
export class KeyNeeded extends Error {}

/** Kept by this page alone: what a browser stores can be read by whoever uses it next.
 * @type {string | null} */
let key = null;

/** Use this key from now on, until the page is left or loaded again.
 * @param {string} value */
export function useKey(value) {
  key = value;
}

/** The JSON of a page of session-state. Throws KeyNeeded, or an Error for people.
 * @param {string} path
 * @returns {Promise<Json>} */
export async function get(path) {
  const answer = await request(path);
  return answer.json();
}

/** The text of a page of session-state.
 * @param {string} path
 * @returns {Promise<string>} */
export async function getText(path) {
  return (await request(path)).text();
}

/** Ask session-state to do something; returns its answer.
 * @param {string} path
 * @returns {Promise<Json>} */
export async function post(path) {
  const answer = await request(path, undefined, { method: "POST", headers: { "X-Turngate-Console": "1" } });
  return answer.json();
}

/** Call `on` with each event of this path, again and again, until `signal` is aborted. `on` also gets `connected` and
 * `disconnected` (with `why`); `gone` is the last event if the path is not there any more.
 * @param {string} path
 * @param {AbortSignal} signal
 * @param {(name: string, data: Json) => void} on */
export async function watch(path, signal, on) {
  let pause = FIRST_PAUSE;
  while (!signal.aborted) {
    let why = "session-state has closed the connection";
    try {
      const answer = await request(path, signal);
      pause = FIRST_PAUSE;
      on("connected", {});
      for await (const [name, data] of events(answer)) on(name, data);
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof NotThere) return on("gone", { why: error.message });
      why = error instanceof Error ? error.message : String(error);
      if (error instanceof KeyNeeded) return on("key", { why });
    }
    on("disconnected", { why });
    await new Promise((resume) => setTimeout(resume, pause * (0.5 + Math.random() / 2)));
    pause = Math.min(2 * pause, LONGEST_PAUSE);
  }
}

class NotThere extends Error {}

/** @param {string} path
 * @param {AbortSignal} [signal]
 * @param {{ method?: string, headers?: Record<string, string> }} [more]
 * @returns {Promise<Response>} */
async function request(path, signal, { method, headers: given } = {}) {
  const headers = key === null ? given : { ...given, Authorization: `Bearer ${key}` };
  let answer;
  try {
    answer = await fetch(path, { method, headers, signal, cache: "no-store" });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Error("session-state cannot be reached");
  }
  if (answer.ok) return answer;
  const told = await answer.json().catch(() => ({}));
  const why = told.error ?? `HTTP ${answer.status}`;
  if (answer.status === 401) throw new KeyNeeded(why);
  throw answer.status === 404 ? new NotThere(why) : new Error(why);
}

/** The events in the body of an answer.
 * @param {Response} answer
 * @returns {AsyncGenerator<[string, Json]>} */
async function* events(answer) {
  const reader = /** @type {ReadableStream<Uint8Array>} */ (answer.body).getReader();
  const decoder = new TextDecoder();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    text += decoder.decode(value, { stream: true });
    const parts = text.split("\n\n");
    text = /** @type {string} */ (parts.pop());
    for (const part of parts) {
      const lines = part.split("\n").map((line) => line.split(/: (.*)/s));
      const name = lines.find(([field]) => field === "event")?.[1];
      const data = lines.find(([field]) => field === "data")?.[1];
      if (name !== undefined && data !== undefined) yield [name, JSON.parse(data)];
    }
  }
}
