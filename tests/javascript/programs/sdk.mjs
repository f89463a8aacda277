// A voice agent as users of Deepgram's JavaScript SDK write it, in Node and in a web page alike.
//
// It knows nothing of lost connections: it sends its Settings on every Welcome and otherwise waits for what comes. It is
// greeted, updates its prompt, asks for a long reply, calls `cut` in the middle of it, and asks for the prompt at the end.
import { DeepgramClient } from "@deepgram/sdk";
import { Heard } from "./heard.mjs";

const SETTINGS = {
  type: "Settings",
  audio: {
    input: { encoding: "linear16", sample_rate: 16000 },
    output: { encoding: "linear16", sample_rate: 24000, container: "none" },
  },
  agent: {
    think: { provider: { type: "open_ai", model: "gpt-realtime-2.1" }, prompt: "Be brief." },
    greeting: "Welcome to the show.",
  },
};

/** `print` is called with each message, and at the end with `{audio: […]}`, the long reply's audio by connection. */
export async function converse({ url, apiKey, prompt, print, cut }) {
  const deepgram = new DeepgramClient({ apiKey, baseUrl: url });
  const agent = await deepgram.agent.v1.createConnection({ reconnectAttempts: 10 });
  const ask = (content) => agent.sendInjectUserMessage({ type: "InjectUserMessage", content });
  const heard = new Heard();
  let welcomes = 0;
  let replies = 0;

  agent.on("message", (message) => {
    if (message instanceof Blob) {
      if (replies === 1 && heard.add(message) === 3 && welcomes === 1) {
        cut();
      }
      return;
    }
    print(message);
    if (message.type === "Welcome") {
      welcomes += 1;
      if (welcomes > 1) {
        heard.next();
      }
      agent.sendSettings(SETTINGS);
    } else if (message.type === "PromptUpdated") {
      ask("[say 60 words]");
    } else if (message.type === "AgentAudioDone") {
      replies += 1;
      if (replies === 1) {
        agent.sendUpdatePrompt({ type: "UpdatePrompt", prompt });
      } else if (replies === 2) {
        ask("What are your instructions?");
      } else {
        agent.close();
      }
    }
  });
  agent.on("error", (error) => print({ error: String(error?.message ?? error) }));
  const ended = new Promise((end) => agent.on("close", ({ code }) => code === 1000 && end()));
  agent.connect();
  await agent.waitForOpen();
  await ended;
  print({ audio: await heard.inHex() });
}
