import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Sessions } from "@latchkey/server";
import { InvalidToken, Unavailable, Verifier } from "@latchkey/server/verifier";
import { network, serviceKey, subject } from "./service.mjs";

const { SHARDED_ISSUER: issuer, SHARDED_INTERNAL: internal, AUDIENCE: audience, SIGN_OUT_ALL: command } = process.env;
const client = new Sessions({ internal, public: issuer, serviceKey });
const bound = 3_600_000; // so that a verifier does not ask once it knows

/** follow makes a verifier. */
function follow(t, changed = {}) {
  const verifier = new Verifier({ issuer, audience, internal, serviceKey, bound, timeout: 30_000, ...changed });
  t.after(() => verifier.close());
  return verifier;
}

async function until(done) {
  for (const deadline = Date.now() + 30_000; !(await done()); await sleep(5)) assert.ok(Date.now() < deadline, "timed out waiting");
}

const knows = (verifier) => until(() => verifier.revocations.age() < bound);

/** ofEach creates a session on each of the three shards, whose numbers are 0 to 2. */
async function ofEach() {
  const all = [];
  while (!(all[0] && all[1] && all[2])) {
    const created = await client.create({ subject: subject(), access_token_ttl: 600 });
    const { id } = created.session;
    all[id[14] === "8" ? parseInt(id.slice(15, 18), 16) : 0] = { id, token: created.access_token };
  }
  return all;
}

const isRefused = (verifier, token) => verifier.verify(token).then(() => false, (error) => error instanceof InvalidToken || Promise.reject(error));
const isUnsure = (verifier, token) => verifier.verify(token).then(() => false, (error) => error instanceof Unavailable || Promise.reject(error));

test("the revocations of all shards are followed", { timeout: 120_000 }, async (t) => {
  const early = follow(t);
  await knows(early);
  const [ended, superseded, live] = [await ofEach(), await ofEach(), await ofEach()];
  for (const { token, id } of [...ended, ...superseded, ...live]) assert.equal((await early.verify(token)).sid, id);
  for (const { id } of ended) await client.end(id);
  for (const { id } of superseded) await client.updateClaims(id, () => ({ role: "x" }), { supersede: true });
  for (const { token } of [...ended, ...superseded]) await until(() => isRefused(early, token));
  const late = follow(t);
  await knows(late);
  for (const { token } of [...ended, ...superseded]) assert.ok(await isRefused(late, token));
  for (const { token } of live) await Promise.all([late.verify(token), early.verify(token)]);
});

test("a shard that is silent makes only its own sessions strict", { timeout: 120_000 }, async (t) => {
  const between = await network(t, internal);
  let answers = false;
  between.next = ({ url }) => (url === "/v1/revocations?shard=1" || (!answers && url === "/oauth2/introspect") ? { path: "/nowhere" } : undefined);
  const verifier = follow(t, { internal: between.url });
  const [first, second, third] = await ofEach();
  for (const { token } of [first, third]) await until(async () => !(await isUnsure(verifier, token)));
  for (let i = 0; i < 20; i++) assert.ok(await isUnsure(verifier, second.token));
  answers = true;
  await verifier.verify(second.token);
  await client.end(second.id);
  assert.ok(await isRefused(verifier, second.token));
});

test("everyone is signed out on all shards", { timeout: 120_000 }, async (t) => {
  const verifier = follow(t);
  await knows(verifier);
  const before = await ofEach();
  for (const { token } of before) await verifier.verify(token);
  await sleep(1100); // the sign-out is of a second, and so is the making of a token
  assert.ok((await fetch(command, { method: "POST" })).ok);
  for (const { token } of before) await until(() => isRefused(verifier, token));
  for (const { token } of await ofEach()) await verifier.verify(token);
});
