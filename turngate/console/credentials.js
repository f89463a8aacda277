// What a conversation is opened with: a short-lived token, made with the key that a person has typed. No DOM.
//
// The key is kept by the page alone, and is sent nowhere but to the gateway's token grant, in a header.

/** Seconds for which a token is good, and milliseconds after which there is another. */
const GOOD = 300;
const RENEW = 200_000;
/** Milliseconds for an answer. */
const PATIENCE = 10_000;

export class Credentials {
  /** @param {string} gateway its address, ws:// or wss://
   * @param {string} key a key or a token; "" for a gateway that wants none */
  constructor(gateway, key) {
    this._url = `${gateway.replace(/^ws/, "http")}/v1/auth/grant`;
    this._key = key;
    /** @type {string[]} The subprotocols. */ this._protocols = [];
    /** @type {ReturnType<typeof setInterval> | undefined} */ this._timer = undefined;
  }

  /** The subprotocols for a connection that begins now. */
  get protocols() {
    return this._protocols;
  }

  /** Get ready. Throws an Error for people. */
  async open() {
    if (!this._key) return;
    const granted = await this._grant();
    // A gateway without a secret makes no tokens, and none makes a token from a token: then what was given is used.
    this._protocols = granted === null ? ["token", this._key] : ["bearer", granted];
    if (granted !== null) this._timer = setInterval(() => this._renew(), RENEW);
  }

  close() {
    clearInterval(this._timer);
  }

  /** A gateway that is away now is asked again later; the token that there is may do meanwhile. */
  async _renew() {
    try {
      const granted = await this._grant();
      if (granted !== null) this._protocols = ["bearer", granted];
    } catch {
      return;
    }
  }

  /** A token, or null if none is made for this key.
   * @returns {Promise<string | null>} */
  async _grant() {
    const asked = { method: "POST", headers: { Authorization: `Token ${this._key}`, "Content-Type": "application/json" }, body: JSON.stringify({ ttl_seconds: GOOD }), signal: AbortSignal.timeout(PATIENCE), cache: /** @type {const} */ ("no-store") };
    let answer;
    try {
      answer = await fetch(this._url, asked);
    } catch {
      throw new Error("The gateway cannot be reached, or does not take this page's origin (TURNGATE_ALLOWED_ORIGINS).");
    }
    const told = await answer.json().catch(() => ({}));
    if (answer.ok) return told.access_token;
    if (answer.status === 403) return null;
    throw new Error(`The gateway refuses the key: ${told.err_msg ?? told.error ?? `HTTP ${answer.status}`}`);
  }
}
