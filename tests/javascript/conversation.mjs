// A voice agent as users of Deepgram's JavaScript SDK write it: node conversation.mjs URL KEY
//
// It sends its Settings on every Welcome, asks one question that needs a function, answers the call, and prints each
// message of the server as a line of JSON; audio is printed as {"audio": bytes}. It ends after the second reply.
import { DeepgramClient } from "@deepgram/sdk";

const [url, apiKey] = process.argv.slice(2);
const print = (what) => process.stdout.write(`${JSON.stringify(what)}\n`);

const settings = {
  type: "Settings",
  audio: {
    input: { encoding: "linear16", sample_rate: 16000 },
    output: { encoding: "linear16", sample_rate: 24000, container: "none" },
  },
  agent: {
    think: {
      provider: { type: "open_ai", model: "gpt-realtime-2.1" },
      prompt: "Be brief.",
      functions: [{ name: "get_weather", description: "The weather.", parameters: { type: "object", properties: {} } }],
    },
    speak: { provider: { type: "open_ai", model: "gpt-realtime-2.1", voice: "marin" } },
  },
};

const deepgram = new DeepgramClient({ apiKey, baseUrl: url });
const agent = await deepgram.agent.v1.createConnection({ reconnectAttempts: 3 });
let replies = 0;

agent.on("message", (message) => {
  if (message instanceof Blob) {
    print({ audio: message.size });
    return;
  }
  print(message);
  if (message.type === "Welcome") {
    agent.sendSettings(settings);
  } else if (message.type === "SettingsApplied") {
    agent.sendInjectUserMessage({ type: "InjectUserMessage", content: "What is the weather? Call get_weather." });
  } else if (message.type === "FunctionCallRequest") {
    for (const call of message.functions) {
      const answer = { type: "FunctionCallResponse", id: call.id, name: call.name, content: "Sunny." };
      agent.sendFunctionCallResponse(answer);
    }
  } else if (message.type === "AgentAudioDone") {
    replies += 1;
    if (replies === 1) {
      agent.sendInjectUserMessage({ type: "InjectUserMessage", content: "Thank you." });
    } else {
      agent.close();
    }
  }
});
agent.on("error", (error) => print({ error: String(error?.message ?? error) }));
agent.on("close", (event) => {
  print({ closed: event.code });
  process.exit(0);
});
agent.connect();
await agent.waitForOpen();
