// What the console makes of descriptions of a session.
import assert from "node:assert/strict";
import { test } from "node:test";
import { toJson, toSvg } from "../../../turngate/console/export.js";
import { chosen, FILTERS, gateways, limits, metrics, tokens, usage } from "../../../turngate/console/fleet_rows.js";
import { History } from "../../../turngate/console/history.js";
import { drawing, lanesOf } from "../../../turngate/console/lanes.js";
import { doubtSentence, headline } from "../../../turngate/console/sentences.js";

let version = 0;

/** A description of a session, as session-state sends it. */
function session(at_ms, fields = {}) {
  version += 1;
  return {
    session: "s", gateway: "g", epoch: 0, version, slot: "idle", response_id: null, response_own: null, user_speaking: false,
    open_calls: [], configuring_seq: null, last_seq: 0, open_configuration: [], open_responses: [], decided_release: null,
    upstream_legs: 1, client_legs: 1, parked_since_ms: null, parked_ms_ago: null, heartbeat_ms_ago: 0, held: [], release: null,
    ...fields, at_ms,
  };
}

function held(seq, kind, since_ms_ago = 0) {
  return { seq, kind, since_ms_ago, answers: [] };
}

function told(...descriptions) {
  const history = new History();
  for (const one of descriptions) history.add(one, one.at_ms - 1_000);
  return history;
}

/** Kind, beginning and end of each item of a lane. */
function items(history, id) {
  return (lanesOf(history).find((lane) => lane.id === id)?.items ?? []).map(({ kind, from, until }) => [kind, from, until]);
}

const busy = { slot: "active", response_id: "r", response_own: true };

test("a change during a reply is held, released, sent, and settled", () => {
  const asked = { last_seq: 1, open_configuration: [1] };
  const history = told(
    session(1_000, busy),
    session(1_100, { ...busy, ...asked, held: [held(1, "configuration")] }),
    session(3_000, { ...asked, held: [held(1, "configuration", 1_900)], release: { id: "x", seqs: [1] } }),
    session(3_100, { ...asked, held: [held(1, "configuration", 2_000)], configuring_seq: 1, decided_release: "x" }),
    session(3_300, { last_seq: 1, decided_release: "x" }),
  );
  assert.deepEqual(items(history, "requests"), [
    ["held", 1_100, 3_000], ["released", 3_000, 3_100], ["sent", 3_100, 3_300], ["settled", 3_300, 3_300],
  ]);
  assert.deepEqual(items(history, "agent"), [["active-ours", 1_000, 3_000]]);
});

test("a release that its gateway dropped is held again", () => {
  const asked = { last_seq: 1, open_responses: [1], held: [held(1, "response")] };
  const history = told(
    session(1_000, { ...asked, release: { id: "x", seqs: [1] } }),
    session(1_100, { ...busy, ...asked, decided_release: "x" }),
  );
  assert.deepEqual(items(history, "requests"), [["released", 1_000, 1_100], ["held", 1_100, null]]);
});

test("a request for a reply is on the wire while the slot is requested", () => {
  const asked = { last_seq: 1, open_responses: [1], held: [held(1, "response")] };
  const history = told(
    session(1_000, { ...asked, release: { id: "x", seqs: [1] } }),
    session(1_100, { ...asked, slot: "requested", decided_release: "x" }),
    session(1_400, { ...busy, last_seq: 1, decided_release: "x" }),
  );
  assert.deepEqual(items(history, "requests"), [["released", 1_000, 1_100], ["sent", 1_100, 1_400], ["settled", 1_400, 1_400]]);
});

test("what was held before anybody watched began then", () => {
  const history = told(session(9_000, { ...busy, last_seq: 4, open_responses: [4], held: [held(4, "response", 6_000)] }));
  assert.deepEqual(items(history, "requests"), [["held", 3_000, null]]);
  assert.match(headline(history), /^The agent has the turn\. One request is held\.$/);
});

test("what was settled within one description is shown as done", () => {
  const history = told(session(1_000), session(2_000, { last_seq: 2 }));
  assert.deepEqual(items(history, "requests").map(([kind]) => kind), ["asked", "done", "asked", "done"]);
});

test("who began a response is told apart", () => {
  const history = told(session(1_000, { ...busy, response_own: false }), session(1_500), session(1_600, { slot: "promised" }));
  assert.deepEqual(items(history, "agent"), [["active-server", 1_000, 1_500], ["promised", 1_600, null]]);
});

test("a reply says how long after the user's words it began", () => {
  const history = told(session(1_000, { user_speaking: true }), session(2_000), session(2_650, busy));
  const [agent] = lanesOf(history)[1].items;
  assert.match(agent.sentence(3_000), /It began 650 ms after the user had stopped speaking\.$/);
});

test("connections that are lost and found, another owner, and the end are marked", () => {
  const history = told(
    session(1_000),
    session(2_000, { parked_since_ms: 2_000 }),
    session(3_000, { client_legs: 2 }),
    session(4_000, { client_legs: 2, upstream_legs: 2 }),
    session(5_000, { client_legs: 2, upstream_legs: 2, epoch: 1, gateway: "h" }),
    session(6_000, { client_legs: 2, upstream_legs: 2, epoch: 1, gateway: "h", slot: "closed" }),
  );
  assert.deepEqual(items(history, "connections"), [
    ["connected", 1_000, 2_000], ["parked", 2_000, 3_000], ["connected", 3_000, 5_000], ["connected", 5_000, 6_000],
    ["client", 3_000, 3_000], ["upstream", 4_000, 4_000], ["owner", 5_000, 5_000], ["closed", 6_000, 6_000],
  ]);
});

test("an older description, or one of an owner before, changes nothing", () => {
  const history = told(session(2_000, { epoch: 1 }));
  assert.equal(history.add(session(1_000, { epoch: 1, slot: "active" }), 0), false);
  assert.equal(history.add(session(3_000, { slot: "active" }), 0), false);
  assert.deepEqual(items(history, "agent"), []);
});

test("the clock is that of the fastest description", () => {
  const history = new History();
  history.add(session(10_000), 4_000);
  history.add(session(11_000), 5_700);
  assert.equal(history.time(6_000), 12_000);
});

test("a history has a limit", () => {
  const history = new History();
  for (let at = 1; at <= 3_000; at += 1) history.add(session(at, { slot: at % 2 ? "active" : "idle", response_id: `r${at}` }), at);
  assert.equal(history.agent.length, 500);
});

test("requests at one time are drawn in tracks of their own, and what is outside is not drawn", () => {
  const history = told(
    session(1_000, { ...busy, last_seq: 2, open_configuration: [1, 2], held: [held(1, "configuration"), held(2, "configuration")] }),
    session(50_000, { ...busy, last_seq: 2 }),
  );
  const rows = (from, to) => drawing(lanesOf(history), { from, to, now: 50_000, began: 1_000, width: 900 }).rows;
  const [first, second] = rows(0, 30_000).find(({ lane }) => lane.id === "requests").boxes;
  assert.ok(second.y > first.y);
  assert.deepEqual(rows(60_000, 90_000).flatMap(({ boxes }) => boxes.length), [0, 0, 0, 0]);
});

test("a lane is exported as data and as a picture, with every sentence, and nothing in it is markup", () => {
  const history = told(session(1_000, { user_speaking: true, session: "<s>" }), session(2_000, busy));
  const { session: name, lanes } = JSON.parse(toJson(history, ["user"], 3_000));
  assert.equal(name, "s");
  assert.deepEqual(lanes.map(({ lane, items: shown }) => [lane, shown]), [
    ["user", [{ kind: "user-speaking", from_ms: 1_000, until_ms: 2_000, sentence: "The user spoke for 1.0 s." }]],
  ]);
  history.message("received", { type: "ConversationText", role: "user", content: "<script>&" }, 2_500);
  const svg = toSvg(history, ["user", "messages"], 3_000);
  assert.match(svg, /^<svg xmlns=/);
  assert.match(svg, /The user spoke for 1\.0 s\./);
  assert.ok(!svg.includes("<script>"));
});

test("the fleet is filtered and searched, those that have waited longest first", () => {
  const sessions = [
    session(1, { session: "a" }),
    session(1, { session: "b", held: [held(1, "response", 6_000)] }),
    session(1, { session: "c", gateway: "h", held: [held(1, "response", 9_000)] }),
    session(1, { session: "d", held: [held(1, "response", 9_000)], release: { id: "x", seqs: [1] }, parked_ms_ago: 5 }),
    { session: "e", heartbeat_ms_ago: 3, unreadable: "another version" },
  ];
  const names = (filter, words = "") => chosen(sessions, filter, words).map((one) => one.session).join("");
  assert.equal(names("all"), "cbade");
  assert.equal(names("long"), "cb");
  assert.equal(names("held", "H idle"), "c");
  assert.equal(names("parked"), "d");
  assert.equal(names("unreadable"), "e");
  assert.ok(sessions.every((one) => Object.values(FILTERS).every(({ takes }) => typeof takes(one) === "boolean")));
  assert.deepEqual(gateways(sessions).map((row) => [row.gateway, row.sessions, row.held, row.parked]), [["g", 3, 1, 1], ["h", 1, 1, 0]]);
});

test("a session near a limit is found, with the reason", () => {
  const hour = { began_at_ms: 0, ends_at_ms: 3_600_000 };
  const sessions = [
    session(1, { session: "a", ...hour, ends_in_ms: 360_000, requests_percent: 80 }),
    session(1, { session: "b", ...hour, ends_in_ms: 359_000, requests_percent: 0 }),
    session(1, { session: "c", began_at_ms: 0, ends_at_ms: null, ends_in_ms: null, requests_percent: 81 }),
    session(1, { session: "d", ...hour, ends_in_ms: 0, requests_percent: 104 }),
    session(1, { session: "of a version before" }),
  ];
  assert.deepEqual(chosen(sessions, "near", "").map((one) => one.session), ["b", "c", "d"]);
  assert.deepEqual(sessions.slice(1, 4).map(limits), [
    ["ends in 5 min 59 s"],
    ["has 81 % of the open requests that it may have"],
    ["ends in 0 ms", "has 104 % of the open requests that it may have"],
  ]);
});

test("what sessions have used is added up, and told in words", () => {
  const used = { input_tokens: 12_345, input_text_tokens: 2_345, input_audio_tokens: 10_000, cached_tokens: 9_000, output_tokens: 900, output_text_tokens: 100, output_audio_tokens: 800 };
  const [one, other] = [session(1, { usage: used }), session(1, { usage: { ...used, output_tokens: 1_100 } })];
  assert.equal(tokens([one, session(1, { usage: null }), other, { session: "unreadable" }]), "24.7K / 2K");
  assert.equal(tokens([]), "0 / 0");
  assert.equal(usage(one), "12,345 tokens in (text 2,345, audio 10,000; 9,000 of them cached), 900 out (text 100, audio 800)");
  assert.equal(usage(session(1)), "");
});

test("metrics are read with their labels", () => {
  const found = metrics('# HELP a b\na_total{stream="x\\"y",by="z"} 2.0\na_total{stream="w",by="z"} 1e3\nplain 5\n');
  assert.deepEqual(found.get("a_total"), [{ labels: { stream: 'x\\"y', by: "z" }, value: 2 }, { labels: { stream: "w", by: "z" }, value: 1_000 }]);
  assert.deepEqual(found.get("plain"), [{ labels: {}, value: 5 }]);
});

test("what was audible is one stretch in spite of a late frame, and says what an interruption took away", () => {
  const history = told(session(1_000));
  history.audible(2_000, 0.42);
  history.silent(3_000);
  history.audible(3_100, undefined);
  history.silent(4_000);
  history.audible(6_000, undefined);
  history.silent(6_500, { heard: 500, left: 4_100 });
  history.silent(9_000);
  history.audible(6_600, undefined);
  assert.deepEqual(items(history, "heard"), [["heard", 2_000, 4_000], ["interrupted", 6_000, 6_500], ["heard", 6_600, null]]);
  const said = lanesOf(history).find(({ id }) => id === "heard").items.map(({ sentence }) => sentence(7_000));
  assert.equal(said[0], "The agent was audible here for 2.0 s. Its first sound came 420 ms after the end of what it answers.");
  assert.equal(said[1], "The user interrupted the agent: 500 ms of it had been heard here, and 4.1 s that had arrived were not played.");
});

test("messages are exported whole, without what others could return to the conversation with", () => {
  const history = told(session(1_000));
  history.message("received", { type: "Welcome", request_id: "s", resume: "secret" }, 1_100);
  history.message("sent", { type: "UpdatePrompt", prompt: "Be brief." }, 1_200);
  const [lane] = JSON.parse(toJson(history, ["messages"], 2_000)).lanes;
  assert.deepEqual(lane.items.map(({ message }) => message), [
    { type: "Welcome", request_id: "s", resume: "(not shown)" }, { type: "UpdatePrompt", prompt: "Be brief." },
  ]);
});

test("a picture is XML whatever was said", () => {
  const history = told(session(1_000));
  history.message("received", { type: "ConversationText", role: "assistant", content: '</title><script>"&\u0000\u001b\ud800' }, 1_100);
  const svg = toSvg(history, ["messages"], 2_000);
  assert.ok(!/[\u0000-\u0008\u000b-\u001f]|<script/.test(svg.replaceAll("\n", "")));
  assert.ok(svg.isWellFormed());
  assert.ok(svg.includes("&#60;/title&#62;&#60;script&#62;&#34;&#38;\ufffd\ufffd\ufffd"));
});

test("many requests of which nothing was heard cost no more than what is kept", () => {
  const history = told(session(1_000), session(2_000, { last_seq: 1_000_000_000 }));
  assert.equal(history.requests.length, 500);
  assert.equal(history.requests.at(-1).seq, 1_000_000_000);
});

test("time stands still at what was last known", () => {
  const history = told(session(1_000, busy));
  assert.equal(history.until(5_000), 6_000);
  history.frozenAt = 3_000;
  assert.equal(history.until(9_000), 3_000);
});

test("what may not be so any more is doubted", () => {
  const history = told(session(1_000, busy));
  assert.equal(doubtSentence(history, true, 30_000), "", "the gateway speaks of it every ten seconds");
  assert.match(doubtSentence(history, true, 36_000), /Nothing has been heard of this session for 35.0 s/);
  assert.match(doubtSentence(history, false, 0), /Session-state does not answer/);
  history.add(session(2_000, { slot: "closed" }), 1_000);
  assert.equal(doubtSentence(history, false, 99_000), "");
});
