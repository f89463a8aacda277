// What the console makes of a session's journal.
import assert from "node:assert/strict";
import { test } from "node:test";
import { rows, stateOf } from "../../../turngate/console/journal_rows.js";

function item(fields) {
  return { id: "i", type: "message", role: null, name: null, call_id: null, heard: null, spoken: false, text: "", ...fields };
}

/** Who, the text and the note of each row. */
function told(items, open_calls = []) {
  return rows({ items, open_calls }).map(({ who, text, note }) => [who, text, note]);
}

test("what was said is told with who said it, and as far as it was heard", () => {
  assert.deepEqual(told([
    item({ role: "user", text: "Hi" }),
    item({ role: "user", spoken: true, text: null }),
    item({ role: "assistant", spoken: true, text: "One two" }),
    item({ role: "assistant", spoken: true, text: "One two", heard: "One" }),
    item({ role: "assistant", spoken: true, text: "One two", heard: "" }),
    item({ role: "assistant", spoken: true, text: "" }),
    item({ role: "system", text: "<b>Be kind</b>" }),
  ]), [
    ["User", "Hi", ""],
    ["User", "", "Spoken; the words are not known yet."],
    ["Agent", "One two", ""],
    ["Agent", "One two", "Heard of it so far: “One”"],
    ["Agent", "One two", "Nothing of it was heard."],
    ["Agent", "", "Nothing of it was heard."],
    ["System", "<b>Be kind</b>", ""],
  ]);
});

test("function calls are told with their results, and those that are open", () => {
  const call = (call_id, name) => item({ type: "function_call", call_id, name, text: "{}" });
  const result = (call_id) => item({ type: "function_call_output", call_id, text: "snow" });
  const items = [call("a", "weather"), result("a"), call("b", "time"), call("c", "news"), result("gone")];
  assert.deepEqual(told(items, [{ id: "b", name: "time", answered: false }, { id: "c", name: "news", answered: true }]), [
    ["Calls weather", "{}", ""],
    ["Result of weather", "snow", ""],
    ["Calls time", "{}", "The model waits for its result."],
    ["Calls news", "{}", ""],
    ["Result of gone", "snow", ""],
  ]);
});

test("what kind of item is not known is told by its type", () => {
  assert.deepEqual(told([item({ type: "mcp_call", text: "" })]), [["mcp_call", "", ""]]);
});

test("a session without a journal says so, and one whose journal is not all shown", () => {
  assert.match(stateOf(null), /^This session has no journal\./);
  assert.equal(stateOf({ unreadable: "another version" }), "The journal cannot be read: another version.");
  assert.equal(stateOf({ items: [], items_left_out: 0 }), "Nothing has been said.");
  assert.equal(stateOf({ items: [item({})], items_left_out: 3 }), "The newest items; 3 before them are not shown.");
  assert.equal(stateOf({ items: [item({})], items_left_out: 0 }), "");
});
