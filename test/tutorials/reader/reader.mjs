// Follows a tutorial's steps in a browser. Each line of standard input is a step's words; each is
// answered with a line: `done`, or what went wrong.
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ["--no-sandbox"] });
const page = await browser.newPage();
page.setDefaultTimeout(60_000);

// A reader's device asks for a finger, a face or a PIN. This one is always content.
const device = await page.context().newCDPSession(page);
await device.send("WebAuthn.enable");
await device.send("WebAuthn.addVirtualAuthenticator", {
  options: { protocol: "ctap2", transport: "internal", hasResidentKey: true, hasUserVerification: true, isUserVerified: true, automaticPresenceSimulation: true },
});

const steps = [
  [/^Open <(\S+)>$/, (url) => page.goto(url)],
  [/^Type `([^`]+)` into \*\*([^*]+)\*\*$/, (text, field) =>
    page.getByLabel(field, { exact: true }).or(page.getByPlaceholder(field, { exact: true })).fill(text)],
  [/^Press \*\*([^*]+)\*\*$/, (button) => page.getByRole("button", { name: button, exact: true }).click()],
  [/^The page says `([^`]+)`$/, (text) => page.getByText(text, { exact: true }).first().waitFor()],
  [/^Picture (.+)$/, async (path) => {
    await page.setViewportSize({ width: 640, height: 160 });
    await page.screenshot({ path });
  }],
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
