import assert from "node:assert/strict";
import { test } from "node:test";
import { createRemoteJWKSet, decodeProtectedHeader, errors, jwtVerify } from "jose";
import { audience, issuer, rotateKeys, signIn } from "./service.mjs";

const options = { cooldownDuration: 0 }; // the key is rotated at once

test("meets a new key while the service runs", { timeout: 60_000 }, async () => {
  const keys = createRemoteJWKSet(new URL(`${issuer}/.well-known/jwks.json`), options);
  const verify = async (accessToken) => {
    const { payload } = await jwtVerify(accessToken, keys, { issuer, audience, typ: "at+jwt" });
    return payload.sub;
  };
  const before = await signIn("ada");
  assert.equal(await verify(before.access_token), "ada");

  await rotateKeys();
  let after;
  do { // the service learns of it within moments
    after = await signIn("ada");
  } while (decodeProtectedHeader(after.access_token).kid === decodeProtectedHeader(before.access_token).kid);
  assert.equal(await verify(after.access_token), "ada");
  assert.equal(await verify(before.access_token), "ada");

  await assert.rejects(verify(after.refresh_token), errors.JOSEError);
  await assert.rejects(verify(`${after.access_token.slice(0, -8)}AAAAAAAA`), errors.JWSSignatureVerificationFailed);
});
