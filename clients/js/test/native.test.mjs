// The stores that docs/native-apps.md shows, as an app would use them: their platform's part is a Map here.
import assert from "node:assert/strict";
import { test } from "node:test";
import { build } from "esbuild";
import { Client } from "../dist/index.js";
import { issuer, signIn } from "./service.mjs";

const platform = `
  const kept = new Map();
  const later = (value) => new Promise((resolve) => setTimeout(resolve, 1, value));
  export const ACCESSIBLE = {};
  export const AFTER_FIRST_UNLOCK_THIS_DEVICE_ONLY = 0;
  export const getGenericPassword = ({ service }) => later(kept.has(service) && { username: "session", password: kept.get(service) });
  export const setGenericPassword = (name, value, { service }) => later(kept.set(service, value));
  export const resetGenericPassword = ({ service }) => later(kept.delete(service));
  export const getItemAsync = (key) => later(kept.get(key) ?? null);
  export const setItemAsync = (key, value) => later(void kept.set(key, value));
  export const deleteItemAsync = (key) => later(void kept.delete(key));
`;

/** load bundles a store with a platform of ours. */
async function load(name) {
  const ours = { name: "platform", setup: (to) => {
    to.onResolve({ filter: /^(react-native-keychain|expo-secure-store)$/ }, () => ({ path: "platform", namespace: "ours" }));
    to.onLoad({ filter: /.*/, namespace: "ours" }, () => ({ contents: platform }));
  } };
  const { outputFiles } = await build({ entryPoints: [`test/native/${name}.ts`], bundle: true, format: "esm", write: false, plugins: [ours] });
  return (await import(`data:text/javascript;base64,${Buffer.from(outputFiles[0].contents).toString("base64")}`)).store;
}

for (const name of ["keychain", "securestore"]) {
  test(`an app with ${name}`, async (t) => {
    const store = await load(name);
    const start = () => {
      const client = new Client({ issuer, store, name: crypto.randomUUID() });
      t.after(() => client.close());
      return client;
    };
    const first = start();
    assert.equal(await first.credentials(), null);
    await first.signIn(await signIn());
    const { accessToken } = await first.credentials();
    // The app is killed, and starts again.
    const second = start();
    const next = await second.credentials(accessToken);
    assert.notEqual(next.accessToken, accessToken);
    assert.equal((await store.read()).accessToken, next.accessToken);
    await second.signOut();
    assert.equal(await store.read(), null);
  });
}
