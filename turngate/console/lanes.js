// The lanes of a session: what is in each, and where it is drawn. No DOM.

import {
  agentSentence,
  callSentence,
  changeSentence,
  connectionSentence,
  heardSentence,
  messageSentence,
  phaseSentence,
  settledSentence,
  userSentence,
} from "./sentences.js";

/** @typedef {import("./history.js").History} History */
/** @typedef {import("./history.js").Asked} Asked */

/** Something in a lane; `until` is null while it lasts, and equal to `from` for a mark. `label` has what is written on it,
 * from the longest to the shortest, between `|`.
 * @typedef {{ key: string, kind: string, track: number, from: number, until: number | null, mark: boolean, label: string,
 *   sentence: (now: number) => string, message?: import("./history.js").Json }} Item */
/** @typedef {{ id: string, title: string, tracks: number, items: Item[] }} Lane */
/** Where an item is drawn, in pixels.
 * @typedef {{ item: Item, x: number, y: number, width: number, height: number }} Box */
/** @typedef {{ lane: Lane, y: number, height: number, titleX: number, titleY: number, boxes: Box[] }} Row */
/** @typedef {{ rows: Row[], width: number, height: number, left: number, nowX: number, ticks: { x: number, label: string }[] }} Drawing */

export const TITLES = {
  user: "User",
  agent: "Agent",
  heard: "Heard here",
  requests: "Requests",
  calls: "Function calls",
  connections: "Connections",
  messages: "Messages",
};

/** Milliseconds between two requests in one track. */
const APART = 1_500;
const BAR = 18;
const TRACK = 24;
const PAD = 9;
const GUTTER = 118;
const NARROW = 640;
const TITLE = 17;
const AXIS = 24;
const MARK = 12;

/** The lanes that have something to show. The first three are always there.
 * @param {History} history
 * @returns {Lane[]} */
export function lanesOf(history) {
  const lanes = [
    lane("user", history.user.map((span) => bar(span, "user-speaking", "speaking", (now) => userSentence(span, now)))),
    lane("agent", history.agent.map((span) => bar(span, span.kind, AGENT_LABELS[span.kind] ?? "reply", (now) => agentSentence(span, history, now)))),
    lane("heard", history.heard.map((span) => bar(span, span.detail.left === undefined ? "heard" : "interrupted", span.detail.left === undefined ? "audible" : "audible, interrupted|interrupted|cut", (now) => heardSentence(span, now)))),
    requests(history),
    lane("calls", tracked(history.calls).map(([span, track]) => ({ ...bar(span, "call", "call", (now) => callSentence(span, now)), track }))),
    lane("connections", [
      ...history.connections.map((span) => bar(span, span.kind, span.kind === "parked" ? "client away" : "", (now) => connectionSentence(span, now))),
      ...history.changes.map((mark) => point(mark, mark.kind, changeSentence)),
    ]),
    lane("messages", history.messages.map((mark) => ({ ...point(mark, messageKind(mark), messageSentence), message: mark.detail, track: mark.kind === "sent" ? 0 : 1 }))),
  ];
  return lanes.filter(({ id, items }) => items.length > 0 || ["user", "agent", "requests"].includes(id));
}

/** @type {Record<string, string>} */
const AGENT_LABELS = {
  promised: "promised",
  requested: "asked for",
  "active-ours": "reply, asked for|reply",
  "active-server": "reply, by itself|reply",
  cancelling: "cancelling",
  reconnecting: "reconnecting",
};

/** @param {string} id
 * @param {Item[]} items
 * @returns {Lane} */
function lane(id, items) {
  return { id, title: TITLES[/** @type {keyof TITLES} */ (id)], tracks: 1 + Math.max(0, ...items.map(({ track }) => track)), items };
}

/** @param {import("./history.js").Span} span
 * @param {string} kind
 * @param {string} label
 * @param {(now: number) => string} sentence
 * @returns {Item} */
function bar(span, kind, label, sentence) {
  return { key: span.key, kind, track: 0, from: span.from, until: span.until, mark: false, label, sentence };
}

/** @param {import("./history.js").Mark} mark
 * @param {string} kind
 * @param {(mark: import("./history.js").Mark) => string} sentence
 * @returns {Item} */
function point(mark, kind, sentence) {
  return { key: mark.key, kind, track: 0, from: mark.at, until: mark.at, mark: true, label: "", sentence: () => sentence(mark) };
}

/** @param {import("./history.js").Mark} mark
 * @returns {string} */
function messageKind(mark) {
  const { type } = mark.detail;
  if (type === "Error") return "message-error";
  return /Applied$|Updated$/.test(type) ? "message-acknowledged" : `message-${mark.kind}`;
}

/** @param {History} history
 * @returns {Lane} */
function requests(history) {
  const spans = history.requests.map((request) => ({ request, from: request.phases[0].from, until: request.settled }));
  return lane("requests", tracked(spans, APART).flatMap(([{ request }, track]) => ofRequest(request, track)));
}

/** @param {Asked} request
 * @param {number} track
 * @returns {Item[]} */
function ofRequest(request, track) {
  const phases = request.phases.map((phase, number) => {
    const label = number === 0 ? (phase.kind === "held" ? `#${request.seq} held|held|#${request.seq}` : `#${request.seq}`) : phase.kind === "asked" ? "" : PHASE_LABELS[phase.kind];
    return { ...bar(phase, phase.kind, label, (now) => phaseSentence(request, phase, now)), track };
  });
  if (request.settled === null) return phases;
  const end = { key: `${phases[0].key}-settled`, kind: request.kind === "request" ? "done" : "settled", track, from: request.settled, until: request.settled, mark: true, label: "", sentence: () => settledSentence(request) };
  return [...phases, end];
}

/** @type {Record<string, string>} */
const PHASE_LABELS = { held: "held", released: "released", sent: "on the wire" };

/** Each with the first track that is free when it begins.
 * @template {{ from: number, until: number | null }} Timed
 * @param {Timed[]} timed
 * @param {number} [apart]
 * @returns {[Timed, number][]} */
function tracked(timed, apart = 0) {
  /** @type {number[]} */
  const free = [];
  return timed.map((one) => {
    let track = free.findIndex((until) => until <= one.from);
    if (track < 0) track = free.length;
    free[track] = (one.until ?? Infinity) + apart;
    return [one, track];
  });
}

/** Where everything is drawn, for the time from `from` to `to`, of which `now` is the end of what lasts.
 * @param {Lane[]} lanes
 * @param {{ from: number, to: number, now: number, began: number, width: number }} view
 * @returns {Drawing} */
export function drawing(lanes, { from, to, now, began, width }) {
  const narrow = width < NARROW;
  const left = narrow ? 0 : GUTTER;
  const scale = (width - left) / (to - from);
  const x = (/** @type {number} */ time) => left + (time - from) * scale;
  let y = AXIS;
  const rows = lanes.map((one) => {
    const top = y + PAD + (narrow ? TITLE : 0);
    const height = 2 * PAD + (narrow ? TITLE : 0) + (one.tracks - 1) * TRACK + BAR;
    const boxes = one.items.flatMap((item) => {
      const until = item.until ?? now;
      if (until < from || item.from > to) return [];
      return [box(item, Math.max(left, x(item.from)), Math.min(width, x(until)), top + item.track * TRACK)];
    });
    const row = { lane: one, y, height, titleX: narrow ? 2 : 4, titleY: narrow ? y + 16 : top + 13, boxes };
    y += height;
    return row;
  });
  return { rows, width, height: y, left, nowX: x(now), ticks: ticks(from, to, began, x, (width - left) / 90, left) };
}

/** @param {Item} item
 * @param {number} from
 * @param {number} to
 * @param {number} y
 * @returns {Box} */
function box(item, from, to, y) {
  if (item.mark) return { item, x: from - MARK / 2, y: y + (BAR - MARK) / 2, width: MARK, height: MARK };
  return { item, x: from, y, width: Math.max(2, to - from), height: BAR };
}

/** Times on the axis, counted from the beginning.
 * @param {number} from
 * @param {number} to
 * @param {number} began
 * @param {(time: number) => number} x
 * @param {number} most
 * @param {number} left */
function ticks(from, to, began, x, most, left) {
  const step = [1, 2, 5, 10, 15, 30, 60, 120, 300].map((one) => one * 1_000).find((one) => (to - from) / one <= most) ?? 600_000;
  const found = [];
  for (let at = began + Math.max(0, Math.ceil((from - began) / step)) * step; at <= to; at += step) {
    if (x(at) >= left) found.push({ x: x(at), label: clock(at - began) });
  }
  return found;
}

/** Minutes and seconds.
 * @param {number} milliseconds
 * @returns {string} */
export function clock(milliseconds) {
  const whole = Math.max(0, Math.round(milliseconds / 1_000));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}
