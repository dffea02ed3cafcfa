import assert from "node:assert/strict";
import { test } from "node:test";
import * as oauth from "oauth4webapi";
import { internal, issuer, lossy, serviceKey, signIn, Store } from "./service.mjs";

const options = { [oauth.allowInsecureRequests]: true }; // the tests' service has no TLS

const app = { client_id: "latchkey" };
const url = new URL(issuer);
const server = await oauth.processDiscoveryResponse(url, await oauth.discoveryRequest(url, { algorithm: "oauth2", ...options }));

async function refresh(refreshToken, { at = server, DPoP } = {}) {
  const answer = await oauth.refreshTokenGrantRequest(at, app, oauth.None(), refreshToken, { DPoP, ...options });
  return oauth.processRefreshTokenResponse(at, app, answer);
}

async function revoke(token) {
  await oauth.processRevocationResponse(await oauth.revocationRequest(server, app, oauth.None(), token, options));
}

const backend = { client_id: "backend" };
const inside = { issuer, introspection_endpoint: `${internal}/oauth2/introspect` };
const withServiceKey = (_server, _client, _body, headers) => headers.set("Authorization", `Bearer ${serviceKey}`);

async function introspect(token) {
  const answer = await oauth.introspectionRequest(inside, backend, withServiceKey, token, options);
  return oauth.processIntrospectionResponse(inside, backend, answer);
}

const page = new URL(`${issuer}/v1/me/sessions/current`);
const call = (accessToken, DPoP) => oauth.protectedResourceRequest(accessToken, "GET", page, new Headers(), null, { DPoP, ...options });
const challenged = (error) => error instanceof oauth.WWWAuthenticateChallengeError && error.status === 401;
const invalidGrant = (error) => error instanceof oauth.ResponseBodyError && error.error === "invalid_grant" && error.status === 400;

test("refreshes, calls, revokes", async () => {
  const first = await signIn("ada");
  assert.equal((await introspect(first.access_token)).sub, "ada");
  const second = await refresh(first.refresh_token);
  assert.equal(second.token_type, "bearer");
  assert.notEqual(second.refresh_token, first.refresh_token);
  assert.equal((await (await call(second.access_token)).json()).subject, "ada");

  await revoke(second.refresh_token);
  assert.deepEqual(await introspect(second.access_token), { active: false });
  await assert.rejects(refresh(second.refresh_token), invalidGrant);
  await assert.rejects(call(second.access_token), (error) => challenged(error) && error.cause[0].parameters.error === "invalid_token");
  await revoke("not a token"); // is not an error (RFC 7009 §2.2)
});

test("several tabs with one store refresh at once, and all go on", async () => {
  const first = await signIn("tabs");
  const store = new Store(first);
  const tab = async () => store.write(await refresh(store.read().refresh_token));
  await Promise.all([tab(), tab(), tab()]);
  const pairs = new Set();
  await Promise.all([1, 2, 3].map(async () => {
    const next = await refresh(store.read().refresh_token);
    pairs.add(next.refresh_token);
    assert.equal((await introspect(next.access_token)).active, true);
  }));
  assert.equal(pairs.size, 1);
  assert.notEqual(store.read().refresh_token, first.refresh_token);
});

test("an answer is lost, and the same request continues", async (t) => {
  const network = await lossy(t);
  const at = { ...server, token_endpoint: `${network.url}/oauth2/token` };
  const { refresh_token } = await signIn("lost");
  network.lose();
  await assert.rejects(refresh(refresh_token, { at }), TypeError); // fetch failed
  const next = await refresh(refresh_token, { at });
  assert.notEqual(next.refresh_token, refresh_token);
  assert.equal((await introspect(next.access_token)).active, true);
});

test("with proofs of possession nobody else can use the tokens", async () => {
  const DPoP = oauth.DPoP(app, await oauth.generateKeyPair("ES256"));
  const thief = oauth.DPoP(app, await oauth.generateKeyPair("ES256"));
  // Once more, where the service asked for a nonce: the handle keeps it.
  const retry = (send) => send().catch((error) => oauth.isDPoPNonceError(error) ? send() : Promise.reject(error));
  const refreshWith = (token, key) => retry(() => refresh(token, { DPoP: key }));
  const callWith = (token, key) => retry(() => call(token, key));

  const first = await signIn("bound");
  const second = await refreshWith(first.refresh_token, DPoP);
  assert.equal(second.token_type, "dpop");
  assert.equal((await (await callWith(second.access_token, DPoP)).json()).subject, "bound");
  assert.equal((await introspect(second.access_token)).cnf.jkt, await DPoP.calculateThumbprint());

  await assert.rejects(refresh(second.refresh_token), oauth.ResponseBodyError);
  await assert.rejects(refreshWith(second.refresh_token, thief), oauth.ResponseBodyError);
  await assert.rejects(call(second.access_token), challenged);
  await assert.rejects(callWith(second.access_token, thief), challenged);

  const third = await refreshWith(second.refresh_token, DPoP);
  assert.equal((await (await callWith(third.access_token, DPoP)).json()).subject, "bound");
});
