import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import { InvalidToken, Unavailable, Verifier } from "@latchkey/server/verifier";
import { fake } from "./service.mjs";

const issuer = "https://id.example.com";
const audience = "api";

/** makeKey makes a key, and tokens that it signs. */
async function makeKey(kid) {
  const { publicKey, privateKey } = await generateKeyPair("ES256");
  const now = Math.floor(Date.now() / 1000);
  const sign = () => new SignJWT({ iss: issuer, aud: audience, sid: crypto.randomUUID(), jti: "x.a1", iat: now, exp: now + 86_400 })
    .setProtectedHeader({ alg: "ES256", kid, typ: "at+jwt" }).sign(privateKey);
  return { token: await sign(), jwk: { ...(await exportJWK(publicKey)), kid, alg: "ES256", use: "sig" } };
}

test("keys stay in use while they cannot be fetched, and not for long after they were revoked", async (t) => {
  const [leaked, other] = [await makeKey("leaked"), await makeKey("other")];
  t.mock.timers.enable({ apis: ["setInterval", "Date"], now: Date.now() });
  let answer = { json: { keys: [leaked.jwk, other.jwk] } };
  const keys = await fake(t, () => answer);
  const service = await fake(t, (n, { url }) => (url === "/oauth2/introspect" ? { json: { active: true } } : { status: 503 }));
  const verifier = new Verifier({ issuer, audience, internal: service.url, serviceKey: "key", keys: keys.url, timeout: 30_000 });
  t.after(() => verifier.close());
  for (const { token } of [leaked, other]) await verifier.verify(token);

  answer = { status: 503 };
  const before = keys.seen.length;
  t.mock.timers.tick(11 * 60_000);
  while (keys.seen.length === before) await sleep(5);
  for (const { token } of [leaked, other]) await verifier.verify(token);
  await assert.rejects(verifier.verify((await makeKey("new")).token), Unavailable);

  answer = { json: { keys: [other.jwk] } };
  t.mock.timers.tick(5 * 60_000);
  while (await verifier.verify(leaked.token).then(() => true, (error) => !(error instanceof InvalidToken))) await sleep(5);
  await verifier.verify(other.token);
});
