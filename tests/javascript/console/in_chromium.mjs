// Uses the console as a person does: node in_chromium.mjs CHROMIUM URL WAV [KEY]
//
// In the browser with that path, headless and with a profile of its own; WAV is what its microphone hears. Each thing that is
// seen is printed as a line of JSON, and so is everything that a browser complains about.
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const [executablePath, url, wav, key] = process.argv.slice(2);
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
  `--use-file-for-fake-audio-capture=${wav}%noloop`,
];

const browser = await chromium.launch({ executablePath, args: FLAGS });
const page = await browser.newPage({ viewport: { width: 1280, height: 900 }, acceptDownloads: true });
page.setDefaultTimeout(20_000);
page.on("pageerror", (error) => print({ complaint: String(error) }));
page.on("console", (line) => line.type() === "error" && print({ complaint: line.text() }));
page.on("request", (request) => request.url().startsWith(url) || request.url().startsWith("blob:") || print({ elsewhere: request.url() }));

const labels = (selector) => page.locator(selector).evaluateAll((found) => found.map((one) => one.getAttribute("aria-label")));
const says = (text) => page.getByRole("list", { name: "Conversation" }).getByText(text).last().waitFor();

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
} else {
  await accessible("begin");
  await page.getByRole("button", { name: "Begin by text" }).click();
  await says("Hello! How can I help you?");

  await page.getByRole("button", { name: "Show me" }).click();
  await page.getByText("One request is held.").waitFor();
  print({ headline: await page.locator(".headline").textContent() });
  await says("The prompt is changed: PromptUpdated.");
  await page.locator('.lane-requests .settled[aria-label*="a change of the configuration"]').nth(1).waitFor();
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

  await page.getByRole("button", { name: "Cut connection" }).click();
  await says("Connected again, to the same conversation.");
  await page.getByText("1 to the model, 2 of the client").waitFor();
  await page.getByLabel("Message", { exact: true }).last().fill('[call get_weather {"city": "Oslo"}]');
  await page.keyboard.press("Enter");
  await says("get_weather answered");
  await page.getByRole("list", { name: "Conversation" }).locator(".agent", { hasText: "snow" }).waitFor();
  await page.locator(".lane-calls .call").waitFor();
  print({ calls: await labels(".lane-calls .item") });

  await page.getByRole("button", { name: "Microphone" }).click();
  await page.locator(".lane-user .user-speaking").first().waitFor();
  await page.getByRole("list", { name: "Conversation" }).locator(".user", { hasText: "(speech" }).first().waitFor();
  await page.getByRole("button", { name: "Microphone" }).click();
  print({ spoken: (await labels(".lane-user .item"))[0] });

  await page.getByRole("link", { name: "Fleet" }).click();
  await page.locator("tbody tr a").first().waitFor();
  const session = await page.locator("tbody tr a").first().textContent();
  await page.getByText("client-events").waitFor();
  await page.getByRole("button", { name: /Held > 5 s/ }).click();
  print({ filtered: await page.locator(".count").textContent() });
  await page.getByRole("button", { name: /^All/ }).click();
  await page.getByLabel("Search sessions").fill(session.slice(0, 8));
  print({ found: await page.locator("tbody tr a").first().textContent() === session });
  await accessible("fleet");

  await page.locator("tbody tr a").first().click();
  await page.getByText("The turn is free.").waitFor();
  await accessible("turn");

  await page.getByRole("link", { name: "Talk", exact: true }).click();
  await page.getByRole("button", { name: "End", exact: true }).click();
  await says("The conversation has ended.");
  await page.getByText("The session is over.", { exact: true }).first().waitFor();
  print({ ended: true });
}
await browser.close();
process.stdout.write("", () => process.exit(0));
