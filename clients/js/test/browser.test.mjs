// The client in a real browser: tabs that share a login, tabs that are duplicated, frozen or offline, and a network that fails.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { build } from "esbuild";
import { chromium } from "playwright-core";
import { api, endAll, gate, issuer, listen, network, signIn, until } from "./service.mjs";

const dist = new URL("../dist/", import.meta.url);
let browser;

before(async () => {
  const ignoreDefaultArgs = ["--disable-back-forward-cache"];
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"], ignoreDefaultArgs });
});
after(() => browser?.close());

// The service allows one origin, so the tests share its port and run one after the other.
async function setup(t, { store = "databaseStore()", options = "", prepare } = {}) {
  const [net, backend] = [await network(t), await api(t)];
  const page = await listen(t, async (request, response) => {
    const { pathname } = new URL(request.url, "http://page");
    if (pathname.startsWith("/dist/")) {
      response.writeHead(200, { "Content-Type": "text/javascript", "Access-Control-Allow-Origin": "*" }).end(await readFile(new URL(pathname.slice(6), dist)));
    } else if (/^\/react\.\w+\.js$/.test(pathname)) {
      response.writeHead(200, { "Content-Type": "text/javascript" }).end(await bundleReact(pathname.split(".")[1]));
    } else if (pathname === "/service-worker.js") {
      response.writeHead(200, { "Content-Type": "text/javascript" }).end(`
        addEventListener("install", () => skipWaiting());
        addEventListener("activate", (event) => event.waitUntil(clients.claim()));
        addEventListener("fetch", (event) => event.respondWith(fetch(event.request)));
      `);
    } else if (pathname === "/worker.js") {
      response.writeHead(200, { "Content-Type": "text/javascript" }).end(`
        import { Client } from "/dist/index.js";
        import { serveClient } from "/dist/worker.js";
        serveClient(new Client({ issuer: "${net.url}" }), self);
      `);
    } else {
      response.writeHead(200, { "Content-Type": "text/html" }).end(`<!doctype html><title>page</title><script type="module">
        import * as latchkey from "/dist/index.js";
        import { dpop } from "/dist/dpop.js";
        import { authorizedXHR } from "/dist/xhr.js";
        const { Client, databaseStore, localStore, memoryStore, tabStore } = latchkey;
        window.store = ${store};
        window.client = new Client({ issuer: "${net.url}", origins: ["${backend.url}"], store, ${options} });
        window.XHR = authorizedXHR(client, ["${backend.url}"]);
        window.backend = "${backend.url}";
        window.call = (path = "/") => client.fetch("${backend.url}" + path).then((a) => a.json()).then((a) => a.subject);
      </script>`);
    }
  }, Number(process.env.PAGE_PORT));
  const context = await browser.newContext();
  t.after(() => context.close());
  if (prepare) await context.addInitScript(prepare);
  const open = async () => ready(await context.newPage(), page.url);
  return { net, backend, page, context, open };
}

/** bundleReact returns a module that shows the status in an element: in StrictMode, which does everything twice in development. */
async function bundleReact(mode) {
  const contents = `
    import { createElement, StrictMode } from "react";
    import { createRoot, hydrateRoot } from "react-dom/client";
    import { renderToString } from "react-dom/server";
    import { useSession } from "./dist/react.js";
    export function mount(client) {
      const rendered = [];
      const Status = () => {
        const { status } = useSession(client);
        rendered.push(status);
        return createElement("output", null, status);
      };
      createRoot(document.body).render(createElement(StrictMode, null, createElement(Status)));
      return rendered;
    }
    export async function hydrate(client) {
      const Status = ({ of }) => createElement("output", null, useSession(of).status);
      const nobody = { state: () => ({ status: "loading" }), subscribe: () => () => {} }; // all that a server knows
      document.body.innerHTML = renderToString(createElement(Status, { of: nobody }));
      const errors = [];
      hydrateRoot(document.body, createElement(Status, { of: client }), { onRecoverableError: (error) => errors.push(String(error)) });
      while (document.body.textContent !== "signed-in") await new Promise(requestAnimationFrame);
      return errors;
    }`;
  const { outputFiles } = await build({ stdin: { contents, resolveDir: "." }, bundle: true, format: "esm", write: false, define: { "process.env.NODE_ENV": JSON.stringify(mode) } });
  return outputFiles[0].contents;
}

async function ready(tab, url) {
  if (url) await tab.goto(url);
  await tab.waitForFunction(() => globalThis.client && client.state().status !== "loading");
  return tab;
}

const login = (tab, tokens) => tab.evaluate((tokens) => client.signIn(tokens), tokens);
const call = (tab, path) => tab.evaluate((path) => call(path), path);
const status = (tab) => tab.evaluate(() => client.state().status);
const becomes = (tab, wanted) => until(async () => (await status(tab)) === wanted);
/** expire makes the stored access token look old. */
const expire = (tab) => tab.evaluate(async () => store.write({ ...(await store.read()), receivedAt: 0 }));
const stored = (tab) => tab.evaluate(async () => store.read());

test("a login outlives a reload and reaches other tabs", async (t) => {
  const { open } = await setup(t);
  const [one, two] = [await open(), await open()];
  await login(one, await signIn("ada"));
  await becomes(two, "signed-in");
  assert.equal(await call(two), "ada");
  await one.reload();
  await ready(one);
  assert.equal(await call(one), "ada");
});

test("three tabs with a thousand calls at expiry: one refresh", async (t) => {
  const { net, open } = await setup(t);
  const tabs = [await open(), await open(), await open()];
  await login(tabs[0], await signIn("ada"));
  await expire(tabs[0]);
  const tokens = await Promise.all(tabs.map((tab) => tab.evaluate(() => Promise.all(Array.from({ length: 334 }, () => client.credentials().then((c) => c.accessToken))))));
  assert.equal(new Set(tokens.flat()).size, 1);
  assert.equal(net.count, 1);
});

// A page that comes by plain HTTP, as in a local network, has neither.
test("without the Web Locks API and randomUUID the tabs still have one pair", async (t) => {
  const { open } = await setup(t, { prepare: () => {
    Object.defineProperty(navigator, "locks", { value: undefined });
    Object.defineProperty(crypto, "randomUUID", { value: undefined });
  } });
  const tabs = [await open(), await open(), await open()];
  await login(tabs[0], await signIn("ada"));
  for (let round = 0; round < 3; round++) {
    await expire(tabs[0]);
    assert.deepEqual(await Promise.all(tabs.map((tab) => call(tab))), ["ada", "ada", "ada"]);
  }
});

test("a connection to the database that the browser has closed is opened again", async (t) => {
  const { open } = await setup(t, { prepare: () => {
    globalThis.connections = [];
    const connect = IDBFactory.prototype.open;
    IDBFactory.prototype.open = function (...args) {
      const request = connect.apply(this, args);
      request.addEventListener("success", () => connections.push(request.result));
      return request;
    };
  } });
  const tab = await open();
  await login(tab, await signIn("ada"));
  const close = () => tab.evaluate(() => connections.map((connection) => connection.close()).length);
  for (let opened = 1; opened < 4; opened++) {
    assert.equal(await close(), opened); // of which the page is not notified
    assert.deepEqual(await tab.evaluate(() => Promise.all([call(), call()])), ["ada", "ada"]);
  }
});

test("without BroadcastChannel a sign-out in one tab is one in all at the next call", async (t) => {
  const { open } = await setup(t, { prepare: () => Object.defineProperty(globalThis, "BroadcastChannel", { value: undefined }) });
  const [one, two] = [await open(), await open()];
  await login(one, await signIn("ada"));
  assert.equal(await call(two), "ada");
  await one.evaluate(() => client.signOut());
  assert.equal(await call(two), null);
  assert.equal(await status(two), "signed-out");
});

test("localStorage can be the store, too", async (t) => {
  const { open } = await setup(t, { store: "localStore()" });
  const [one, two] = [await open(), await open()];
  await login(one, await signIn("ada"));
  await becomes(two, "signed-in");
  await expire(two);
  assert.deepEqual(await Promise.all([call(one), call(two)]), ["ada", "ada"]);
  await one.evaluate(() => client.signOut());
  await becomes(two, "signed-out");
});

test("a sign-out in one tab is one in all, also for an answer under way", async (t) => {
  const { net, open } = await setup(t);
  const [one, two] = [await open(), await open()];
  await login(one, await signIn("ada"));
  await becomes(two, "signed-in");
  await expire(one);
  net.held = gate();
  const late = two.evaluate(() => client.credentials());
  await until(() => net.count === 1);
  await one.evaluate(() => client.signOut());
  await becomes(two, "signed-out");
  net.held.open();
  assert.equal(await late, null);
  assert.equal(await stored(one), null);
  const state = (tab) => tab.evaluate(() => client.state());
  assert.deepEqual(await state(one), { status: "signed-out", reason: "signed-out", by: "this-tab" });
  assert.deepEqual(await state(two), { status: "signed-out", reason: "signed-out", by: "another-tab" });

  // Earlier messages of other tabs do not count for the tab's own sign-out.
  await login(two, await signIn("ada"));
  await becomes(one, "signed-in");
  await two.evaluate(() => client.signOut());
  await becomes(one, "signed-out");
  assert.deepEqual([(await state(one)).by, (await state(two)).by], ["another-tab", "this-tab"]);
});

test("another user signs in while a tab waits: nobody gets the other's token", async (t) => {
  const { net, backend, open } = await setup(t);
  const [one, two] = [await open(), await open()];
  await login(one, await signIn("ada"));
  await becomes(two, "signed-in");
  await expire(one);
  net.held = gate();
  const late = two.evaluate(() => call("/ada").catch((error) => error.code));
  await until(() => net.count === 1);
  await login(one, await signIn("bob"));
  net.held.open();
  assert.equal(await late, "session_changed");
  assert.equal(await call(one, "/bob"), "bob");
  assert.ok(backend.seen.every((call) => call.subject === null || `/${call.subject}` === call.path));
});

/** viaXHR sends a request and returns the events of its listeners. */
const viaXHR = (tab, path, { headers = {}, body } = {}) => tab.evaluate(([path, headers, body]) => new Promise((resolve) => {
  const request = new XHR();
  const told = [];
  request.onreadystatechange = () => told.push(request.readyState);
  for (const type of ["load", "error"]) request.addEventListener(type, () => told.push(type));
  request.onloadend = () => resolve({ status: request.status, told, answer: request.response });
  request.open(body ? "POST" : "GET", path.startsWith("/") ? backend + path : path);
  request.responseType = "json";
  for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
  request.send(body);
}), [path, headers, body]);

test("XMLHttpRequest sends the token, and a refused request again", async (t) => {
  const { net, backend, open } = await setup(t);
  const tab = await open();
  const plain = await viaXHR(tab, "/nobody");
  assert.equal(plain.status, 401);
  await login(tab, await signIn("ada"));
  const wearOut = () => tab.evaluate(async () => store.write({ ...(await store.read()), accessToken: "worn.out.token" }));
  await wearOut();
  const sent = await viaXHR(tab, "/cart?x=y", { headers: { "X-Kept": "yes" }, body: "an apple" });
  assert.deepEqual([sent.status, sent.answer.subject, sent.answer.body, sent.answer.path, sent.answer.headers["x-kept"]], [200, "ada", "an apple", "/cart?x=y", "yes"]);
  assert.deepEqual(sent.told.filter((what) => what === "load" || what === 4), [4, "load"]);
  assert.equal(net.count, 1);
  const own = await viaXHR(tab, "/own", { headers: { Authorization: "Basic eDp5" } });
  assert.deepEqual([own.status, own.answer.headers.authorization], [401, "Basic eDp5"]);

  // The session is over: the refusal arrives after all.
  await wearOut();
  net.next = ({ method }) => (method === "POST" ? { status: 400, headers: { "Access-Control-Allow-Origin": "*", "Content-Type": "application/json" }, body: `{"error":"invalid_grant"}` } : undefined);
  const over = await viaXHR(tab, "/over");
  assert.deepEqual([over.status, over.told.at(-1)], [401, "load"]);
  assert.equal(await status(tab), "signed-out");
  assert.ok(backend.seen.every(({ path, subject }) => subject === null || path === "/cart?x=y"));
});

test("no token follows a redirect to another origin", async (t) => {
  const { net, backend, open } = await setup(t);
  const [gateway, stranger] = [await network(t, backend.url), await api(t)];
  gateway.next = ({ method }) => (method === "OPTIONS" ? undefined : { status: 307, headers: { "Access-Control-Allow-Origin": "*", Location: `${stranger.url}/x` }, body: "" });
  const tab = await open();
  await login(tab, await signIn("ada"));
  const statuses = await tab.evaluate(async ({ issuer, gateway }) => {
    const { Client } = await import("/dist/index.js");
    const { authorizedXHR } = await import("/dist/xhr.js");
    const other = new Client({ issuer, origins: [gateway], store });
    const fetched = await other.fetch(gateway, { method: "PUT", body: "fetch" });
    const XHR = authorizedXHR(other, [gateway]);
    return [fetched.status, await new Promise((resolve) => {
      const request = new XHR();
      request.onloadend = () => resolve(request.status);
      request.open("PUT", gateway);
      request.send("xhr");
    })];
  }, { issuer: net.url, gateway: gateway.url });
  assert.deepEqual(statuses, [401, 401]);
  const told = stranger.seen.map(({ body, headers }) => [body, headers.authorization]);
  assert.ok(told.some(([body]) => body === "fetch") && told.some(([body]) => body === "xhr"));
  assert.deepEqual(told.filter(([, authorization]) => authorization), []);
});

test("a service worker that passes requests on changes nothing", async (t) => {
  const { net, open } = await setup(t);
  const tab = await open();
  await tab.evaluate(async () => {
    const taken = new Promise((resolve) => navigator.serviceWorker.addEventListener("controllerchange", resolve));
    await navigator.serviceWorker.register("/service-worker.js");
    await taken;
  });
  await login(tab, await signIn("ada"));
  await tab.evaluate(async () => store.write({ ...(await store.read()), accessToken: "worn.out.token" }));
  const sent = await tab.evaluate(() => client.fetch(backend, { method: "PUT", body: new Blob(["text"]) }).then((answer) => answer.json()));
  assert.deepEqual([sent.subject, sent.body, net.count], ["ada", "text", 1]);
});

test("a duplicated tab stays one client with its original", async (t) => {
  const { net, context, page, open } = await setup(t, { store: "tabStore()" });
  const one = await open();
  await login(one, await signIn("ada"));
  const [two] = await Promise.all([context.waitForEvent("page"), one.evaluate((url) => void window.open(url), page.url)]);
  await ready(two);
  assert.equal(await call(two), "ada");
  for (let round = 0; round < 3; round++) {
    const [first, second] = round % 2 ? [one, two] : [two, one];
    await expire(first);
    assert.equal(await call(first), "ada");
    // Later than the service's grace, so that a copy that did not follow would be a theft.
    await new Promise((resolve) => setTimeout(resolve, 2500));
    await expire(second);
    assert.equal(await call(second), "ada");
  }
  assert.equal(net.count, 6);
  const other = await open();
  assert.equal(await status(other), "signed-out");
});

test("a frame in which storage is forbidden keeps a login in memory", async (t) => {
  const { net, page, open } = await setup(t);
  const tab = await open();
  const tokens = await signIn("ada");
  const told = await tab.evaluate(({ dist, issuer, tokens }) => new Promise((resolve) => {
    addEventListener("message", ({ data }) => resolve(data));
    const frame = document.createElement("iframe");
    frame.sandbox = "allow-scripts";
    frame.srcdoc = `<script type="module">
      import * as latchkey from "${dist}/index.js";
      const told = {};
      for (const name of ["databaseStore", "localStore", "tabStore"]) {
        try {
          const client = new latchkey.Client({ issuer: "${issuer}", store: latchkey[name](), name });
          await client.signIn(${JSON.stringify(tokens)});
          told[name] = [client.state().status, (await client.credentials()).accessToken === "${tokens.access_token}"];
        } catch (error) {
          told[name] = String(error);
        }
      }
      parent.postMessage(told, "*");
    </script>`;
    document.body.append(frame);
  }), { dist: `${page.url}/dist`, issuer: net.url, tokens });
  const fine = ["signed-in", true];
  assert.deepEqual(told, { databaseStore: fine, localStore: fine, tabStore: fine });
});

test("a lock that is stolen in the middle of a refresh costs nothing", async (t) => {
  const { net, open } = await setup(t);
  const tab = await open();
  await login(tab, await signIn("ada"));
  await expire(tab);
  net.held = gate();
  const late = call(tab);
  await until(() => net.count === 1);
  await tab.evaluate(() => navigator.locks.request("latchkey.refresh", { steal: true }, () => undefined));
  net.held.open();
  assert.equal(await late, "ada");
  assert.equal(net.count, 1);
});

test("where the browser forbids BroadcastChannel the client works, and other tabs learn of a sign-out at the next call", async (t) => {
  const { open } = await setup(t, { prepare: () => {
    globalThis.BroadcastChannel = function () {
      throw new DOMException("The operation is insecure.", "SecurityError"); // Firefox, without cookies
    };
  } });
  const [one, two] = [await open(), await open()];
  await login(one, await signIn("ada"));
  assert.equal(await call(two), "ada");
  await one.evaluate(() => client.signOut());
  assert.equal(await call(two), null);
});

test("offline, a killed service and a slow answer sign nobody out", async (t) => {
  const { net, context, open } = await setup(t, { options: "timeout: 1000, retries: 1" });
  const tab = await open();
  await login(tab, await signIn("ada"));
  await expire(tab);
  const attempt = () => tab.evaluate(() => client.credentials().then(() => "refreshed", (error) => error.code));
  await context.setOffline(true);
  assert.equal(await attempt(), "unavailable");
  await context.setOffline(false);
  net.next = () => "lost";
  assert.equal(await attempt(), "unavailable");
  net.next = undefined;
  net.held = gate();
  assert.equal(await attempt(), "unavailable");
  net.held.open();
  net.held = undefined;
  assert.equal(await attempt(), "refreshed");
  assert.equal(await call(tab), "ada");
});

test("a tab that was frozen for hours reads the store before it sends", async (t) => {
  const { open } = await setup(t);
  const [one, two] = [await open(), await open()];
  await login(one, await signIn("ada"));
  await becomes(two, "signed-in");
  const devtools = await two.context().newCDPSession(two);
  await devtools.send("Page.setWebLifecycleState", { state: "frozen" });
  for (let round = 0; round < 2; round++) {
    await expire(one);
    assert.equal(await call(one), "ada");
    await new Promise((resolve) => setTimeout(resolve, 2500));
  }
  await devtools.send("Page.setWebLifecycleState", { state: "active" });
  await two.clock.install({ time: Date.now() + 6 * 3_600_000 });
  assert.equal(await call(two), "ada");
});

test("a hidden tab refreshes nothing until someone looks at it", async (t) => {
  const { net, open } = await setup(t, { prepare: () => Object.defineProperty(document, "visibilityState", { get: () => globalThis.visibility ?? "hidden" }) });
  const tab = await open();
  await tab.clock.install();
  await login(tab, await signIn("ada"));
  await tab.clock.runFor(20_000); // longer than the token lives
  assert.equal(net.count, 0);
  await tab.evaluate(() => {
    globalThis.visibility = "visible";
    document.dispatchEvent(new Event("visibilitychange"));
  });
  await until(async () => (await tab.clock.runFor(500), net.count === 1));
});

test("a page that comes back from the back-forward cache reads the store", async (t) => {
  const { page, open } = await setup(t);
  const [one, two] = [await open(), await open()];
  await login(one, await signIn("ada"));
  await becomes(two, "signed-in");
  await one.evaluate(() => (globalThis.mark = "the same page"));
  await one.goto(`${page.url.replace("127.0.0.1", "localhost")}/elsewhere`);
  await two.evaluate(() => client.signOut());
  await login(two, await signIn("bob"));
  await two.evaluate(() => client.signOut());
  await one.goBack({ waitUntil: "commit" }); // no "load": it is the page as it was
  assert.equal(await one.evaluate(() => globalThis.mark), "the same page"); // else it was loaded again
  await becomes(one, "signed-out");
  // It is also notified of later events.
  await login(two, await signIn("eve"));
  await becomes(one, "signed-in");
  assert.equal(await call(one), "eve");
});

test("what is kept alive is sent by a page that is being left", async (t) => {
  const { backend, page, open } = await setup(t);
  const tab = await open();
  await login(tab, await signIn("ada"));
  await tab.evaluate(() => {
    addEventListener("pagehide", () => void client.fetch(`${backend}/draft`, { method: "POST", body: "a draft", keepalive: true }).catch(() => undefined));
  });
  await tab.goto(`${page.url.replace("127.0.0.1", "localhost")}/elsewhere`);
  await until(() => backend.seen.length > 0);
  assert.deepEqual(backend.seen.map(({ path, subject, body }) => [path, subject, body]), [["/draft", "ada", "a draft"]]);
});

for (const [mode, times] of [["production", 1], ["development", 2]]) test(`React in ${mode} renders what is known, whichever tab it is from, and not at a refresh`, async (t) => {
  const { open } = await setup(t);
  const [one, two] = [await open(), await open()];
  await one.evaluate(async (mode) => {
    const { mount } = await import(`/react.${mode}.js`);
    globalThis.rendered = mount(client);
  }, mode);
  const shown = (status) => one.locator("output", { hasText: new RegExp(`^${status}$`) }).waitFor();
  await shown("signed-out");
  await login(two, await signIn("ada"));
  await shown("signed-in");
  await expire(one);
  assert.equal(await call(one), "ada");
  await two.evaluate(() => client.signOut());
  await shown("signed-out");
  const once = ["signed-out", "signed-in", "signed-out"];
  assert.deepEqual(await one.evaluate(() => rendered), once.flatMap((status) => Array(times).fill(status)));
});

test("React takes over what a server has rendered, whoever is signed in by then", async (t) => {
  const { open } = await setup(t);
  const tab = await open();
  await login(tab, await signIn("ada"));
  const errors = await tab.evaluate(async () => {
    const { hydrate } = await import("/react.development.js");
    return hydrate(client);
  });
  assert.deepEqual(errors, []);
});

test("a worker that was ended refuses calls", async (t) => {
  const { open } = await setup(t);
  const tab = await open();
  const code = await tab.evaluate(async () => {
    const { WorkerClient } = await import("/dist/worker.js");
    const worker = new Worker("/worker.js", { type: "module" });
    const session = new WorkerClient(worker, [backend], { startTimeout: 3000 });
    await session.credentials();
    worker.terminate();
    return session.credentials().then(() => "", (error) => error.code);
  });
  assert.equal(code, "unavailable");
});

test("a worker that alone holds the refresh token", async (t) => {
  const { net, open } = await setup(t);
  const tab = await open();
  const tokens = await signIn("ada");
  const told = await tab.evaluate(async (tokens) => {
    const { WorkerClient } = await import("/dist/worker.js");
    const worker = new Worker("/worker.js", { type: "module" });
    const messages = [];
    worker.addEventListener("message", ({ data }) => messages.push(data));
    const session = new WorkerClient(worker, [backend]);
    await session.signIn(tokens);
    const { accessToken } = await session.credentials();
    const next = await session.credentials(accessToken); // as after a 401
    const { subject } = await session.fetch(backend).then((answer) => answer.json());
    return { messages: JSON.stringify(messages), changed: next.accessToken !== accessToken, subject, refreshToken: (await store.read()).refreshToken };
  }, tokens);
  assert.deepEqual([told.subject, told.changed, net.count], ["ada", true, 1]);
  assert.ok(!told.messages.includes(told.refreshToken));
});

test("a worker whose script is missing, or throws, refuses calls", async (t) => {
  const { open } = await setup(t);
  const tab = await open();
  const codes = await tab.evaluate(async () => {
    const { WorkerClient } = await import("/dist/worker.js");
    const broken = ["/dist/missing.js", URL.createObjectURL(new Blob(["throw new Error('broken')"], { type: "text/javascript" }))];
    const calls = broken.map((script) => new WorkerClient(new Worker(script, { type: "module" }), []).credentials());
    return (await Promise.allSettled(calls)).map(({ reason }) => reason?.code);
  });
  assert.deepEqual(codes, ["unavailable", "unavailable"]);
});

test("a visible tab refreshes ahead of expiry", async (t) => {
  const { net, open } = await setup(t);
  const tab = await open();
  await login(tab, { ...(await signIn("ada")), expires_in: 2 });
  await until(() => net.count === 1);
  assert.equal(await status(tab), "signed-in");
});

test("a session that someone else ends is over in every tab", async (t) => {
  const { open } = await setup(t);
  const [one, two] = [await open(), await open()];
  const subject = `user-${crypto.randomUUID()}`;
  await login(one, await signIn(subject));
  await becomes(two, "signed-in");
  await endAll(subject);
  assert.equal(await call(one), null);
  await becomes(two, "signed-out");
  assert.equal((await two.evaluate(() => client.state())).reason, "ended");
});

test("the key of proofs cannot be extracted, and all tabs have the same", async (t) => {
  const { open } = await setup(t, { options: `dpop: dpop(), issuer: "${issuer}"` });
  const [one, two] = [await open(), await open()];
  await login(one, await signIn("ada"));
  await becomes(two, "signed-in");
  await expire(one);
  assert.equal(await call(one), "ada");
  assert.equal(await call(two), "ada");
  const extractable = await one.evaluate(() => new Promise((resolve, reject) => {
    const opening = indexedDB.open("latchkey.dpop");
    opening.onerror = () => reject(opening.error);
    opening.onsuccess = () => {
      const reading = opening.result.transaction("kept").objectStore("kept").get("key");
      reading.onsuccess = () => resolve(reading.result.privateKey.extractable);
    };
  }));
  assert.equal(extractable, false);
});

test("the service itself answers the page", async (t) => {
  const { open } = await setup(t, { options: `issuer: "${issuer}"` });
  const tab = await open();
  await login(tab, await signIn());
  await expire(tab);
  assert.equal(await tab.evaluate(() => client.devices().then((devices) => devices.length)), 1);
  await tab.evaluate(() => client.devices().then(([{ id }]) => client.renameDevice(id, "tab")));
  await tab.evaluate(() => client.signOutEverywhere());
  assert.equal(await status(tab), "signed-out");
});
