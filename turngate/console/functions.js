// Functions for the agent, with prepared answers: the same JSON as of `turngate talk --functions`. No DOM.

/** @typedef {{ when?: Record<string, unknown>, answer: unknown }} Answer */
/** @typedef {{ name: string, description?: string, parameters: object, takes_ms?: number, answers?: Answer[] }} Described */

export const EXAMPLE = `{"functions": [
  {"name": "get_weather",
   "description": "The weather in a city.",
   "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
   "takes_ms": 1500,
   "answers": [{"when": {"city": "Oslo"}, "answer": {"sky": "snow"}},
               {"answer": {"sky": "clear"}}]}
]}`;

export class Functions {
  /** @param {string} text JSON; nothing for no functions. Throws an Error for people. */
  constructor(text) {
    /** @type {Described[]} */
    this._functions = text.trim() ? parsed(text) : [];
  }

  /** What `Settings` declares to the model.
   * @returns {object[]} */
  get declarations() {
    return this._functions.map(({ name, description = "", parameters }) => ({ name, description, parameters }));
  }

  /** For how many milliseconds this function works.
   * @param {string} name
   * @returns {number} */
  takes(name) {
    return this._functions.find((one) => one.name === name)?.takes_ms ?? 0;
  }

  /** The prepared answer to a call, as JSON; null for a function without `answers`, which a person answers.
   * @param {string} name
   * @param {string} given JSON of the arguments
   * @returns {string | null} */
  answer(name, given) {
    const described = this._functions.find((one) => one.name === name);
    if (described === undefined) return JSON.stringify({ error: `there is no function ${name}` });
    if (described.answers === undefined) return null;
    /** @type {Record<string, unknown>} */
    let values;
    try {
      values = JSON.parse(given || "{}");
    } catch {
      return JSON.stringify({ error: "the arguments are not JSON" });
    }
    const found = described.answers?.find(({ when = {} }) => Object.entries(when).every(([key, value]) => JSON.stringify(values[key]) === JSON.stringify(value)));
    return JSON.stringify(found ? found.answer : { error: `${name} has no answer for these arguments` });
  }
}

/** @param {string} text
 * @returns {Described[]} */
function parsed(text) {
  let read;
  try {
    read = JSON.parse(text);
  } catch (error) {
    throw new Error(`Functions: this is not JSON (${error instanceof Error ? error.message : error})`);
  }
  const functions = Array.isArray(read) ? read : read?.functions;
  if (!Array.isArray(functions)) throw new Error('Functions: a list is needed, or {"functions": […]}');
  for (const one of functions) {
    if (typeof one?.name !== "string" || !one.name) throw new Error("Functions: each needs a name");
    if (typeof one.parameters !== "object" || one.parameters === null) throw new Error(`Functions: ${one.name} needs parameters (a JSON schema)`);
  }
  return functions;
}
