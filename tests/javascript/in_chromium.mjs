// Runs a program whose connection can be cut, in a page: node in_chromium.mjs CHROMIUM PROGRAM CUT PORT KEY PROMPT
//
// As in_node.mjs, in the browser with that path, headless and with a profile of its own. The page comes from a web server
// that ends with this process. `@deepgram/sdk` is the bundle for browsers that its package ships.
import { readFile } from "node:fs/promises";
import http from "node:http";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";
import { relay } from "./relay.mjs";

const [executablePath, program, cut, port, apiKey, prompt] = process.argv.slice(2);
const print = (what) => process.stdout.write(`${JSON.stringify(what)}\n`);

const ROOT = new URL("../../", import.meta.url);
const BUNDLE = "/tests/javascript/node_modules/@deepgram/sdk/dist/browser/index.global.js";
const FLAGS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
const PAGE = `<!doctype html>
<title>A page with a voice agent</title>
<link rel="icon" href="data:,">
<script src="${BUNDLE}"></script>
<script type="importmap">{ "imports": { "@deepgram/sdk": "/sdk.mjs" } }</script>`;
const MADE = {
  "/": ["text/html", PAGE],
  "/sdk.mjs": ["text/javascript", "export const { DeepgramClient } = globalThis.Deepgram;"],
};

const server = http.createServer(async (request, response) => {
  try {
    // The path of a URL cannot lead out of the root.
    const { pathname } = new URL(request.url, "http://page");
    const [type, body] = MADE[pathname] ?? ["text/javascript", await readFile(fileURLToPath(new URL(`.${pathname}`, ROOT)))];
    response.writeHead(200, { "content-type": type }).end(body);
  } catch {
    response.writeHead(404).end();
  }
});
await new Promise((listening) => server.listen(0, "127.0.0.1", listening));

const between = await relay(Number(port));
const browser = await chromium.launch({ executablePath, args: FLAGS });
const page = await browser.newPage();
page.on("pageerror", (error) => print({ error: String(error) }));
page.on("console", (line) => process.stderr.write(`${line.text()}\n`));
await page.exposeFunction("print", print);
await page.exposeFunction("cut", between.cuts[cut]);
await page.goto(`http://127.0.0.1:${server.address().port}/`);
await page.evaluate(
  async ([path, given]) => {
    const { converse } = await import(path);
    const printed = [];
    await converse({ ...given, print: (what) => printed.push(globalThis.print(what)), cut: globalThis.cut });
    await Promise.all(printed);
  },
  [`/tests/javascript/programs/${program}.mjs`, { url: `ws://127.0.0.1:${between.port}`, apiKey, prompt }],
);
await browser.close();
print({ passed: between.passed() });
// After the last line is written: `exit` alone would cut it off.
process.stdout.write("", () => process.exit(0));
