// The console: which page is shown, the admin key, and whether session-state answers.

import { get, KeyNeeded, useKey } from "./api.js";
import { h, put, say } from "./dom.js";
import { fleetPage } from "./fleet.js";
import { talkPage } from "./talk.js";
import { turnPage } from "./turn.js";

/** What pages use of the console around them.
 * @typedef {{ feed: (state: string, why?: string) => void,
 *   poll: (pause: number | (() => number), look: () => Promise<void>) => () => void }} Shell */

const STATES = { connected: "live", disconnected: "not connected", gone: "session over", key: "admin key needed" };

const page = /** @type {HTMLElement} */ (document.getElementById("page"));
const feedLine = /** @type {HTMLElement} */ (document.getElementById("feed"));
const dialog = /** @type {HTMLDialogElement} */ (document.getElementById("key"));

/** @type {Shell} */
const shell = {
  feed(state, why) {
    say(feedLine, STATES[/** @type {keyof typeof STATES} */ (state)] ?? state);
    put(feedLine, { "data-state": state, title: why ?? null });
    if (state === "key") askForKey(why ?? "");
  },
  poll(pause, look) {
    let over = false;
    /** @type {number | undefined} */
    let timer;
    const run = async () => {
      try {
        if (!document.hidden) {
          await look();
          if (!over) shell.feed("connected");
        }
      } catch (error) {
        if (over) return;
        const why = error instanceof Error ? error.message : String(error);
        shell.feed(error instanceof KeyNeeded ? "key" : "disconnected", why);
        if (error instanceof KeyNeeded) return;
      }
      if (!over) timer = setTimeout(run, typeof pause === "function" ? pause() : pause);
    };
    run();
    return () => {
      over = true;
      clearTimeout(timer);
    };
  },
};

/** @type {() => void} */
let leave = () => {};

function show() {
  const [, name, given] = location.hash.match(/^#\/(\w+)(?:\/(.+))?$/) ?? [];
  const session = given && decoded(given);
  leave();
  page.replaceChildren();
  shell.feed("");
  const shown = ["turn", "fleet"].includes(name) ? name : "talk";
  for (const link of document.querySelectorAll("nav a")) {
    put(link, { "aria-current": link.getAttribute("href") === `#/${shown}` ? "page" : null });
  }
  const title = { talk: "Talk", turn: "The turn", fleet: "Fleet" }[shown];
  document.title = `${title} · turngate console`;
  page.dataset.page = shown;
  leave = shown === "turn" ? turnPage(page, session, shell) : shown === "fleet" ? fleetPage(page, shell) : talkPage(page, installation, shell);
}

/** What is meant by a part of an address, which may be malformed.
 * @param {string} part */
function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** @param {string} why */
function askForKey(why) {
  if (dialog.open) return;
  const needed = "Session-state shows sessions only to those who have its admin key (TURNGATE_ADMIN_KEY). This page forgets it when it is left.";
  // What else is said is for people, too.
  say(/** @type {Element} */ (document.getElementById("key-why")), why.startsWith("send ") ? needed : `Session-state says: ${why}.`);
  dialog.showModal();
}

dialog.addEventListener("close", () => {
  const field = /** @type {HTMLInputElement} */ (document.getElementById("key-value"));
  if (!field.value) return;
  useKey(field.value);
  field.value = "";
  begin();
});

/** @type {import("./api.js").Json} */
let installation = {};

/** Ask what there is, which also depends on the key, and show a page. */
async function begin() {
  try {
    installation = await get("installation");
    show();
  } catch (error) {
    page.replaceChildren(h("p", { class: "empty", role: "alert" }, `The console cannot start: ${error instanceof Error ? error.message : error}.`));
  }
}

addEventListener("hashchange", () => {
  show();
  page.focus({ preventScroll: true });
});
await begin();
