// Run by verifier_test.go, against the service whose addresses are in the environment.
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import { after, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { backend as start } from "./server.mjs";

const env = (name) => process.env[name] ?? assert.fail(`${name} is not set`);
const internal = env("INTERNAL");
const serviceKey = env("SERVICE_KEY");
const options = { issuer: env("ISSUER"), audience: env("AUDIENCE"), keys: env("KEYS"), internal, serviceKey };
const bound = 1000;

const listen = async (server) => {
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  return server.address().port;
};

async function call(method, path, body) {
  const answer = await fetch(internal + path, {
    method,
    headers: { Authorization: `Bearer ${serviceKey}`, "Content-Type": "application/json" },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  assert.ok(answer.ok, `${method} ${path}: ${answer.status}`);
  return answer.status === 204 ? null : answer.json();
}

async function session() {
  const { access_token: token, session } = await call("POST", "/v1/sessions", { subject: "ann", data: {} });
  const supersede = async () => {
    const url = `${internal}/v1/sessions/${session.id}/claims`;
    const headers = { Authorization: `Bearer ${options.serviceKey}`, "Content-Type": "application/json" };
    const etag = (await fetch(url, { headers })).headers.get("etag");
    const answer = await fetch(`${url}?supersede=true`, { method: "PUT", headers: { ...headers, "If-Match": etag }, body: "{}" });
    assert.equal(answer.status, 200);
  };
  return { token, supersede, revoke: () => call("DELETE", `/v1/sessions/${session.id}`), id: session.id };
}

/** A backend behind the middleware. */
async function backend(changed = {}) {
  const { verifier, server } = start({ ...options, ...changed });
  await once(server, "listening");
  const url = `http://127.0.0.1:${server.address().port}/`;
  after(() => close(server));
  const get = async (token) => {
    const answer = await fetch(url, token === undefined ? {} : { headers: { Authorization: `Bearer ${token}` } });
    return { status: answer.status, challenge: answer.headers.get("www-authenticate"), retry: answer.headers.get("retry-after"), body: await answer.text() };
  };
  const until = async (status, token) => {
    for (const deadline = Date.now() + 20_000; ; await sleep(1)) {
      const answer = await get(token);
      if (answer.status === status) return;
      assert.ok(Date.now() < deadline, `still ${answer.status}, not ${status}`);
    }
  };
  return { verifier, get, until };
}

function close(server) {
  server.close();
  server.closeAllConnections();
}

/** A network between us and the service, which can be frozen or cut. */
async function proxy() {
  const { hostname, port } = new URL(internal);
  const sockets = new Set();
  let down = false;
  const server = createServer((client) => {
    const service = connect(Number(port), hostname);
    for (const [from, to] of [[client, service], [service, client]]) {
      sockets.add(from);
      from.on("error", () => {}).on("close", () => (sockets.delete(from), to.destroy())).pipe(to);
    }
    if (down) client.destroy();
  });
  after(() => (server.close(), sockets.forEach((s) => s.destroy())));
  return {
    internal: `http://127.0.0.1:${await listen(server)}`,
    freeze: () => sockets.forEach((s) => (s.unpipe(), s.pause())),
    setDown: (is) => ((down = is), is && sockets.forEach((s) => s.destroy())),
  };
}

const verifierIsFresh = async (verifier) => {
  while (verifier.revocations.age() > bound) await sleep(5);
};

test("tokens are accepted, and refused soon after the revocation", { timeout: 30_000 }, async () => {
  const { verifier, get, until } = await backend();
  const [live, gone] = [await session(), await session()];
  await until(200, gone.token);
  assert.deepEqual(await get(live.token), { status: 200, challenge: null, retry: null, body: live.id });
  assert.equal((await get()).challenge, "Bearer");
  for (const token of ["x", live.token.slice(0, -2) + "xx", live.token + ", Bearer x"]) {
    assert.deepEqual(await get(token), { status: 401, challenge: 'Bearer error="invalid_token"', retry: null, body: "" });
  }
  await verifierIsFresh(verifier);
  await gone.revoke();
  const revoked = Date.now();
  await until(401, gone.token);
  assert.ok(Date.now() - revoked < bound, `it took ${Date.now() - revoked} ms`);
  assert.equal((await get(live.token)).status, 200);
});

test("superseded tokens are refused soon, also by verifiers that start later", { timeout: 30_000 }, async () => {
  const { verifier, until } = await backend();
  const [live, gone] = [await session(), await session()];
  await verifierIsFresh(verifier);
  await until(200, gone.token);
  await gone.supersede();
  const superseded = Date.now();
  await until(401, gone.token);
  assert.ok(Date.now() - superseded < bound, `it took ${Date.now() - superseded} ms`);
  await until(200, live.token);
  const later = await backend();
  await verifierIsFresh(later.verifier);
  await later.until(401, gone.token);
  await later.until(200, live.token);
});

test("the whole set comes in parts", { timeout: 30_000 }, async () => {
  const { verifier, get } = await backend();
  const old = env("REVOKED").split(" ");
  await verifierIsFresh(verifier);
  for (const id of old) assert.equal(verifier.revocations.state({ sid: id, jti: "", exp: Infinity }, bound), "revoked");
  assert.equal((await get((await session()).token)).status, 200);
});

test("past the bound each token is asked about, and without an answer nobody is refused or accepted", { timeout: 30_000 }, async () => {
  const network = await proxy();
  const { verifier, get, until } = await backend({ internal: network.internal });
  const [live, gone] = [await session(), await session()];
  await verifierIsFresh(verifier);
  assert.equal((await get(gone.token)).status, 200);
  network.setDown(true);
  await gone.revoke();
  const revoked = Date.now();
  await until(503, gone.token);
  assert.ok(Date.now() - revoked < bound + 500, `accepted for ${Date.now() - revoked} ms`);
  assert.equal((await get(live.token)).retry, "1");
  assert.equal((await get("x")).status, 401);
  network.setDown(false);
  await until(200, live.token);
  await until(401, gone.token);
});

test("a connection that dies silently", { timeout: 30_000 }, async () => {
  const network = await proxy();
  const { verifier, until, get } = await backend({ internal: network.internal });
  const [live, gone] = [await session(), await session()];
  await verifierIsFresh(verifier);
  assert.equal((await get(gone.token)).status, 200);
  network.freeze();
  await gone.revoke();
  const revoked = Date.now();
  await until(401, gone.token); // by introspection, on a new connection
  assert.ok(Date.now() - revoked < bound + 500, `accepted for ${Date.now() - revoked} ms`);
  await verifierIsFresh(verifier);
  await until(200, live.token);
});

test("keys that cannot be fetched are no reason to refuse a token", { timeout: 30_000 }, async () => {
  const { get } = await backend({ keys: "http://127.0.0.1:1/" });
  assert.equal((await get((await session()).token)).status, 503);
});

// The last one: it ends the sessions of all others.
test("everyone is signed out, also for verifiers that start later, and those who sign in then stay", { timeout: 30_000 }, async () => {
  const { verifier, until } = await backend();
  const gone = await session();
  await verifierIsFresh(verifier);
  await until(200, gone.token);
  assert.equal((await fetch(env("SIGN_OUT_ALL"))).status, 200);
  const signedOut = Date.now();
  await until(401, gone.token);
  assert.ok(Date.now() - signedOut < bound, `it took ${Date.now() - signedOut} ms`);
  const back = await session();
  await until(200, back.token);
  const later = await backend();
  await verifierIsFresh(later.verifier);
  await later.until(401, gone.token);
  await later.until(200, back.token);
});
