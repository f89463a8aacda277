// What each mark means, in a sentence. No DOM.

/** @typedef {import("./history.js").History} History */
/** @typedef {import("./history.js").Span} Span */
/** @typedef {import("./history.js").Mark} Mark */
/** @typedef {import("./history.js").Asked} Asked */

/** The longest time in milliseconds between the user's words and the reply to them. */
const REPLY_WITHIN = 15_000;

/** Milliseconds after which a session of which nothing is heard may be over: its gateway speaks of it every ten seconds. */
const SILENT = 35_000;

const KINDS = {
  configuration: "a change of the configuration",
  response: "a request for a reply",
  interruption: "a request for a reply that may interrupt the user",
  request: "a message that needed no free turn",
};

/** A duration for people.
 * @param {number} milliseconds
 * @returns {string} */
export function seconds(milliseconds) {
  const ms = Math.max(0, milliseconds);
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  return ms < 60_000 ? `${(ms / 1_000).toFixed(1)} s` : `${Math.floor(ms / 60_000)} min ${Math.round((ms % 60_000) / 1_000)} s`;
}

/** How long a span was, or has been.
 * @param {Span} span
 * @param {number} now
 * @returns {string} */
function long(span, now) {
  return span.until === null ? `for ${seconds(now - span.from)} so far` : `for ${seconds(span.until - span.from)}`;
}

/** @param {Span} span
 * @param {number} now
 * @returns {string} */
export function userSentence(span, now) {
  return `The user ${span.until === null ? "has been speaking" : "spoke"} ${long(span, now)}.`;
}

/** @param {Span} span
 * @param {History} history
 * @param {number} now
 * @returns {string} */
export function agentSentence(span, history, now) {
  const time = long(span, now);
  switch (span.kind) {
    case "promised":
      return `The user's turn ended, and the model is about to reply by itself: ${time}.`;
    case "requested":
      return `Turngate has sent a response.create and waits for the response to begin: ${time}.`;
    case "active-ours":
      return `A response that turngate asked for was active ${time}. Nothing else may be asked of the model meanwhile.${latency(span, history)}`;
    case "active-server":
      return `A response that the model began by itself was active ${time}. Nothing else may be asked of it meanwhile.${latency(span, history)}`;
    case "cancelling":
      return `The response was cancelled, and turngate waits for its end: ${time}.`;
    case "reconnecting":
      return `The connection to the model was lost and is being replaced: ${time}.`;
  }
  return `A response was active ${time}.${latency(span, history)}`;
}

/** @param {Span} span
 * @param {History} history
 * @returns {string} */
function latency(span, history) {
  const spoke = history.user.filter(({ until }) => until !== null && until <= span.from).at(-1);
  const waited = spoke ? span.from - /** @type {number} */ (spoke.until) : Infinity;
  const earlier = history.agent.some((other) => other.kind.startsWith("active") && spoke && other.from >= /** @type {number} */ (spoke.until) && other.from < span.from);
  return waited < REPLY_WITHIN && !earlier ? ` It began ${seconds(waited)} after the user had stopped speaking.` : "";
}

/** One phase of a request.
 * @param {Asked} request
 * @param {Span} phase
 * @param {number} now
 * @returns {string} */
export function phaseSentence(request, phase, now) {
  const who = `Request ${request.seq}, ${KINDS[request.kind]},`;
  const time = long(phase, now);
  const are = phase.until === null;
  switch (phase.kind) {
    case "held":
      return `${who} ${are ? "is" : "was"} held ${time}, because the turn ${are ? "is" : "was"} not free.`;
    case "released": {
      const others = phase.detail.with?.length ? `, together with ${list(phase.detail.with)}` : "";
      return `${who} was released${others}. It ${are ? "is" : "was"} on its way to the model ${time}.`;
    }
    case "sent":
      return `${who} ${are ? "is" : "was"} on the wire to the model ${time}, and not confirmed.`;
  }
  if (request.settled !== null && request.phases.length === 1) {
    return request.kind === "request" ? `Request ${request.seq} was ${KINDS.request}.` : `${who} was settled within ${seconds(request.settled - phase.from)}; it did not have to wait.`;
  }
  return `${who} ${are ? "is" : "was"} with the translators ${time}.`;
}

/** The end of a request.
 * @param {Asked} request
 * @returns {string} */
export function settledSentence(request) {
  const took = seconds(/** @type {number} */ (request.settled) - request.phases[0].from);
  const how = request.kind === "configuration" ? "the model has confirmed it, or refused it, and the client was told" : "its response has begun, or the client was told why not";
  return request.kind === "request" ? `Request ${request.seq} is done.` : `Request ${request.seq}, ${KINDS[request.kind]}, was settled ${took} after it was made: ${how}.`;
}

/** What was audible at this page.
 * @param {Span} span
 * @param {number} now
 * @returns {string} */
export function heardSentence(span, now) {
  const { latency, left, heard } = span.detail;
  const first = latency === undefined ? "" : ` Its first sound came ${seconds(1_000 * latency)} after the end of what it answers.`;
  if (left !== undefined) return `The user interrupted the agent: ${seconds(heard)} of it had been heard here, and ${seconds(left)} that had arrived were not played.${first}`;
  return `The agent ${span.until === null ? "has been" : "was"} audible here ${long(span, now)}.${first}`;
}

/** @param {Span} span
 * @param {number} now
 * @returns {string} */
export function callSentence(span, now) {
  return `The model ${span.until === null ? "waits" : "waited"} for the result of function call ${span.detail.id} ${long(span, now)}.`;
}

/** @param {Span} span
 * @param {number} now
 * @returns {string} */
export function connectionSentence(span, now) {
  const where = `at gateway ${span.detail.gateway}${span.detail.epoch ? ` (epoch ${span.detail.epoch})` : ""}`;
  if (span.kind === "parked") return `The session ${span.until === null ? "waits" : "waited"} ${where} for its client to return: ${long(span, now)}.`;
  return `The client ${span.until === null ? "has been" : "was"} connected ${where} ${long(span, now)}.`;
}

/** @param {Mark} mark
 * @returns {string} */
export function changeSentence(mark) {
  switch (mark.kind) {
    case "upstream":
      return `The session has got connection ${mark.detail.leg} to the model.`;
    case "client":
      return `The client has returned: it is connection ${mark.detail.leg}.`;
    case "owner":
      return `Gateway ${mark.detail.gateway} has taken the session over (epoch ${mark.detail.epoch}).`;
    case "closed":
      return "The session is over.";
  }
  const { number } = mark.detail;
  return `${number === null ? "Some events" : `${number} events`} were lost on the way to this page; what is shown before may lack detail.`;
}

/** @param {Mark} mark
 * @returns {string} */
export function messageSentence(mark) {
  const { type, role, content, description, code } = mark.detail;
  const what = [role && `${role}:`, content, description, code && `(${code})`].filter(Boolean).join(" ");
  const said = what ? `: ${what.length > 160 ? `${what.slice(0, 159)}…` : what}` : "";
  return `This page ${mark.kind === "sent" ? "sent" : "received"} ${type}${said}${/[.!?…]$/.test(said) ? "" : "."}`;
}

/** Why what is shown may not be so any more; nothing while it is.
 * @param {History} history
 * @param {boolean} watched whether session-state answers
 * @param {number} silent milliseconds since something was heard of the session
 * @returns {string} */
export function doubtSentence(history, watched, silent) {
  if (history.now === null || history.now.slot === "closed") return "";
  if (!watched) return "Session-state does not answer. What is shown was so when it last did.";
  return silent > SILENT ? `Nothing has been heard of this session for ${seconds(SILENT)}: its gateway may have ended.` : "";
}

/** Who has the turn now, for the headline.
 * @param {History} history
 * @returns {string} */
export function headline(history) {
  const { now } = history;
  if (now === null) return "";
  const said = { closed: "The session is over.", reconnecting: "The connection to the model is being replaced.", cancelling: "A reply is being cancelled.", promised: "The model is about to reply.", requested: "A reply was asked for.", unconfigured: "The session has no configuration yet." }[/** @type {string} */ (now.slot)];
  const waiting = now.held.filter((/** @type {any} */ head) => !now.release?.seqs.includes(head.seq)).length;
  const turn = said ?? (now.slot === "active" ? `The agent has the turn${now.response_own === false ? ", by itself" : ""}.` : now.user_speaking ? "The user has the turn." : "The turn is free.");
  const speaking = now.user_speaking && now.slot === "active" ? " The user speaks, too." : "";
  const held = now.slot === "closed" || !waiting ? "" : ` ${waiting === 1 ? "One request is" : `${waiting} requests are`} held.`;
  const parked = now.parked_since_ms ? " The client is away." : "";
  return turn + speaking + held + parked;
}

/** @param {number[]} seqs
 * @returns {string} */
function list(seqs) {
  return seqs.length === 1 ? `request ${seqs[0]}` : `requests ${seqs.slice(0, -1).join(", ")} and ${seqs.at(-1)}`;
}
