// Tabs behind a network that loses, delays and refuses, for FAULTS_FOR seconds: nobody is signed out by mistake, and nobody gets
// somebody else's token.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Client, LatchkeyError } from "../dist/index.js";
import { api, network, signIn } from "./service.mjs";

const seconds = Number(process.env.FAULTS_FOR ?? 15);
const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
const chance = (p) => Math.random() < p;

/** A store that tabs share and that takes its time, without locks between them: the worst that a platform offers. */
function slowStore() {
  let kept = null;
  return { read: async () => (await pause(2), kept), write: async (session) => void (kept = session) };
}

test(`a bad network for ${seconds} s`, { timeout: (seconds + 60) * 1000 }, async (t) => {
  const [net, backend] = [await network(t), await api(t)];
  const counts = {};
  const count = (what) => (counts[what] = (counts[what] ?? 0) + 1);
  net.next = () => {
    if (chance(0.1)) return count("lost"), "lost";
    if (chance(0.1)) return count("503"), { status: 503, headers: { "Retry-After": "0" }, body: "" };
    if (chance(0.05)) return count("502"), { status: 502, headers: {}, body: "<html>" };
    if (chance(0.1)) {
      net.held = pause(500);
      count("late");
    }
    return undefined;
  };
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

function inOrder() {
  let last = Promise.resolve();
  return (task) => (last = last.then(task, task));
}
