// Two tabs of an application that uses oidc-client-ts unmodified: each tab renews by itself, and sends the access token
// that it was last given, which it keeps in memory.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { after, before, test } from "node:test";
import { chromium } from "playwright-core";
import { issuer, signIn } from "./service.mjs";

const { PAGE_PORT, CHROMIUM, ACCEPTED, LATCHKEY_REFRESH_GRACE } = process.env;
const grace = parseFloat(LATCHKEY_REFRESH_GRACE) * 1000;
const library = createRequire(import.meta.url).resolve("oidc-client-ts").replace(/dist\/.*/, "dist/browser/oidc-client-ts.min.js");

const application = `<!doctype html><title>application</title><script src="/library.js"></script><script>
  const { User, UserManager, WebStorageStateStore } = oidc;
  const calls = [], pairs = []; // what became of each call, and when which access token was asked for and given
  const send = window.fetch;
  let asked, user;
  window.fetch = (...request) => {
    if (String(request[0]).endsWith("/oauth2/token")) asked = Date.now();
    return send(...request);
  };
  const manager = new UserManager({
    authority: "${issuer}", client_id: "latchkey", redirect_uri: location.origin, userStore: new WebStorageStateStore({ store: localStorage }),
  });
  manager.events.addUserLoaded((loaded) => {
    user = loaded;
    pairs.push({ token: user.access_token, asked, given: Date.now() });
  });
  const signedIn = (tokens) => manager.storeUser(new User({ ...tokens, expires_at: Math.floor(Date.now() / 1000) + tokens.expires_in, profile: { sub: "ada" } }));
  const start = async () => {
    user = await manager.getUser();
    for (;;) {
      const token = user.access_token;
      const began = Date.now();
      const { status } = await send("${issuer}/v1/me/sessions/current", { headers: { Authorization: "Bearer " + token } });
      calls.push({ token, began, ended: Date.now(), status });
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };
</script>`;

let browser, server;
before(async () => {
  server = createServer(async ({ url }, answer) => {
    if (url === "/library.js") return answer.writeHead(200, { "Content-Type": "text/javascript" }).end(await readFile(library));
    answer.writeHead(200, { "Content-Type": "text/html" }).end(application);
  });
  await new Promise((resolve) => server.listen(PAGE_PORT, "127.0.0.1", resolve));
  browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox"] });
});
after(async () => {
  await browser?.close();
  server.close();
});

/** judge reports the results of calls with an access token that a refresh had replaced, for less than the grace. */
function judge(calls, pairs) {
  const born = new Map(); // when each access token was asked for first
  for (const { token, asked } of pairs) born.set(token, Math.min(asked, born.get(token) ?? Infinity));
  const given = (token) => Math.min(...pairs.filter((pair) => pair.token === token).map((pair) => pair.given));
  const order = [...born].sort(([, a], [, b]) => a - b).map(([token]) => token);
  const verdict = { answered: 0, replaced: 0, failed: [] };
  for (const { token, began, ended, status } of calls) {
    const successor = order[order.indexOf(token) + 1]; // of the one from the sign-in, which nobody was given by a refresh, the first
    const expires = JSON.parse(atob(token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/"))).exp * 1000;
    if (ended >= expires || successor && ended >= born.get(successor) + grace) continue; // nothing was promised
    verdict.answered++;
    if (status !== 200) verdict.failed.push({ status, after: successor && ended - born.get(successor) });
    else if (successor && began > given(successor)) verdict.replaced++;
  }
  return { ...verdict, pairs: order.length };
}

test("a tab goes on while another one refreshes", async () => {
  const context = await browser.newContext();
  const tabs = [await context.newPage(), await context.newPage()];
  for (const tab of tabs) await tab.goto(`http://127.0.0.1:${PAGE_PORT}/`);
  await tabs[0].evaluate((tokens) => signedIn(tokens), await signIn("ada"));
  for (const tab of tabs) await tab.evaluate(() => void start());

  const until = Date.now() + 120_000;
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, 1000));
    const known = await Promise.all(tabs.map((tab) => tab.evaluate(() => ({ calls, pairs }))));
    const verdict = judge(known.flatMap((tab) => tab.calls), known.flatMap((tab) => tab.pairs));
    if (ACCEPTED === "true") {
      assert.deepEqual(verdict.failed, []);
      if (verdict.replaced > 0 && verdict.pairs >= 4) return console.log(verdict);
    } else if (verdict.failed.length > 0) {
      assert.ok(verdict.failed.every(({ status, after }) => status === 401 && after >= 0), JSON.stringify(verdict));
      return console.log(verdict);
    }
    assert.ok(Date.now() < until, `nothing came of it: ${JSON.stringify(verdict)}`);
  }
});
