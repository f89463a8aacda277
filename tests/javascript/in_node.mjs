// Runs a program whose connection can be cut, in Node: node in_node.mjs PROGRAM CUT PORT KEY PROMPT
//
// Between the program and the server on that port is a relay; `cut` of the program cuts it in the way CUT of `relay.mjs`.
// Each thing that the program prints is a line of JSON; the last one is `{passed: […]}`, the audio that the relay has passed.
import { WebSocket } from "ws";
import { relay } from "./relay.mjs";

const [program, cut, port, apiKey, prompt] = process.argv.slice(2);
const print = (what) => process.stdout.write(`${JSON.stringify(what)}\n`);

globalThis.WebSocket = WebSocket;
const { converse } = await import(`./programs/${program}.mjs`);
const between = await relay(Number(port));
await converse({ url: `ws://127.0.0.1:${between.port}`, apiKey, prompt, print, cut: between.cuts[cut] });
print({ passed: between.passed() });
// After the last line is written: `exit` alone would cut it off.
process.stdout.write("", () => process.exit(0));
