// Draws lanes that move with time, and says what a mark means when it is pointed at, tapped, or reached with the keyboard.

import { put, reconcile, s, say } from "./dom.js";
import { drawing, lanesOf } from "./lanes.js";

/** @typedef {import("./history.js").History} History */
/** @typedef {import("./lanes.js").Box} Box */
/** @typedef {import("./lanes.js").Item} Item */
/** @typedef {import("./lanes.js").Lane} Lane */
/** @typedef {import("./lanes.js").Row} Row */

/** Milliseconds between two drawings, and for those who want less motion. */
const FRAME = 33;
const CALM_FRAME = 1_000;
/** The part of the window that is left free before the beginning and after now. */
const LEAD = 0.02;
/** Pixels from the left edge in which a time would be cut off. */
const TICK = 16;
/** Pixels that a label needs for each of its characters. */
const CHARACTER = 6.6;
/** Milliseconds after which the time in a label is told anew. */
const LABEL = 1_000;

/** What the labels of items were made from, and when.
 * @type {WeakMap<Element, { item: Item, at: number }>} */
const labelled = new WeakMap();

export class LanesView {
  /** @param {HTMLElement} root
   * @param {(item: Item | null, chosen: boolean) => void} explain called with what is pointed at, or null, and whether it
   *   was also chosen */
  constructor(root, explain) {
    this._explain = explain;
    this._axis = s("g", { class: "axis", "aria-hidden": "true" });
    this._rows = s("g", {});
    this._now = s("path", { class: "now", "aria-hidden": "true" });
    this._svg = s("svg", { class: "lanes", role: "group", "aria-label": "Lanes over time. The arrow keys move between marks." }, hatches(), this._axis, this._rows, this._now);
    root.append(this._svg);
    /** @type {History | null} */ this._history = null;
    /** @type {Lane[]} */ this._lanes = [];
    /** @type {string | null} The key of the item that the keyboard is at. */ this._at = null;
    /** @type {number | null} The end of what is shown while it stands still. */ this.pausedAt = null;
    this.windowMs = 30_000;
    this._drawn = 0;
    this._frame = 0;
    this._width = root.clientWidth;
    this._resized = new ResizeObserver(() => {
      this._width = root.clientWidth;
      this._drawn = 0;
    });
    this._resized.observe(root);
    this._listen();
    this._run(0);
  }

  /** Show this history, which may have changed.
   * @param {History} history */
  show(history) {
    this._history = history;
    this._lanes = lanesOf(history);
    this._drawn = 0;
  }

  /** The time that is shown.
   * @returns {{ from: number, to: number, now: number }} */
  get span() {
    const now = this._history?.until(Date.now()) ?? Date.now();
    const end = this.pausedAt ?? (this._history?.now?.slot === "closed" ? this._history.now.at_ms : now);
    // What is shorter than the window begins at its left edge, and stands still.
    const began = (this._history?.began ?? end) - LEAD * this.windowMs;
    const to = Math.max(end + LEAD * this.windowMs, began + this.windowMs);
    return { from: to - this.windowMs, to, now: end };
  }

  close() {
    cancelAnimationFrame(this._frame);
    this._resized.disconnect();
  }

  /** @param {number} time */
  _run(time) {
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    if (time - this._drawn >= (calm ? CALM_FRAME : FRAME) && this._width > 0) {
      this._drawn = time;
      this._draw();
    }
    this._frame = requestAnimationFrame((next) => this._run(next));
  }

  _draw() {
    if (this._history === null) return;
    const { from, to, now } = this.span;
    const drawn = drawing(this._lanes, { from, to, now, began: this._history.began ?? to, width: this._width });
    put(this._svg, { viewBox: `0 0 ${drawn.width} ${drawn.height}`, width: drawn.width, height: drawn.height });
    reconcile(this._axis, drawn.ticks, ({ label }) => label, tick, (element, { x, label }) => {
      put(element, { transform: `translate(${x.toFixed(1)} 0)` });
      put(element.firstChild, { d: `M0 20V${drawn.height}` });
      put(element.lastChild, { "text-anchor": x < TICK ? "start" : "middle" });
      say(element.lastChild, label);
    });
    reconcile(this._rows, drawn.rows, ({ lane }) => lane.id, row, (element, one) => this._place(element, one, drawn.width, now));
    put(this._now, { d: `M${drawn.nowX.toFixed(1)} 20V${drawn.height}` });
    this._keepReachable();
  }

  /** @param {SVGGElement} element
   * @param {Row} one
   * @param {number} width
   * @param {number} now */
  _place(element, one, width, now) {
    const [line, title, boxes] = /** @type {any} */ (element.children);
    put(line, { d: `M0 ${one.y}H${width}` });
    put(title, { x: one.titleX, y: one.titleY });
    reconcile(boxes, one.boxes, ({ item }) => item.key, shape, (shown, box) => place(shown, box, now));
  }

  /** One item can be reached with the Tab key: the one where the keyboard was, or the newest. */
  _keepReachable() {
    const items = /** @type {SVGGElement[]} */ ([...this._rows.querySelectorAll(".item")]);
    const current = items.find((item) => item.dataset.key === this._at) ?? items.at(-1);
    for (const item of items) put(item, { tabindex: item === current ? "0" : "-1" });
  }

  _listen() {
    const itemAt = (/** @type {Event} */ event) => {
      const element = /** @type {Element} */ (event.target).closest?.(".item");
      return element && this._lanes.flatMap(({ items }) => items).find(({ key }) => key === element.getAttribute("data-key"));
    };
    for (const name of ["pointerover", "focusin", "click"]) {
      this._svg.addEventListener(name, (event) => {
        const item = itemAt(event);
        if (!item) return;
        if (name === "focusin") this._at = item.key;
        this._explain(item, name === "click");
      });
    }
    this._svg.addEventListener("pointerleave", () => {
      if (!this._svg.contains(document.activeElement)) this._explain(null, false);
    });
    this._svg.addEventListener("focusout", () => this._explain(null, false));
    this._svg.addEventListener("keydown", (event) => this._key(event));
  }

  /** @param {KeyboardEvent} event */
  _key(event) {
    const here = /** @type {Element} */ (event.target).closest(".item");
    const lane = here?.parentElement;
    if (!here || !lane) return;
    const lanes = [...this._rows.querySelectorAll(".boxes")].filter((one) => one.children.length > 0);
    const beside = { ArrowLeft: here.previousElementSibling, ArrowRight: here.nextElementSibling, Home: lane.firstElementChild, End: lane.lastElementChild }[event.key];
    const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    const other = step === undefined ? undefined : lanes[lanes.indexOf(lane) + step];
    const next = beside ?? (other && nearest(other, here));
    if (["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End"].includes(event.key)) event.preventDefault();
    if (next) /** @type {SVGElement} */ (next).focus();
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      here.dispatchEvent(new MouseEvent("click", { bubbles: true }));
    }
    if (event.key === "Escape") /** @type {SVGElement} */ (here).blur();
  }
}

/** @param {Element} lane
 * @param {Element} here
 * @returns {Element | undefined} */
function nearest(lane, here) {
  const x = here.getBoundingClientRect().left;
  const away = (/** @type {Element} */ one) => Math.abs(one.getBoundingClientRect().left - x);
  return [...lane.children].sort((a, b) => away(a) - away(b))[0];
}

function tick() {
  return s("g", {}, s("path", {}), s("text", { y: 14 }));
}

/** @param {Row} one */
function row({ lane }) {
  return s("g", { class: `lane lane-${lane.id}`, role: "group", "aria-label": lane.title }, s("path", { class: "line" }), s("text", { class: "title", "aria-hidden": "true" }, lane.title), s("g", { class: "boxes" }));
}

/** @param {Box} box */
function shape({ item }) {
  const group = s("g", { role: "button", tabindex: "-1" });
  if (item.kind === "settled" || item.kind === "message-acknowledged") {
    group.append(s("circle", { class: "body", r: 6 }), s("path", { class: "tick", d: "M-2.8 .2 -.8 2.3 3 -2.2" }));
  } else if (item.kind === "message-sent") group.append(s("path", { class: "body", d: "M-5 4 0 -5 5 4Z" }));
  else if (item.kind.startsWith("message")) group.append(s("path", { class: "body", d: "M-5 -4 0 5 5 -4Z" }));
  else if (item.mark) group.append(s("path", { class: "body", d: "M0 -6 6 0 0 6 -6 0Z" }));
  else group.append(s("rect", { class: "body" }), s("text", {}));
  return group;
}

/** @param {SVGGElement} group
 * @param {Box} box
 * @param {number} now */
function place(group, { item, x, y, width, height }, now) {
  put(group, { class: `item ${item.kind}${item.until === null ? " lasts" : ""}` });
  label(group, item, now);
  if (item.mark) {
    put(group, { transform: `translate(${(x + width / 2).toFixed(1)} ${y + height / 2})` });
    return;
  }
  const [rect, text] = /** @type {any} */ (group.children);
  put(rect, { x: x.toFixed(1), y, width: width.toFixed(1), height, rx: Math.min(4, width / 3).toFixed(1) });
  put(text, { x: (x + 7).toFixed(1), y: y + 13 });
  const fitting = item.label.split("|").find((label) => label.length * CHARACTER + 12 <= width);
  say(text, fitting ?? "");
}

/** Say for screen readers what an item is. Of one that lasts, the time is told anew now and then, and not while the keyboard is
 * at it, since each change might be read out.
 * @param {SVGGElement} group
 * @param {Item} item
 * @param {number} now */
function label(group, item, now) {
  const told = labelled.get(group);
  const same = told?.item === item || (told?.item.until === null && item.until === null && told.item.kind === item.kind);
  if (same && (item.until !== null || document.activeElement === group || now - told.at < LABEL)) return;
  labelled.set(group, { item, at: now });
  put(group, { "aria-label": item.sentence(now) });
}

/** Patterns that tell what waits from what goes on, without colour. */
function hatches() {
  const kinds = ["held", "cancelling", "reconnecting", "parked"];
  return s("defs", {}, ...kinds.map((kind) => s("pattern", { id: `hatch-${kind}`, class: `hatch ${kind}`, width: 6, height: 6, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" }, s("rect", { width: 6, height: 6 }), s("path", { d: "M0 0V6" }))));
}
