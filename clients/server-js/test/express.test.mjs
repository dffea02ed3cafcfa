import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import express from "express";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import { SessionCookies } from "@latchkey/server";
import { answerErrors, guard } from "@latchkey/server/express";
import { NextSessions } from "@latchkey/server/next";
import { Verifier } from "@latchkey/server/verifier";
import { Browser } from "./browser.mjs";
import { fake, issuer, listen, network, otherKey, serviceKey, sessions, subject, verifierOptions } from "./service.mjs";

const cookies = new SessionCookies();

/** site is an application behind the guard. */
async function site(t, options, more = () => undefined) {
  const app = express();
  app.use(guard(options));
  more(app);
  app.all("/", (request, response) => void response.json({ sub: request.latchkey?.claims.sub ?? null, refreshed: request.latchkey?.refreshed ?? null, data: request.latchkey?.session?.data ?? null }));
  app.use(answerErrors());
  app.use((error, request, response, next) => void response.status(error.status ?? 500).send(error.message));
  return (await listen(t, app)).url;
}

/** verifier is one that knows all that was revoked. */
async function verifier(t, more = {}) {
  const verifier = new Verifier({ ...verifierOptions, ...more });
  t.after(() => verifier.close());
  while (verifier.revocations.age() > 1000) await sleep(5);
  return verifier;
}

async function signedIn(url) {
  const created = await sessions().create({ subject: subject(), data: { n: 1 }, access_token_ttl: 600 });
  const browser = new Browser(url);
  browser.take(cookies.write(created));
  return { browser, created };
}

test("bearer tokens", async (t) => {
  const client = sessions();
  const { access_token: token, session } = await client.create({ subject: subject(), data: { n: 1 } });
  const bound = await client.create({ dpop_jkt: Buffer.alloc(32, 7).toString("base64url") });
  for (const options of [{ sessions: client }, { verifier: await verifier(t) }, { sessions: client, cookies }]) {
    const url = await site(t, options);
    const get = async (authorization) => {
      const answer = await fetch(url, authorization === undefined ? {} : { headers: { Authorization: authorization } });
      return [answer.status, answer.headers.get("WWW-Authenticate"), answer.ok ? await answer.json() : await answer.text()];
    };
    assert.deepEqual(await get(`Bearer ${token}`), [200, null, { sub: session.subject, refreshed: false, data: options.verifier ? null : { n: 1 } }]);
    assert.deepEqual(await get(), [401, "Bearer", ""]);
    for (const wrong of ["Bearer x", `Bearer ${token}, Bearer ${token}`, "Basic eDp4", `Bearer ${bound.access_token}`]) {
      assert.deepEqual(await get(wrong), [401, 'Bearer error="invalid_token"', ""], wrong);
    }
  }
  const open = await site(t, { sessions: client, optional: true });
  assert.deepEqual(await (await fetch(open)).json(), { sub: null, refreshed: null, data: null });
  assert.equal((await fetch(open, { headers: { Authorization: "Bearer x" } })).status, 401);
});

test("what fails at the service is never the user's fault", async (t) => {
  const { access_token: token, session } = await sessions().create();
  const headers = { Authorization: `Bearer ${token}` };
  const closed = await listen(t, () => {});
  closed.server.close();
  const down = await fetch(await site(t, { sessions: sessions({ internal: closed.url, retries: 0 }) }), { headers });
  assert.deepEqual([down.status, down.headers.get("Retry-After")], [503, "1"]);
  const wrong = await fetch(await site(t, { sessions: sessions({ serviceKey: `${otherKey}-unknown` }) }), { headers });
  assert.equal(wrong.status, 500);

  const url = await site(t, { sessions: sessions() }, (app) => {
    app.get("/down", () => sessions({ internal: closed.url, retries: 0 }).get(session.id));
    app.get("/wrong", () => sessions({ serviceKey: `${otherKey}-unknown` }).get(session.id));
  });
  assert.deepEqual([(await fetch(`${url}/down`, { headers })).status, (await fetch(`${url}/wrong`, { headers })).status], [503, 500]);
});

test("cookies are refreshed, and the new ones set", async (t) => {
  const url = await site(t, { sessions: sessions(), cookies });
  const { browser, created } = await signedIn(url);
  assert.deepEqual((await browser.get()).body, { sub: created.session.subject, refreshed: false, data: { n: 1 } });
  assert.deepEqual((await browser.get()).set, []);
  browser.expire();
  const page = await browser.get();
  assert.deepEqual([page.status, page.body.refreshed, page.headers.get("Cache-Control")], [200, true, "no-store"]);
  assert.deepEqual((await browser.get()).body.refreshed, false);
  browser.cookies.set("__Host-session", "x");
  assert.deepEqual((await browser.get()).body.refreshed, true, "an invalid token is refreshed");

  await sessions().end(created.session.id);
  assert.equal((await browser.get()).status, 401);
  assert.equal((await browser.get()).status, 401);
  const open = new Browser(await site(t, { sessions: sessions(), cookies, optional: true }));
  open.cookies = browser.cookies;
  assert.deepEqual((await open.get()).body, { sub: null, refreshed: null, data: null });
  browser.take(cookies.clear());
  assert.equal(browser.header(), "");
});

test("lost answers sign nobody out", async (t) => {
  const edge = await verifier(t);
  const unsure = new Verifier({ ...verifierOptions, bound: 0 }); // asks about every token
  t.after(() => unsure.close());
  const browsers = [];
  for (const options of [{}, { verifier: edge }, { verifier: unsure }]) {
    browsers.push((await signedIn(await site(t, { sessions: sessions(), cookies, ...options }))).browser);
  }
  await Promise.all(browsers.map(async (browser) => {
    for (let i = 0; i < 2; i++) {
      browser.expire();
      const page = await browser.get("/", { lost: true });
      assert.deepEqual([page.status, page.body.refreshed], [200, true], `load ${i}`);
      await sleep(3000); // more than the service's grace, after which the token before a confirmed one is stale
    }
    assert.equal((await browser.get()).body.refreshed, true);
    assert.equal((await browser.get()).body.refreshed, false);
    browser.expire();
    assert.equal((await browser.get()).status, 200);
  }));
});

test("requests in parallel refresh once", async (t) => {
  const between = await network(t, issuer);
  const arrived = [];
  let all;
  const everyone = new Promise((resolve) => (all = resolve));
  between.next = () => () => everyone;
  const watched = { isCrossSite: () => false, isOthers: (claims) => cookies.isOthers(claims), isSetBy: () => false, write: (pair) => cookies.write(pair), read: (header) => {
    if (arrived.push(1) === 10) setImmediate(all);
    return cookies.read(header);
  } };
  const { browser } = await signedIn(await site(t, { sessions: sessions({ public: between.url, timeout: 60_000 }), cookies: watched }));
  browser.expire();
  const pages = await Promise.all(Array.from({ length: 10 }, () => browser.get()));
  assert.deepEqual(pages.map((page) => [page.status, page.body.refreshed]), Array(10).fill([200, true]));
  assert.equal(between.count, 1);
  browser.expire();
  assert.equal((await browser.get()).status, 200);
  assert.equal(between.count, 2, "a refresh that is done is not used again");
});

test("a refresh without an answer is 503, and takes nothing from the browser", async (t) => {
  const between = await network(t, issuer);
  between.next = () => "lost";
  const { browser } = await signedIn(await site(t, { sessions: sessions({ public: between.url, retries: 0 }), cookies, optional: true }));
  browser.expire();
  const page = await browser.get();
  assert.deepEqual([page.status, page.headers.get("Retry-After"), page.set], [503, "1", []]);
  between.next = undefined;
  assert.equal((await browser.get()).status, 200);
});

test("other sites' pages may change nothing", async (t) => {
  const url = await site(t, { sessions: sessions(), cookies: new SessionCookies({ origins: ["https://www.example.com"] }) });
  const { browser, created } = await signedIn(url);
  const status = async (method, headers) => (await browser.get("/", { method, headers })).status;
  for (const headers of [{}, { Origin: url }, { Origin: "https://www.example.com" }]) assert.equal(await status("POST", headers), 200);
  for (const headers of [{ Origin: "https://evil.example" }, { Origin: "null" }]) {
    assert.equal(await status("GET", headers), 200);
    assert.equal(await status("POST", headers), 403);
    assert.equal(await status("DELETE", headers), 403);
    assert.equal(await status("POST", { ...headers, Authorization: `Bearer ${created.access_token}` }), 200, "no browser adds that by itself");
  }
  const header = (headers) => (name) => headers[name];
  for (const [site, crosses] of [["same-origin", false], ["none", false], ["same-site", true], ["cross-site", true]]) {
    assert.equal(cookies.isCrossSite("POST", header({ "sec-fetch-site": site, origin: "https://a.example", host: "a.example" })), crosses, site);
  }
  assert.equal(cookies.isCrossSite("GET", header({ upgrade: "websocket", origin: "https://evil.example", host: "a.example" })), true);
});

test("an answer's cookies", async (t) => {
  const pair = { access_token: "a", token_type: "Bearer", expires_in: 600, refresh_token: "r", refresh_expires_in: 1200 };
  let answered = { ...pair, expires_in: 1 }; // whose half is over before the slow answer
  const service = await fake(t, (n, { url }) => ({ json: url === "/oauth2/token" ? answered : { active: true, sub: "ada", sid: `s${n}`, session: { id: "x" } } }));
  const url = await site(t, { sessions: sessions({ internal: service.url, public: service.url }), cookies }, (app) => {
    app.get("/slow", (request, response) => void setTimeout(() => response.end(), 600));
    app.get("/login", (request, response) => void response.append("Set-Cookie", "__Host-session=b").end());
    app.get("/raw", (request, response) => void response.writeHead(201, "Made", { "Cache-Control": "public", "set-cookie": ["c=1", "d=2"], "X-Own": "1" }).end());
    app.get("/pairs", (request, response) => void response.writeHead(200, ["Cache-Control", "public", "Set-Cookie", "c=1"]).end());
    app.get("/piped", (request, response) => void response.write("x", () => response.end()));
  });
  const load = async (path) => fetch(url + path, { headers: { Cookie: "__Host-session-refresh=old" } });
  const own = cookies.write(pair);
  const slow = await load("/slow");
  assert.deepEqual(slow.headers.getSetCookie(), [], "the browser may have newer ones");
  answered = pair;
  assert.deepEqual((await load("/login")).headers.getSetCookie(), [...own, "__Host-session=b"], "the last one counts");
  const raw = await load("/raw");
  assert.deepEqual([raw.status, raw.statusText, raw.headers.get("X-Own"), raw.headers.get("Cache-Control")], [201, "Made", "1", "no-store"]);
  assert.deepEqual(raw.headers.getSetCookie(), [...own, "c=1", "d=2"]);
  const pairs = await load("/pairs");
  assert.deepEqual([pairs.headers.get("Cache-Control"), pairs.headers.getSetCookie()], ["no-store", [...own, "c=1"]]);
  assert.deepEqual((await load("/piped")).headers.getSetCookie(), own);
});

test("an answer of one user that is late takes nothing from the next one", async (t) => {
  const next = await sessions().create({ subject: subject() });
  const options = { sessions: sessions(), cookies };
  const pages = {
    express: (gate) => site(t, options, (app) => {
      app.get("/slow", async (request, response) => (await gate(), response.end()));
      app.get("/login", (request, response) => void response.append("Set-Cookie", cookies.write(next)).end());
      app.get("/logout", (request, response) => void response.append("Set-Cookie", cookies.clear()).end());
    }),
    next: async (gate) => {
      const app = new NextSessions({ ...options, optional: true });
      const { url } = await listen(t, async ({ url, headers }, response) => {
        const answer = await app.route(new Request(`http://a.example${url}`, { headers: { Cookie: headers.cookie ?? "" } }), async (identity) => {
          if (url === "/slow") await gate();
          const own = new Headers();
          if (url === "/login") for (const header of cookies.write(next)) own.append("Set-Cookie", header);
          if (url === "/logout") for (const header of cookies.clear()) own.append("Set-Cookie", header);
          return Response.json({ sub: identity?.claims.sub ?? null }, { headers: own });
        });
        response.writeHead(answer.status, [...answer.headers].flat()).end(await answer.text());
      });
      return url;
    },
  };
  for (const [name, page] of Object.entries(pages)) {
    for (const [path, sub] of [["/login", next.session.subject], ["/logout", null]]) {
      for (const refreshes of ["before", "after"]) { // the log-in: the slow request's refresh
        let [resolve, reach] = [];
        const [open, reached] = [new Promise((r) => (resolve = r)), new Promise((r) => (reach = r))];
        const url = await page(() => (reach(), open));
        const { browser } = await signedIn(url);
        const late = new Browser(url); // the same browser, as it was when the request was sent
        late.cookies = new Map(browser.cookies);
        late.expire();
        const loading = refreshes === "before" && late.get("/slow");
        if (loading) await reached;
        await browser.get(path);
        resolve();
        browser.take((await (loading || late.get("/slow"))).set);
        const shown = await browser.get();
        assert.equal(shown.status === 401 ? null : shown.body.sub, sub, `${name} ${path}, refreshed ${refreshes} it`);
      }
    }
  }
});

test("a token that names its cookie is refused in another", async (t) => {
  const { publicKey, privateKey } = await generateKeyPair("ES256");
  const key = { ...(await exportJWK(publicKey)), kid: "1", alg: "ES256" };
  // Only Go programs have their tokens name a cookie, so the service is one that takes every token for active.
  const service = await fake(t, (n, { url }) => {
    if (url === "/.well-known/jwks.json") return { json: { keys: [key] } };
    if (url.startsWith("/oauth2/introspect")) return { json: { active: true, sub: "ada", sid: "s", session: { id: "s" } } };
    if (url === "/oauth2/token") return { json: fresh };
    return { status: 503 };
  });
  const sign = (claims) => new SignJWT({ sid: "s", ...claims }).setProtectedHeader({ alg: "ES256", kid: "1", typ: "at+jwt" })
    .setIssuer(service.url).setAudience("a").setSubject("ada").setJti(crypto.randomUUID()).setIssuedAt().setExpirationTime("5m").sign(privateKey);
  const named = await sign({ latchkey_cookie: "__Host-shop" });
  const fresh = { access_token: named, token_type: "Bearer", expires_in: 300, refresh_token: "r", refresh_expires_in: 600 };
  const edge = new Verifier({ issuer: service.url, audience: "a", internal: service.url, serviceKey, bound: 0, timeout: 30_000 });
  t.after(() => edge.close());
  const client = sessions({ internal: service.url, public: service.url });
  const asked = () => service.seen.filter(({ path }) => path === "/oauth2/introspect").length;
  for (const more of [{}, { verifier: edge }]) {
    const load = async (name, cookie) => {
      const options = { sessions: client, cookies: new SessionCookies({ name }), ...more };
      const page = await fetch(await site(t, options), { headers: { Cookie: cookie } });
      const component = await new NextSessions(options).component(new Headers({ Cookie: cookie }));
      return [page.status, component?.claims.sub ?? null, page.headers.getSetCookie().length];
    };
    assert.deepEqual(await load("shop", `__Host-shop=${named}`), [200, "ada", 0]);
    const before = asked();
    for (const name of ["session", "Shop", "shop-refresh"]) {
      assert.deepEqual(await load(name, `__Host-${name}=${named}`), [401, null, 0], name);
      assert.deepEqual(await load(name, `__Host-${name}=${named}; __Host-${name}-refresh=r`), [401, null, 0], `${name}, refreshed`);
    }
    assert.deepEqual(await load("session", `__Host-session=${await sign({ latchkey_cookie: ["__Host-session"] })}`), [401, null, 0]);
    assert.equal(asked(), before, "to ask would confirm it");
    for (const name of ["session", "shop"]) assert.deepEqual(await load(name, `__Host-${name}=${await sign({})}`), [200, "ada", 0], "it names none");
    const bearer = await fetch(await site(t, { sessions: client, cookies, ...more }), { headers: { Authorization: `Bearer ${named}` } });
    assert.equal(bearer.status, 200, "it came in no cookie");
  }
});

test("tokens of every size fit into cookies", () => {
  const browser = new Browser("");
  for (const size of [1, 3840, 3841, 9000, 12288, 200]) { // the last one leaves parts of those before
    const token = Array.from({ length: size }, (_, i) => String.fromCharCode(97 + (i % 26))).join("");
    const set = cookies.write({ access_token: token, expires_in: 300, refresh_token: "r", refresh_expires_in: 600 });
    for (const header of set) assert.ok(header.split(";")[0].length <= 4096);
    browser.take(set);
    assert.deepEqual(cookies.read(browser.header()), { access: token, refresh: "r" });
  }
  assert.throws(() => cookies.write({ access_token: "x".repeat(20_000), expires_in: 1 }), RangeError);
  assert.deepEqual(cookies.read("__Host-session=a; __Host-session=b; __Host-session-refresh=r"), { access: "", refresh: "r" });
  assert.deepEqual(cookies.read(undefined), { access: "", refresh: "" });
  const age = (header) => Number(/Max-Age=(\d+)/.exec(header)[1]);
  assert.deepEqual(cookies.write({ access_token: "a", expires_in: 300, refresh_token: "r", refresh_expires_in: 600 }).map(age), [270, 600]);
  assert.deepEqual(cookies.write({ access_token: "a", expires_in: 10, refresh_token: "r", refresh_expires_in: 600 }).map(age), [8, 600]);
  browser.take(cookies.write({ access_token: "a", expires_in: 300 }));
  assert.deepEqual(cookies.read(browser.header()), { access: "a", refresh: "" }, "a session without a refresh token");
  assert.throws(() => new SessionCookies({ name: "a;b" }), TypeError);
  assert.throws(() => guard({}), TypeError);
  assert.throws(() => guard({ verifier: {}, cookies }), TypeError);
});
