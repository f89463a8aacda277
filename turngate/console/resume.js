// A WebSocket to a turngate server that returns to its conversation when the connection is lost.
//
//   import { ResumingSocket } from "./resume.js";
//   const agent = new ResumingSocket("wss://voice.example.com/v1/agent/converse", ["token", TOKEN]);
//   agent.addEventListener("message", ({ data }) => …);   // as of a WebSocket; binary data is an ArrayBuffer
//   agent.addEventListener("lost", () => …);              // the connection is lost, and tried again
//   agent.addEventListener("resumed", ({ detail }) => …); // detail.resumed: whether the conversation was found
//   agent.addEventListener("close", ({ detail }) => …);   // detail.code: the server ended it, or it is given up
//   agent.send(data); agent.close();
//   agent.cut();                                          // lose the connection, to see what happens
//
// Send `Settings` on the first `Welcome` only, or on each: a conversation that goes on is not changed by them.
// While there is no connection, messages are kept, and so is audio: the oldest is dropped beyond `audioBytes`.

/** Milliseconds: the first and the longest pause between two attempts. */
const FIRST_PAUSE = 250;
const LONGEST_PAUSE = 5_000;
/** Close codes after which another attempt cannot help: a normal end, and another connection of the same client. */
const FINAL = new Set([1000, 1008]);

export class ResumingSocket extends EventTarget {
  /** @type {string} */ #url;
  /** @type {string[] | (() => string[])} */ #protocols;
  /** @type {number} */ #windowMs;
  /** @type {number} */ #audioBytes;
  /** @type {WebSocket} */ #socket;
  /** @type {string | undefined} */ #handle;
  /** @type {number | undefined} */ #lostAt;
  /** @type {any} */ #timer;
  /** @type {(string | ArrayBuffer | ArrayBufferView)[]} */ #waiting = [];
  #received = 0; #pause = FIRST_PAUSE; #waitingAudio = 0; #closed = false;

  /** `windowMs`: for how long to try to return; `audioBytes`: the most audio that is kept meanwhile.
   * `protocols` may be a function, called for each connection: a token may have been replaced meanwhile.
   * @param {string} url
   * @param {string[] | (() => string[])} protocols */
  constructor(url, protocols = [], { windowMs = 60_000, audioBytes = 320_000 } = {}) {
    super();
    [this.#url, this.#protocols, this.#windowMs, this.#audioBytes] = [url, protocols, windowMs, audioBytes];
    this.#socket = this.#connect();
  }

  /** Whether messages go out at once. */
  get connected() {
    return this.#socket?.readyState === WebSocket.OPEN && this.#lostAt === undefined;
  }

  /** Send a text message, or audio as an ArrayBuffer or a view; kept while there is no connection.
   * @param {string | ArrayBuffer | ArrayBufferView} data */
  send(data) {
    if (this.connected) return void this.#socket.send(/** @type {any} */ (data));
    this.#waiting.push(data);
    this.#waitingAudio += typeof data === "string" ? 0 : data.byteLength;
    while (this.#waitingAudio > this.#audioBytes) {
      const [oldest] = this.#waiting.splice(this.#waiting.findIndex((kept) => typeof kept !== "string"), 1);
      this.#waitingAudio -= /** @type {ArrayBuffer} */ (oldest).byteLength;
    }
  }

  /** End the conversation. */
  close() {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#socket.close(1000);
  }

  /** Close the connection as if it were lost; it is tried again at once. */
  cut() {
    this.#socket.close(4000);
  }

  #connect() {
    const url = new URL(this.#url);
    if (this.#handle === undefined) url.searchParams.set("resumable", "1");
    else {
      url.searchParams.set("resume", this.#handle);
      url.searchParams.set("received", String(this.#received));
    }
    const socket = new WebSocket(url, typeof this.#protocols === "function" ? this.#protocols() : this.#protocols);
    socket.binaryType = "arraybuffer";
    socket.onmessage = ({ data }) => this.#message(data);
    socket.onclose = ({ code, reason }) => this.#lost(code, reason);
    return socket;
  }

  /** @param {any} data */
  #message(data) {
    const message = typeof data === "string" ? JSON.parse(data) : undefined;
    if (message?.type === "Welcome") this.#welcome(message);
    else if (message !== undefined) this.#received += 1;
    this.dispatchEvent(new MessageEvent("message", { data }));
  }

  /** @param {{ resume: string, resumed?: boolean }} welcome */
  #welcome({ resume, resumed }) {
    const returned = this.#handle !== undefined;
    this.#handle = resume;
    // Of a conversation that goes on, the Welcome of a return is not counted.
    if (resumed !== true) this.#received = 1;
    [this.#lostAt, this.#pause] = [undefined, FIRST_PAUSE];
    const waiting = this.#waiting;
    [this.#waiting, this.#waitingAudio] = [[], 0];
    for (const data of waiting) this.send(data);
    if (returned) this.dispatchEvent(new CustomEvent("resumed", { detail: { resumed } }));
  }

  /** @param {number} code
   * @param {string} reason */
  #lost(code, reason) {
    this.#lostAt ??= Date.now();
    const over = Date.now() - this.#lostAt > this.#windowMs || this.#handle === undefined;
    if (this.#closed || FINAL.has(code) || over) {
      this.dispatchEvent(new CustomEvent("close", { detail: { code, reason } }));
      return;
    }
    this.dispatchEvent(new CustomEvent("lost"));
    this.#timer = setTimeout(() => (this.#socket = this.#connect()), this.#pause * (0.5 + Math.random() / 2));
    this.#pause = Math.min(this.#pause * 2, LONGEST_PAUSE);
  }
}
