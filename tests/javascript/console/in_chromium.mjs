// Uses the console as a person does: node in_chromium.mjs CHROMIUM URL WAV [ADMIN_KEY API_KEY]
//
// In the browser with that path, headless and with a profile of its own; WAV is what its microphone hears. Each thing that is
// seen is printed as a line of JSON, and so is everything that a browser complains about.
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const [executablePath, url, wav, key, apiKey] = process.argv.slice(2);
const print = (what) => process.stdout.write(`${JSON.stringify(what)}\n`);
const AXE = await readFile(fileURLToPath(new URL("../node_modules/axe-core/axe.min.js", import.meta.url)), "utf8");
const FLAGS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--use-fake-device-for-media-stream",
  "--use-fake-ui-for-media-stream",
  `--use-file-for-fake-audio-capture=${wav}`,
];

const browser = await chromium.launch({ executablePath, args: FLAGS });
const page = await browser.newPage({ viewport: { width: 1280, height: 900 }, acceptDownloads: true });
page.setDefaultTimeout(20_000);
page.on("pageerror", (error) => print({ complaint: String(error) }));
// A gateway that was killed is not there for a while, which the browser says itself.
const away = /WebSocket connection to .* failed/;
page.on("console", (line) => line.type() === "error" && !away.test(line.text()) && print({ complaint: line.text() }));
page.on("websocket", (socket) => key && print({ socket: socket.url() }));
page.on("request", (request) => key && print({ requested: request.url() }));
page.on("request", (request) => key || request.url().startsWith(url) || request.url().startsWith("blob:") || print({ elsewhere: request.url() }));

const labels = (selector) => page.locator(selector).evaluateAll((found) => found.map((one) => one.getAttribute("aria-label")));
const says = (text) => page.getByRole("list", { name: "Conversation" }).getByText(text).last().waitFor();

/** Whether the agent is heard, and when the user was first said to speak. */
await page.addInitScript(() => {
  const make = AudioContext.prototype.createGain;
  AudioContext.prototype.createGain = function () {
    const gain = make.call(this);
    globalThis.analyser = new AnalyserNode(this, { fftSize: 128 });
    gain.connect(globalThis.analyser);
    return gain;
  };
  globalThis.loudness = () => {
    const samples = new Float32Array(128);
    globalThis.analyser.getFloatTimeDomainData(samples);
    return Math.max(...samples.map(Math.abs));
  };
  const media = MediaDevices.prototype.getUserMedia;
  globalThis.tracks = [];
  MediaDevices.prototype.getUserMedia = async function (asked) {
    const stream = await media.call(this, asked);
    globalThis.tracks.push(...stream.getTracks());
    return stream;
  };
  globalThis.WebSocket = class extends WebSocket {
    constructor(...given) {
      super(...given);
      globalThis.protocols = given[1];
      this.addEventListener("message", ({ data }) => {
        if (typeof data === "string" && data.includes("UserStartedSpeaking")) globalThis.startedSpeaking ??= performance.now();
      });
    }
  };
});

/** What axe finds on the page, in light and in dark, on a desk and on a phone. */
async function accessible(name) {
  for (const [colorScheme, width] of [["light", 1280], ["dark", 390]]) {
    await page.emulateMedia({ colorScheme });
    await page.setViewportSize({ width, height: 900 });
    await page.evaluate(AXE);
    const { violations } = await page.evaluate(() => globalThis.axe.run({ runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"] }));
    for (const { id, nodes } of violations) print({ violation: `${name}, ${colorScheme}: ${id}: ${nodes[0].html.slice(0, 200)} ${nodes[0].failureSummary}` });
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    if (wide > 0) print({ violation: `${name}: ${wide} pixels wider than the screen of ${width}` });
  }
  await page.setViewportSize({ width: 1280, height: 900 });
  print({ accessible: name });
}

/** The fleet of so many sessions, and the longest times in milliseconds between two pictures while it is read again and again. */
async function manySessions(number) {
  const [one] = (await page.evaluate(() => fetch("/sessions").then((answer) => answer.json()))).sessions;
  const sessions = Array.from({ length: number }, (_, at) => ({ ...one, session: `session-${at}`, gateway: `gateway-${at % 7}` }));
  sessions[number - 1] = { ...sessions[number - 1], began_at_ms: 0, ends_at_ms: 600_000, ends_in_ms: 30_000, requests_percent: 90 };
  let reads = 0;
  await page.route("**/sessions", (route) => {
    reads += 1;
    const changed = sessions.map((session, at) => ({ ...session, slot: (at + reads) % 2 ? "active" : "idle", heartbeat_ms_ago: at + reads }));
    return route.fulfill({ json: { sessions: changed } });
  });
  await page.getByRole("link", { name: "Fleet" }).click();
  await page.getByText(`${number - 100} more match`).waitFor();
  const [gaps, tasks] = await page.evaluate(() => new Promise((resume) => {
    const found = [];
    const tasks = [];
    new PerformanceObserver((list) => tasks.push(...list.getEntries().map(({ duration }) => duration))).observe({ type: "longtask" });
    const began = performance.now();
    let last = began;
    requestAnimationFrame(function frame(now) {
      found.push(now - last);
      last = now;
      if (now - began < 9_000) requestAnimationFrame(frame);
      else resume([found.slice(1).sort((a, b) => b - a), tasks]);
    });
  }));
  await page.getByRole("button", { name: /^Near a limit/ }).click();
  await page.waitForFunction(() => document.querySelectorAll("tbody tr a").length === 1);
  print({ near: await page.locator("tbody tr").first().textContent() });
  await page.unroute("**/sessions");
  return { reads, longest: gaps.slice(0, 3), median: gaps[gaps.length >> 1], tasks };
}

async function download(button) {
  const [file] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: button, exact: true }).click()]);
  return { name: file.suggestedFilename(), text: await readFile(await file.path(), "utf8") };
}

await page.goto(`${url}/`);
if (key) {
  await page.goto(`${url}/console/#/fleet`);
  const dialog = page.getByRole("dialog", { name: "Admin key" });
  await dialog.waitFor();
  print({ asked: await dialog.textContent() });
  await dialog.getByLabel("Key", { exact: false }).fill(key);
  await dialog.getByRole("button", { name: "Continue" }).click();
  await page.getByText("live", { exact: true }).waitFor();
  print({ admitted: await page.getByRole("heading", { name: "Live sessions" }).isVisible() });
  await page.getByRole("link", { name: "Talk", exact: true }).click();
  await page.getByText("Functions, protocol and key").click();
  await page.getByLabel("API key or token").fill("not-the-key");
  await page.getByRole("button", { name: "Begin by text" }).click();
  await page.getByRole("alert").getByText("The gateway refuses the key").waitFor();
  await page.getByLabel("API key or token").fill(apiKey);
  await page.getByRole("button", { name: "Begin by text" }).click();
  await says("Hello! How can I help you?");
  await page.getByText("1 to the model, 1 of the client").waitFor();
  print({ protocols: await page.evaluate(() => globalThis.protocols) });
  await page.getByRole("button", { name: "Cut connection" }).click();
  await says("Connected again, to the same conversation.");
  print({ stored: await page.evaluate(() => [localStorage.length, sessionStorage.length, document.cookie, location.href, document.documentElement.outerHTML]) });
  await page.goto(`${url}/console/#/turn/%E0%A4%A`);
  await page.reload();
  await dialog.waitFor();
  print({ malformed: await page.getByRole("heading", { name: "The turn, live", includeHidden: true }).count() });
} else {
  await accessible("begin");
  await page.getByText("Functions, protocol and key").click();
  const functions = page.getByLabel("Functions, with prepared answers");
  const described = JSON.parse(await functions.inputValue());
  described.functions.push({ name: "ask_someone", parameters: { type: "object" } });
  await functions.fill(JSON.stringify(described));
  await page.getByRole("button", { name: "Begin by text" }).click();
  await says("Hello! How can I help you?");

  await page.getByRole("button", { name: "Show me" }).click();
  // Held at first because the reply is asked for, and then because it is active.
  await page.getByText("The agent has the turn. One request is held.").waitFor();
  print({ headline: await page.locator(".headline").textContent() });
  await says("The prompt is changed: PromptUpdated.");
  const held = await page.locator('.lane-requests .held[aria-label*="a change of the configuration"]').last().getAttribute("aria-label");
  await page.locator(`.lane-requests .settled[aria-label^="${held.split(",")[0]},"]`).waitFor();
  print({ requests: await labels(".lane-requests .item") });
  print({ agent: await labels(".lane-agent .item") });
  print({ messages: await labels(".lane-messages .item") });
  await accessible("conversation");

  await page.locator('.lanes [tabindex="0"]').focus();
  await page.keyboard.press("ArrowUp");
  await page.keyboard.press("Home");
  const focused = await page.evaluate(() => [document.activeElement.getAttribute("class"), document.activeElement.getAttribute("aria-label")]);
  print({ keyboard: focused, explained: await page.locator(".explanation").textContent() });
  await page.locator(".lane-requests .held").last().hover();
  print({ hovered: await page.locator(".explanation").textContent() });

  await page.getByLabel("Lane to export").selectOption("requests");
  print({ svg: await download("SVG") });
  print({ json: await download("JSON") });

  const message = page.locator(".lane-messages .message-sent").last();
  await message.focus();
  await page.keyboard.press("Enter");
  print({ message: JSON.parse(await page.getByRole("region", { name: "The message" }).textContent()) });

  await page.getByRole("button", { name: "Cut connection" }).click();
  await says("Connected again, to the same conversation.");
  await page.getByText("1 to the model, 2 of the client").waitFor();
  await page.getByRole("button", { name: "Cut model" }).click();
  await says("The connections to the model are cut.");
  await page.getByText("2 to the model, 2 of the client").waitFor();
  await page.getByRole("button", { name: "Kill translator" }).click();
  await says(/translator-\d is killed, and started again/);
  const gateway = await page.locator(".facts").textContent();
  await page.getByRole("button", { name: "Kill gateway" }).click();
  await page.getByRole("list", { name: "Conversation" }).getByText("Connected again, to the same conversation.").nth(1).waitFor();
  await page.getByText(", epoch 1").waitFor();
  print({ moved: await page.locator(".facts").textContent() !== gateway });
  await page.getByLabel("Message", { exact: true }).last().fill('[call get_weather {"city": "Oslo"}]');
  await page.keyboard.press("Enter");
  await says("get_weather answered");
  await page.getByRole("list", { name: "Conversation" }).locator(".agent", { hasText: "snow" }).waitFor();
  await page.locator(".lane-calls .call").waitFor();
  print({ calls: await labels(".lane-calls .item") });

  await page.getByLabel("Message", { exact: true }).last().fill('[call ask_someone {"what": "<img src=x onerror=alert(1)>"}]');
  await page.keyboard.press("Enter");
  await page.getByLabel("Result of ask_someone").fill('{"said": "by a person"}');
  await page.keyboard.press("Enter");
  await page.getByRole("list", { name: "Conversation" }).locator(".agent", { hasText: "by a person" }).waitFor();
  print({ images: await page.locator("li img").count() });

  // The reply arrives five times as fast as it is heard, so that most of it waits when the user speaks.
  await page.getByLabel("Message", { exact: true }).last().fill("Tell me a story. [say 60 words]");
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => globalThis.loudness() > 0.01);
  await page.getByRole("button", { name: "Microphone" }).click();
  const quiet = await page.evaluate(async () => {
    const next = () => new Promise((resume) => setTimeout(resume, 4));
    while (globalThis.startedSpeaking === undefined) await next();
    // A tone is near zero twice in each of its periods; ten looks at 5 ms of it are not.
    for (let since = performance.now(), looks = 0; ; ) {
      if (globalThis.loudness() > 0.001) [since, looks] = [performance.now(), 0];
      else looks += 1;
      if (looks === 10) return since - globalThis.startedSpeaking;
      await next();
    }
  });
  print({ quiet });
  await page.locator(".lane-heard .interrupted").waitFor();
  print({ heard: await labels(".lane-heard .interrupted") });
  await page.locator(".lane-user .user-speaking").first().waitFor();
  await page.getByRole("button", { name: "Microphone" }).click();
  await page.getByRole("list", { name: "Conversation" }).locator(".user", { hasText: "(speech" }).first().waitFor();
  // An impatient person clicks twice, and the conversation may end before the microphone is there.
  const pressed = (is) => page.locator(`button[aria-pressed="${is}"]`, { hasText: "Microphone" }).waitFor();
  const button = page.getByRole("button", { name: "Microphone" });
  await button.evaluate((one) => [one.click(), one.click()]);
  await pressed(true);
  await button.click();
  await pressed(false);
  print({ open: await page.evaluate(() => [globalThis.tracks.length, globalThis.tracks.filter(({ readyState }) => readyState === "live").length]) });
  print({ spoken: (await labels(".lane-user .item"))[0] });

  await page.getByRole("link", { name: "Fleet" }).click();
  await page.locator("tbody tr a").first().waitFor();
  const session = await page.locator("tbody tr a").first().textContent();
  await page.getByText("client-events").waitFor();
  await page.getByRole("button", { name: /Held > 5 s/ }).click();
  print({ filtered: await page.locator('.count[role="status"]').textContent() });
  await page.getByRole("button", { name: /^All/ }).click();
  await page.getByLabel("Search sessions").fill(session.slice(0, 8));
  print({ used: await page.locator("tbody tr").first().locator("td").nth(3).textContent() });
  print({ found: await page.locator("tbody tr a").first().textContent() === session });
  await accessible("fleet");

  await page.locator("tbody tr a").first().click();
  // A row of the page before says the same.
  await page.locator(".facts").getByText("tokens in").waitFor();
  await page.getByText("The turn is free.").waitFor();
  print({ facts: await page.locator(".facts").textContent() });
  await page.getByText("What was said", { exact: true }).click();
  const said = page.getByRole("list", { name: "What was said" });
  await said.getByText('{"said": "by a person"}').first().waitFor();
  print({ said: await said.getByRole("listitem").allTextContents(), markup: await said.locator("img").count() });
  await page.getByText("The configuration in force", { exact: true }).click();
  print({ configuration: JSON.parse(await page.getByRole("region", { name: "The configuration in force" }).textContent()) });
  await accessible("turn");
  print({ frames: await manySessions(1_000) });

  await page.getByRole("link", { name: "Talk", exact: true }).click();
  await page.getByRole("button", { name: "End", exact: true }).waitFor();
  await page.evaluate(() => ["Microphone", "End"].map((name) => [...document.querySelectorAll("button")].find((one) => one.textContent === name).click()));
  await says("The conversation has ended.");
  await page.waitForFunction(() => globalThis.tracks.length === 3 && globalThis.tracks.every(({ readyState }) => readyState === "ended"));
  await page.getByText("The session is over.", { exact: true }).first().waitFor();
  print({ ended: true });
}
await browser.close();
process.stdout.write("", () => process.exit(0));
