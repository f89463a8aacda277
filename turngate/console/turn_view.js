// One session as it happens: a headline, the lanes, what a mark means, and the same in words. For two pages.

import { get, watch } from "./api.js";
import { h, put, reconcile, save, say } from "./dom.js";
import { toJson, toSvg } from "./export.js";
import { usage } from "./fleet_rows.js";
import { History } from "./history.js";
import { clock, lanesOf, TITLES } from "./lanes.js";
import { LanesView } from "./lanes_view.js";
import { doubtSentence, headline, seconds } from "./sentences.js";

/** @typedef {import("./lanes.js").Item} Item */

const HINT = "Point at a mark, tap it, or reach it with Tab and the arrow keys.";
/** Entries of what happened in words. */
const TOLD = 60;
const LEGEND = [
  ["user-speaking", "user speaks"],
  ["active-ours", "reply, asked for by turngate"],
  ["active-server", "reply, begun by the model"],
  ["heard", "heard here"],
  ["interrupted", "interrupted"],
  ["asked", "request"],
  ["held", "held"],
  ["released", "released"],
  ["sent", "on the wire"],
  ["settled", "settled, acknowledged"],
];

export class TurnView {
  /** @param {HTMLElement} root
   * @param {(state: string, why?: string) => void} onFeed told `connected`, `disconnected`, `gone` or `key` */
  constructor(root, onFeed) {
    this._onFeed = onFeed;
    this.history = new History();
    this._abort = new AbortController();
    /** @type {Item | null} */ this._explained = null;
    /** @type {string | null} */ this.session = null;
    this._headline = h("p", { class: "headline", role: "status" });
    this._facts = h("dl", { class: "facts" });
    this._doubt = h("p", { class: "doubt", role: "status" });
    // Not announced: the label of what the keyboard is at says the same.
    this._explanation = h("p", { class: "explanation" }, HINT);
    this._message = h("pre", { class: "message", tabindex: "0", role: "region", "aria-label": "The message", hidden: true });
    this._watched = false;
    this._heardAt = Date.now();
    this._told = h("ol", { class: "told", tabindex: "0", "aria-label": "What happened" });
    const canvas = h("div", { class: "canvas" });
    root.append(
      h("div", { class: "turn-head" }, this._headline, this._doubt, this._toolbar()),
      canvas,
      this._explanation,
      this._message,
      h("ul", { class: "legend", "aria-label": "Legend" }, ...LEGEND.map(([kind, text]) => h("li", {}, h("span", { class: `swatch ${kind}`, "aria-hidden": "true" }), text))),
      this._facts,
      h("details", { class: "words" }, h("summary", {}, "What happened, in words"), this._told),
    );
    this._lanes = new LanesView(canvas, (item, chosen) => {
      this._explained = item;
      if (chosen) this._showMessage(item);
      this._explain();
    });
    this._clock = setInterval(() => this._tell(), 500);
  }

  /** Show this session from now on. One that is `new` may not be known yet.
   * @param {string} session
   * @param {"new" | "known"} which */
  follow(session, which) {
    if (session === this.session) return;
    this._abort.abort();
    this._abort = new AbortController();
    // What this page said before it knew the session belongs to it.
    if (this.session !== null) this.history = new History();
    this.session = session;
    const path = `/sessions/${encodeURIComponent(session)}/events${which === "new" ? "?wait=1" : ""}`;
    watch(path, this._abort.signal, (name, data) => this._on(name, data));
  }

  /** A message of this page's own connection, to be shown with the session.
   * @param {"sent" | "received"} direction
   * @param {import("./api.js").Json} message */
  message(direction, message) {
    this.history.message(direction, message, this.history.time(Date.now()));
    this._show();
  }

  /** The agent can be heard on this page. `latency`: seconds since the end of what it answers.
   * @param {number | undefined} latency */
  audible(latency) {
    this.history.audible(this.history.time(Date.now()), latency);
    this._show();
  }

  /** It cannot be heard any more.
   * @param {{ heard: number, left: number }} [interrupted] */
  silent(interrupted) {
    this.history.silent(this.history.time(Date.now()), interrupted);
    this._show();
  }

  close() {
    this._abort.abort();
    this._lanes.close();
    clearInterval(this._clock);
  }

  /** @param {string} name
   * @param {import("./api.js").Json} data */
  _on(name, data) {
    if (name === "session") this.history.add(data, Date.now());
    else if (name === "lost") this.history.lost(data.events, this.history.time(Date.now()));
    else if (name !== "watching") this._onFeed(name, data.why);
    // What happened while nobody listened is not known.
    if (name === "connected" && this.history.now !== null) this.history.lost(null, this.history.time(Date.now()));
    this._watched = !["disconnected", "gone", "key"].includes(name);
    if (this._watched) this._heardAt = Date.now();
    this._tell();
    if (name === "session" && data.slot === "closed") {
      this._abort.abort();
      this._onFeed("gone");
    }
    this._show();
  }

  _show() {
    const { history } = this;
    this._lanes.show(history);
    say(this._headline, headline(history));
    put(this._headline, { "data-slot": history.now?.slot });
    this._showFacts();
    const items = lanesOf(history).flatMap(({ title, items }) => items.map((item) => ({ item, title })));
    const newest = items.sort((a, b) => b.item.from - a.item.from).slice(0, TOLD);
    const began = history.began ?? 0;
    reconcile(this._told, newest, ({ item }) => item.key, ({ item, title }) => h("li", {}, h("time", {}, clock(item.from - began)), h("b", {}, title), h("span", {})), (entry, { item }) => say(entry.lastChild, item.sentence(history.until(Date.now()))));
  }

  /** What is told as time goes by. */
  _tell() {
    const { history } = this;
    const doubt = doubtSentence(history, this._watched, Date.now() - this._heardAt);
    say(this._doubt, doubt);
    // A page's own messages show that time goes on.
    history.frozenAt = doubt && history.messages.length === 0 ? (history.frozenAt ?? history.time(this._heardAt)) : null;
    this._explain();
  }

  /** Show a message as it was on the wire; nothing for what is none.
   * @param {Item | null} item */
  _showMessage(item) {
    this._message.hidden = item?.message === undefined;
    say(this._message, item?.message === undefined ? "" : JSON.stringify(item.message, null, 2));
  }

  _showFacts() {
    const { now } = this.history;
    if (now === null) return;
    const facts = [
      ["Session", now.session],
      ["Gateway", now.epoch ? `${now.gateway}, epoch ${now.epoch}` : now.gateway],
      ["Slot", now.slot],
      ["Connections", `${now.upstream_legs} to the model, ${now.client_legs} of the client`],
    ];
    const latency = this.history.heard.findLast((span) => span.detail.latency !== undefined)?.detail.latency;
    if (latency !== undefined) facts.push(["Last reply", `${seconds(1_000 * latency)} after what it answers`]);
    if (now.ends_at_ms) facts.push(["Ends at the latest", new Date(now.ends_at_ms).toLocaleTimeString()]);
    if (now.usage) facts.push(["Used", usage(now)]);
    reconcile(this._facts, facts, ([name]) => name, ([name]) => h("div", {}, h("dt", {}, name), h("dd", {})), (entry, [, value]) => say(entry.lastChild, value));
  }

  _explain() {
    const item = this._explained;
    say(this._explanation, item === null ? HINT : item.sentence(this.history.until(Date.now())));
    put(this._explanation, { class: item === null ? "explanation hint" : "explanation" });
  }

  _toolbar() {
    const span = h("select", { "aria-label": "Time shown", change: () => { this._lanes.windowMs = Number(span.value) * 1_000; this._show(); } }, ...[["10", "10 s"], ["30", "30 s"], ["120", "2 min"], ["600", "10 min"]].map(([value, text]) => h("option", { value, selected: value === "30" }, text)));
    const pause = h("button", { type: "button", "aria-pressed": "false", click: () => {
      this._lanes.pausedAt = this._lanes.pausedAt === null ? this._lanes.span.now : null;
      put(pause, { "aria-pressed": String(this._lanes.pausedAt !== null) });
      say(pause, this._lanes.pausedAt === null ? "Pause" : "Go on");
      this._show();
    } }, "Pause");
    const lane = h("select", { "aria-label": "Lane to export" }, h("option", { value: "" }, "All lanes"), ...Object.entries(TITLES).map(([value, text]) => h("option", { value }, text)));
    const ids = () => (lane.value ? [lane.value] : Object.keys(TITLES));
    const name = (/** @type {string} */ ending) => `turngate-${this.session ?? "session"}${lane.value ? `-${lane.value}` : ""}.${ending}`;
    const now = () => this.history.until(Date.now());
    const svg = h("button", { type: "button", click: () => save(name("svg"), "image/svg+xml", toSvg(this.history, ids(), now(), this._lanes.span)) }, "SVG");
    const json = h("button", { type: "button", click: () => save(name("json"), "application/json", toJson(this.history, ids(), now())) }, "JSON");
    return h("div", { class: "toolbar", role: "group", "aria-label": "Time and export" }, span, pause, h("span", { class: "export", role: "group", "aria-label": "Export" }, lane, svg, json));
  }
}

/** The live sessions, or so many of them, and the Redis servers that do not answer, whose sessions are missing.
 * @param {number} [most]
 * @returns {Promise<{ sessions: import("./api.js").Json[], unreachable?: string[] }>} */
export async function liveSessions(most) {
  const { sessions, unreachable } = await get(most === undefined ? "/sessions" : `/sessions?limit=${most}`);
  return { sessions, unreachable };
}
