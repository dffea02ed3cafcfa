// A page whose backend holds the tokens: it has a cookie that it cannot read.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { chromium } from "playwright-core";
import { endAll, gate, internal, issuer, listen, serviceKey, signIn, until } from "./service.mjs";

const dist = new URL("../dist/", import.meta.url);

/** backend keeps a pair for each cookie, and serves the page. `down` has it answer 503, `page` has it answer with the page of the login, `held` holds what it says of a session. */
async function backend(t) {
  const self = { down: false, page: false, held: undefined };
  const logins = new Map();
  const alive = async (token) => {
    const headers = { Authorization: `Bearer ${serviceKey}` };
    const answer = await fetch(`${internal}/oauth2/introspect`, { method: "POST", headers, body: new URLSearchParams({ token: token ?? "none" }) });
    return answer.json();
  };
  const { url } = await listen(t, async (request, response) => {
    const { pathname, searchParams } = new URL(request.url, "http://page");
    const cookie = /login=([^;]+)/.exec(request.headers.cookie ?? "")?.[1];
    const token = logins.get(cookie)?.access_token;
    if (pathname === "/") {
      return void response.writeHead(200, { "Content-Type": "text/html" }).end(`<!doctype html><title>page</title><script type="module">
        import { CookieClient } from "/dist/cookies.js";
        window.client = new CookieClient({ session: "/session", signOut: "/logout" });
      </script>`);
    }
    if (pathname.startsWith("/dist/")) {
      return void response.writeHead(200, { "Content-Type": "text/javascript" }).end(await readFile(new URL(pathname.slice(6), dist)));
    }
    if (self.down) return void response.writeHead(503).end();
    if (self.page && pathname === "/session") return void response.writeHead(303, { Location: "/" }).end();
    if (pathname === "/login") {
      const name = crypto.randomUUID();
      logins.set(name, await signIn(searchParams.get("user")));
      return void response.writeHead(204, { "Set-Cookie": `login=${name}; HttpOnly; SameSite=Lax; Path=/` }).end();
    }
    const { active, sid, sub } = await alive(token);
    if (pathname === "/logout") {
      if (active) await fetch(`${issuer}/oauth2/revoke`, { method: "POST", body: new URLSearchParams({ token }) });
      return void response.writeHead(204, { "Set-Cookie": "login=; Max-Age=0; Path=/" }).end();
    }
    if (pathname === "/session") await self.held;
    response.writeHead(active ? 200 : 401, { "Cache-Control": "no-store" }).end(pathname === "/session" ? sid : sub);
  });
  return Object.assign(self, { url });
}

const login = (tab, user) => tab.evaluate(async (user) => {
  await fetch(`/login?user=${user}`);
  await client.signIn();
}, user);
const state = (tab) => tab.evaluate(() => client.state());
const becomes = (tab, wanted) => until(async () => (await state(tab)).status === wanted);
const call = (tab) => tab.evaluate(() => client.fetch("/cart").then((answer) => answer.text()));

test("a page with a cookie", async (t) => {
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
  t.after(() => browser.close());
  const site = await backend(t);
  const context = await browser.newContext();
  const open = async () => {
    const tab = await context.newPage();
    await tab.goto(site.url);
    await tab.waitForFunction(() => globalThis.client && client.state().status !== "loading");
    return tab;
  };
  const [one, two] = [await open(), await open()];
  assert.deepEqual(await state(one), { status: "signed-out" });
  assert.equal(await call(one), "");
  assert.deepEqual(await state(one), { status: "signed-out" });

  // A login is known in every tab, and so is the next one.
  const users = ["ada", "bob"].map((name) => `${name}-${crypto.randomUUID()}`);
  await login(one, users[0]);
  await becomes(two, "signed-in");
  const { session } = await state(two);
  assert.equal((await state(one)).session, session);
  await login(two, users[1]);
  await until(async () => ![undefined, session].includes((await state(one)).session));
  assert.equal(await call(one), users[1]);

  // A backend that is down signs nobody out.
  site.down = true;
  await assert.rejects(one.evaluate(() => client.signOut()), /unavailable/);
  assert.equal(await call(one), "");
  assert.equal((await state(one)).status, "signed-in");
  site.down = false;

  // A redirect to the login page is not a session.
  site.page = true;
  await assert.rejects(one.evaluate(() => client.signIn()), /unavailable|answered with a page/);
  assert.equal((await state(one)).session, (await state(two)).session);
  site.page = false;

  // A session that someone else ends is over in every tab, once a call has shown it.
  await endAll(users[1]);
  await call(one);
  for (const tab of [one, two]) {
    await becomes(tab, "signed-out");
    assert.deepEqual(await state(tab), { status: "signed-out", reason: "ended" });
  }

  // An answer that comes after a sign-out does not sign in again.
  await login(one, users[0]);
  await becomes(two, "signed-in");
  site.held = gate();
  const late = one.evaluate(() => client.signIn());
  const asked = one.waitForRequest("**/session");
  await one.evaluate(() => void client.signIn().catch(() => {}));
  await asked;
  await one.evaluate(() => client.signOut());
  site.held.open();
  site.held = undefined;
  await late;
  for (const tab of [one, two]) await becomes(tab, "signed-out");
  assert.deepEqual(await state(one), { status: "signed-out", reason: "signed-out", by: "this-tab" });
  assert.deepEqual(await state(two), { status: "signed-out", reason: "signed-out", by: "another-tab" });
});
