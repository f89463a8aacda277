// What the fleet's tables show, made from the descriptions of sessions. No DOM.

import { headline, seconds } from "./sentences.js";

/** @typedef {import("./api.js").Json} Json */

/** Milliseconds after which something is held for long. */
export const HELD_LONG = 5_000;

/** Near a limit: less than this share of the session's length is left, or more than this of its open requests is used. */
const SHARE_LEFT = 0.1;
const REQUESTS_PERCENT = 80;
const TOKENS = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

/** @type {Record<string, { title: string, takes: (session: Json) => boolean }>} */
export const FILTERS = {
  all: { title: "All", takes: () => true },
  held: { title: "Something held", takes: (session) => waiting(session).length > 0 },
  long: { title: "Held > 5 s", takes: (session) => oldestHeld(session) > HELD_LONG },
  near: { title: "Near a limit", takes: (session) => limits(session).length > 0 },
  parked: { title: "Client away", takes: (session) => session.parked_ms_ago !== null && session.parked_ms_ago !== undefined },
  reconnecting: { title: "Reconnecting", takes: (session) => session.slot === "reconnecting" },
  unreadable: { title: "Unreadable", takes: (session) => session.unreadable !== undefined },
};

/** What waits and is not released.
 * @param {Json} session
 * @returns {Json[]} */
export function waiting(session) {
  return (session.held ?? []).filter((/** @type {Json} */ head) => !session.release?.seqs.includes(head.seq));
}

/** For how long the oldest has been held, in milliseconds; 0 if nothing is.
 * @param {Json} session
 * @returns {number} */
export function oldestHeld(session) {
  return Math.max(0, ...waiting(session).map((head) => head.since_ms_ago));
}

/** Which limits a session is near, in words.
 * @param {Json} session
 * @returns {string[]} */
export function limits({ ends_in_ms: left, ends_at_ms: end, began_at_ms: began, requests_percent: percent }) {
  const found = [];
  if (typeof left === "number" && left < SHARE_LEFT * (end - began)) found.push(`ends in ${seconds(left)}`);
  if (percent > REQUESTS_PERCENT) found.push(`has ${percent} % of the open requests that it may have`);
  return found;
}

/** The sessions that a filter takes and that contain these words, those that have waited longest first.
 * @param {Json[]} sessions
 * @param {string} filter
 * @param {string} words
 * @returns {Json[]} */
export function chosen(sessions, filter, words) {
  const sought = words.toLowerCase().split(/\s+/).filter(Boolean);
  const text = (/** @type {Json} */ one) => `${one.session} ${one.gateway} ${one.slot} ${one.server ?? ""} ${one.response_id ?? ""} ${one.open_calls ?? ""}`.toLowerCase();
  return sessions
    .filter((one) => FILTERS[filter].takes(one) && sought.every((word) => text(one).includes(word)))
    .sort((a, b) => oldestHeld(b) - oldestHeld(a) || (a.session < b.session ? -1 : 1));
}

/** The tokens that these sessions have used, in and out.
 * @param {Json[]} sessions
 * @returns {string} */
export function tokens(sessions) {
  const sum = (/** @type {string} */ name) => sessions.reduce((total, { usage }) => total + (usage?.[name] ?? 0), 0);
  return `${TOKENS.format(sum("input_tokens"))} / ${TOKENS.format(sum("output_tokens"))}`;
}

/** What a session has used, in words; empty if the model has not said it.
 * @param {Json} session
 * @returns {string} */
export function usage({ usage: used }) {
  if (!used) return "";
  const n = (/** @type {number} */ number) => number.toLocaleString("en");
  return `${n(used.input_tokens)} tokens in (text ${n(used.input_text_tokens)}, audio ${n(used.input_audio_tokens)}; ${n(used.cached_tokens)} of them cached), ${n(used.output_tokens)} out (text ${n(used.output_text_tokens)}, audio ${n(used.output_audio_tokens)})`;
}

/** One row for each gateway.
 * @param {Json[]} sessions
 * @returns {Json[]} */
export function gateways(sessions) {
  /** @type {Map<string, Json>} */
  const found = new Map();
  for (const one of sessions) {
    if (one.gateway === undefined) continue;
    const row = found.get(one.gateway) ?? { gateway: one.gateway, sessions: 0, active: 0, held: 0, parked: 0, heard: Infinity };
    row.sessions += 1;
    row.active += one.slot === "active" ? 1 : 0;
    row.held += waiting(one).length > 0 ? 1 : 0;
    row.parked += FILTERS.parked.takes(one) ? 1 : 0;
    row.heard = Math.min(row.heard, one.heartbeat_ms_ago);
    found.set(one.gateway, row);
  }
  return [...found.values()].sort((a, b) => (a.gateway < b.gateway ? -1 : 1));
}

/** The readers of these streams, one row each: a process reads the streams of all Redis servers.
 * @param {Json[]} streams
 * @returns {Json[]} */
export function readers(streams) {
  /** @type {Map<string, Json>} */
  const found = new Map();
  for (const { name, pending, idle_ms: idle } of streams.flatMap((one) => one.readers ?? [])) {
    const row = found.get(name);
    found.set(name, { name, pending: pending + (row?.pending ?? 0), idle_ms: Math.min(idle, row?.idle_ms ?? Infinity) });
  }
  return [...found.values()];
}

/** The samples of a page of metrics, by name.
 * @param {string} text
 * @returns {Map<string, { labels: Record<string, string>, value: number }[]>} */
export function metrics(text) {
  const found = new Map();
  for (const [, name, given, value] of text.matchAll(/^(\w+)(?:\{(.*)\})? (\S+)$/gm)) {
    const labels = Object.fromEntries([...(given ?? "").matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, label, said]) => [label, said]));
    found.set(name, [...(found.get(name) ?? []), { labels, value: Number(value) }]);
  }
  return found;
}

/** Who has the turn in a session, in a few words.
 * @param {Json} session
 * @returns {string} */
export function headlineOf(session) {
  if (session.unreadable) return `Its record cannot be read: ${session.unreadable}`;
  return headline(/** @type {any} */ ({ now: session }));
}

/** @param {number | null | undefined} milliseconds
 * @returns {string} */
export function shortAge(milliseconds) {
  return milliseconds === null || milliseconds === undefined || !Number.isFinite(milliseconds) ? "–" : seconds(milliseconds);
}

/** @param {number} bytes
 * @returns {string} */
export function size(bytes) {
  const step = bytes < 1_024 ? 0 : bytes < 1_048_576 ? 1 : 2;
  return `${(bytes / 1_024 ** step).toFixed(step === 0 || bytes / 1_024 ** step >= 100 ? 0 : 1)} ${["B", "KiB", "MiB"][step]}`;
}
