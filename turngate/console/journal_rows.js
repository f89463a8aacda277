// What is shown of a session's journal, made from `GET /sessions/{id}/journal`. No DOM.

/** @typedef {import("./api.js").Json} Json */

/** One thing that was said or done.
 * @typedef {{ key: string, kind: string, who: string, text: string, note: string }} Row */

/** @type {Record<string, string>} */
const WHO = { user: "User", assistant: "Agent", system: "System" };

/** What was said, in order.
 * @param {Json} journal
 * @returns {Row[]} */
export function rows(journal) {
  const open = new Set(journal.open_calls.filter((/** @type {Json} */ call) => !call.answered).map((/** @type {Json} */ call) => call.id));
  const names = new Map(journal.items.filter((/** @type {Json} */ item) => item.type === "function_call").map((/** @type {Json} */ item) => [item.call_id, item.name]));
  return journal.items.map((/** @type {Json} */ item) => {
    const { id: key, type, text } = item;
    const row = { key, kind: item.role ?? "call", who: WHO[item.role] ?? item.role ?? type, text: text ?? "", note: "" };
    if (type === "function_call") return { ...row, who: `Calls ${item.name}`, note: open.has(item.call_id) ? "The model waits for its result." : "" };
    if (type === "function_call_output") return { ...row, who: `Result of ${names.get(item.call_id) ?? item.call_id}` };
    return { ...row, note: noteOf(item) };
  });
}

/** What to know of a message besides its text.
 * @param {Json} item
 * @returns {string} */
function noteOf(item) {
  if (item.text === null) return "Spoken; the words are not known yet.";
  if (item.role !== "assistant" || !item.spoken) return "";
  const heard = item.heard ?? item.text;
  if (heard.trim() === "") return "Nothing of it was heard.";
  return item.heard === null ? "" : `Heard of it so far: “${heard}”`;
}

/** What is said above the list; empty if there is nothing to say.
 * @param {Json | null} journal
 * @returns {string} */
export function stateOf(journal) {
  if (journal === null) return "This session has no journal. Only a session whose client may return after a lost connection, also to another gateway, has one.";
  if (journal.unreadable) return `The journal cannot be read: ${journal.unreadable}.`;
  if (journal.items.length === 0) return "Nothing has been said.";
  return journal.items_left_out ? `The newest items; ${journal.items_left_out} before them are not shown.` : "";
}
