import assert from "node:assert/strict";
import { readFile, readdir } from "node:fs/promises";
import { test } from "node:test";
import { Client, LatchkeyError, localStore, memoryStore, tabStore } from "../dist/index.js";
import { api, endAll, gate, issuer, network, signIn, until } from "./service.mjs";

/** setup returns a client in front of a network, and the API that it calls. */
async function setup(t, options = {}) {
  const [net, backend] = [await network(t), await api(t)];
  const store = memoryStore();
  const client = new Client({ issuer: net.url, origins: [backend.url], store, ahead: false, name: crypto.randomUUID(), ...options });
  t.after(() => client.close());
  return { net, backend, store, client };
}

/** expire makes the access token look old, as it does after a while. */
function expire(store) {
  store.write({ ...store.read(), receivedAt: 0 });
}

test("a request carries the token, and a refused one is sent again with a new one", async (t) => {
  const { net, backend, client, store } = await setup(t);
  await client.signIn(await signIn("ada"));
  assert.equal((await (await client.fetch(`${backend.url}/cart`)).json()).subject, "ada");
  assert.equal(net.count, 0);

  store.write({ ...store.read(), accessToken: "worn.out.token" });
  const answer = await client.fetch(`${backend.url}/cart`);
  assert.equal(answer.status, 200);
  assert.equal(net.count, 1);
  assert.equal(backend.seen.length, 3);
});

test("a refusal that a new token does not cure is passed on, not repeated", async (t) => {
  const { net, client, backend } = await setup(t);
  let calls = 0;
  const stubborn = await network(t, backend.url);
  stubborn.next = () => (calls++, { status: 401, headers: {}, body: "" });
  const other = new Client({ issuer: net.url, origins: [stubborn.url], store: memoryStore(), ahead: false, name: "other" });
  t.after(() => other.close());
  await other.signIn(await signIn());
  assert.equal((await other.fetch(stubborn.url)).status, 401);
  assert.equal(calls, 2);
  client.close();
});

test("a thousand requests at expiry: one refresh", async (t) => {
  const { net, store, client } = await setup(t);
  await client.signIn(await signIn());
  expire(store);
  const credentials = await Promise.all(Array.from({ length: 1000 }, () => client.credentials()));
  assert.equal(net.count, 1);
  assert.equal(new Set(credentials.map((c) => c.accessToken)).size, 1);
});

test("fetch takes what fetch takes", async (t) => {
  const { backend, client, store } = await setup(t);
  await client.signIn(await signIn("ada"));
  const stream = () => new ReadableStream({ start: (c) => (c.enqueue(new TextEncoder().encode("streamed")), c.close()) });
  const forms = {
    "a Request": [new Request(`${backend.url}/x`, { method: "PUT", body: "text", headers: { "X-Mine": "1" } })],
    "a Request and options": [new Request(`${backend.url}/x`, { headers: { "X-Other": "1" } }), { method: "PUT", body: "text", headers: { "X-Mine": "1" } }],
    "a URL and Headers": [new URL(`${backend.url}/x`), { method: "PUT", body: "text", headers: new Headers({ "X-Mine": "1" }) }],
    "pairs": [`${backend.url}/x`, { method: "PUT", body: "text", headers: [["X-Mine", "1"]] }],
    "a stream": [`${backend.url}/x`, { method: "PUT", body: stream(), duplex: "half", headers: { "X-Mine": "1" } }],
    "a form": [`${backend.url}/x`, { method: "PUT", body: new URLSearchParams({ a: "b" }), headers: { "X-Mine": "1" } }],
  };
  for (const [name, args] of Object.entries(forms)) {
    store.write({ ...store.read(), accessToken: "worn.out.token" }); // each is sent twice
    const got = await (await client.fetch(...args)).json();
    assert.equal(got.subject, "ada", name);
    assert.equal(got.method, "PUT", name);
    assert.equal(got.headers["x-mine"], "1", name);
    assert.ok(["text", "streamed", "a=b"].includes(got.body), `${name}: ${got.body}`);
  }
});

test("the token goes to the named origins alone", async (t) => {
  const { client, backend } = await setup(t);
  const stranger = await api(t);
  await client.signIn(await signIn());
  await client.fetch(`${stranger.url}/x`);
  assert.equal(stranger.seen[0].headers.authorization, undefined);
  await client.fetch(`${backend.url}/x`, { headers: { Authorization: "Basic own" } });
  assert.equal(backend.seen[0].headers.authorization, "Basic own");
});

test("no token follows a redirect to another origin", async (t) => {
  const { net, client, backend, store } = await setup(t, { retries: 1 });
  const stranger = await api(t);
  await client.signIn(await signIn("ada"));
  const gateway = await network(t, backend.url);
  gateway.next = () => ({ status: 307, headers: { Location: `${stranger.url}/x` }, body: "" });
  const other = new Client({ issuer: net.url, origins: [gateway.url], store, ahead: false, name: crypto.randomUUID() });
  t.after(() => other.close());
  await other.fetch(gateway.url, { method: "POST", body: "text" });
  assert.deepEqual(stranger.seen.map(({ body, headers }) => [body, headers.authorization]), [["text", undefined]]);

  net.next = gateway.next;
  expire(store);
  await assert.rejects(client.credentials(), { code: "unavailable" });
  await other.signIn({ access_token: "only", expires_in: 0 });
  await assert.rejects(client.credentials(), { code: "unavailable" });
  await assert.rejects(client.signOut(), { code: "unavailable" });
  assert.equal(stranger.seen.length, 1, "neither a refresh, nor a check, nor a sign-out follows it");
});

test("what has no origin of its own cannot be named", () => {
  for (const address of ["capacitor://localhost", "file:///index.html", "data:text/plain,x"]) {
    assert.throws(() => new Client({ issuer, origins: [address], store: memoryStore() }), TypeError, address);
  }
});

test("a request that is given up waits for no refresh", async (t) => {
  const { net, store, client, backend } = await setup(t);
  await client.signIn(await signIn());
  net.held = gate();
  for (const worn of [{ receivedAt: 0 }, { accessToken: "worn.out.token" }]) {
    store.write({ ...store.read(), ...worn });
    const [given, before] = [new AbortController(), net.count];
    const call = client.fetch(`${backend.url}/x`, { signal: given.signal });
    await until(() => net.count > before);
    given.abort(new Error("given up"));
    await assert.rejects(call, /given up/);
    const kept = client.fetch(`${backend.url}/y`);
    net.held.open();
    assert.equal((await kept).status, 200, "the refresh goes on for others");
    net.held = gate();
  }
  assert.deepEqual(backend.seen.filter(({ path, subject }) => path === "/x" && subject), []);
});

test("who signs in during a refresh for someone else is refreshed for, too", async (t) => {
  const { net, store, client, backend } = await setup(t);
  await client.signIn(await signIn("ada"));
  expire(store);
  net.held = gate();
  const first = client.credentials();
  await until(() => net.count === 1);
  await client.signIn(await signIn("bob"));
  store.write({ ...store.read(), accessToken: "worn.out.token" });
  const call = client.fetch(backend.url);
  await until(() => backend.seen.length === 1);
  net.held.open();
  assert.equal((await (await call).json()).subject, "bob");
  await first;
});

test("a store that is full for a while signs nobody out", async (t) => {
  const kept = memoryStore();
  let full = false;
  const store = {
    read: kept.read,
    write(session) {
      if (full && session) throw new DOMException("no room", "QuotaExceededError");
      return kept.write(session);
    },
  };
  const { client, backend } = await setup(t, { store });
  await client.signIn(await signIn("ada"));
  expire(kept);
  full = true;
  for (let i = 0; i < 2; i++) {
    await assert.rejects(client.fetch(backend.url), { name: "QuotaExceededError" });
    await new Promise((resolve) => setTimeout(resolve, 3000)); // more than the service's grace
  }
  assert.deepEqual(backend.seen, [], "a token that nobody keeps is not used");
  full = false;
  assert.equal((await (await client.fetch(backend.url)).json()).subject, "ada");
  assert.equal(client.state().status, "signed-in");
});

test("who is not signed in calls without a token", async (t) => {
  const { client, backend } = await setup(t);
  assert.equal((await client.fetch(backend.url)).status, 401);
  assert.equal(backend.seen[0].headers.authorization, undefined);
  assert.deepEqual(client.state(), { status: "signed-out" });
});

test("an answer that is lost is asked for again", async (t) => {
  const { net, store, client } = await setup(t);
  await client.signIn(await signIn());
  expire(store);
  net.next = () => (net.count === 1 ? "lost" : undefined);
  assert.ok(await client.credentials());
  assert.equal(net.count, 2);
});

test("an answer after a sign-out changes nothing", async (t) => {
  const { net, store, client } = await setup(t);
  await client.signIn(await signIn());
  expire(store);
  net.held = gate();
  const refreshed = client.credentials();
  await until(() => net.count === 1);
  await client.signOut();
  assert.equal(store.read(), null);
  net.held.open();
  assert.equal(await refreshed, null);
  assert.equal(store.read(), null);
  assert.deepEqual(client.state(), { status: "signed-out", reason: "signed-out", by: "this-tab" });
});

test("an answer for one user does not sign out, or replace, the next one", async (t) => {
  const { net, store, client, backend } = await setup(t);
  await client.signIn(await signIn("ada"));
  expire(store);
  net.held = gate();
  const call = client.fetch(`${backend.url}/ada`);
  const failed = assert.rejects(call, (error) => error instanceof LatchkeyError && error.code === "session_changed");
  await until(() => net.count === 1);
  const tokens = await signIn("bob");
  await client.signIn(tokens);
  net.held.open();
  await failed;
  assert.equal(store.read().refreshToken, tokens.refresh_token);
  assert.equal((await (await client.fetch(`${backend.url}/bob`)).json()).subject, "bob");
  assert.deepEqual(backend.seen.map((call) => [call.path, call.subject]), [["/bob", "bob"]]);
});

test("a session that was ended elsewhere is over here", async (t) => {
  const { store, client, backend } = await setup(t);
  const subject = `user-${crypto.randomUUID()}`;
  await client.signIn(await signIn(subject));
  const states = [];
  client.subscribe((state) => states.push(state));
  await endAll(subject);
  assert.equal((await client.fetch(backend.url)).status, 401);
  assert.equal(store.read(), null);
  assert.deepEqual(states, [{ status: "signed-out", reason: "ended" }]);
});

test("only invalid_grant ends a session", async (t) => {
  const json = (status, body, headers = {}) => ({ status, headers: { "Content-Type": "application/json", ...headers }, body: JSON.stringify(body) });
  const cases = [
    [json(400, { error: "invalid_request" }), "refused"],
    [json(400, { error: "invalid_scope" }), "refused"],
    [json(400, { error: "invalid_dpop_proof" }), "refused"],
    [json(401, { error: "invalid_client" }), "refused"],
    [json(403, { error: "invalid_grant" }), "refused"],
    [{ status: 404, headers: {}, body: "<html>" }, "refused"],
    [json(408, { error: "invalid_request" }), "unavailable"],
    [json(429, { error: "rate_limited" }, { "Retry-After": "3600" }), "unavailable"],
    [json(500, { error: "server_error" }), "unavailable"],
    [json(503, { error: "temporarily_unavailable" }, { "Retry-After": "3600" }), "unavailable"],
    [{ status: 502, headers: {}, body: "<html>" }, "unavailable"],
    [{ status: 200, headers: {}, body: "<html>a captive portal</html>" }, "unavailable"],
    [{ status: 200, headers: { "Content-Type": "application/json" }, body: '{"access_token":"a","refresh_' }, "unavailable"],
    [{ status: 502, headers: { "Content-Type": "application/json" }, body: '"invalid_grant"' }, "unavailable"],
    [{ status: 400, headers: { "Content-Type": "application/json" }, body: "null" }, "refused"],
    [{ status: 511, headers: {}, body: "<html>a captive portal</html>" }, "unavailable"],
    [json(200, {}), "unavailable"],
    [json(200, { access_token: "a", refresh_token: "b" }), "unavailable"],
  ];
  const results = await Promise.all(cases.map(async ([answer, code]) => {
    const { net, store, client } = await setup(t, { retries: 1 });
    await client.signIn(await signIn());
    expire(store);
    net.next = () => answer;
    const error = await client.credentials().catch((error) => error);
    return [error.code, code, store.read() !== null, error.message];
  }));
  for (const [got, wanted, kept, message] of results) {
    assert.equal(got, wanted, message);
    assert.ok(kept, message);
  }
  const { net, store, client } = await setup(t);
  await client.signIn(await signIn());
  expire(store);
  net.next = () => json(400, { error: "invalid_grant" });
  assert.equal(await client.credentials(), null);
  assert.equal(store.read(), null);
});

test("pauses grow, at random, before what failed is sent again", async (t) => {
  const failing = async () => new Response("", { status: 503 });
  const calls = { refresh: [0, (client) => client.credentials()], devices: [300, (client) => client.devices()], "sign-out": [300, (client) => client.signOut()] };
  const almost = 1 - Number.EPSILON; // Math.random returns less than 1
  const later = globalThis.setTimeout;
  for (const [name, [expiresIn, call]] of Object.entries(calls)) {
    for (const [random, wanted] of [[0, [500, 1000, 2000, 4000]], [0.5, [750, 1500, 3000, 6000]], [almost, [1000, 2000, 4000, 8000]]]) {
      const client = new Client({ issuer: "https://sessions.example", store: memoryStore(), ahead: false, fetch: failing, lock: (_, task) => task(), name: "pauses" });
      await client.signIn({ access_token: "a", refresh_token: "r", expires_in: expiresIn });
      const pauses = [];
      const mocks = [
        t.mock.method(Math, "random", () => random),
        t.mock.method(globalThis, "setTimeout", (run, after, ...args) => {
          if (!new Error().stack.includes("/dist/client.js")) return later(run, after, ...args); // the platform's, for connections of other tests
          pauses.push(Math.round(after));
          return setImmediate(run);
        }),
      ];
      await assert.rejects(call(client), { code: "unavailable" }).finally(() => mocks.forEach(({ mock }) => mock.restore()));
      client.close();
      assert.deepEqual(pauses, wanted, `${name}, with ${random}`);
    }
  }
});

test("Retry-After is waited for", async (t) => {
  const { net, store, client } = await setup(t);
  await client.signIn(await signIn());
  expire(store);
  net.next = () => (net.count === 1 ? { status: 503, headers: { "Retry-After": "2" }, body: "{}" } : undefined);
  const since = performance.now();
  assert.ok(await client.credentials());
  assert.ok(performance.now() - since > 1900);
  assert.equal(net.count, 2);
});

test("a pause longer than a refresh may take: nothing is sent, except for a sign-out", async (t) => {
  const { net, store, client } = await setup(t);
  await client.signIn(await signIn());
  expire(store);
  let sent = 0;
  net.next = () => (sent++, { status: 503, headers: { "Retry-After": "3600" }, body: "" });
  for (const call of [() => client.credentials(), () => client.credentials(), () => client.devices()]) {
    await assert.rejects(call(), ({ code, retryAfter }) => code === "unavailable" && retryAfter > 200_000 && retryAfter <= 300_000);
  }
  assert.equal(sent, 1);
  net.next = undefined;
  await client.signOut();
  assert.equal(store.read(), null);
});

for (const value of ["86400000", "9".repeat(400), new Date(Date.now() + 40 * 86_400_000).toUTCString()]) {
  test(`Retry-After: ${value.slice(0, 30)} keeps nobody waiting for longer than five minutes`, async (t) => {
    const { net, store, client } = await setup(t, { ahead: true });
    await client.signIn(await signIn());
    expire(store);
    net.next = () => ({ status: 503, headers: { "Retry-After": value }, body: "" });
    await assert.rejects(client.credentials(), ({ code, retryAfter }) => code === "unavailable" && retryAfter > 0 && retryAfter <= 300_000);
    net.next = undefined;
    await assert.rejects(client.credentials(), { code: "unavailable" }, "the pause has only begun");
    const now = performance.now;
    t.mock.method(performance, "now", () => now.call(performance) + 300_000);
    assert.ok(await client.credentials());
  });
}

test("a limit that is said to be used up for years keeps nobody waiting for longer than five minutes", async (t) => {
  const { net, client } = await setup(t);
  await client.signIn({ ...(await signIn()), expires_in: 0 });
  const pair = { access_token: "new", refresh_token: "newer", token_type: "Bearer", expires_in: 300 };
  net.next = () => ({ status: 200, headers: { "Content-Type": "application/json", RateLimit: `"address";r=0;t=86400000` }, body: JSON.stringify(pair) });
  assert.equal((await client.credentials()).accessToken, "new");
  await assert.rejects(client.credentials("new"), ({ retryAfter }) => retryAfter > 0 && retryAfter <= 300_000);
});

test("a date that is days away, by this clock, is a minute", async (t) => {
  const { net, store, client } = await setup(t);
  await client.signIn(await signIn());
  expire(store);
  net.next = () => ({ status: 503, headers: { "Retry-After": new Date(Date.now() + 3 * 86_400_000).toUTCString() }, body: "" });
  await assert.rejects(client.credentials(), ({ code, retryAfter }) => code === "unavailable" && retryAfter > 50_000 && retryAfter <= 60_000);
});

test("a limit that is used up is no reason to ask", async (t) => {
  const { net, store, client } = await setup(t);
  await client.signIn(await signIn());
  expire(store);
  const pair = { access_token: "new", refresh_token: "newer", token_type: "Bearer", expires_in: 300 };
  net.next = () => ({ status: 200, headers: { "Content-Type": "application/json", RateLimit: `"address";r=0;t=2` }, body: JSON.stringify(pair) });
  assert.equal((await client.credentials()).accessToken, "new");
  const since = performance.now();
  await client.credentials("new");
  assert.ok(performance.now() - since > 1900);
  assert.equal(net.count, 2);
});

test("another tab's login is noticed where tabs cannot hear each other", async (t) => {
  const { store, client, backend } = await setup(t);
  await client.signIn(await signIn("ada"));
  const other = new Client({ issuer, store, ahead: false, name: crypto.randomUUID() });
  t.after(() => other.close());
  await other.signIn(await signIn("bob"));
  await assert.rejects(client.fetch(backend.url), { code: "session_changed" });
  assert.equal(client.current(), store.read().id);
  assert.equal((await (await client.fetch(backend.url)).json()).subject, "bob");
});

test("a sign-out everywhere right at the start is one here, too", async (t) => {
  const { client, store } = await setup(t);
  await client.signIn(await signIn());
  const later = { read: async () => store.read(), write: (session) => store.write(session) };
  const next = new Client({ issuer, store: later, ahead: false, name: crypto.randomUUID() });
  t.after(() => next.close());
  await next.signOutEverywhere();
  assert.equal(store.read(), null);
});

test("a request that was redirected between named origins is refreshed for at neither", async (t) => {
  const { net, client, backend, store } = await setup(t);
  const gateway = await network(t, backend.url);
  gateway.next = () => ({ status: 307, headers: { Location: `${backend.url}/x` }, body: "" });
  const other = new Client({ issuer: net.url, origins: [gateway.url, backend.url], store, ahead: false, name: crypto.randomUUID() });
  t.after(() => other.close());
  await client.signIn(await signIn("ada"));
  assert.equal((await other.fetch(gateway.url)).status, 401); // fetch takes the token away on the way
  assert.deepEqual([net.count, backend.seen.length], [0, 1]);
});

test("a platform without sessionStorage and localStorage has their stores in memory", async (t) => {
  for (const [name, make] of Object.entries({ sessionStorage: tabStore, localStorage: localStore })) {
    for (const get of [undefined, () => null, () => { throw new DOMException("denied", "SecurityError"); }]) {
      const before = Object.getOwnPropertyDescriptor(globalThis, name);
      if (get) Object.defineProperty(globalThis, name, { get, configurable: true });
      else delete globalThis[name];
      try {
        const store = make(crypto.randomUUID());
        const client = new Client({ issuer, store, ahead: false, name: crypto.randomUUID() });
        t.after(() => client.close());
        await client.signIn(await signIn());
        assert.equal(client.state().status, "signed-in");
        await client.signOut();
        assert.equal(await store.read(), null);
      } finally {
        delete globalThis[name];
        if (before) Object.defineProperty(globalThis, name, before);
      }
    }
  }
});

test("a server that renders a page knows no login", async (t) => {
  const client = new Client({ issuer });
  t.after(() => client.close());
  await assert.rejects(client.signIn(await signIn()), ReferenceError);
  await assert.rejects(client.credentials(), ReferenceError);
  assert.deepEqual(client.state(), { status: "loading" });
});

/** A sessionStorage for each of several tabs: `duplicate` copies one, `open` runs a script in one. */
function tabs(t) {
  const before = Object.getOwnPropertyDescriptor(globalThis, "sessionStorage");
  t.after(() => (delete globalThis.sessionStorage, before && Object.defineProperty(globalThis, "sessionStorage", before)));
  const kept = new Map();
  const open = (name) => {
    const values = kept.get(name) ?? kept.set(name, {}).get(name);
    const methods = { getItem: (key) => values[key] ?? null, setItem: (key, value) => (values[key] = value), removeItem: (key) => delete values[key] };
    const value = new Proxy(values, { get: (_, key) => methods[key] ?? values[key] });
    Object.defineProperty(globalThis, "sessionStorage", { value, configurable: true });
    return tabStore("tabs");
  };
  return { open, duplicate: (from, to) => kept.set(to, { ...kept.get(from) }) };
}

test("a copied tab takes its original's tokens though the clock was set back", async (t) => {
  const later = setTimeout;
  t.mock.method(globalThis, "setTimeout", (run, after, ...args) => later(run, after === 100 ? 5000 : after, ...args)); // however busy the machine is
  const { open, duplicate } = tabs(t);
  const one = open("one");
  const { net, backend, client } = await setup(t, { store: one });
  await client.signIn(await signIn("ada"));
  duplicate("one", "two");
  const now = Date.now;
  t.mock.method(Date, "now", () => now() - 3 * 86_400_000);
  const { accessToken } = await client.credentials((await one.read()).accessToken);
  const two = open("two");
  assert.equal((await two.read()).accessToken, accessToken);
  const twin = new Client({ issuer: net.url, origins: [backend.url], store: two, ahead: false, name: crypto.randomUUID() });
  t.after(() => twin.close());
  assert.equal((await (await twin.fetch(backend.url)).json()).subject, "ada");
  // From now on both follow each other, whatever other messages they receive.
  const next = await twin.credentials(accessToken);
  await until(async () => (await one.read()).accessToken === next.accessToken);
});

test("a copied tab that was frozen hears what it has missed before it uses its tokens", async (t) => {
  const later = setTimeout;
  t.mock.method(globalThis, "setTimeout", (run, after, ...args) => later(run, after === 100 ? 5000 : after, ...args)); // however busy the machine is
  const { open, duplicate } = tabs(t);
  const one = open("one");
  const { client } = await setup(t, { store: one });
  await client.signIn(await signIn("ada"));
  duplicate("one", "two");
  // A frozen page receives nothing: messages for it are kept until it is resumed.
  const Channel = BroadcastChannel;
  const missed = [];
  let frozen = false;
  globalThis.BroadcastChannel = class extends Channel {
    set onmessage(heard) {
      super.onmessage = (message) => (frozen ? missed.push(() => heard(message)) : heard(message));
    }
  };
  globalThis.document = Object.assign(new EventTarget(), { visibilityState: "hidden" });
  t.after(() => (globalThis.BroadcastChannel = Channel, delete globalThis.document));
  const two = open("two");
  await two.read();
  frozen = true;
  const { accessToken } = await client.credentials((await one.read()).accessToken);
  await until(() => missed.length > 0);
  frozen = false;
  document.dispatchEvent(new Event("resume"));
  setTimeout(() => missed.forEach((tell) => tell()), 20);
  assert.equal((await two.read()).accessToken, accessToken);
});

for (const [what, days] of [["ahead", 3], ["behind", -3]]) {
  test(`a clock that jumps three days ${what} signs nobody out`, async (t) => {
    const { net, backend, store, client } = await setup(t);
    await client.signIn(await signIn("ada"));
    const now = Date.now;
    t.mock.method(Date, "now", () => now() + days * 86_400_000);
    assert.equal((await (await client.fetch(backend.url)).json()).subject, "ada");
    assert.equal(net.count, days > 0 ? 1 : 0);
    store.write({ ...store.read(), accessToken: "worn.out.token" });
    assert.equal((await (await client.fetch(backend.url)).json()).subject, "ada");
    await client.signOut();
  });
}

test("without a page, a token is refreshed ahead of expiry if that is wanted", async (t) => {
  const { net, client } = await setup(t, { ahead: true });
  await client.signIn({ ...(await signIn()), expires_in: 2 });
  await until(() => net.count === 1);
});

test("a listener that throws keeps nobody else from being told", async (t) => {
  const { client } = await setup(t);
  const caught = [];
  process.setUncaughtExceptionCaptureCallback((error) => caught.push(error.message));
  t.after(() => process.setUncaughtExceptionCaptureCallback(null));
  const states = [];
  client.subscribe(() => {
    throw new Error("the page's mistake");
  });
  client.subscribe(({ status }) => states.push(status));
  await client.signIn(await signIn());
  await until(() => caught.length === 1);
  assert.deepEqual([caught, states], [["the page's mistake"], ["signed-in"]]);
});

test("a store that cannot be read yet is read again by the next call", async (t) => {
  const kept = memoryStore();
  let locked = true;
  const store = {
    read() {
      if (locked) throw new Error("the device is locked");
      return kept.read();
    },
    write: kept.write,
  };
  const { client } = await setup(t, { store });
  await assert.rejects(client.credentials(), /locked/);
  assert.equal(client.state().status, "loading");
  locked = false;
  assert.equal(await client.credentials(), null);
  assert.equal(client.state().status, "signed-out");
});

test("devices: list, rename and end one, sign out elsewhere and everywhere", async (t) => {
  const { client, store } = await setup(t);
  const subject = `user-${crypto.randomUUID()}`;
  await client.signIn(await signIn(subject));
  for (const label of ["phone", "laptop", "kiosk"]) await signIn(subject, { client: { label } });
  const devices = await client.devices();
  assert.deepEqual(devices.map((device) => [device.client?.label, device.current]), [["kiosk", false], ["laptop", false], ["phone", false], [undefined, true]]);
  await client.renameDevice(devices[3].id, "this one");
  assert.deepEqual((await client.devices()).map((device) => device.client?.label), ["kiosk", "laptop", "phone", "this one"]);
  await client.endDevice(devices[0].id);
  await client.endDevice(devices[0].id);
  assert.equal((await client.devices()).length, 3);
  await client.signOutElsewhere();
  assert.equal((await client.devices()).length, 1);
  await client.signOutEverywhere();
  assert.equal(store.read(), null);
});

test("a sign-out that does not reach the service says so, and has signed out here", async (t) => {
  const { net, store, client } = await setup(t, { retries: 1 });
  await client.signIn(await signIn());
  net.next = () => ({ status: 503, headers: {}, body: "" });
  await assert.rejects(client.signOut(), { code: "unavailable" });
  assert.equal(store.read(), null);
});

test("a page in place of an answer does not count", async (t) => {
  const { net, store, client } = await setup(t, { retries: 1 });
  const tokens = await signIn("ada");
  await client.signIn(tokens);
  const [{ id }] = await client.devices();
  net.next = () => ({ status: 200, headers: { "Content-Type": "text/html; charset=utf-8" }, body: "<!doctype html>" });
  for (const call of ["devices", "signOutElsewhere", "signOutEverywhere"]) await assert.rejects(client[call](), { code: "unavailable" }, call);
  await assert.rejects(client.endDevice(id), { code: "unavailable" });
  assert.equal(client.state().status, "signed-in");
  await assert.rejects(client.signOut(), { code: "unavailable" }, "the session is still live at the service");
  store.write(null);
  await client.signIn({ access_token: tokens.access_token, expires_in: 0 });
  await assert.rejects(client.credentials(), { code: "unavailable" }, "a session without a refresh token");
  assert.notEqual(store.read(), null);
});

test("what is no token response is noticed at the login", async (t) => {
  const { client } = await setup(t);
  await assert.rejects(client.signIn({ error: "no" }), TypeError);
  await assert.rejects(client.signIn({ access_token: "a", refresh_token: "b" }), TypeError);
  await assert.rejects(client.signIn({ access_token: "a", refresh_token: null, expires_in: 1 }), TypeError);
});

test("a session without a refresh token is used until the service says that it has ended", async (t) => {
  const { net, backend, store, client } = await setup(t, { retries: 0 });
  const asked = [];
  net.next = ({ method, url }) => void asked.push(`${method} ${url}`);
  const subject = `user-${crypto.randomUUID()}`;
  const tokens = await signIn(subject, { refresh_token: false });
  assert.equal(tokens.refresh_token, undefined);
  await client.signIn(tokens);
  assert.equal((await (await client.fetch(backend.url)).json()).subject, subject);
  assert.deepEqual(asked, []);

  // Neither a clock that was set nor an API's refusal ends it, nor a service that cannot answer.
  expire(store);
  assert.equal((await client.credentials()).accessToken, tokens.access_token);
  assert.equal((await client.credentials(tokens.access_token)).accessToken, tokens.access_token);
  for (const [fate, code] of [[{ status: 503, headers: {}, body: "" }, "unavailable"], [{ status: 401, headers: {}, body: "gateway" }, "refused"]]) {
    net.next = () => fate;
    await assert.rejects(client.credentials(), { code });
    assert.equal(client.state().status, "signed-in");
  }

  net.next = ({ method, url }) => void asked.push(`${method} ${url}`);
  await endAll(subject);
  assert.equal(await client.credentials(), null);
  assert.deepEqual([store.read(), client.state()], [null, { status: "signed-out", reason: "ended" }]);
  assert.deepEqual(asked, Array(3).fill("GET /v1/me/sessions/current"));
});

test("a session without a refresh token is signed out, too", async (t) => {
  const { client } = await setup(t);
  const tokens = await signIn(undefined, { refresh_token: false });
  await client.signIn(tokens);
  await client.signOut();
  const answer = await fetch(`${issuer}/v1/me/sessions/current`, { headers: { Authorization: `Bearer ${tokens.access_token}` } });
  assert.equal(answer.status, 401);
});

test("of all the refusals that the service knows one ends a session", async (t) => {
  const folder = process.env.ANSWERS; // the service's own tests hold what it sends against these files
  const names = (await readdir(folder)).filter((name) => name.startsWith("problem_"));
  assert.ok(names.length > 40);
  const ended = await Promise.all(names.map(async (name) => {
    const [head, body] = (await readFile(`${folder}/${name}`, "utf8")).split("\n\n");
    const [first, ...lines] = head.split("\n");
    const status = Number(first.split(" ")[0]);
    const headers = Object.fromEntries(lines.map((line) => line.split(": ")).filter(([header]) => !header.startsWith("Content-Length")));
    const { net, store, client } = await setup(t, { retries: 0 });
    await client.signIn(await signIn());
    expire(store);
    net.next = () => ({ status, headers, body });
    const kept = await client.credentials().then(() => "", (error) => error.code);
    if (kept) assert.equal(kept, status >= 500 || status === 408 || status === 429 ? "unavailable" : "refused", name);
    return store.read() ? "" : name;
  }));
  assert.deepEqual(ended.filter(Boolean), ["problem_oauth_invalid_grant.golden"]);
});

test("the issuer's own answers are classified", async (t) => {
  const { store, client } = await setup(t, { issuer });
  await client.signIn({ access_token: "a", refresh_token: "garbage", expires_in: 0 });
  assert.equal(await client.credentials(), null);
  assert.equal(store.read(), null);
});
