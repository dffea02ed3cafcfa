// The operators' page in a real browser, on a service with sessions that were made as backends and clients make them.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { chromium } from "playwright-core";

const { PUBLIC, INTERNAL, BACKEND_KEY, OPERATOR_KEY, API, SCREENSHOTS } = process.env;
const site = INTERNAL.replace("127.0.0.1", "localhost");
const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

const firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
const iphone = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1";
const chrome = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36";

// long is as long as a subject may be, and has no place to break a line.
const long = "x".repeat(255);

let browser, theft;

async function create(subject, agent, ip, more = {}) {
  const answer = await fetch(`${INTERNAL}/v1/sessions`, {
    method: "POST",
    headers: { authorization: `Bearer ${BACKEND_KEY}`, "content-type": "application/json" },
    body: JSON.stringify({ subject, data: {}, ...more, client: { user_agent: agent, ip, ...more.client } }),
  });
  assert.equal(answer.status, 201);
  return answer.json();
}

async function refresh(token, agent, ip) {
  const answer = await fetch(`${PUBLIC}/oauth2/token`, {
    method: "POST",
    headers: { "user-agent": agent, "x-forwarded-for": ip },
    body: new URLSearchParams({ grant_type: "refresh_token", refresh_token: token }),
  });
  return { status: answer.status, ...(await answer.json()) };
}

const current = (token, method = "GET", keep = "") =>
  fetch(`${PUBLIC}/v1/me/sessions${method === "GET" ? "/current" : keep}`, { method, headers: { authorization: `Bearer ${token}` } });

// steal makes a token copied, exchanged by its owner, and presented by the holder of the copy.
async function steal(subject) {
  const first = await create(subject, firefox, "203.0.113.7", { client: { label: "Ada's laptop" } });
  let second;
  do { // a pair is handed out again while it is fresh
    await sleep(200);
    second = await refresh(first.refresh_token, firefox, "203.0.113.7");
    assert.equal(second.status, 200);
  } while (second.refresh_token === first.refresh_token);
  let answer;
  do { // and its predecessor is valid for a grace after it, and until the new one was seen in use
    await sleep(200);
    await current(second.access_token);
    answer = await refresh(first.refresh_token, "python-requests/2.32", "198.51.100.23");
  } while (answer.status === 200);
  assert.equal(answer.error, "invalid_grant");
  return first.session.id;
}

// giveUp puts a job and two deliveries into their state after the last attempt, which takes a day.
const giveUp = () => promisify(execFile)("psql", ["-v", "ON_ERROR_STOP=1", "-qc", `
  INSERT INTO latchkey_river.river_job ("kind", "args", "queue", "state", "max_attempts", "attempt", "finalized_at")
    VALUES ('leak_webhook', '{}', 'leak_webhooks', 'discarded', 34, 34, now());
  INSERT INTO "sessionStoreDelivery" ("endpoint", "session", "event", "type", "at", "facts", "madeAt", "dueAt", "attempts", "deadAt", "lastError")
    SELECT 'crm', '${theft}', gen_random_uuid(), 'session.ended', now() - interval '1 day', '{}', now(), now(), 34, now(), 'the endpoint answered 500' FROM generate_series(1, 2)`]);

before(async () => {
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ["--no-sandbox"] });
  theft = await steal("ada");
  await giveUp();
  const old = await create("ada", iphone, "198.51.100.4", { client: { label: "Ada's phone" } });
  await current(old.access_token, "DELETE", "/current");
  const tablet = await create("ada", chrome, "203.0.113.9");
  const guest = await create(undefined, firefox, "203.0.113.7");
  const desk = await create("ada", firefox, "203.0.113.7", {
    client: { label: "Ada's laptop" }, claims: { tier: "gold", roles: ["buyer"] }, data: { cart: ["tea", "milk"], theme: "dark" },
    replaces: guest.session.id, auth_time: Math.floor(Date.now() / 1000) - 5, acr: "urn:example:gold", amr: ["pwd", "otp"],
  });
  await current(desk.access_token, "DELETE", `/${tablet.session.id}`);
  await create("ada", iphone, "198.51.100.4", { client: { label: "Ada's phone" } });
  await create("ada.lovelace", chrome, "2001:db8::17");
  await create("adam", chrome, "203.0.113.80");
  await create(long, chrome, "203.0.113.81", { client: { label: "x".repeat(60) } });
});
after(() => browser?.close());

// visit opens a page in which nothing may be refused by the policy of the page, and nothing fail.
async function visit(t, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1100, height: 800 }, ...options });
  t.after(() => context.close());
  const page = await context.newPage();
  const trouble = [];
  page.on("console", (message) => message.type() === "error" && !/status of 4\d\d/.test(message.text()) && trouble.push(message.text()));
  page.on("pageerror", (error) => trouble.push(String(error)));
  page.on("request", (request) => request.url().startsWith(site) || trouble.push(`goes to ${request.url()}`));
  t.after(() => assert.deepEqual(trouble, []));
  return page;
}

async function signedIn(t, options, prepare = () => {}) {
  const page = await visit(t, options);
  await prepare(page);
  await page.goto(`${site}/console/`);
  await page.fill("#key", OPERATOR_KEY);
  await page.click("main button");
  await page.waitForSelector("#q");
  return page;
}

// sound has axe look at a page, and a picture be taken.
async function sound(page, picture) {
  const found = await page.evaluate(`${axe}; axe.run({ resultTypes: ["violations"] })`).catch((error) => { throw error; });
  assert.deepEqual(found.violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`), [], page.url());
  const [wide, shown] = await page.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
  assert.ok(wide <= shown, `${page.url()} is ${wide} wide in a window of ${shown}`);
  if (SCREENSHOTS && picture) await page.screenshot({ path: join(SCREENSHOTS, `console-${picture}.png`), fullPage: true });
}

const pages = [
  ["search", "/console/?q=ada"], ["subject", "/console/subject?id=ada"], ["session", null], ["thefts", "/console/thefts"], ["theft", "theft"], ["now", "/console/now"],
  ["by-address", "/console/?q=203.0.113.0%2F24"], ["nothing", "/console/?q=nobody"], ["missing", "/console/nowhere"],
  ["long", `/console/subject?id=${long}`],
];

for (const [look, options, pictures] of [
  ["light", { colorScheme: "light" }, { subject: "subject", session: "session", theft: "theft", now: "now" }],
  ["dark", { colorScheme: "dark" }, { subject: "subject-dark" }],
  ["on a phone", { viewport: { width: 375, height: 720 }, isMobile: true, hasTouch: true }, { subject: "subject-phone" }],
  ["without scripts", { scripts: false }, {}],
]) {
  test(`each page, ${look}`, async (t) => {
    if (options.scripts === false) { // axe is a script, and so is what looks at the width
      const page = await signedIn(t, { javaScriptEnabled: false });
      await page.fill("#q", "ada");
      await page.click(".search button");
      await page.click('.hits a[href="./subject?id=ada"]');
      await page.click(".entry.live .what a");
      assert.match(await page.textContent("main"), /History/);
      await page.click('nav a[href$="/thefts"]');
      await page.click(".entry.theft .what a");
      assert.match(await page.textContent("main"), /Two different clients/);
      await page.click(".who button");
      await page.waitForSelector("#key");
      return;
    }
    const stranger = await visit(t, options);
    await stranger.goto(`${site}/console/`);
    await sound(stranger);
    const page = await signedIn(t, options);
    for (const [name, path] of pages) {
      if (path === null) await page.locator(".entry.live", { hasText: "Ada's laptop" }).first().locator(".what a").click();
      else await page.goto(site + (path === "theft" ? `/console/thefts/${theft}` : path));
      await sound(page, pictures[name]);
      if (name === "subject" || name === "long") {
        await page.locator("summary").first().click();
        await sound(page);
        await page.locator("summary").first().click();
      }
    }
    assert.equal(await page.evaluate(() => document.cookie), "");
  });
}

test("what one types is found while one types", async (t) => {
  const page = await signedIn(t);
  await page.locator("#q").pressSequentially("ada.l");
  await page.waitForSelector('.hits a[href="./subject?id=ada.lovelace"]');
  await page.waitForFunction(() => document.querySelectorAll(".hits li").length === 1);
  assert.equal(await page.inputValue("#q"), "ada.l");
  assert.match(page.url(), /q=ada\.l$/);
  await Promise.all([page.waitForNavigation(), page.keyboard.press("Enter")]);
  assert.deepEqual(await page.locator(".hits a").allTextContents(), ["ada.lovelace"]);
});

test("what was typed before the script came is found as well", async (t) => {
  let typed;
  const wait = new Promise((resolve) => { typed = resolve; });
  const page = await signedIn(t, {}, (page) => page.route("**/search.js", async (route) => {
    await wait;
    await route.continue();
  }));
  await page.locator("#q").pressSequentially("ada.l");
  typed();
  await page.waitForSelector('.hits a[href="./subject?id=ada.lovelace"]');
});

test("by keyboard alone", async (t) => {
  const page = await visit(t);
  await page.goto(`${site}/console/`);
  assert.equal(await page.evaluate(() => document.activeElement.id), "key");
  await page.keyboard.type(OPERATOR_KEY);
  await page.keyboard.press("Enter");
  await page.waitForSelector("#q");
  await page.keyboard.type("ada.lovelace");
  await page.keyboard.press("Enter");
  await page.waitForSelector(".hits a");
  const focus = async (selector) => {
    for (let i = 0; i < 30; i++) {
      if (await page.evaluate((s) => document.activeElement.matches(s), selector)) return;
      await page.keyboard.press("Tab");
    }
    assert.fail(`${selector} cannot be reached`);
  };
  await focus(".hits a");
  await page.keyboard.press("Enter");
  await page.waitForSelector(".entry");
  await focus(".entry summary");
  await page.keyboard.press("Enter");
  await focus(".entry details button");
});

describe("each action", () => {
  for (const javaScriptEnabled of [true, false]) {
    test(javaScriptEnabled ? "with scripts" : "without", async (t) => {
      const subject = `user-${javaScriptEnabled}`;
      const sessions = [];
      for (let i = 0; i < 4; i++) sessions.push(await create(subject, firefox, "203.0.113.7"));
      const live = async () => (await Promise.all(sessions.map(({ access_token: token }) => current(token)))).map(({ status }) => status === 200);
      const page = await signedIn(t, { javaScriptEnabled });
      await page.goto(`${site}/console/sessions/${sessions[0].session.id}`);
      await page.click(".actions > form button");
      assert.match(await page.textContent(".flash"), /1 session has ended/);
      assert.match(await page.textContent("ol.life .acted"), /Ended by the operator “dora”/);
      assert.deepEqual(await live(), [false, true, true, true]);

      await page.goto(`${site}/console/subject?id=${subject}`);
      const kept = page.locator(".entry", { has: page.locator(`a[href="./sessions/${sessions[2].session.id}"]`) });
      await kept.locator("summary").click();
      await kept.locator("details button").click();
      await page.waitForSelector(".flash");
      assert.match(await page.textContent(".flash"), /2 sessions have ended/);
      assert.deepEqual(await live(), [false, false, true, false]);
      await page.reload(); // sends nothing again
      assert.deepEqual(await live(), [false, false, true, false]);

      await page.locator(".summary summary").click();
      await page.locator(".summary button").click();
      assert.match(await page.textContent(".flash"), /1 session has ended/);
      assert.deepEqual(await live(), [false, false, false, false]);
      assert.equal(await page.locator(".entry.live").count(), 0);

      await giveUp();
      await page.goto(`${site}/console/now`);
      for (const [button, said] of [["Send again: job", "The job is tried again"], ["Send again: delivery", "1 delivery is tried again"]]) {
        await page.locator(`button[aria-label^="${button}"]`).first().click();
        assert.match(await page.textContent(".flash"), new RegExp(said));
      }
      await page.getByRole("button", { name: "Send all again" }).click();
      assert.match(await page.textContent(".flash"), /deliver(y is|ies are) tried again/);
      assert.equal(await page.getByRole("button", { name: "Send all again" }).count(), 0);

      await page.click(".who button");
      await page.waitForSelector("#key");
      await page.goBack();
      await page.reload();
      await page.waitForSelector("#key");
    });
  }
});

test("a link signs in once", async (t) => {
  const { stdout } = await promisify(execFile)(API, ["console"], { env: process.env });
  const page = await visit(t);
  await page.goto(stdout.trim());
  await sound(page);
  await page.click("main button");
  await page.waitForSelector("#q");
  await page.goto(stdout.trim());
  await page.click("main button");
  assert.match(await page.textContent("main"), /used before/);
});

test("another site's form is refused", async (t) => {
  const victim = await create("victim", firefox, "203.0.113.7");
  const page = await signedIn(t);
  const elsewhere = await page.context().newPage();
  const answered = elsewhere.waitForResponse((answer) => answer.request().method() === "POST");
  await elsewhere.setContent(`<form method="post" action="${site}/console/sessions/${victim.session.id}/end"><button>x</button></form>`);
  await elsewhere.click("button");
  assert.ok([303, 403].includes((await answered).status())); // without the cookies, a stranger is sent to sign in
  assert.equal((await current(victim.access_token)).status, 200);
});
