// A visitor of the demo: signs in, shops, breaks the network, and signs out elsewhere. With SCREENSHOTS it takes pictures.
import assert from "node:assert/strict";
import { test } from "node:test";
import { chromium } from "playwright-core";

const { DEMO, SCREENSHOTS } = process.env;

test("the demo", { timeout: 180_000 }, async (t) => {
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
  t.after(() => browser.close());
  const context = await browser.newContext({ viewport: { width: 1100, height: 720 } });
  const page = await context.newPage();
  const errors = [];
  page.on("pageerror", (error) => errors.push(error));
  page.on("console", (message) => message.type() === "error" && message.text().includes("404") && errors.push(message.text()));
  const picture = (name) => SCREENSHOTS && page.screenshot({ path: `${SCREENSHOTS}/${name}.png`, fullPage: true });
  const press = (name) => page.getByRole("button", { name, exact: true }).click();
  const sees = (text) => page.getByText(text).first().waitFor();

  await page.goto(DEMO);
  await sees("Nobody is signed in.");
  await page.keyboard.press("Tab"); // to the name, without a mouse
  await page.keyboard.press("Enter");
  await sees("ada is signed in");
  await press("An apple");
  await press("A kettle");
  await page.locator("#cart li").nth(1).waitFor();
  await press("Sign in on another device");
  await page.locator("#devices tr").nth(1).waitFor();
  await sees("the tokens were replaced");
  await picture("demo");
  await page.setViewportSize({ width: 320, height: 640 }); // a small phone
  assert.ok((await page.evaluate(() => document.documentElement.scrollWidth)) <= 320);
  await page.setViewportSize({ width: 1100, height: 720 });
  const colours = () => page.evaluate(() => ["body", "section", "button"].map((part) => getComputedStyle(document.querySelector(part)).backgroundColor));
  const light = await colours();
  await page.emulateMedia({ colorScheme: "dark" });
  const dark = await colours();
  assert.ok(light.every((colour, i) => colour !== dark[i]), `${light} and ${dark}`);
  await page.emulateMedia({ colorScheme: "light" });

  await press("is down");
  await sees("the network is down");
  await press("A book");
  await page.locator("#log").getByText(/adding: book: (?!done)/).waitFor();
  assert.equal(await page.evaluate(() => document.body.dataset.status), "signed-in");
  await picture("demo-network");
  await press("loses every other answer");
  await sees("the network loses every other answer");
  const kept = () => page.evaluate(() => document.getElementById("token").textContent);
  const before = await kept();
  await page.waitForFunction((before) => document.getElementById("token").textContent !== before, before, { timeout: 60_000 });
  await press("works");

  await page.getByRole("button", { name: "Sign out elsewhere" }).click();
  await page.waitForFunction(() => document.querySelectorAll("#devices tr").length === 1);
  const second = await context.newPage();
  await second.goto(DEMO);
  await second.getByText("ada is signed in").waitFor();
  await press("Sign out here");
  await sees("Nobody is signed in.");
  await second.getByText("Nobody is signed in.").waitFor();
  assert.deepEqual(errors, []);
});
