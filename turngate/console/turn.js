// The page "The turn": one session live, or the choice of one.

import { h, reconcile, say } from "./dom.js";
import { headlineOf, shortAge } from "./fleet_rows.js";
import { whatWasSaid } from "./said.js";
import { liveSessions, TurnView } from "./turn_view.js";

/** Milliseconds between two looks for sessions. */
const LOOK = 1_000;
/** Sessions to choose from. */
const SHOWN = 50;

/** @param {HTMLElement} page
 * @param {string | undefined} session
 * @param {import("./app.js").Shell} shell
 * @returns {() => void} */
export function turnPage(page, session, shell) {
  return session === undefined ? choose(page, shell) : show(page, session, shell);
}

/** @param {HTMLElement} page
 * @param {string} session
 * @param {import("./app.js").Shell} shell */
function show(page, session, shell) {
  const card = h("section", { class: "card", "aria-label": "The turn, live" });
  const said = whatWasSaid(session);
  const note = h("p", { class: "note", role: "status" });
  page.append(h("div", { class: "title-row" }, h("h1", {}, "The turn, live"), h("a", { href: "#/turn" }, "Choose another session")), note, card, said.element);
  const view = new TurnView(card, (state, why) => {
    shell.feed(state, why);
    if (state === "gone") said.stop();
    if (state === "gone") say(note, why ? `There is no live session ${session}: it is over, or never was.` : "");
  });
  view.follow(session, "known");
  return () => {
    said.stop();
    view.close();
  };
}

/** @param {HTMLElement} page
 * @param {import("./app.js").Shell} shell */
function choose(page, shell) {
  const list = h("ul", { class: "choices" });
  const none = h("p", { class: "empty" });
  page.append(h("h1", {}, "The turn, live"), h("p", { class: "lead" }, "Choose a session to see who has the turn, what is held, and when it is released and acknowledged."), none, list);
  return shell.poll(LOOK, async () => {
    const { sessions } = await liveSessions(SHOWN);
    none.hidden = sessions.length > 0;
    none.replaceChildren("No session is live. ", h("a", { href: "#/talk" }, "Talk to the agent"), " to begin one.");
    reconcile(list, sessions, (one) => one.session, (one) => h("li", {}, h("a", { href: `#/turn/${encodeURIComponent(one.session)}` }, h("code", {}, one.session), h("span", {}), h("small", {}))), (item, one) => {
      const [, turn, age] = item.firstChild.children;
      say(turn, headlineOf(one));
      say(age, `${one.gateway ?? ""} · ${shortAge(one.heartbeat_ms_ago)} ago`);
    });
  });
}
