import assert from "node:assert/strict";
import { readFile, readdir } from "node:fs/promises";
import { test } from "node:test";
import { inspect } from "node:util";
import { LatchkeyError } from "@latchkey/server";
import { fake, internal, listen, otherKey, serviceKey, sessions, subject } from "./service.mjs";

const { HTTPAPI } = process.env;

/** failure is what a call fails with. */
async function failure(call) {
  const error = await call.then(() => assert.fail("it did not fail"), (error) => error);
  assert.ok(error instanceof LatchkeyError, inspect(error));
  return error;
}

test("the service's refusals", async () => {
  const client = sessions();
  const other = sessions({ serviceKey: otherKey });
  const live = await client.create({ subject: subject() });
  const ended = await client.create({ subject: subject() });
  await client.end(ended.session.id);
  const full = subject();
  for (let i = 0; i < 5; i++) await client.create({ subject: full });
  const none = crypto.randomUUID();
  const key = crypto.randomUUID();
  await client.create({ data: {} }, { idempotencyKey: key });
  const { id, checksum } = live.session;
  for (const [code, status, call] of [
    ["invalid_service_key", 401, () => sessions({ serviceKey: "another-key-that-nobody-has-given-out" }).get(id)],
    ["missing_right", 403, () => other.get(id)],
    ["missing_right", 403, () => other.endAll(full)],
    ["invalid_service_key", 401, () => sessions({ serviceKey: "another-key-that-nobody-has-given-out" }).introspect("x")],
    ["session_not_found", 404, () => client.get(none)],
    ["session_not_found", 404, () => client.end(none)],
    ["session_not_found", 404, () => client.history(none)],
    ["session_not_found", 404, () => client.claims(none)],
    ["session_not_found", 404, () => client.patch(none, {})],
    ["session_ended", 409, () => client.patch(ended.session.id, { client: { label: "x" } })],
    ["session_ended", 409, () => client.putData(ended.session.id, ended.session.checksum, { a: 1 })],
    ["session_ended", 409, () => client.update(ended.session.id, () => ({ a: 1 }))],
    ["checksum_mismatch", 412, () => client.putData(id, "x", { a: 1 })],
    ["checksum_mismatch", 412, () => client.putClaims(id, "x", { a: 1 })],
    ["invalid_parameter", 400, () => client.putData(id, "", {})],
    ["invalid_parameter", 400, () => client.list({ limit: 1000 })],
    ["invalid_parameter", 400, () => client.endAll("")],
    ["invalid_parameter", 400, () => client.revocations({ since: "x".repeat(13000) })],
    ["unknown_parameter", 400, () => client.list({ colour: "red" })],
    ["invalid_member", 400, () => client.create({ subject: 7 })],
    ["unknown_member", 400, () => client.create({ colour: "red" })],
    ["unsupported_media_type", 415, () => client.putData(id, checksum)],
    ["body_too_large", 413, () => client.putData(id, checksum, { a: "x".repeat(70_000) })],
    ["idempotency_key_reused", 422, () => client.create({ data: { a: 1 } }, { idempotencyKey: key })],
    ["not_replaceable", 409, () => client.create({ replaces: ended.session.id })],
    ["too_many_sessions", 409, () => client.create({ subject: full })],
    ["invalid_request", 400, () => client.refresh("")],
    ["invalid_grant", 400, () => client.refresh("x")],
    ["invalid_request", 400, () => client.revoke("")],
    ["unauthorized_client", 403, () => sessions({ serviceKey: `${otherKey}-reads` }).introspect("x")],
  ]) {
    const error = await failure(call());
    assert.deepEqual([error.code, error.status, error.unavailable], [code, status, false], error.message);
    assert.match(error.requestId, /^[0-9a-f]{32}$/);
    assert.ok(!inspect(error, { depth: 9 }).includes("another-key") && !inspect(error, { depth: 9 }).includes(serviceKey));
  }
  assert.equal((await failure(client.create({ client: { colour: 1 } }))).pointer, "/client/colour");
  assert.equal((await failure(client.list({ limit: 0 }))).parameter, "limit");
  for (const call of [() => client.get("x"), () => client.end(".."), () => client.end(""), () => client.data(undefined)]) {
    await assert.rejects(call(), new TypeError("a session's id must be a UUID"));
  }
  await assert.rejects(sessions({ public: undefined }).refresh("x"), TypeError);
});

test("every answer that the service's own tests have, and every code", async (t) => {
  const folder = `${HTTPAPI}/testdata`;
  const codes = new Set();
  for (const name of (await readdir(folder)).filter((name) => /^problem_.*\.golden$/.test(name))) {
    const [head, body] = (await readFile(`${folder}/${name}`, "utf8")).split("\n\n");
    const [line, ...lines] = head.split("\n");
    const headers = Object.fromEntries(lines.map((header) => header.split(": ")));
    const json = JSON.parse(body);
    const { url } = await fake(t, () => ({ status: parseInt(line), headers, json }));
    const error = await failure(sessions({ internal: url, retries: 0 }).get(crypto.randomUUID()));
    assert.deepEqual(
      { status: error.status, code: error.code, requestId: error.requestId, retryAfter: error.retryAfter, pointer: error.pointer, parameter: error.parameter },
      {
        status: parseInt(line), code: json.error === "invalid_token" ? "invalid_service_key" : json.code ?? json.error, requestId: "golden", pointer: json.pointer, parameter: json.parameter,
        retryAfter: headers["Retry-After"] && Number(headers["Retry-After"]) * 1000,
      },
      name,
    );
    assert.equal(error.unavailable, [429, 500, 503].includes(error.status), name);
    assert.ok(error.message.startsWith(`getSession: ${error.status} ${error.code}: `), error.message);
    codes.add(error.code);
  }
  const description = await readFile(`${HTTPAPI}/openapi.yaml`, "utf8");
  const [, list] = /The last part of `type`, to switch on\.\n +enum:\n((?: +- \w+\n)+)/.exec(description);
  const [, oauth] = /error:\n +type: string\n +enum: \[([^\]]+)\]/.exec(description);
  const described = [...list.matchAll(/- (\w+)/g), ...oauth.matchAll(/(\w+)/g)].map(([, code]) => code);
  assert.ok(described.length > 40, `only ${described.length} codes were found`);
  for (const code of described.filter((code) => !codes.has(code) && code !== "invalid_token")) {
    const json = described.indexOf(code) < list.split("\n").length - 1 ? { code, request_id: "golden" } : { error: code };
    const { url } = await fake(t, () => ({ status: 400, json }));
    const error = await failure(sessions({ internal: url, retries: 0 }).get(crypto.randomUUID()));
    assert.deepEqual([error.code, error.status, error.requestId], [code, 400, json.request_id]);
  }
});

test("a request is sent again only where that is safe, and may help", async (t) => {
  const count = async (answers, more = {}) => {
    const server = await fake(t, (n) => answers[n - 1] ?? { status: 200, json: { id: "x", sessions: [] } });
    const outcome = await sessions({ internal: server.url, ...more }).list().then(() => "served", (error) => error);
    return [server.seen.length, outcome.status ?? outcome, outcome.resent];
  };
  const unavailable = { status: 503, json: { code: "unavailable" } };
  assert.deepEqual(await count([unavailable, { status: 502, json: null }]), [3, "served", undefined]);
  assert.deepEqual(await count([{ status: 429 }]), [2, "served", undefined]);
  assert.deepEqual(await count([unavailable, unavailable, unavailable]), [3, 503, true]);
  assert.deepEqual(await count([unavailable], { retries: 0 }), [1, 503, false]);
  assert.deepEqual(await count([{ status: 500 }]), [1, 500, false]);
  assert.deepEqual(await count([{ status: 400 }]), [1, 400, false]);
  assert.deepEqual(await count([{ ...unavailable, headers: { "Retry-After": "30" } }]), [1, 503, false], "the caller is told to wait");

  const keys = await fake(t, (n) => (n === 1 ? unavailable : { status: 201 }));
  await sessions({ internal: keys.url }).create({ data: {} });
  const [first, second] = keys.seen.map((request) => request.headers["idempotency-key"]);
  assert.match(first, /^"[0-9a-f-]{36}"$/);
  assert.equal(first, second);
  assert.deepEqual(keys.seen.map((request) => request.body), ['{"data":{}}', '{"data":{}}']);

  const proxy = await listen(t, (request, response) => response.end("<html>"));
  assert.deepEqual([(await failure(sessions({ internal: proxy.url }).get(crypto.randomUUID()))).code], ["unexpected_answer"]);
});

test("what cannot be sent is the caller's mistake, not an outage", async (t) => {
  const service = await fake(t, () => ({}));
  const client = sessions({ internal: service.url });
  const id = crypto.randomUUID();
  await assert.rejects(client.create({}, { idempotencyKey: "a\nb" }), TypeError);
  await assert.rejects(client.putData(id, "x", { n: 1n }), TypeError);
  assert.equal(service.seen.length, 0);
});

test("an end is put to a call", async (t) => {
  const silent = await listen(t, () => {});
  const error = await failure(sessions({ internal: silent.url, timeout: 20, retries: 1 }).list());
  assert.deepEqual([error.status, error.code, error.unavailable, error.resent], [0, "no_answer", true, true]);
  const reason = new Error("the user has gone");
  const gone = new AbortController();
  const call = sessions({ internal: silent.url }).list({}, { signal: gone.signal });
  gone.abort(reason);
  await assert.rejects(call, reason);
  const busy = await fake(t, () => ({ status: 503, headers: { "Retry-After": "2" } }));
  const pause = new AbortController();
  const waiting = sessions({ internal: busy.url }).list({}, { signal: pause.signal });
  waiting.catch(() => undefined);
  while (busy.seen.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  pause.abort(reason);
  await assert.rejects(waiting, reason);
});

test("the service key goes nowhere else", async (t) => {
  const elsewhere = await fake(t, () => ({}));
  const redirecting = await fake(t, () => ({ status: 307, headers: { Location: elsewhere.url } }));
  const closed = await listen(t, () => {});
  closed.server.close();
  for (const url of [redirecting.url, closed.url, "http://nowhere.invalid"]) {
    const error = await failure(sessions({ internal: url, retries: 0 }).list());
    assert.equal(error.code, "no_answer");
    assert.ok(!inspect(error, { depth: 9, showHidden: true }).includes(serviceKey));
  }
  assert.equal(elsewhere.seen.length, 0);
  for (const wrong of [{ serviceKey: `${serviceKey}\n` }, { internal: `http://user:${serviceKey}@127.0.0.1` }, { internal: "ftp://x" }, { internal: `${internal}/?x` }]) {
    assert.throws(() => sessions(wrong), (error) => error instanceof TypeError && !inspect(error).includes(serviceKey));
  }
  assert.ok(!inspect(sessions(), { depth: 9, showHidden: true }).includes(serviceKey));
});
