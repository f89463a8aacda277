// "What was said" in a session, from its journal. Nothing is asked for until it is opened.

import { get } from "./api.js";
import { h, put, reconcile, say } from "./dom.js";
import { rows, stateOf } from "./journal_rows.js";

/** @typedef {import("./api.js").Json} Json */

/** Milliseconds between two looks. */
const LOOK = 2_000;

/** @param {string} session
 * @returns {{ element: HTMLElement, stop: () => void }} call `stop` when the session is over or the page is left */
export function whatWasSaid(session) {
  const path = `/sessions/${encodeURIComponent(session)}/journal`;
  const state = h("p", { class: "small note", role: "status" });
  const list = h("ol", { class: "said", tabindex: "0", "aria-label": "What was said" });
  const configuration = h("pre", { class: "message", tabindex: "0", role: "region", "aria-label": "The configuration in force" });
  const inForce = h("details", { hidden: true }, h("summary", {}, "The configuration in force"), configuration);
  const details = h("details", { toggle: () => look() }, h("summary", {}, "What was said"), state, list, inForce);
  let looks = 0;
  let over = false;

  async function look() {
    const mine = (looks += 1);
    if (over || !details.open) return;
    try {
      if (!document.hidden) show((await get(path)).journal);
    } catch (error) {
      if (!over) say(state, error instanceof Error ? `${error.message}.` : String(error));
    }
    setTimeout(() => mine === looks && look(), LOOK);
  }

  /** @param {Json | null} journal */
  function show(journal) {
    say(state, stateOf(journal));
    const readable = journal !== null && !journal.unreadable;
    put(inForce, { hidden: !readable });
    reconcile(list, readable ? rows(journal) : [], ({ key }) => key, () => h("li", {}, h("b", {}), h("span", {}, h("span", { class: "text" }), h("small", {}))), (entry, { kind, who, text, note }) => {
      put(entry, { "data-kind": kind });
      say(entry.firstChild, who);
      say(entry.lastChild.firstChild, text);
      say(entry.lastChild.lastChild, note);
    });
    say(configuration, readable ? JSON.stringify(journal.configuration, null, 2) : "");
  }

  return {
    element: h("section", { class: "card", "aria-label": "What was said" }, details),
    stop: () => {
      over = true;
    },
  };
}
