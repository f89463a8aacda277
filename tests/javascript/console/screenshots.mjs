// Takes the pictures of docs/console.md: node screenshots.mjs CHROMIUM URL GATEWAY WAV FOLDER
import { chromium } from "playwright-core";

const [executablePath, url, gateway, wav, folder] = process.argv.slice(2);
const FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream", `--use-file-for-fake-audio-capture=${wav}%noloop`];
/** Sessions besides that of the page, and in how many of them something is held. */
const OTHERS = 12;
const HOLDING = 3;

const browser = await chromium.launch({ executablePath, args: FLAGS });
const page = await browser.newPage({ viewport: { width: 1280, height: 800 }, deviceScaleFactor: 1.5 });
page.setDefaultTimeout(60_000);
const take = (name) => page.screenshot({ path: `${folder}/console-${name}.png`, animations: "disabled" });
const agent = page.getByRole("list", { name: "Conversation" }).locator(".agent");
const quiet = () => page.getByText("The turn is free.").waitFor();

await page.goto(`${url}/`);
await page.getByRole("button", { name: "Begin by text" }).click();
await agent.first().waitFor();
await quiet();
await page.getByRole("button", { name: "Microphone" }).click();
await page.waitForTimeout(2_500);
await page.getByRole("button", { name: "Microphone" }).click();
await agent.nth(1).waitFor();
await quiet();
await page.getByRole("button", { name: "Show me" }).click();
await page.getByText("One request is held.").waitFor();
await page.waitForTimeout(2_500);
await page.locator(".lane-requests .held").last().hover();
await take("talk");

await page.emulateMedia({ colorScheme: "dark" });
await page.setViewportSize({ width: 390, height: 844 });
await page.locator(".headline").scrollIntoViewIfNeeded();
await page.evaluate(() => scrollBy(0, document.querySelector(".headline").getBoundingClientRect().top - 20));
await page.getByText("The prompt is changed: PromptUpdated.").waitFor();
await page.locator(".lane-requests .held").last().hover();
await take("phone");

await page.emulateMedia({ colorScheme: "light" });
await page.setViewportSize({ width: 1280, height: 800 });
await page.evaluate(
  ([to, others, holding]) => {
    for (let number = 0; number < others; number += 1) {
      const socket = new WebSocket(to);
      const send = (message) => socket.send(JSON.stringify(message));
      const provider = { type: "open_ai", model: "gpt-realtime-2.1" };
      socket.onopen = () => send({ type: "Settings", audio: {}, agent: { think: { provider } } });
      socket.onmessage = ({ data }) => {
        const { type } = typeof data === "string" ? JSON.parse(data) : {};
        if (type === "SettingsApplied" && number < others / 2) send({ type: "InjectUserMessage", content: "[say 150 words]" });
        if (type === "AgentStartedSpeaking" && number < holding) send({ type: "UpdatePrompt", prompt: "Be brief." });
      };
    }
  },
  [`${gateway}/v1/agent/converse`, OTHERS, HOLDING],
);
await page.getByRole("link", { name: "Fleet" }).click();
await page.locator("td.warn").nth(HOLDING - 1).waitFor();
await take("fleet");
await browser.close();
process.exit(0);
