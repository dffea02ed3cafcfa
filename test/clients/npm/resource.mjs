import assert from "node:assert/strict";
import { test } from "node:test";
import * as oauth from "oauth4webapi";
import { issuer, resource, signIn } from "./service.mjs";

const now = () => Math.floor(Date.now() / 1000);
const options = { [oauth.allowInsecureRequests]: true }; // the tests' service has no TLS

// RFC 9728: from a challenge to the metadata, from there to the service, and back with its token.
for (const path of ["/tools", "/tools/"]) {
  test(`a resource server at ${path} leads to the service`, async () => {
    const tools = new URL(path, resource);
    const use = (token) => oauth.protectedResourceRequest(token, "GET", tools, new Headers(), null, options);
    const [challenge] = await use("nonsense").then(assert.fail, (error) => error.cause);
    const answer = await oauth.resourceDiscoveryRequest(tools, options); // where §3.1 says
    assert.equal(answer.url, challenge.parameters.resource_metadata); // and as §5.1 says
    const described = await oauth.processResourceDiscoveryResponse(tools, answer);
    assert.deepEqual([described.resource, described.authorization_servers], [tools.href, [issuer]]);

    const named = new URL(described.authorization_servers[0]);
    const server = await oauth.processDiscoveryResponse(named, await oauth.discoveryRequest(named, { algorithm: "oauth2", ...options }));
    const app = { client_id: "latchkey" };
    const { refresh_token } = await signIn("ada");
    const pair = await oauth.processRefreshTokenResponse(server, app, await oauth.refreshTokenGrantRequest(server, app, oauth.None(), refresh_token, options));
    assert.equal((await use(pair.access_token)).status, 204);
  });
}

// RFC 8707, and what MCP requires of a token: it is for the one server that it is sent to, and asked for with its URL.
test("a client of an MCP server gets tokens for that server alone", async () => {
  const mcp = new URL("/mcp", resource);
  const use = (token, url = mcp) => oauth.protectedResourceRequest(token, "POST", url, new Headers(), null, options);
  const challengeOf = (token, url) => use(token, url).then(assert.fail, (error) => error.cause[0].parameters);
  const { resource_metadata } = await challengeOf("nonsense");
  const described = await oauth.processResourceDiscoveryResponse(mcp, await oauth.resourceDiscoveryRequest(mcp, options));
  assert.deepEqual([described.resource, described.authorization_servers], [mcp.href, [issuer]]);
  assert.equal(resource_metadata, new URL("/.well-known/oauth-protected-resource/mcp", resource).href);

  const named = new URL(described.authorization_servers[0]);
  const server = await oauth.processDiscoveryResponse(named, await oauth.discoveryRequest(named, { algorithm: "oauth2", ...options }));
  const agent = { client_id: "agent" };
  const refresh = async (app, token, asked) => oauth.processRefreshTokenResponse(server, app,
    await oauth.refreshTokenGrantRequest(server, app, oauth.None(), token, { additionalParameters: { resource: asked }, ...options }));
  const { access_token, refresh_token } = await signIn("ada", {}, { client_id: "agent" });
  assert.equal((await use(access_token)).status, 204);
  await assert.rejects(refresh(agent, refresh_token, new URL("/tools", resource).href), { error: "invalid_target" });
  const pair = await refresh(agent, refresh_token, described.resource);
  assert.equal((await use(pair.access_token)).status, 204);

  assert.equal((await challengeOf(pair.access_token, new URL("/tools", resource))).error, "invalid_token");
  assert.equal((await challengeOf((await signIn("ada")).access_token)).error, "invalid_token");
});

// RFC 9470: a payment requires an authentication of the last five minutes in the class gold. The client has its backend ask the
// user for what the challenge says, and continues with the session that replaces the previous one.
test("a client follows the challenge for a step-up", async () => {
  const pay = (token) => oauth.protectedResourceRequest(token, "POST", new URL("/pay", resource), new Headers(), null, options);
  const challengeOf = (token) => pay(token).then(assert.fail, (error) => error.cause[0]);
  const isChallenged = async (token) => {
    const { scheme, parameters } = await challengeOf(token);
    assert.equal(scheme, "bearer");
    assert.equal(parameters.error, "insufficient_user_authentication");
    return parameters;
  };

  const before = await signIn("ada");
  const asked = await isChallenged(before.access_token);
  assert.deepEqual([asked.acr_values, asked.max_age], ["urn:example:gold urn:example:platinum", "300"]);

  const [acr] = asked.acr_values.split(" ");
  const after = await signIn("ada", {}, { replaces: before.access_token, auth_time: now(), acr, amr: ["hwk"] });
  assert.equal((await pay(after.access_token)).status, 204);
  while ((await challengeOf(before.access_token)).parameters.error !== "invalid_token") { // within the bound
    await new Promise((resolve) => setTimeout(resolve, 100));
  }

  await isChallenged((await signIn("ada", {}, { auth_time: now() - Number(asked.max_age) - 1, acr })).access_token);
  await isChallenged((await signIn("ada", {}, { auth_time: now(), acr: "urn:example:silver" })).access_token);
  await isChallenged((await signIn("ada", {}, { acr })).access_token);
});
