import assert from "node:assert/strict";
import { test } from "node:test";
import { SessionCookies } from "@latchkey/server";
import { NextSessions, Unavailable } from "@latchkey/server/next";
import { Browser } from "./browser.mjs";
import { issuer, listen, network, sessions, subject } from "./service.mjs";

const cookies = new SessionCookies();
const page = (header = {}, init = {}) => new Request("https://app.example/", { ...init, headers: header });

async function signedIn() {
  const created = await sessions().create({ subject: subject(), access_token_ttl: 600 });
  const browser = new Browser("");
  browser.take(cookies.write(created));
  return { browser, created, sub: created.session.subject };
}

test("the proxy refreshes, and components of the same request leave that unconfirmed", async () => {
  const next = new NextSessions({ sessions: sessions(), cookies, optional: true });
  const { browser, sub, created } = await signedIn();
  const load = async (header = {}) => {
    let identity, handed;
    const answer = await next.proxy(page({ Cookie: browser.header(), ...header }), async (headers) => {
      handed = headers;
      identity = await next.component(headers);
      return new Response("page", { headers: { "Cache-Control": "public", "Set-Cookie": "own=1" } });
    });
    return { answer, identity, handed };
  };
  const calm = await load({ "latchkey-refreshed": "someone else's" });
  assert.deepEqual([calm.identity.claims.sub, calm.identity.refreshed, calm.handed.has("latchkey-refreshed")], [sub, false, false]);
  assert.deepEqual([calm.answer.headers.getSetCookie(), calm.answer.headers.get("Cache-Control")], [["own=1"], "public"]);

  browser.expire();
  for (let lost = 0; lost < 2; lost++) {
    const { identity, answer } = await load();
    assert.deepEqual([identity.claims.sub, identity.refreshed, answer.status, await answer.text()], [sub, true, 200, "page"]);
    assert.deepEqual([answer.headers.get("Cache-Control"), answer.headers.getSetCookie().at(-1)], ["no-store", "own=1"]);
    if (lost === 0) await new Promise((resolve) => setTimeout(resolve, 3000)); // more than the service's grace
    else browser.take(answer.headers.getSetCookie().slice(0, -1));
  }
  assert.equal((await load()).identity.refreshed, false);
  await sessions().end(created.session.id);
  assert.equal((await load()).identity, null);
});

test("a component never refreshes", async (t) => {
  const between = await network(t, issuer);
  const next = new NextSessions({ sessions: sessions({ public: between.url }), cookies });
  const { browser, created, sub } = await signedIn();
  const look = (header) => next.component(new Headers(header));
  assert.equal((await look({ Cookie: browser.header() })).claims.sub, sub);
  assert.equal((await look({ Authorization: `Bearer ${created.access_token}` })).claims.sub, sub);
  assert.equal(await look({}), null);
  assert.equal(await look({ Cookie: "__Host-session=x" }), null);
  browser.expire();
  assert.equal(await look({ Cookie: browser.header() }), null);
  assert.equal(between.count, 0);
  const closed = await listen(t, () => {});
  closed.server.close();
  await assert.rejects(new NextSessions({ sessions: sessions({ internal: closed.url, retries: 0 }), cookies }).component(new Headers({ Authorization: "Bearer x" })), Unavailable);
});

test("a route handler without a proxy", async () => {
  const next = new NextSessions({ sessions: sessions(), cookies });
  const { browser, sub } = await signedIn();
  const call = (init, header = {}) => next.route(page({ Cookie: browser.header(), Host: "app.example", ...header }, init), ({ claims }) => Response.json(claims.sub));
  assert.equal(await (await call()).json(), sub);
  browser.expire();
  const answer = await call();
  assert.equal(await answer.json(), sub);
  browser.take(answer.headers.getSetCookie());
  assert.deepEqual((await call()).headers.getSetCookie(), []);
  assert.equal((await call({ method: "POST" }, { Origin: "https://evil.example" })).status, 403);
  assert.equal((await call({ method: "POST" }, { Origin: "https://app.example" })).status, 200);
  const nobody = await next.route(page(), () => assert.fail("it was called"));
  assert.deepEqual([nobody.status, nobody.headers.get("WWW-Authenticate")], [401, "Bearer"]);
});
