import assert from "node:assert/strict";
import { test } from "node:test";
import { build } from "esbuild";
import { issuer, signIn } from "./service.mjs";

// The package is made for bundlers: Node itself does not find its modules.
await build({
  stdin: { contents: `export * from "@openid/appauth"; export { NodeRequestor } from "@openid/appauth/built/src/node_support/node_requestor";`, resolveDir: "." },
  bundle: true, platform: "node", format: "esm", outfile: "appauth.bundle.mjs",
  banner: { js: `import { createRequire } from "node:module"; const require = createRequire(import.meta.url);` },
});
const { AuthorizationServiceConfiguration, BaseTokenRequestHandler, NodeRequestor, RevokeTokenRequest, TokenRequest } = await import("./appauth.bundle.mjs");

const requestor = new NodeRequestor();
const service = await AuthorizationServiceConfiguration.fetchFromIssuer(issuer, requestor);
const handler = new BaseTokenRequestHandler(requestor);

const refresh = (refreshToken) =>
  handler.performTokenRequest(service, new TokenRequest({ client_id: "latchkey", redirect_uri: "", grant_type: "refresh_token", refresh_token: refreshToken }));

const revoke = (token) => handler.performRevokeTokenRequest(service, new RevokeTokenRequest({ client_id: "latchkey", token }));

test("AppAuth finds, refreshes and revokes with the issuer alone", async () => {
  const first = await signIn("ada");
  const second = await refresh(first.refresh_token);
  assert.equal(second.tokenType.toLowerCase(), "bearer");
  assert.notEqual(second.accessToken, first.access_token);
  const third = await refresh(second.refreshToken);
  assert.notEqual(third.accessToken, "");
  assert.equal(await revoke(third.refreshToken), true);
  await assert.rejects(refresh(third.refreshToken), { message: "Bad Request" });
});
