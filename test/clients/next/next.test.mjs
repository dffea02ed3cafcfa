// Next.js itself, built and started, in front of the service: proxy, server component and route handlers.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { after, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { SessionCookies, Sessions } from "@latchkey/server";
import { Browser } from "./browser.mjs";

const sessions = new Sessions({ internal: process.env.SESSIONS_URL, serviceKey: process.env.SERVICE_KEY });

const server = spawn(process.execPath, ["node_modules/next/dist/bin/next", "start", "--hostname", "127.0.0.1", "--port", "0"], { stdio: ["ignore", "pipe", "inherit"] });
after(() => server.kill());
const url = await new Promise((resolve, reject) => {
  server.once("exit", (code) => reject(new Error(`next start ended with ${code}`)));
  let text = "";
  server.stdout.on("data", (part) => {
    text += part;
    const address = /Local: +(http:\S+)[^]*Ready/.exec(text);
    if (address) resolve(address[1]);
  });
});

async function signedIn() {
  const { session, ...tokens } = await sessions.create({ subject: `user-${crypto.randomUUID()}`, access_token_ttl: 600 });
  const browser = new Browser(url);
  browser.take(new SessionCookies().write(tokens));
  return { browser, session };
}

/** said is what the page says, without the tags. */
const said = ({ body }) => /<p>(.*?)<\/p>/.exec(body)?.[1];

test("a page", async () => {
  assert.equal(said(await new Browser(url).get()), "Sign in");
  const { browser, session } = await signedIn();
  const calm = await browser.get("/", { headers: { "latchkey-refreshed": "someone else's" } });
  assert.deepEqual([said(calm), calm.set], [`${session.subject} false`, []]);
  for (const lost of [true, false]) {
    browser.expire();
    const page = await browser.get("/", { lost });
    assert.deepEqual([page.status, said(page), page.set.length], [200, `${session.subject} true`, 2]);
    assert.match(page.headers.get("Cache-Control"), /no-store/);
    assert.equal(page.headers.get("latchkey-refreshed"), null);
    if (lost) await sleep(3000); // more than the service's grace
  }
  assert.equal(said(await browser.get()), `${session.subject} false`);
  await sessions.end(session.id);
  assert.equal(said(await browser.get()), "Sign in");
});

test("route handlers, behind the proxy and without one", async () => {
  for (const path of ["/me", "/alone"]) {
    const { browser, session } = await signedIn();
    assert.deepEqual((await new Browser(url).get(path)).body, { sub: null, refreshed: null });
    assert.deepEqual((await browser.get(path)).body, { sub: session.subject, refreshed: false });
    browser.expire();
    const fresh = await browser.get(path);
    assert.deepEqual(fresh.body, { sub: session.subject, refreshed: true });
    assert.deepEqual(fresh.set.filter((cookie) => cookie.startsWith("__Host-")).length, 2, path);
    assert.equal(fresh.set.includes("own=1; Path=/"), path === "/me");
    assert.deepEqual((await browser.get(path)).body, { sub: session.subject, refreshed: false });
    for (const [origin, status] of [[url, 200], ["https://evil.example", 403]]) {
      assert.equal((await browser.get(path, { method: "POST", headers: { Origin: origin } })).status, status, `${path} from ${origin}`);
    }
  }
});
