// A page's program on turngate's own module, whose connection is cut in the middle of a reply: node resuming.mjs PORT
//
// Prints each message of the server, and what the module says, as a line of JSON; audio is added up.
import net from "node:net";
import { WebSocket } from "ws";
import { ResumingSocket } from "../../turngate/console/resume.js";

globalThis.WebSocket = WebSocket;
const [port] = process.argv.slice(2);
const print = (what) => process.stdout.write(`${JSON.stringify(what)}\n`);

const pairs = new Set();
const proxy = net.createServer((client) => {
  const server = net.connect(Number(port), "127.0.0.1");
  pairs.add([client, server]);
  client.pipe(server).pipe(client);
  client.on("error", () => server.destroy());
  server.on("error", () => client.destroy());
});
await new Promise((listening) => proxy.listen(0, "127.0.0.1", listening));

const agent = new ResumingSocket(`ws://127.0.0.1:${proxy.address().port}/v1/agent/converse`);
const say = (message) => agent.send(JSON.stringify(message));
let audio = 0;
let heard = 0;
let replies = 0;

agent.addEventListener("message", ({ data }) => {
  if (typeof data !== "string") {
    audio += data.byteLength;
    heard += 1;
    if (heard === 3 && replies === 0) {
      for (const pair of pairs) {
        pair.forEach((socket) => socket.resetAndDestroy());
      }
      pairs.clear();
      // Said while there is no connection.
      setTimeout(() => say({ type: "InjectUserMessage", content: "Are you there?" }), 50);
    }
    return;
  }
  const message = JSON.parse(data);
  print(message);
  if (message.type === "Welcome" && message.resumed === undefined) {
    const think = { provider: { type: "open_ai", model: "gpt-realtime-2.1" }, prompt: "Be brief." };
    say({ type: "Settings", audio: { input: { encoding: "linear16", sample_rate: 16000 } }, agent: { think } });
  } else if (message.type === "SettingsApplied") {
    say({ type: "InjectUserMessage", content: "[say 40 words]" });
  } else if (message.type === "AgentAudioDone") {
    replies += 1;
    if (replies === 2) {
      print({ audio });
      agent.close();
    }
  }
});
agent.addEventListener("resumed", ({ detail }) => print({ returned: detail.resumed }));
agent.addEventListener("close", ({ detail }) => {
  print({ closed: detail.code });
  process.exit(0);
});
