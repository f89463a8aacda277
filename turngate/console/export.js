// A lane, or all of them, as a picture and as data. No DOM.

import { clock, drawing, lanesOf } from "./lanes.js";

/** @typedef {import("./history.js").History} History */
/** @typedef {import("./lanes.js").Box} Box */

/** Fill, and outline, of each kind. The live lanes take theirs from console.css.
 * @type {Record<string, [string, string]>} */
const COLOURS = {
  "user-speaking": ["#0f766e", "none"],
  promised: ["#f5f3ff", "#7c3aed"],
  requested: ["#eef2ff", "#4338ca"],
  "active-ours": ["#4338ca", "none"],
  "active-server": ["#7c3aed", "none"],
  cancelling: ["#fecaca", "#b91c1c"],
  reconnecting: ["#e2e8f0", "#475569"],
  asked: ["#e2e8f0", "#64748b"],
  held: ["#fcd34d", "#b45309"],
  released: ["#bae6fd", "#0369a1"],
  sent: ["#0369a1", "none"],
  settled: ["#15803d", "none"],
  done: ["#64748b", "none"],
  call: ["#be185d", "none"],
  heard: ["#c7d2fe", "#4338ca"],
  interrupted: ["#fecaca", "#b91c1c"],
  connected: ["#cbd5e1", "none"],
  parked: ["#f1f5f9", "#64748b"],
  "message-acknowledged": ["#15803d", "none"],
  "message-error": ["#b91c1c", "none"],
};
const OTHER = ["#475569", "none"];
const WIDTH = 1_200;

/** The lanes with these ids as the JSON of an object.
 * @param {History} history
 * @param {string[]} ids
 * @param {number} now
 * @returns {string} */
export function toJson(history, ids, now) {
  const lanes = chosen(history, ids).map(({ id, title, items }) => ({
    lane: id,
    title,
    items: items.map((item) => ({ kind: item.kind, from_ms: item.from, until_ms: item.until, sentence: item.sentence(now), message: item.message })),
  }));
  return `${JSON.stringify({ session: history.now?.session, exported_at_ms: now, lanes }, null, 2)}\n`;
}

/** The same as an SVG document, from the beginning until now, or of the time from `from` to `to`.
 * @param {History} history
 * @param {string[]} ids
 * @param {number} now
 * @param {{ from: number, to: number }} [span]
 * @returns {string} */
export function toSvg(history, ids, now, span) {
  const began = history.began ?? now;
  const { from, to } = span ?? { from: began, to: Math.max(now, began + 1_000) };
  const drawn = drawing(chosen(history, ids), { from, to, now, began, width: WIDTH });
  const parts = drawn.ticks.map(({ x, label }) => `<path d="M${x.toFixed(1)} 20V${drawn.height}" stroke="#e2e8f0"/><text x="${x.toFixed(1)}" y="14" fill="#64748b" text-anchor="middle">${label}</text>`);
  for (const row of drawn.rows) {
    parts.push(`<text x="${row.titleX}" y="${row.titleY}" font-weight="600" fill="#0f172a">${row.lane.title}</text>`);
    parts.push(...row.boxes.map((box) => shape(box, now)));
  }
  const title = `Session ${history.now?.session ?? ""}, ${clock(from - began)} to ${clock(to - began)}`;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${drawn.height}" width="${WIDTH}" height="${drawn.height}" font-family="system-ui, sans-serif" font-size="12" role="img">
<title>${escape(title)}</title>
<rect width="100%" height="100%" fill="#ffffff"/>
${parts.join("\n")}
</svg>
`;
}

/** @param {Box} box
 * @param {number} now
 * @returns {string} */
function shape({ item, x, y, width, height }, now) {
  const [fill, stroke] = COLOURS[item.kind] ?? OTHER;
  const title = `<title>${escape(item.sentence(now))}</title>`;
  if (item.mark) return `<circle cx="${(x + width / 2).toFixed(1)}" cy="${y + height / 2}" r="${height / 2 - 1}" fill="${fill}">${title}</circle>`;
  return `<rect x="${x.toFixed(1)}" y="${y}" width="${width.toFixed(1)}" height="${height}" rx="3" fill="${fill}" stroke="${stroke}">${title}</rect>`;
}

/** @param {History} history
 * @param {string[]} ids */
function chosen(history, ids) {
  return lanesOf(history).filter(({ id }) => ids.includes(id));
}

/** @param {string} text
 * @returns {string} */
function escape(text) {
  // XML has no way to write these.
  return text.replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]|\p{Surrogate}/gu, "\ufffd").replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
}
