// Callers on Deepgram's JavaScript SDK, as many as asked for, in one process: node callers.mjs URL COUNT TURNS GREETING
//
// Each asks one question after the other, at least TURNS of them, until something is written to standard input; by then
// its gateway may have gone any number of times. The SDK reconnects by itself; each sends its Settings on every Welcome.
// A line `{"step": true}` is printed after the greeting and after each answer, and at the end one line for each caller.
import { randomBytes } from "node:crypto";
import { DeepgramClient } from "@deepgram/sdk";

const [url, count, turns, greeting] = process.argv.slice(2);
const print = (what) => process.stdout.write(`${JSON.stringify(what)}\n`);

const SETTINGS = {
  type: "Settings",
  audio: {
    input: { encoding: "linear16", sample_rate: 24000 },
    output: { encoding: "linear16", sample_rate: 24000, container: "none" },
  },
  agent: {
    think: { provider: { type: "open_ai", model: "gpt-realtime-2.1" }, prompt: "Be kind." },
    greeting,
  },
};
// The SDK tries again after one to five seconds, and gives up after an attempt that is refused.
const GIVEN_UP_MS = 30_000;

let enough = false;
process.stdin.once("data", () => (enough = true));

async function call() {
  const mark = randomBytes(6).toString("hex");
  const account = {
    mark, cut: false, unknown: 0, greeted: 0, answered: 0, said: [], away: [], recovered: 0, errors: [], askedAgain: [],
  };
  const agent = await new DeepgramClient({ apiKey: "unused", baseUrl: url }).agent.v1.createConnection({
    reconnectAttempts: 100,
  });
  let asked = false;
  let accepted = false;
  let returned = false;
  let lostAt = null;
  let givingUp = null;
  let end;
  const ended = new Promise((resolve) => (end = resolve));
  const giveUp = () => {
    account.cut = true;
    agent.close();
    end();
  };

  const ask = () => {
    try {
      agent.sendInjectUserMessage({ type: "InjectUserMessage", content: `${mark}-${account.answered}.` });
      asked = true;
    } catch {
      // The connection is lost: it is asked when the client is back.
    }
  };
  let asking = null;
  const askSoon = () => {
    // One question at a time: the turn that was to be asked again may be answered meanwhile.
    clearTimeout(asking);
    asking = setTimeout(ask, 100 + 300 * Math.random());
  };
  const isAnswered = () => {
    if (!accepted) {
      return account.answered === 0; // That was the greeting.
    }
    if (!account.said.join(" ").includes(`${mark}-${account.answered}.`)) {
      return false;
    }
    account.answered += 1;
    asked = accepted = false;
    return true;
  };

  const handlers = {
    Welcome(message) {
      if (lostAt !== null) {
        account.away.push((Date.now() - lostAt) / 1000);
        lostAt = null;
        clearTimeout(givingUp);
        returned = true;
        if (!message.resumed) {
          account.unknown += 1;
          giveUp();
          return;
        }
      }
      account.recovered += "recovered" in message;
      agent.sendSettings(SETTINGS);
    },
    SettingsApplied() {
      if (returned && !accepted && account.greeted) {
        if (asked) {
          account.askedAgain.push(account.answered);
        }
        askSoon();
      }
    },
    ConversationText(message) {
      if (message.role === "user") {
        accepted = true;
      } else if (message.content === greeting) {
        account.greeted += 1;
      } else {
        account.said.push(message.content);
      }
    },
    AgentAudioDone() {
      if (!account.greeted || !isAnswered()) {
        return;
      }
      print({ step: true });
      if (enough && account.answered >= Number(turns)) {
        agent.close();
        end();
      } else {
        askSoon();
      }
    },
    Error(message) {
      account.errors.push(message.code);
    },
  };

  agent.on("message", (message) => {
    if (!(message instanceof Blob)) {
      handlers[message.type]?.(message);
    }
  });
  agent.on("error", () => {});
  agent.on("close", () => {
    if (lostAt === null) {
      lostAt = Date.now();
      givingUp = setTimeout(giveUp, GIVEN_UP_MS);
    }
  });
  agent.connect();
  await ended;
  clearTimeout(givingUp);
  return account;
}

const accounts = await Promise.all(Array.from({ length: Number(count) }, call));
accounts.forEach(print);
// After the last line is written: `exit` alone would cut it off.
process.stdout.write("", () => process.exit(0));
