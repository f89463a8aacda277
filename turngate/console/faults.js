// Buttons that cut and kill parts of a stack on this machine, to see what a conversation survives.

import { post } from "./api.js";
import { h } from "./dom.js";

/** @type {Record<string, { title: string, why: string }>} */
const PARTS = {
  upstream: { title: "Cut model", why: "Cut the connections to the model. The gateway connects again and restores the conversation." },
  translator: { title: "Kill translator", why: "Kill one translator. Others finish what it had begun." },
  gateway: { title: "Kill gateway", why: "Kill the gateway. It is started again, and the conversation goes on there." },
};

/** A button for each part that can be cut.
 * @param {string[]} parts
 * @param {(said: string, failed: boolean) => void} say
 * @returns {HTMLButtonElement[]} */
export function faultButtons(parts, say) {
  return parts.filter((part) => part in PARTS).map((part) => h("button", { type: "button", title: PARTS[part].why, click: async () => {
    try {
      say((await post(`faults/${part}`)).done, false);
    } catch (error) {
      say(error instanceof Error ? error.message : String(error), true);
    }
  } }, PARTS[part].title));
}
