import assert from "node:assert/strict";
import { test } from "node:test";
import * as oauth from "oauth4webapi";
import { issuer, resource, signIn } from "./service.mjs";

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
