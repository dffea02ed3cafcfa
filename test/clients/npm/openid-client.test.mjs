import assert from "node:assert/strict";
import { test } from "node:test";
import * as client from "openid-client";
import { internal, issuer, lossy, serviceKey, signIn, Store } from "./service.mjs";

const options = { algorithm: "oauth2", execute: [client.allowInsecureRequests] }; // the tests' service has no TLS

const app = await client.discovery(new URL(issuer), "latchkey", undefined, client.None(), options);

const inside = { issuer, introspection_endpoint: `${internal}/oauth2/introspect` };
const backend = new client.Configuration(inside, "clients", undefined, client.ClientSecretBasic(serviceKey));
client.allowInsecureRequests(backend);

const introspect = (token) => client.tokenIntrospection(backend, token);
const page = new URL(`${issuer}/v1/me/sessions/current`);
const call = (accessToken, DPoP) => client.fetchProtectedResource(app, accessToken, page, "GET", undefined, undefined, { DPoP });
const challenged = (error) => error instanceof client.WWWAuthenticateChallengeError && error.status === 401;
const invalidGrant = (error) => error instanceof client.ResponseBodyError && error.error === "invalid_grant" && error.status === 400;

test("refreshes, calls, revokes", async () => {
  const first = await signIn("ada");
  assert.equal((await introspect(first.access_token)).sub, "ada");
  const second = await client.refreshTokenGrant(app, first.refresh_token);
  assert.notEqual(second.refresh_token, first.refresh_token);
  assert.ok(second.expiresIn() > 0);
  assert.equal((await (await call(second.access_token)).json()).subject, "ada");

  await client.tokenRevocation(app, second.refresh_token);
  assert.deepEqual(await introspect(second.access_token), { active: false });
  await assert.rejects(client.refreshTokenGrant(app, second.refresh_token), invalidGrant);
  await assert.rejects(call(second.access_token), (error) => challenged(error) && error.cause[0].parameters.error === "invalid_token");
});

test("several tabs with one store refresh at once, and all go on", async () => {
  const first = await signIn("tabs");
  const store = new Store(first);
  const tab = async () => store.write(await client.refreshTokenGrant(app, store.read().refresh_token));
  await Promise.all([tab(), tab(), tab()]);
  assert.notEqual(store.read().refresh_token, first.refresh_token);
  await Promise.all([tab(), tab(), tab()]);
  assert.equal((await introspect(store.read().access_token)).active, true);
});

test("an answer is lost, and the same request continues", async (t) => {
  const network = await lossy(t);
  const metadata = { ...app.serverMetadata(), token_endpoint: `${network.url}/oauth2/token` };
  const lost = new client.Configuration(metadata, "latchkey", undefined, client.None());
  client.allowInsecureRequests(lost);
  const { refresh_token } = await signIn("lost");
  network.lose();
  await assert.rejects(client.refreshTokenGrant(lost, refresh_token), TypeError); // fetch failed
  const next = await client.refreshTokenGrant(lost, refresh_token);
  assert.notEqual(next.refresh_token, refresh_token);
  assert.equal((await introspect(next.access_token)).active, true);
});

test("with proofs of possession nobody else can use the tokens", async () => {
  const DPoP = client.getDPoPHandle(app, await client.randomDPoPKeyPair());
  const thief = client.getDPoPHandle(app, await client.randomDPoPKeyPair());
  const refresh = (refreshToken, DPoP) => client.refreshTokenGrant(app, refreshToken, undefined, { DPoP });
  const first = await signIn("bound");
  const second = await refresh(first.refresh_token, DPoP);
  assert.equal(second.token_type, "dpop");
  assert.equal((await (await call(second.access_token, DPoP)).json()).subject, "bound");
  assert.equal((await introspect(second.access_token)).cnf.jkt, await DPoP.calculateThumbprint());

  await assert.rejects(refresh(second.refresh_token), client.ResponseBodyError);
  await assert.rejects(refresh(second.refresh_token, thief), client.ResponseBodyError);
  await assert.rejects(call(second.access_token), challenged);
  await assert.rejects(call(second.access_token, thief), challenged);

  const third = await refresh(second.refresh_token, DPoP);
  assert.equal((await (await call(third.access_token, DPoP)).json()).subject, "bound");
});
