// The page "Fleet": the live sessions of all gateways, the gateways, and the streams.

import { get, getText } from "./api.js";
import { h, put, reconcile, say } from "./dom.js";
import { chosen, FILTERS, gateways, HELD_LONG, headlineOf, limits, metrics, oldestHeld, readers, shortAge, size, tokens, waiting } from "./fleet_rows.js";
import { liveSessions } from "./turn_view.js";

/** @typedef {import("./api.js").Json} Json */

/** Milliseconds between two looks, and with many sessions. */
const LOOK = 1_000;
const LOOK_AT_MANY = 4_000;
const MANY = 300;
/** Rows of sessions that are shown. */
const SHOWN = 100;
/** Counters of session-state that should not grow. */
const COUNTERS = [
  ["turngate_dead_letters_total", "dead letters written"],
  ["turngate_entries_failed_total", "deliveries failed"],
  ["turngate_releases_granted_again_total", "releases granted again"],
  ["turngate_redis_errors_total", "errors of Redis"],
];

/** @param {HTMLElement} page
 * @param {import("./app.js").Shell} shell
 * @returns {() => void} */
export function fleetPage(page, shell) {
  let filter = "all";
  /** @type {Json[]} */
  let sessions = [];
  /** @type {string[]} */
  let unreachable = [];
  const search = h("input", { type: "search", placeholder: "Session, gateway, slot …", "aria-label": "Search sessions", input: () => show() });
  const buttons = Object.entries(FILTERS).map(([id, { title }]) => h("button", { type: "button", class: "chip", "data-id": id, "aria-pressed": String(id === filter), click: () => { filter = id; show(); } }, h("span", {}, title), h("b", {})));
  const tiles = h("dl", { class: "tiles" });
  const count = h("p", { class: "count", role: "status" });
  const rows = h("tbody");
  const gatewayRows = h("tbody");
  const streamRows = h("tbody");
  const translatorRows = h("tbody");
  const letterRows = h("tbody");
  const noLetters = h("p", { class: "count" });
  const counters = h("dl", { class: "facts" });
  page.append(
    h("h1", {}, "Fleet"),
    tiles,
    h("section", { class: "card", "aria-labelledby": "sessions-title" }, h("div", { class: "title-row" }, h("h2", { id: "sessions-title" }, "Live sessions"), search), h("div", { class: "chips", role: "group", "aria-label": "Filter" }, ...buttons), table("Live sessions", ["Session", "Turn", "Held", "Tokens in / out", "Gateway", "Heard"], rows), count),
    h("div", { class: "pair" },
      h("section", { class: "card", "aria-labelledby": "gateways-title" }, h("h2", { id: "gateways-title" }, "Gateways"), table("Gateways", ["Gateway", "Sessions", "Active", "Held", "Away", "Heard"], gatewayRows)),
      h("section", { class: "card", "aria-labelledby": "streams-title" }, h("h2", { id: "streams-title" }, "Streams"), table("Streams", ["Stream", "Not read", "Pending", "Readers", "Size"], streamRows), counters),
      h("section", { class: "card", "aria-labelledby": "translators-title" }, h("h2", { id: "translators-title" }, "Translators"), table("Translators", ["Translator", "Pending", "Asked for more"], translatorRows)),
      h("section", { class: "card", "aria-labelledby": "letters-title" }, h("h2", { id: "letters-title" }, "Dead letters"), table("Dead letters", ["When", "Stream", "Reason"], letterRows), noLetters)),
  );

  function show() {
    for (const button of buttons) {
      const id = /** @type {string} */ (button.dataset.id);
      put(button, { "aria-pressed": String(id === filter) });
      say(/** @type {Element} */ (button.lastChild), String(sessions.filter(FILTERS[id].takes).length));
    }
    const found = chosen(sessions, filter, search.value);
    reconcile(rows, found.slice(0, SHOWN), (one) => one.session, sessionRow, updateSession);
    const more = found.length - SHOWN;
    const missing = unreachable.length > 0 ? `The sessions of the Redis server ${unreachable.join(", ")}, which does not answer, are missing. ` : "";
    say(count, missing + (found.length === 0 ? (sessions.length ? "No session matches." : "No session is live.") : more > 0 ? `${more} more match; search to narrow them down.` : ""));
    showTiles(tiles, sessions);
    reconcile(gatewayRows, gateways(sessions), (one) => one.gateway, () => row(6), (element, one) => cells(element, [one.gateway, one.sessions, one.active, one.held, one.parked, `${shortAge(one.heard)} ago`]));
  }

  const stopSessions = shell.poll(() => (sessions.length > MANY ? LOOK_AT_MANY : LOOK), async () => {
    ({ sessions, unreachable = [] } = await liveSessions());
    show();
  });
  const stopStreams = shell.poll(2 * LOOK, async () => {
    const { streams, dead_letters: letters } = await get("/streams");
    const several = new Set(streams.map((/** @type {Json} */ one) => one.server)).size > 1;
    reconcile(streamRows, streams, (one) => `${one.server} ${one.stream}`, () => row(5), (element, one) => cells(element, [`${one.stream.replace("turngate.", "")}${several ? ` on ${one.server}` : ""}`, one.lag ?? one.entries, one.pending ?? "–", one.readers?.length ?? "–", size(one.bytes)]));
    const translators = readers(streams.filter((/** @type {Json} */ one) => one.stream.endsWith("client-events")));
    reconcile(translatorRows, translators.slice(0, SHOWN), (one) => one.name, () => row(3), (element, one) => cells(element, [one.name, one.pending, `${shortAge(one.idle_ms)} ago`]));
    reconcile(letterRows, letters, (one) => `${one.server} ${one.id}`, () => row(3), (element, one) => cells(element, [new Date(one.at_ms).toLocaleString(), one.stream.replace("turngate.", ""), one.reason]));
    say(noLetters, letters.length ? "" : "No entry was given up.");
    const found = metrics(await getText("/metrics"));
    const shown = COUNTERS.map(([name, title]) => [title, (found.get(name) ?? []).reduce((sum, { value }) => sum + value, 0)]);
    reconcile(counters, shown, ([title]) => String(title), ([title]) => h("div", {}, h("dt", {}, String(title)), h("dd", {})), (element, [, value]) => say(element.lastChild, String(value)));
  });
  return () => {
    stopSessions();
    stopStreams();
  };
}

/** @param {HTMLElement} tiles
 * @param {Json[]} sessions */
function showTiles(tiles, sessions) {
  const held = sessions.filter(FILTERS.held.takes).length;
  const long = sessions.filter(FILTERS.long.takes).length;
  const near = sessions.filter(FILTERS.near.takes).length;
  const shown = [
    ["Sessions", String(sessions.length), ""],
    ["Replies active", String(sessions.filter(({ slot }) => slot === "active").length), ""],
    ["Something held", String(held), ""],
    ["Held > 5 s", String(long), long ? "warn" : ""],
    ["Near a limit", String(near), near ? "warn" : ""],
    ["Clients away", String(sessions.filter(FILTERS.parked.takes).length), ""],
    ["Gateways", String(gateways(sessions).length), ""],
    ["Tokens in / out", tokens(sessions), ""],
  ];
  reconcile(tiles, shown, ([title]) => title, ([title]) => h("div", {}, h("dt", {}, title), h("dd", {})), (element, [, value, state]) => {
    put(element, { class: state || null });
    say(element.lastChild, value);
  });
}

/** @param {string} caption
 * @param {string[]} heads
 * @param {HTMLElement} body */
function table(caption, heads, body) {
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption }, h("table", {}, h("thead", {}, h("tr", {}, ...heads.map((head) => h("th", { scope: "col" }, head)))), body));
}

/** @param {number} columns */
function row(columns) {
  return h("tr", {}, ...Array.from({ length: columns }, () => h("td")));
}

/** @param {HTMLElement} element
 * @param {(string | number)[]} values */
function cells(element, values) {
  values.forEach((value, place) => say(element.children[place], String(value)));
}

/** @param {Json} one */
function sessionRow(one) {
  return h("tr", {}, h("td", {}, h("a", { href: `#/turn/${encodeURIComponent(one.session)}` }, h("code", {}, one.session))), h("td", {}, h("span", { class: "pill" }), h("span", { class: "turn" }), h("span", { class: "limit" })), h("td"), h("td"), h("td"), h("td"));
}

/** @param {HTMLElement} element
 * @param {Json} one */
function updateSession(element, one) {
  const [, turn, held, used, gateway, heard] = /** @type {any} */ (element.children);
  const slot = one.unreadable ? "unreadable" : one.slot;
  say(turn.firstChild, slot);
  put(turn.firstChild, { "data-slot": slot });
  say(turn.children[1], headlineOf(one));
  const near = limits(one).join(", and ");
  say(turn.lastChild, near && `Near a limit: it ${near}.`);
  const heads = waiting(one);
  say(held, heads.length ? `${heads.length} for ${shortAge(oldestHeld(one))}` : "–");
  put(held, { class: oldestHeld(one) > HELD_LONG ? "warn" : null });
  say(used, one.usage ? tokens([one]) : "–");
  say(gateway, one.gateway ?? "–");
  say(heard, `${shortAge(one.heartbeat_ms_ago)} ago`);
}
