import assert from "node:assert/strict";
import { test } from "node:test";
import { InMemoryWebStorage, User, UserManager, WebStorageStateStore } from "oidc-client-ts";
import { issuer, signIn } from "./service.mjs";

test("oidc-client-ts refreshes and revokes with authority alone", async () => {
  globalThis.sessionStorage ??= new InMemoryWebStorage(); // Node has none; a browser does
  const userStore = new WebStorageStateStore({ store: new InMemoryWebStorage() });
  const manager = new UserManager({ authority: issuer, client_id: "latchkey", redirect_uri: `${issuer}/unused`, userStore });

  const tokens = await signIn("ada");
  await manager.storeUser(new User({ ...tokens, expires_at: Math.floor(Date.now() / 1000) + tokens.expires_in, profile: { sub: "ada" } }));
  const refreshed = await manager.signinSilent();
  assert.notEqual(refreshed.access_token, tokens.access_token);
  assert.ok(refreshed.expires_in > 0);
  const current = await fetch(`${issuer}/v1/me/sessions/current`, { headers: { Authorization: `Bearer ${refreshed.access_token}` } });
  assert.equal((await current.json()).subject, "ada");

  await manager.revokeTokens(); // and forgets them
  assert.equal((await manager.getUser()).refresh_token, null);
  await manager.storeUser(refreshed);
  await assert.rejects(manager.signinSilent(), { error: "invalid_grant" });
});
