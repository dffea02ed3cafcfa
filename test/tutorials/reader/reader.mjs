// Does what a tutorial tells its reader to do in a browser. Each line of standard input is a step's words; each is
// answered with a line: `done`, or what went wrong.
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ["--no-sandbox"] });
const page = await browser.newPage();
page.setDefaultTimeout(60_000);

const steps = [
  [/^Open <(\S+)>$/, (url) => page.goto(url)],
  [/^Type `([^`]+)` into \*\*([^*]+)\*\*$/, (text, field) =>
    page.getByLabel(field, { exact: true }).or(page.getByPlaceholder(field, { exact: true })).fill(text)],
  [/^Press \*\*([^*]+)\*\*$/, (button) => page.getByRole("button", { name: button, exact: true }).click()],
  [/^The page says `([^`]+)`$/, (text) => page.getByText(text, { exact: true }).first().waitFor()],
];

async function take(words) {
  for (const [form, act] of steps) {
    const found = form.exec(words);
    if (found) return act(...found.slice(1));
  }
  throw new Error("no such step is known");
}

for await (const words of createInterface({ input: process.stdin })) {
  try {
    await take(words);
    console.log("done");
  } catch (error) {
    const shown = await page.locator("body").innerText({ timeout: 5000 }).catch(() => "");
    console.log(JSON.stringify(`${error.message}; the page at ${page.url()} shows: ${shown}`));
  }
}
await browser.close();
