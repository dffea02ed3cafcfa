// Tabs behind a network that loses, delays and refuses, for FAULTS_FOR seconds: no user is signed out by mistake, and
// none gets another user's token.
import assert from "node:assert/strict";
import { readFile, readdir } from "node:fs/promises";
import { test } from "node:test";
import { chromium } from "playwright-core";
import { Client, LatchkeyError } from "../dist/index.js";
import { api, network, signIn } from "./service.mjs";

const seconds = Number(process.env.FAULTS_FOR ?? 10);
const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
const chance = (p) => Math.random() < p;

/** A store that tabs share and that takes its time, without locks between them: the worst that a platform offers. */
function slowStore() {
  let kept = null;
  return { read: async () => (await pause(2), kept), write: async (session) => void (kept = session) };
}

/** spoil has a network lose, refuse and delay: each once, and then by chance. */
function spoil(net, count) {
  const first = ["lost", "503", "late", "502"];
  return () => {
    const fault = first.shift() ?? ["lost", "lost", "503", "503", "late", "late", "502"][Math.floor(Math.random() * 20)];
    if (fault) count(fault);
    if (fault === "lost") return "lost";
    if (fault === "503") return { status: 503, headers: { "Retry-After": "0" }, body: "" };
    if (fault === "502") return { status: 502, headers: {}, body: "<html>" };
    if (fault === "late") net.held = pause(500);
    return undefined;
  };
}

test(`a bad network for ${seconds} s`, { timeout: (seconds + 60) * 1000 }, async (t) => {
  const [net, backend] = [await network(t), await api(t)];
  const counts = {};
  const count = (what) => (counts[what] = (counts[what] ?? 0) + 1);
  net.next = spoil(net, count);
  const store = slowStore();
  const lock = inOrder(); // the store's compare-and-set is one step on every platform
  const tabs = Array.from({ length: 3 }, () =>
    new Client({ issuer: net.url, origins: [backend.url], store, ahead: false, timeout: 900, lock: (name, task) => (name.endsWith(".store") ? lock(task) : task()) }));
  t.after(() => tabs.forEach((tab) => tab.close()));

  let user = "";
  const login = async () => {
    const next = `user-${crypto.randomUUID()}`;
    const tokens = await signIn(next);
    user = next;
    await tabs[0].signIn(tokens);
    count("signed in");
  };
  await login();
  const end = Date.now() + seconds * 1000;
  const work = async (tab) => {
    while (Date.now() < end) {
      const owner = user;
      if (chance(0.3)) {
        const session = await store.read();
        if (session) await lock(async () => (await store.read()) === session && store.write({ ...session, receivedAt: 0 }));
      }
      try {
        const { subject, path } = await (await tab.fetch(`${backend.url}/${owner}`)).json();
        count("answered");
        assert.ok(subject === null || user !== owner || `/${subject}` === path, `${subject} for ${path}`);
        assert.ok(subject !== null || user !== owner, "a false sign-out");
      } catch (error) {
        if (!(error instanceof LatchkeyError)) throw error;
        count(error.code);
      }
      await pause(20 * Math.random());
    }
  };
  const users = async () => {
    while (Date.now() < end) {
      await pause(2000);
      if (chance(0.5)) await login();
    }
  };
  await Promise.all([...tabs.map(work), users()]);
  t.diagnostic(JSON.stringify(counts));
  assert.equal(tabs[0].state().status, "signed-in");
  for (const fault of ["lost", "503", "late", "answered"]) assert.ok(counts[fault] > 0, `no ${fault}`);
});

test(`three tabs of a browser on a bad network for ${seconds} s`, { timeout: (seconds + 120) * 1000 }, async (t) => {
  const [net, backend] = [await network(t), await api(t)];
  const counts = {};
  const count = (what) => (counts[what] = (counts[what] ?? 0) + 1);
  const fault = spoil(net, count);
  const dist = new URL("../dist/", import.meta.url);
  const names = (await readdir(dist)).filter((name) => name.endsWith(".js"));
  const modules = Object.fromEntries(await Promise.all(names.map(async (name) => [`/dist/${name}`, await readFile(new URL(name, dist), "utf8")])));
  // The page comes from where its refreshes go, and arrives.
  net.next = ({ url }) => {
    if (modules[url]) return { status: 200, headers: { "Content-Type": "text/javascript" }, body: modules[url] };
    if (url === "/") return { status: 200, headers: { "Content-Type": "text/html" }, body: `<!doctype html><script type="module">(${inPage})("${backend.url}")</script>` };
    return fault();
  };
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
  t.after(() => browser.close());
  const context = await browser.newContext();
  const tabs = [];
  for (let i = 0; i < 3; i++) {
    const tab = await context.newPage();
    await tab.goto(net.url);
    await tab.waitForFunction(() => globalThis.client && client.state().status !== "loading");
    tabs.push(tab);
  }
  const subjects = {}; // by login
  const login = async (tab) => {
    const subject = `user-${crypto.randomUUID()}`;
    subjects[await tab.evaluate((tokens) => signIn(tokens), await signIn(subject))] = subject;
    count("signed in");
  };
  await login(tabs[0]);
  const end = Date.now() + seconds * 1000;
  const users = async () => {
    while (Date.now() < end) {
      await pause(2000);
      if (chance(0.5)) await login(tabs[Math.floor(Math.random() * tabs.length)]);
    }
  };
  const [, ...told] = await Promise.all([users(), ...tabs.map((tab) => tab.evaluate((end) => work(end), end))]);
  t.diagnostic(JSON.stringify({ ...counts, tabs: told }));
  assert.deepEqual(told.map(({ signedOut }) => signedOut), [0, 0, 0]);
  assert.ok(told.every(({ fetched, xhr }) => fetched > 0 && xhr > 0));
  // Each request names the login that it was made for; the token is of the same one, or the request had none.
  const wrong = backend.seen.filter(({ path, subject }) => subject !== null && subject !== subjects[path.slice(1)]);
  assert.deepEqual(wrong, []);
  for (const fault of ["lost", "503", "late"]) assert.ok(counts[fault] > 0, `no ${fault}`);
});

/** inPage is the page's script. */
async function inPage(backend) {
  const { Client, databaseStore } = await import("/dist/index.js");
  const { authorizedXHR } = await import("/dist/xhr.js");
  const store = databaseStore();
  const client = (globalThis.client = new Client({ issuer: location.origin, origins: [backend], store, timeout: 900 }));
  const XHR = authorizedXHR(client, [backend]);
  const told = { fetched: 0, xhr: 0, failed: 0, signedOut: 0 };
  globalThis.signIn = async (tokens) => {
    await client.signIn(tokens);
    return (await store.read()).id;
  };
  let been = false;
  client.subscribe(({ status }) => (status === "signed-in" ? (been = true) : been && told.signedOut++));
  const viaXHR = (url) => new Promise((resolve, reject) => {
    const request = new XHR();
    request.open("GET", url);
    request.onload = () => resolve(request.status);
    request.onerror = () => reject(new Error("failed"));
    request.send();
  });
  globalThis.work = async (end) => {
    while (Date.now() < end) {
      if (Math.random() < 0.3) {
        await navigator.locks.request("latchkey.store", async () => {
          const session = await store.read();
          if (session) await store.write({ ...session, receivedAt: 0 });
        });
      }
      const login = client.current();
      try {
        if (login && Math.random() < 0.5) told.fetched += (await client.fetch(`${backend}/${login}`)).ok ? 1 : 0;
        else if (login) told.xhr += (await viaXHR(`${backend}/${login}`)) === 200 ? 1 : 0;
      } catch {
        told.failed++;
      }
      await new Promise((resolve) => setTimeout(resolve, 20 * Math.random()));
    }
    return told;
  };
}

function inOrder() {
  let last = Promise.resolve();
  return (task) => (last = last.then(task, task));
}
