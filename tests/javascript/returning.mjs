// An unchanged program on Deepgram's JavaScript SDK whose connection is cut between two replies: node returning.mjs PORT KEY
//
// It sends its Settings on every Welcome, as such programs do. Between it and the server is a relay that is cut once.
// Each message of the server is printed as a line of JSON.
import { DeepgramClient } from "@deepgram/sdk";
import { relay } from "./relay.mjs";

const [port, apiKey] = process.argv.slice(2);
const print = (what) => process.stdout.write(`${JSON.stringify(what)}\n`);

const between = await relay(Number(port));

const settings = {
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

const deepgram = new DeepgramClient({ apiKey, baseUrl: `ws://127.0.0.1:${between.port}` });
const agent = await deepgram.agent.v1.createConnection({ reconnectAttempts: 10 });
let applied = 0;
let replies = 0;
let wasCut = false;

agent.on("message", (message) => {
  if (message instanceof Blob) {
    return;
  }
  print(message);
  if (message.type === "Welcome") {
    agent.sendSettings(settings);
  } else if (message.type === "SettingsApplied") {
    applied += 1;
    if (applied === 2) {
      agent.sendInjectUserMessage({ type: "InjectUserMessage", content: "What are your instructions?" });
    }
  } else if (message.type === "PromptUpdated" && !wasCut) {
    // Before the answer to the ping that follows can arrive: it is sent again.
    wasCut = true;
    between.cuts.reset();
  } else if (message.type === "AgentAudioDone") {
    replies += 1;
    if (replies === 1) {
      agent.sendUpdatePrompt({ type: "UpdatePrompt", prompt: "Mind the cat." });
    } else {
      agent.close();
    }
  }
});
agent.on("error", () => {});
agent.on("close", (event) => {
  if (event.code === 1000) {
    process.exit(0);
  }
});
agent.connect();
await agent.waitForOpen();
