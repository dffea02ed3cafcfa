import assert from "node:assert/strict";
import { test } from "node:test";
import fastify from "fastify";
import { SessionCookies } from "@latchkey/server";
import { answerErrors, guard } from "@latchkey/server/fastify";
import { Browser } from "./browser.mjs";
import { listen, otherKey, sessions, subject } from "./service.mjs";

const cookies = new SessionCookies();

async function site(t, options, more = () => undefined) {
  const app = fastify({ forceCloseConnections: true });
  t.after(() => app.close());
  app.setErrorHandler(answerErrors);
  await app.register(guard(options));
  app.all("/", async (request, reply) => {
    reply.header("Cache-Control", "public").header("Set-Cookie", "own=1");
    return { sub: request.latchkey?.claims.sub ?? null, refreshed: request.latchkey?.refreshed ?? null };
  });
  more(app);
  return app.listen({ host: "127.0.0.1", port: 0 });
}

test("bearer tokens and cookies in Fastify", async (t) => {
  const url = await site(t, { sessions: sessions(), cookies });
  const created = await sessions().create({ subject: subject(), access_token_ttl: 600 });
  const get = async (headers) => {
    const answer = await fetch(url, { headers });
    return [answer.status, answer.headers.get("WWW-Authenticate"), await answer.text()];
  };
  const { subject: sub } = created.session;
  assert.deepEqual(await get({ Authorization: `Bearer ${created.access_token}` }), [200, null, JSON.stringify({ sub, refreshed: false })]);
  assert.deepEqual(await get({ Authorization: "Bearer x" }), [401, 'Bearer error="invalid_token"', ""]);
  assert.deepEqual(await get({}), [401, "Bearer", ""]);

  const browser = new Browser(url);
  browser.take(cookies.write(created));
  browser.expire();
  const lost = await browser.get("/", { lost: true });
  assert.deepEqual([lost.status, lost.body, lost.headers.get("Cache-Control"), lost.set.length, lost.set[2]], [200, { sub, refreshed: true }, "no-store", 3, "own=1"]);
  assert.equal((await browser.get()).body.refreshed, true);
  assert.equal((await browser.get()).body.refreshed, false);
  assert.equal((await browser.get("/", { method: "POST", headers: { Origin: "https://evil.example" } })).status, 403);
});

test("errors in Fastify", async (t) => {
  const closed = await listen(t, () => {});
  closed.server.close();
  const down = sessions({ internal: closed.url, retries: 0 });
  const wrong = sessions({ serviceKey: `${otherKey}-unknown` });
  const { access_token: token, session } = await sessions().create();
  const headers = { Authorization: `Bearer ${token}` };
  const url = await site(t, { sessions: sessions() }, (app) => {
    app.get("/down", () => down.get(session.id));
    app.get("/wrong", () => wrong.get(session.id));
    app.get("/other", () => { throw Object.assign(new Error("own"), { statusCode: 418 }); });
  });
  const status = async (address) => (await fetch(address, { headers })).status;
  assert.deepEqual([await status(`${url}/down`), await status(`${url}/wrong`), await status(`${url}/other`)], [503, 500, 418]);
  assert.deepEqual([await status(await site(t, { sessions: down })), await status(await site(t, { sessions: wrong }))], [503, 500]);
});
