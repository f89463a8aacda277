// What has happened in one session, made from the descriptions of it that session-state sends. No DOM, no clock.
//
// Each description is whole, so the history is what has changed from one to the next. One that is lost costs detail only.

/** @typedef {"configuration" | "response" | "interruption" | "request"} RequestKind */
/** @typedef {"asked" | "held" | "released" | "sent"} Phase */

/** A time during which something was so; `until` is null while it still is.
 * @typedef {{ kind: string, key: string, from: number, until: number | null, detail: Json }} Span */

/** Something that happened at one moment.
 * @typedef {{ kind: string, key: string, at: number, detail: Json }} Mark */

/** A request of the client. `phases` follow one another; `settled` is when it was.
 * @typedef {{ seq: number, kind: RequestKind, phases: Span[], settled: number | null, known: boolean }} Asked */

/** @typedef {import("./api.js").Json} Json */

/** How many of each are kept; the oldest go first. */
const KEPT = 500;
/** Milliseconds: a shorter silence in what the agent says is none. */
const GAP = 400;

export class History {
  constructor() {
    /** @type {Json | null} The newest description. */
    this.now = null;
    /** @type {Span[]} */ this.user = [];
    /** @type {Span[]} */ this.agent = [];
    /** @type {Asked[]} */ this.requests = [];
    /** @type {Span[]} */ this.calls = [];
    /** @type {Span[]} */ this.connections = [];
    /** @type {Mark[]} Connections that changed, events that were lost. */ this.changes = [];
    /** @type {Span[]} When the agent was audible at this page. */ this.heard = [];
    /** @type {Mark[]} Messages of the client's connection, where they are known. */ this.messages = [];
    /** @type {number | null} Milliseconds by which this clock is behind that of the descriptions. */
    this.offset = null;
    /** @type {{ id: string, seqs: number[] } | null} */
    this._release = null;
    /** @type {number | null} The last time that is known, while nothing is heard of the session. */
    this.frozenAt = null;
    this._count = 0;
  }

  /** The time until which is known what was so.
   * @param {number} clock
   * @returns {number} */
  until(clock) {
    return this.frozenAt ?? this.time(clock);
  }

  /** The first time that is known; null if nothing is.
   * @returns {number | null} */
  get began() {
    const all = [...this.user, ...this.agent, ...this.connections, ...this.requests.flatMap((one) => one.phases)];
    return all.length ? Math.min(...all.map((span) => span.from)) : null;
  }

  /** The time on the clock of the descriptions. `clock` is this machine's.
   * @param {number} clock
   * @returns {number} */
  time(clock) {
    return clock + (this.offset ?? 0);
  }

  /** A description has arrived, at `clock` of this machine. False if it is older than the newest.
   * @param {Json} session
   * @param {number} clock
   * @returns {boolean} */
  add(session, clock) {
    const before = this.now;
    if (before && (session.epoch < before.epoch || session.at_ms < before.at_ms)) return false;
    // The fastest one to arrive is nearest to the truth.
    this.offset = Math.max(this.offset ?? -Infinity, session.at_ms - clock);
    const at = session.at_ms;
    this._span(this.user, session.user_speaking ? "speaking" : null, "speaking", at, {});
    this._agent(session, at);
    this._requests(session, before, at);
    this._calls(session, at);
    this._connections(session, before, at);
    this.now = session;
    for (const kept of [this.user, this.agent, this.requests, this.calls, this.connections, this.changes]) trim(kept);
    return true;
  }

  /** Events were lost: what is shown has gaps. `number` is null if nobody knows how many.
   * @param {number | null} number
   * @param {number} at */
  lost(number, at) {
    this._mark(this.changes, "lost", at, { number });
  }

  /** The agent can be heard from now on. `latency`: seconds since the end of what it answers, if that is known.
   * @param {number} at
   * @param {number | undefined} latency */
  audible(at, latency) {
    const last = this.heard.at(-1);
    // A frame that came late is not a silence.
    if (last && last.until !== null && last.detail.left === undefined && at - last.until < GAP) last.until = null;
    else if (last?.until !== null) this.heard.push(this._new("heard", at, null, { latency }));
    trim(this.heard);
  }

  /** The agent cannot be heard any more. `interrupted`: by the user, with how many milliseconds were heard and were not.
   * @param {number} at
   * @param {{ heard: number, left: number } | null} [interrupted] */
  silent(at, interrupted) {
    const last = this.heard.at(-1);
    if (last?.until !== null) return;
    last.until = at;
    if (interrupted) Object.assign(last.detail, interrupted);
  }

  /** A message of the client's connection, without what others could return to its conversation with.
   * @param {"sent" | "received"} direction
   * @param {Json} message
   * @param {number} at */
  message(direction, message, at) {
    const { resume, ...shown } = message;
    this._mark(this.messages, direction, at, resume === undefined ? message : { ...shown, resume: "(not shown)" });
    trim(this.messages);
  }

  /** @param {Json} session
   * @param {number} at */
  _agent(session, at) {
    const { slot, response_id: id, response_own: own } = session;
    const by = own === null || own === undefined ? "" : own ? "-ours" : "-server";
    const kind = slot === "active" ? `active${by}` : slot;
    const shown = ["promised", "requested", "active", "cancelling", "reconnecting"].includes(slot);
    this._span(this.agent, shown ? kind : null, `${kind} ${id}`, at, { id });
  }

  /** @param {Json} session
   * @param {Json | null} before
   * @param {number} at */
  _requests(session, before, at) {
    const open = new Map();
    for (const seq of session.open_configuration) open.set(seq, "configuration");
    for (const seq of session.open_responses) open.set(seq, "response");
    for (const { seq, kind } of session.held) if (open.has(seq)) open.set(seq, kind);
    if (session.release) this._release = session.release;
    for (const one of this.requests.filter(({ settled }) => settled === null)) {
      if (!open.has(one.seq)) this._settle(one, at);
    }
    for (const [seq, kind] of [...open].sort(([a], [b]) => a - b)) this._open(seq, kind, session, at);
    // Settled before anything was heard of them.
    const first = (before?.last_seq ?? session.last_seq) + 1;
    for (let seq = Math.max(first, session.last_seq - KEPT); seq <= session.last_seq; seq += 1) {
      if (!open.has(seq) && !this.requests.some((one) => one.seq === seq)) {
        this.requests.push({ seq, kind: "request", phases: [this._new("asked", at, at)], settled: at, known: true });
      }
    }
  }

  /** @param {number} seq
   * @param {RequestKind} kind
   * @param {Json} session
   * @param {number} at */
  _open(seq, kind, session, at) {
    let one = this.requests.find((request) => request.seq === seq && request.settled === null);
    const held = session.held.find((/** @type {Json} */ head) => head.seq === seq);
    const phase = this._phase(seq, kind, session, held !== undefined);
    if (one === undefined) {
      one = { seq, kind, phases: [], settled: null, known: this.now !== null };
      this.requests.push(one);
      // When it began to be held is known, also if that was before anybody watched.
      const from = held ? Math.min(at, at - held.since_ms_ago) : at;
      one.phases.push(this._new(phase === "released" && from < at ? "held" : phase, from, null));
    }
    one.kind = kind;
    const last = one.phases[one.phases.length - 1];
    if (last.kind === phase) return;
    last.until = at;
    const detail = phase === "released" ? { with: session.release.seqs.filter((/** @type {number} */ other) => other !== seq) } : {};
    one.phases.push(this._new(phase, at, null, detail));
  }

  /** @param {number} seq
   * @param {RequestKind} kind
   * @param {Json} session
   * @param {boolean} held
   * @returns {Phase} */
  _phase(seq, kind, session, held) {
    if (kind === "configuration" && session.configuring_seq !== null && seq <= session.configuring_seq) return "sent";
    const decided = this._release !== null && session.decided_release === this._release.id && this._release.seqs.includes(seq);
    if (kind !== "configuration" && decided && session.slot === "requested") return "sent";
    if (session.release?.seqs.includes(seq) && !decided) return "released";
    return held ? "held" : "asked";
  }

  /** @param {Asked} one
   * @param {number} at */
  _settle(one, at) {
    one.settled = at;
    const last = one.phases[one.phases.length - 1];
    last.until ??= at;
  }

  /** @param {Json} session
   * @param {number} at */
  _calls(session, at) {
    for (const span of this.calls) if (span.until === null && !session.open_calls.includes(span.detail.id)) span.until = at;
    for (const id of session.open_calls) {
      const open = this.calls.some((span) => span.detail.id === id && span.until === null);
      if (!open) this.calls.push(this._new("call", at, null, { id }));
    }
  }

  /** @param {Json} session
   * @param {Json | null} before
   * @param {number} at */
  _connections(session, before, at) {
    const parked = session.parked_since_ms;
    const kind = session.slot === "closed" ? null : parked ? "parked" : "connected";
    const detail = { gateway: session.gateway, epoch: session.epoch };
    this._span(this.connections, kind, `${kind} ${session.gateway} ${session.epoch}`, at, detail);
    if (before === null) return;
    if (session.upstream_legs > before.upstream_legs) this._mark(this.changes, "upstream", at, { leg: session.upstream_legs });
    if (session.client_legs > before.client_legs) this._mark(this.changes, "client", at, { leg: session.client_legs });
    if (session.epoch > before.epoch) this._mark(this.changes, "owner", at, detail);
    if (session.slot === "closed" && before.slot !== "closed") this._mark(this.changes, "closed", at, {});
  }

  /** What is so from now on in a lane in which one thing is so at a time; null for nothing.
   * @param {Span[]} lane
   * @param {string | null} kind
   * @param {string} identity
   * @param {number} at
   * @param {Json} detail */
  _span(lane, kind, identity, at, detail) {
    const last = lane[lane.length - 1];
    if (last?.until === null) {
      if (kind !== null && last.detail.identity === identity) return;
      last.until = at;
    }
    if (kind !== null) lane.push(this._new(kind, at, null, { ...detail, identity }));
  }

  /** @param {string} kind
   * @param {number} from
   * @param {number | null} until
   * @param {Json} [detail]
   * @returns {Span} */
  _new(kind, from, until, detail = {}) {
    return { kind, key: this._key(), from, until, detail };
  }

  /** @param {Mark[]} lane
   * @param {string} kind
   * @param {number} at
   * @param {Json} detail */
  _mark(lane, kind, at, detail) {
    lane.push({ kind, key: this._key(), at, detail });
  }

  /** @returns {string} */
  _key() {
    this._count += 1;
    return `${this._count}`;
  }
}

/** @param {any[]} kept */
function trim(kept) {
  if (kept.length > KEPT) kept.splice(0, kept.length - KEPT);
}
