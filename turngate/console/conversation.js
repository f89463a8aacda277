// A conversation with the agent over a connection that returns. No DOM.

import { ResumingSocket } from "./resume.js";

/** @typedef {import("./api.js").Json} Json */
/** @typedef {import("./functions.js").Functions} Functions */

/** Milliseconds between two signs of life of a client that sends no audio. */
const KEEP_ALIVE = 5_000;

/** Why a connection was closed, for codes that come without a reason. A browser does not say why it was refused.
 * @type {Record<number, string>} */
const CLOSED = { 1006: "the gateway cannot be reached, or does not take this key or this page's origin" };

/** What `Settings` are made of.
 * @typedef {{ prompt: string, voice: string, greeting: string, rate: number }} Wishes */

/** @param {Wishes} wishes
 * @param {Functions} functions
 * @returns {Json} */
export function settings({ prompt, voice, greeting, rate }, functions) {
  const audio = { encoding: "linear16", sample_rate: rate };
  return {
    type: "Settings",
    audio: { input: audio, output: { ...audio, container: "none" } },
    agent: {
      think: { provider: { type: "open_ai", model: "gpt-realtime-2.1" }, ...(prompt ? { prompt } : {}), functions: functions.declarations },
      speak: { provider: { type: "open_ai", model: "tts-1", voice } },
      ...(greeting ? { greeting } : {}),
    },
  };
}

export class Conversation {
  /** @param {{ url: string, protocols: () => string[], settings: Json, functions: Functions }} given
   * @param {{ message: (direction: "sent" | "received", message: Json) => void, audio: (pcm: ArrayBuffer) => void,
   *   ask: (call: Json, answer: (content: string) => void) => void,
   *   state: (state: "lost" | "resumed" | "anew" | "ended", why: string) => void }} on */
  constructor({ url, protocols, settings: first, functions }, on) {
    this._functions = functions;
    this._on = on;
    this._first = first;
    this._socket = new ResumingSocket(url, protocols);
    this._socket.addEventListener("message", (event) => this._message(/** @type {MessageEvent} */ (event).data));
    this._socket.addEventListener("lost", () => on.state("lost", ""));
    this._socket.addEventListener("resumed", (event) => on.state(/** @type {CustomEvent} */ (event).detail.resumed ? "resumed" : "anew", ""));
    this._socket.addEventListener("close", (event) => {
      const { code, reason } = /** @type {CustomEvent} */ (event).detail;
      clearInterval(this._signs);
      on.state("ended", code === 1000 ? reason : reason || CLOSED[code] || `the connection was closed (${code})`);
    });
    this._signs = setInterval(() => this._socket.send('{"type":"KeepAlive"}'), KEEP_ALIVE);
  }

  /** @param {Json} message */
  send(message) {
    this._socket.send(JSON.stringify(message));
    this._on.message("sent", message);
  }

  /** @param {ArrayBuffer} frame */
  sendAudio(frame) {
    this._socket.send(frame);
  }

  /** Lose the connection; it returns. */
  cut() {
    this._socket.cut();
  }

  end() {
    clearInterval(this._signs);
    this._socket.close();
  }

  /** @param {string | ArrayBuffer} data */
  _message(data) {
    if (typeof data !== "string") return this._on.audio(data);
    const message = JSON.parse(data);
    this._on.message("received", message);
    // A session that is new has no settings; one that goes on needs none.
    if (message.type === "Welcome" && message.resumed !== true) this.send(this._first);
    if (message.type === "FunctionCallRequest") for (const call of message.functions) this._answer(call);
  }

  /** @param {Json} call */
  _answer({ id, name, arguments: given }) {
    const answer = (/** @type {string} */ content) => this.send({ type: "FunctionCallResponse", id, name, content });
    const content = this._functions.answer(name, given);
    if (content === null) this._on.ask({ id, name, arguments: given }, answer);
    else setTimeout(() => answer(content), this._functions.takes(name));
  }
}
