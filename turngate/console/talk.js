// The page "Talk": a conversation with the agent, and its turn beside it. It goes on while other pages are shown.

import { Conversation, settings } from "./conversation.js";
import { Credentials } from "./credentials.js";
import { h, put } from "./dom.js";
import { faultButtons } from "./faults.js";
import { Loudspeaker, openMicrophone, RATE } from "./sound.js";
import { field, TalkForm } from "./talk_form.js";
import { TurnView } from "./turn_view.js";

/** @typedef {import("./api.js").Json} Json */
/** @typedef {import("./talk_form.js").Chosen} Chosen */

const STORY = "Tell me a long story. [say 60 words]";
/** What the demonstration adds to the prompt. */
const CHANGE = "From now on, answer in one sentence.";
/** Lines of the conversation that are kept. */
const LINES = 200;

/** @type {Talk | null} */
let talk = null;

/** @param {HTMLElement} page
 * @param {Json} installation
 * @param {import("./app.js").Shell} shell
 * @returns {() => void} */
export function talkPage(page, installation, shell) {
  talk ??= new Talk(installation);
  talk.shell = shell;
  talk.faults = installation.faults ?? [];
  talk.shown(true);
  page.append(talk.element);
  return () => talk?.shown(false);
}

class Talk {
  /** @param {Json} installation */
  constructor(installation) {
    this._gateway = installation.gateway_url;
    /** @type {string[]} What can be cut besides the own connection. */ this.faults = [];
    /** @type {import("./app.js").Shell | null} */ this.shell = null;
    this._visible = false;
    /** @type {Conversation | null} */ this._conversation = null;
    /** @type {TurnView | null} */ this._turn = null;
    /** @type {Loudspeaker | null} */ this._loudspeaker = null;
    /** @type {(() => void) | null} */ this._closeMicrophone = null;
    /** @type {Chosen | null} */ this._chosen = null;
    /** @type {Credentials | null} */ this._credentials = null;
    /** @type {number | undefined} Seconds between what the user said and the reply to it. */ this._latency = undefined;
    this._muted = false;
    this._lost = false;
    this._openingMicrophone = false;
    /** @type {(() => void) | null} What to do when the agent begins to speak. */ this._whenSpeaking = null;
    this._text = h("input", { "aria-label": "Message", placeholder: "Type a message", autocomplete: "off" });
    this._microphone = h("button", { type: "button", "aria-pressed": "false", click: () => this._toggleMicrophone() }, "Microphone");
    this._form = new TalkForm((chosen, microphone) => this._begin(chosen, microphone), this._gateway);
    this._lines = h("ol", { class: "lines", "aria-label": "Conversation", tabindex: "0", "aria-live": "polite" });
    this._panel = h("div", { class: "panel" }, this._form.element);
    this._turnCard = h("section", { class: "card turn-card", "aria-label": "The turn, live" }, introduction());
    this.element = h("div", { class: "talk" }, h("section", { class: "card talk-card", "aria-labelledby": "talk-title" }, h("h1", { id: "talk-title" }, "Talk to the agent"), this._panel), this._turnCard);
  }

  /** @param {boolean} visible */
  shown(visible) {
    this._visible = visible;
  }

  /** @param {Chosen} chosen
   * @param {boolean} microphone */
  async _begin(chosen, microphone) {
    if (this._conversation !== null || this._credentials !== null) return;
    const credentials = (this._credentials = new Credentials(this._gateway, chosen.key));
    // Before anything else is waited for: a browser lets a page be heard only in answer to a click.
    const loudspeaker = new Loudspeaker(() => this._turn?.silent());
    try {
      await credentials.open();
    } catch (error) {
      loudspeaker.close();
      this._credentials = null;
      return this._form.problem(error instanceof Error ? error.message : String(error));
    }
    [this._chosen, this._loudspeaker] = [chosen, loudspeaker];
    this._turn?.close();
    this._turnCard.replaceChildren();
    this._turn = new TurnView(this._turnCard, (state, why) => this._visible && this.shell?.feed(state, why));
    this._lines.replaceChildren();
    this._panel.replaceChildren(this._lines, this._composer(), this._controls(), this._changes());
    this._conversation = new Conversation(
      { url: `${this._gateway}${chosen.path}`, protocols: () => credentials.protocols, settings: settings({ ...chosen, rate: RATE }, chosen.functions), functions: chosen.functions },
      { message: (direction, message) => this._message(direction, message), audio: (pcm) => this._play(pcm), ask: (call, answer) => this._ask(call, answer), state: (state, why) => this._state(state, why) },
    );
    if (microphone) this._toggleMicrophone();
    this._text.focus();
  }

  _composer() {
    return h("form", { class: "composer", "aria-label": "Message", submit: (event) => {
      event.preventDefault();
      const content = this._text.value.trim();
      if (content) this._conversation?.send({ type: "InjectUserMessage", content });
      this._text.value = "";
    } }, this._text, h("button", { class: "primary" }, "Send"));
  }

  _controls() {
    const mute = h("button", { type: "button", "aria-pressed": "false", click: () => {
      this._muted = !this._muted;
      put(mute, { "aria-pressed": String(this._muted) });
      if (this._loudspeaker) this._loudspeaker.muted = this._muted;
    } }, "Mute agent");
    const cut = h("button", { type: "button", title: "Close this page's connection to the gateway. It connects again, and finds its conversation.", click: () => this._conversation?.cut() }, "Cut connection");
    const end = h("button", { type: "button", click: () => this._conversation?.end() }, "End");
    this._muted = false;
    const faults = faultButtons(this.faults, (said, failed) => this._line(failed ? "problem" : "note", said));
    return h("p", { class: "controls" }, this._microphone, mute, end, cut, ...faults);
  }

  _changes() {
    const more = h("textarea", { rows: 2 });
    more.value = CHANGE;
    const prompt = h("button", { type: "button", click: () => this._conversation?.send({ type: "UpdatePrompt", prompt: more.value }) }, "Add to the prompt");
    const once = this._chosen?.path !== "/openai";
    const again = h("button", { type: "button", disabled: once, title: once ? "Deepgram's protocol takes Settings once; begin on /openai for this." : "Send Settings with this prompt.", click: () => this._again(more.value) }, "Send Settings again");
    const demonstration = h("button", { type: "button", class: "show", click: () => this._demonstrate(more.value) }, "Show me: a change during a reply");
    return h("div", { class: "changes" }, demonstration, h("details", {}, h("summary", {}, "Change the configuration"), field("Prompt", more), h("p", { class: "actions" }, prompt, again)));
  }

  /** @param {string} prompt */
  _again(prompt) {
    const chosen = /** @type {Chosen} */ (this._chosen);
    this._conversation?.send(settings({ ...chosen, prompt, greeting: "", rate: RATE }, chosen.functions));
  }

  /** Ask for a long reply, and change the prompt while the agent speaks.
   * @param {string} prompt */
  _demonstrate(prompt) {
    this._whenSpeaking = () => this._conversation?.send({ type: "UpdatePrompt", prompt });
    this._conversation?.send({ type: "InjectUserMessage", content: STORY });
  }

  async _toggleMicrophone() {
    if (this._closeMicrophone) {
      this._stopMicrophone();
    } else if (!this._openingMicrophone) {
      const conversation = this._conversation;
      this._openingMicrophone = true;
      try {
        this._closeMicrophone = await openMicrophone((frame) => this._conversation?.sendAudio(frame));
      } catch (error) {
        this._line("note", error instanceof Error ? error.message : String(error));
      }
      this._openingMicrophone = false;
      // The person took so long to allow it that nobody listens any more.
      if (conversation === null || this._conversation !== conversation) this._stopMicrophone();
    }
    put(this._microphone, { "aria-pressed": String(this._closeMicrophone !== null) });
  }

  _stopMicrophone() {
    this._closeMicrophone?.();
    this._closeMicrophone = null;
    put(this._microphone, { "aria-pressed": "false" });
  }

  /** @param {"sent" | "received"} direction
   * @param {Json} message */
  _message(direction, message) {
    if (message.type !== "KeepAlive" && message.type !== "History") this._turn?.message(direction, message);
    if (direction === "sent") return this._onSent(message);
    switch (message.type) {
      case "Welcome":
        return this._turn?.follow(message.request_id, "new");
      case "ConversationText":
        return this._line(message.role === "user" ? "user" : "agent", message.content);
      case "UserStartedSpeaking":
        return this._interrupted();
      case "AgentStartedSpeaking":
        // 0 for what answers nothing, as the greeting.
        this._latency = message.total_latency || undefined;
        return this._agentSpeaks();
      case "SettingsApplied":
      case "PromptUpdated":
        return this._line("note", message.type === "PromptUpdated" ? "The prompt is changed: PromptUpdated." : "The configuration is in force: SettingsApplied.");
      case "Error":
      case "Warning":
        return this._line("problem", `${message.type}: ${message.description ?? ""} (${message.code})`);
    }
  }

  _agentSpeaks() {
    const then = this._whenSpeaking;
    this._whenSpeaking = null;
    then?.();
  }

  /** @param {ArrayBuffer} pcm */
  _play(pcm) {
    if (this._loudspeaker === null) return;
    if (!this._loudspeaker.busy) this._turn?.audible(this._latency);
    this._latency = undefined;
    this._loudspeaker.play(pcm);
  }

  /** The user speaks: nothing of the reply is heard any more. */
  _interrupted() {
    const heard = this._loudspeaker?.stop();
    if (heard) this._turn?.silent(heard);
  }

  /** Have a person answer a function call that has no prepared answers.
   * @param {Json} call
   * @param {(content: string) => void} answer */
  _ask(call, answer) {
    const typed = h("input", { "aria-label": `Result of ${call.name}`, placeholder: "The result, as JSON or text", autocomplete: "off" });
    const form = h("form", { class: "composer", submit: (event) => {
      event.preventDefault();
      form.replaceWith(h("span", {}, typed.value));
      answer(typed.value);
      this._text.focus();
    } }, typed, h("button", {}, "Answer"));
    this._append(h("li", { class: "asked-for" }, h("b", {}, `The agent calls ${call.name}(${call.arguments})`), form));
    typed.focus();
  }

  /** @param {Json} message */
  _onSent(message) {
    if (message.type === "UpdatePrompt") this._line("note", `Sent UpdatePrompt: ${message.prompt}`);
    if (message.type === "Settings") this._line("note", "Sent Settings.");
    if (message.type === "FunctionCallResponse") this._line("note", `${message.name} answered: ${message.content}`);
  }

  /** @param {"lost" | "resumed" | "anew" | "ended"} state
   * @param {string} why */
  _state(state, why) {
    if (state === "lost" && !this._lost) this._line("note", "The connection is lost; connecting again …");
    this._lost = state === "lost";
    if (state === "resumed") this._line("note", "Connected again, to the same conversation.");
    if (state === "anew") this._line("problem", "Connected again, but the conversation was gone: this is a new one.");
    if (state === "ended") this._ended(why);
  }

  /** @param {string} why */
  _ended(why) {
    this._stopMicrophone();
    this._whenSpeaking = null;
    this._credentials?.close();
    this._credentials = null;
    this._loudspeaker?.close();
    this._loudspeaker = null;
    this._turn?.silent();
    this._conversation = null;
    this._form.problem(why ? `The conversation has ended: ${why}.` : "");
    this._line("note", "The conversation has ended.");
    this._panel.replaceChildren(this._lines, this._form.element);
  }

  /** @param {"user" | "agent" | "note" | "problem"} kind
   * @param {string} text */
  _line(kind, text) {
    const who = { user: "You", agent: "Agent", note: "", problem: "" }[kind];
    this._append(h("li", { class: kind }, who && h("b", {}, who), h("span", {}, text)));
  }

  /** @param {HTMLElement} line */
  _append(line) {
    const atEnd = this._lines.scrollHeight - this._lines.scrollTop - this._lines.clientHeight < 40;
    this._lines.append(line);
    while (this._lines.children.length > LINES) this._lines.firstElementChild?.remove();
    if (atEnd) this._lines.scrollTop = this._lines.scrollHeight;
  }
}

function introduction() {
  return h("div", { class: "introduction" }, h("h2", {}, "The turn, live"), h("p", {}, "Begin a conversation, and see here who has the turn; which requests are held while a reply is active; and when each is released, sent to the model, and acknowledged."));
}
