import assert from "node:assert/strict";
import { createPublicKey, verify } from "node:crypto";
import { test } from "node:test";
import buildGetJwks from "get-jwks";
import { issuer, signIn } from "./service.mjs";

test("get-jwks finds the key of a token with the issuer alone", async () => {
  const { access_token: token } = await signIn("ada");
  const [head, claims, signature] = token.split(".");
  const { kid, alg } = JSON.parse(Buffer.from(head, "base64url"));
  const getJwks = buildGetJwks({ providerDiscovery: true, issuersWhitelist: [issuer] });
  const key = createPublicKey(await getJwks.getPublicKey({ domain: issuer, kid, alg }));
  assert.ok(verify("sha256", Buffer.from(`${head}.${claims}`), { key, dsaEncoding: "ieee-p1363" }, Buffer.from(signature, "base64url")));
  await assert.rejects(getJwks.getPublicKey({ domain: issuer, kid: "nobody", alg }));
});
