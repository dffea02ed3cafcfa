// The shop in a real browser. Its access tokens last for two seconds.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { chromium } from "playwright-core";

const { SHOP: shop, CONTROL: control, PARENT: parent } = process.env;
let browser;

// The process that started the test may have been killed: then the shop is gone, and nobody waits for the outcome.
const runner = process.ppid;
setInterval(() => {
  try {
    if (parent) process.kill(Number(parent), 0);
    if (process.ppid === runner) return;
  } catch {}
  process.exit(1);
}, 500).unref();

before(async () => {
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ["--no-sandbox"] });
});
after(() => browser?.close());

async function visitor(t) {
  const context = await browser.newContext();
  t.after(() => context.close());
  const open = async () => {
    const tab = await context.newPage();
    await tab.goto(shop);
    return tab;
  };
  return { context, open, tab: await open() };
}

const user = (tab) => tab.textContent("#user");
const items = (tab) => tab.locator("li").allTextContents();

async function submit(tab, form, value) {
  if (value) await tab.fill(`#${form} input:not([type=hidden])`, value);
  const loaded = tab.waitForEvent("load"); // of the page that the answer leads to
  await tab.click(`#${form} button`);
  await loaded;
}

async function customer(t) {
  const it = await visitor(t);
  await submit(it.tab, "login", "ann");
  assert.equal(await user(it.tab), "ann");
  return it;
}

test("a guest's basket goes along at the login, and no script sees a cookie", async (t) => {
  const { context, tab } = await visitor(t);
  assert.equal(await user(tab), "a guest");
  await submit(tab, "add", "tea");
  assert.equal(await tab.textContent("#message"), "tea is in the basket.");
  const guest = await context.cookies();
  await submit(tab, "login", "ann");
  assert.equal(await user(tab), "ann");
  assert.deepEqual(await items(tab), ["1 tea"]);
  assert.equal(await tab.locator("#message").count(), 0);
  assert.equal(await tab.evaluate(() => document.cookie), "");
  const cookies = await context.cookies();
  assert.equal(cookies.length, 2);
  for (const cookie of cookies) {
    assert.ok(cookie.httpOnly && cookie.secure && cookie.sameSite === "Lax" && cookie.name.startsWith("__Host-"), cookie.name);
    assert.ok(guest.every(({ value }) => value !== cookie.value));
  }
  // Anyone who knew the guest's cookies has no access to the user's session.
  const thief = await browser.newContext();
  t.after(() => thief.close());
  await thief.addCookies(guest);
  const page = await thief.newPage();
  await page.goto(shop);
  assert.equal(await user(page), "a guest");
  assert.deepEqual(await items(page), []);
});

test("reload, and back after a form", async (t) => {
  const { tab } = await customer(t);
  await submit(tab, "add", "tea");
  await tab.reload();
  assert.deepEqual(await items(tab), ["1 tea"]);
  await submit(tab, "add", "milk");
  await tab.goBack();
  assert.equal(await user(tab), "ann");
  assert.deepEqual((await items(tab)).toSorted(), ["1 milk", "1 tea"]);
  await submit(tab, "add", "tea");
  assert.deepEqual((await items(tab)).toSorted(), ["1 milk", "2 tea"]);
});

test("two tabs, and a log-out in one", async (t) => {
  const { open, tab: one } = await customer(t);
  const two = await open();
  await Promise.all([submit(one, "add", "tea"), submit(two, "add", "milk")]);
  await one.reload();
  assert.deepEqual((await items(one)).toSorted(), ["1 milk", "1 tea"]);
  await submit(one, "logout");
  assert.equal(await user(one), "a guest");
  await two.reload();
  assert.equal(await user(two), "a guest");
  await one.goBack();
  assert.equal(await user(one), "a guest");
  assert.deepEqual(await items(one), []);
});

test("a login in one tab is one in the other, whose old form is refused", async (t) => {
  const { open, tab: one } = await visitor(t);
  const two = await open();
  await submit(one, "login", "ann");
  const answer = two.waitForResponse((response) => response.request().method() === "POST");
  await submit(two, "add", "tea");
  assert.equal((await answer).status(), 403);
  await two.goto(shop);
  assert.equal(await user(two), "ann");
});

test("a restart of the shop logs nobody out", async (t) => {
  const { tab } = await customer(t);
  await submit(tab, "add", "tea");
  assert.equal((await fetch(`${control}/restart`)).status, 200);
  await tab.reload();
  assert.equal(await user(tab), "ann");
  await submit(tab, "add", "tea");
  assert.deepEqual(await items(tab), ["2 tea"]);
});

test("loads that are given up, and answers that are lost, log nobody out", async (t) => {
  const { open, tab: one } = await customer(t);
  const tabs = [one, await open()];
  await fetch(`${control}/lossy`);
  t.after(() => fetch(`${control}/lossless`));
  let shown = 0;
  const enough = async () => shown > 40 && Number(await (await fetch(`${control}/lost`)).text()) > 2;
  await Promise.all(tabs.map(async (tab) => {
    for (let load = 0; !(await enough()); load++) {
      if (load % 20 === 19) {
        await tab.evaluate((wait) => {
          location.href = "/";
          setTimeout(() => stop(), wait);
        }, load % 10).catch(() => {}); // the page may be another one by then
      }
      const answer = await tab.goto(shop).catch(() => null); // its answer was lost
      if (!answer) continue;
      assert.equal(answer.status(), 200);
      assert.equal(await user(tab), "ann");
      shown++;
    }
  }));
  await fetch(`${control}/lossless`);
  // Chromium's own page about the last answer that was lost may still be on its way.
  await one.goto(shop).catch(() => one.waitForTimeout(1000).then(() => one.goto(shop)));
  assert.equal(await user(one), "ann");
});

test("another site's form is refused", async (t) => {
  const { open, tab } = await customer(t);
  for (const path of ["basket", "login", "logout"]) {
    const elsewhere = await open();
    await elsewhere.goto(control);
    const answer = elsewhere.waitForResponse((response) => response.request().method() === "POST");
    await elsewhere.evaluate((action) => {
      document.body.innerHTML = `<form method="post" action="${action}"><input name="item" value="spam"><input name="user" value="eve"></form>`;
      document.forms[0].submit();
    }, `${shop}/${path}`);
    assert.equal((await answer).status(), 403, path);
  }
  await tab.reload();
  assert.equal(await user(tab), "ann");
  assert.deepEqual(await items(tab), []);
});
