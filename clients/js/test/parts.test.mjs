import assert from "node:assert/strict";
import { Readable } from "node:stream";
import { test } from "node:test";
import { MessageChannel } from "node:worker_threads";
import axios from "axios";
import { authorizeAxios } from "../dist/axios.js";
import { dpop } from "../dist/dpop.js";
import { Client, LatchkeyError, memoryStore } from "../dist/index.js";
import { WorkerClient, serveClient } from "../dist/worker.js";
import { api, gate, issuer, network, signIn, until } from "./service.mjs";

const claims = (token) => JSON.parse(Buffer.from(token.split(".")[1], "base64url"));

function client(t, options) {
  const made = new Client({ issuer, store: memoryStore(), ahead: false, name: crypto.randomUUID(), ...options });
  t.after(() => made.close());
  return made;
}

test("dpop binds the session to a key", async (t) => {
  const backend = await api(t);
  const store = memoryStore();
  const bound = client(t, { store, origins: [backend.url], dpop: dpop() });
  await bound.signIn(await signIn("ada"));
  store.write({ ...store.read(), receivedAt: 0 });
  const call = await (await bound.fetch(`${backend.url}/cart?q=1`)).json();
  assert.equal(call.subject, "ada");
  assert.match(call.headers.authorization, /^DPoP /);
  const proof = claims(call.headers.dpop);
  assert.deepEqual([proof.htm, proof.htu], ["GET", `${backend.url}/cart`]);
  assert.ok(claims(call.headers.authorization.slice(5)).cnf.jkt);
  // The service itself checks the proofs of its own routes.
  assert.equal((await bound.devices()).length > 0, true);
  // Without the key, the refresh token is worth nothing.
  const thief = client(t, { store: memoryStore() });
  const { accessToken, refreshToken } = store.read();
  await thief.signIn({ access_token: accessToken, refresh_token: refreshToken, expires_in: 0 });
  assert.equal(await thief.credentials(), null);
});

test("a key that could not be read is read again for the next proof", async (t) => {
  const prover = dpop();
  globalThis.indexedDB = { open() { throw new DOMException("no room", "UnknownError"); } };
  t.after(() => delete globalThis.indexedDB);
  await assert.rejects(prover.proof("GET", issuer), { name: "UnknownError" });
  delete globalThis.indexedDB;
  assert.ok(await prover.proof("GET", issuer));
});

test("a nonce is taken from an answer that does not say where it is from", async (t) => {
  const nonces = [];
  const json = { "Content-Type": "application/json" };
  const pair = { access_token: "new", refresh_token: "newer", token_type: "DPoP", expires_in: 300 };
  const bound = client(t, { dpop: dpop(), async fetch(request) { // as the shells of native apps have it
    nonces.push(claims(request.headers.get("DPoP")).nonce);
    if (nonces.length === 1) return new Response('{"error":"use_dpop_nonce"}', { status: 400, headers: { ...json, "DPoP-Nonce": "n-1" } });
    return new Response(JSON.stringify(pair), { headers: json });
  } });
  await bound.signIn({ access_token: "old", refresh_token: "older", expires_in: 0 });
  assert.equal((await bound.credentials()).accessToken, "new");
  assert.deepEqual(nonces, [undefined, "n-1"]);
});

test("a nonce that is asked for is sent", async (t) => {
  const nonces = [];
  const net = await network(t);
  const json = { "Content-Type": "application/json" };
  net.next = ({ headers }) => {
    nonces.push(claims(headers.dpop).nonce);
    if (nonces.length === 1) return { status: 400, headers: { ...json, "DPoP-Nonce": "n-1" }, body: '{"error":"use_dpop_nonce"}' };
    const pair = { access_token: "new", refresh_token: "newer", token_type: "DPoP", expires_in: 300 };
    return { status: 200, headers: { ...json, "DPoP-Nonce": "n-2" }, body: JSON.stringify(pair) };
  };
  const store = memoryStore();
  const bound = client(t, { issuer: net.url, store, dpop: dpop() });
  await bound.signIn({ access_token: "old", refresh_token: "older", expires_in: 0 });
  assert.equal((await bound.credentials()).accessToken, "new");
  await bound.credentials("new");
  assert.deepEqual(nonces, [undefined, "n-1", "n-2"]);
  // So is one for a session without a refresh token.
  net.next = ({ headers }) => {
    nonces.push(claims(headers.dpop).nonce);
    if (nonces.length === 4) return { status: 401, headers: { ...json, "DPoP-Nonce": "n-3", "WWW-Authenticate": 'DPoP error="use_dpop_nonce"' }, body: "{}" };
    return { status: 200, headers: json, body: "{}" };
  };
  await bound.signIn({ access_token: "only", token_type: "DPoP", expires_in: 0 });
  assert.equal((await bound.credentials()).accessToken, "only");
  assert.deepEqual(nonces.slice(3), ["n-2", "n-3"]);
});

test("axios sends the token, and a refused request again", async (t) => {
  const [backend, stranger] = [await api(t), await api(t)];
  const store = memoryStore();
  const source = client(t, { store });
  const http = axios.create({ baseURL: backend.url, validateStatus: (status) => status < 300 });
  authorizeAxios(http, source, [backend.url]);
  await source.signIn(await signIn("ada"));
  assert.equal((await http.post("/cart", { item: 1 })).data.subject, "ada");
  store.write({ ...store.read(), accessToken: "worn.out.token" });
  const { data } = await http.post("/cart", { item: 2 });
  assert.deepEqual([data.subject, data.body], ["ada", '{"item":2}']);
  await assert.rejects(http.get(stranger.url), (error) => error.response.status === 401);
  assert.equal(stranger.seen[0].headers.authorization, undefined);
  assert.equal(stranger.seen.length, 1);
});

test("axios: a stream is not sent again", async (t) => {
  const [backend, net] = [await api(t), await network(t)];
  const store = memoryStore();
  const source = client(t, { issuer: net.url, store });
  await source.signIn(await signIn("ada"));
  const web = () => new ReadableStream({ start: (c) => (c.enqueue(new TextEncoder().encode("text")), c.close()) });
  for (const [adapter, stream] of [["http", () => Readable.from(["text"])], ["fetch", web]]) {
    const http = axios.create({ baseURL: backend.url, adapter });
    authorizeAxios(http, source, [backend.url]);
    store.write({ ...store.read(), accessToken: "worn.out.token" });
    const [seen, refreshed] = [backend.seen.length, net.count];
    await assert.rejects(http.post("/cart", stream()), (error) => error.response.status === 401, adapter);
    assert.deepEqual([backend.seen.length, net.count], [seen + 1, refreshed + 1]);
    const { data } = await http.post("/cart", stream());
    assert.deepEqual([data.subject, data.body], ["ada", "text"], adapter);
  }
});

test("axios: no request of one user goes out with the token of another", async (t) => {
  const [backend, net] = [await api(t), await network(t)];
  const store = memoryStore();
  const source = client(t, { issuer: net.url, store });
  const http = axios.create({ baseURL: backend.url });
  authorizeAxios(http, source, [backend.url]);
  await source.signIn(await signIn("ada"));
  store.write({ ...store.read(), receivedAt: 0 });
  net.held = gate();
  const call = assert.rejects(http.get("/ada"), { code: "session_changed" });
  await until(() => net.count === 1);
  await source.signIn(await signIn("bob"));
  net.held.open();
  await call;
  assert.deepEqual(backend.seen, []);
});

test("axios: a 401 that is not an error is refreshed for, too, and the token follows the address that axios makes", async (t) => {
  const [backend, stranger] = [await api(t), await api(t)];
  const store = memoryStore();
  const source = client(t, { store });
  const http = axios.create({ baseURL: stranger.url, validateStatus: () => true });
  authorizeAxios(http, source, [backend.url]);
  await source.signIn(await signIn("ada"));
  store.write({ ...store.read(), accessToken: "worn.out.token" });
  assert.equal((await http.get(`${backend.url}/cart`, { params: { q: 1 } })).data.subject, "ada");
  assert.equal(backend.seen.length, 2);
  await http.get(`${backend.url}/cart`, { allowAbsoluteUrls: false });
  assert.equal(stranger.seen.length, 1);
  assert.equal(stranger.seen[0].headers.authorization, undefined);
});

for (const days of [3, -3]) {
  test(`dpop with a clock that is ${days} days off`, async (t) => {
    const now = Date.now;
    t.mock.method(Date, "now", () => now() + days * 86_400_000);
    const store = memoryStore();
    const bound = client(t, { store, dpop: dpop() });
    await bound.signIn(await signIn("ada"));
    store.write({ ...store.read(), receivedAt: 0 });
    assert.equal((await bound.credentials()).tokenType, "DPoP");
    assert.equal((await bound.devices()).length > 0, true);
  });
}

test("a worker holds the refresh token, the page gets access tokens", async (t) => {
  const backend = await api(t);
  const { port1, port2 } = new MessageChannel();
  t.after(() => port1.close());
  const messages = [];
  const post = port1.postMessage.bind(port1);
  port1.postMessage = (message) => (messages.push(message), post(message));
  const store = memoryStore();
  const holder = client(t, { store });
  serveClient(holder, port1);
  const page = new WorkerClient(port2, [backend.url]);
  await until(() => page.state().status === "signed-out");
  await page.signIn(await signIn("ada"));
  store.write({ ...store.read(), accessToken: "worn.out.token" });
  assert.equal((await (await page.fetch(backend.url)).json()).subject, "ada");
  assert.equal((await page.devices()).some((device) => device.current), true);
  const { refreshToken } = store.read();
  assert.ok(!JSON.stringify(messages).includes(refreshToken));
  // A page that is being left has no time for the worker.
  const asked = messages.length;
  const { subject } = await (await page.fetch(backend.url, { method: "POST", keepalive: true })).json();
  assert.deepEqual([subject, messages.length], ["ada", asked]);
  await page.signOut();
  assert.equal(store.read(), null);
  await until(() => page.state().status === "signed-out");
  assert.equal(page.known(), null);
  await assert.rejects(page.signIn({}), /access_token/);
});

test("errors of a worker keep their code", async (t) => {
  const net = await network(t);
  const { port1, port2 } = new MessageChannel();
  t.after(() => port1.close());
  const store = memoryStore();
  serveClient(client(t, { issuer: net.url, store }), port1);
  const page = new WorkerClient(port2, []);
  await page.signIn(await signIn());
  store.write({ ...store.read(), receivedAt: 0 });
  net.next = () => ({ status: 503, headers: { "Retry-After": "3600" }, body: "" });
  await assert.rejects(page.credentials(), (error) => error instanceof LatchkeyError && error.code === "unavailable" && error.retryAfter > 200_000);
});

test("a worker that does not start refuses calls, which have no effect later", async (t) => {
  const { port1, port2 } = new MessageChannel();
  t.after(() => port1.close());
  const page = new WorkerClient(port2, ["https://shop.example.com"], { startTimeout: 50 });
  await assert.rejects(page.signIn(await signIn("ada")), { code: "unavailable" });
  await assert.rejects(page.fetch("https://shop.example.com"), { code: "unavailable" });
  const store = memoryStore();
  serveClient(client(t, { store }), port1);
  await until(() => page.state().status === "signed-out");
  assert.equal(await page.credentials(), null);
  assert.equal(store.read(), null);
});

test("calls wait for a worker that is slow to start", async (t) => {
  const { port1, port2 } = new MessageChannel();
  t.after(() => port1.close());
  const page = new WorkerClient(port2, []);
  const signedIn = page.signIn(await signIn("ada"));
  serveClient(client(t), port1);
  await signedIn;
  assert.ok((await page.credentials()).accessToken);
});

test("a worker that fails is told from one that is slow", async (t) => {
  const { port1, port2 } = new MessageChannel();
  t.after(() => port1.close());
  const page = new WorkerClient(port2, []);
  const waits = page.credentials();
  port2.dispatchEvent(new Event("error"));
  for (const call of [waits, page.credentials()]) await assert.rejects(call, { code: "unavailable" });
  serveClient(client(t), port1); // an error of something else in the script
  await until(() => page.state().status === "signed-out");
  assert.equal(await page.credentials(), null);
});

test("a page that comes to a worker later learns its state", async (t) => {
  const { port1, port2 } = new MessageChannel();
  t.after(() => port1.close());
  const holder = client(t);
  await holder.signIn(await signIn("ada"));
  serveClient(holder, port1);
  await new Promise((resolve) => port2.once("message", resolve)); // the first message had no receiver
  const page = new WorkerClient(port2, []);
  await until(() => page.state().status === "signed-in");
});

test("calls of a worker that was ended are refused, those of one that takes its time are not", async (t) => {
  const net = await network(t);
  const { port1, port2 } = new MessageChannel();
  t.after(() => port1.close());
  const holder = client(t, { issuer: net.url });
  serveClient(holder, port1);
  const page = new WorkerClient(port2, [], { startTimeout: 300 });
  const states = [];
  page.subscribe(() => { throw new Error("the page's mistake"); });
  page.subscribe(({ status }) => states.push(status));
  const caught = [];
  process.setUncaughtExceptionCaptureCallback((error) => caught.push(error.message));
  t.after(() => process.setUncaughtExceptionCaptureCallback(null));
  await page.signIn(await signIn("ada"));
  const { accessToken } = await page.credentials();
  net.held = gate();
  let done = false;
  const slow = page.credentials(accessToken).finally(() => (done = true));
  await new Promise((resolve) => setTimeout(resolve, 1000));
  assert.equal(done, false);
  net.held.open();
  assert.ok(await slow);
  assert.deepEqual(states, ["signed-out", "signed-in"], "what is said again is no change");
  assert.ok(caught.length > 0 && caught.every((message) => message === "the page's mistake"));
  port1.onmessage = null; // as after its end
  await assert.rejects(page.credentials(), { code: "unavailable" });
});
