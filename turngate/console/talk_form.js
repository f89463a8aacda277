// What a conversation begins with: the form of the page "Talk".

import { h, say } from "./dom.js";
import { EXAMPLE, Functions } from "./functions.js";

const VOICES = ["marin", "cedar", "alloy", "ash", "ballad", "coral", "echo", "sage", "shimmer", "verse"];
const PROMPT = "You are a friendly assistant. Be brief.";
const GREETING = "Hello! How can I help you?";

/** @typedef {{ path: string, key: string, prompt: string, voice: string, greeting: string, functions: Functions }} Chosen */

export class TalkForm {
  /** @param {(chosen: Chosen, microphone: boolean) => void} begin
   * @param {string} gateway */
  constructor(begin, gateway) {
    this._voice = h("select", { id: "voice" }, ...VOICES.map((voice) => h("option", { value: voice }, voice)));
    this._prompt = h("textarea", { id: "prompt", rows: 3 });
    this._prompt.value = PROMPT;
    this._greeting = h("input", { id: "greeting", value: GREETING });
    this._path = h("select", { id: "path" }, h("option", { value: "/v1/agent/converse" }, "Deepgram's: /v1/agent/converse"), h("option", { value: "/openai" }, "the voice component's: /openai"));
    this._key = h("input", { id: "api-key", type: "password", autocomplete: "off", placeholder: "only if the gateway wants one" });
    this._functions = h("textarea", { id: "functions", rows: 8, spellcheck: "false", class: "code" });
    this._functions.value = EXAMPLE;
    this._problem = h("p", { class: "problem", role: "alert" });
    this._begin = begin;
    this.element = h("form", { class: "begin", "aria-label": "Begin a conversation", submit: (event) => {
      event.preventDefault();
      this._submit(/** @type {SubmitEvent} */ (event).submitter?.getAttribute("value") === "speech");
    } },
      field("Prompt", this._prompt),
      h("div", { class: "fields" }, field("Voice", this._voice), field("Greeting", this._greeting)),
      h("details", {}, h("summary", {}, "Functions, protocol and key"), field("Functions, with prepared answers (JSON)", this._functions), field("Protocol", this._path), field("API key or token", this._key), h("p", { class: "small" }, `Gateway: ${gateway}`)),
      this._problem,
      h("p", { class: "actions" }, h("button", { class: "primary", value: "text" }, "Begin by text"), h("button", { value: "speech" }, "By voice")),
    );
  }

  /** Show what is wrong.
   * @param {string} text */
  problem(text) {
    say(this._problem, text);
  }

  /** @param {boolean} microphone */
  _submit(microphone) {
    this.problem("");
    let functions;
    try {
      functions = new Functions(this._functions.value);
    } catch (error) {
      return this.problem(error instanceof Error ? error.message : String(error));
    }
    this._begin({ path: this._path.value, key: this._key.value.trim(), prompt: this._prompt.value, voice: this._voice.value, greeting: this._greeting.value, functions }, microphone);
  }
}

/** @param {string} text
 * @param {HTMLElement} control */
export function field(text, control) {
  return h("label", { class: "field" }, h("span", {}, text), control);
}
