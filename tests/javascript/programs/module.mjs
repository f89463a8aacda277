// A web page's voice agent on turngate's own module, which needs no SDK; in Node, with the `WebSocket` of `ws`.
//
// It sends its Settings once, is greeted, updates its prompt, asks for a long reply, calls `cut` in the middle of it, says
// something while there is no connection, and asks for the prompt at the end.
import { ResumingSocket } from "../../../turngate/console/resume.js";
import { Heard } from "./heard.mjs";

const SETTINGS = {
  type: "Settings",
  audio: { input: { encoding: "linear16", sample_rate: 16000 } },
  agent: {
    think: { provider: { type: "open_ai", model: "gpt-realtime-2.1" }, prompt: "Be brief." },
    greeting: "Welcome to the show.",
  },
};

/** `print` is called with each message, with what the module says, and at the end as in `sdk.mjs`. */
export async function converse({ url, apiKey, prompt, print, cut }) {
  const agent = new ResumingSocket(`${url}/v1/agent/converse`, ["token", apiKey]);
  const say = (message) => agent.send(JSON.stringify(message));
  const ask = (content) => say({ type: "InjectUserMessage", content });
  const heard = new Heard();
  let wasCut = false;
  let replies = 0;

  agent.addEventListener("message", ({ data }) => {
    if (typeof data !== "string") {
      if (replies === 1 && heard.add(data) === 3 && !wasCut) {
        wasCut = true;
        cut();
        sayWhenLost();
      }
      return;
    }
    const message = JSON.parse(data);
    print(message);
    if (message.type === "Welcome") {
      if (wasCut) {
        heard.next();
      } else {
        say(SETTINGS);
      }
    } else if (message.type === "PromptUpdated") {
      ask("[say 60 words]");
    } else if (message.type === "AgentAudioDone") {
      replies += 1;
      if (replies === 1) {
        say({ type: "UpdatePrompt", prompt });
      } else if (replies === 3) {
        agent.close();
      }
    }
  });
  // The module has no event for it, since a page need not know.
  const sayWhenLost = () => (agent.connected ? setTimeout(sayWhenLost, 5) : ask("What are your instructions?"));
  agent.addEventListener("resumed", ({ detail }) => print({ returned: detail.resumed }));
  const { code } = await new Promise((end) => agent.addEventListener("close", ({ detail }) => end(detail)));
  print({ closed: code });
  print({ audio: await heard.inHex() });
}
