import assert from "node:assert/strict";
import { readFile, readdir } from "node:fs/promises";
import { test } from "node:test";
import { inspect } from "node:util";
import { LatchkeyError } from "@latchkey/server";
import { down, fake, internal, listen, network, otherKey, serviceKey, sessions, subject } from "./service.mjs";

const { HTTPAPI } = process.env;

/** failure is what a call fails with. */
async function failure(call) {
  const error = await call.then(() => assert.fail("it did not fail"), (error) => error);
  assert.ok(error instanceof LatchkeyError, inspect(error));
  return error;
}

/** described are the codes of httpapi/openapi.yaml: of problem documents, and of OAuth's routes. */
const described = async () => {
  const description = await readFile(`${HTTPAPI}/openapi.yaml`, "utf8");
  const [, list] = /The last part of `type`, to switch on\.\n +enum:\n((?: +- \w+\n)+)/.exec(description);
  const [, oauth] = /error:\n +type: string\n +enum: \[([^\]]+)\]/.exec(description);
  const codes = { problems: [...list.matchAll(/- (\w+)/g)].map(([, code]) => code), oauth: [...oauth.matchAll(/(\w+)/g)].map(([, code]) => code) };
  assert.ok(codes.problems.length > 30 && codes.oauth.length > 10, inspect(codes));
  return codes;
};

// Codes that no call of this package can get from the service.
const elsewhere = [
  "client_closed_request", "internal_error", "server_error", // nobody gets the first; faults
  "request_timeout", // a body that does not arrive
  "rate_limited", // a service with a limit
  "insufficient_scope", "invalid_token", "missing_token", "wrong_audience", // routes that take an access token
  "invalid_dpop_proof", "use_dpop_nonce", "invalid_scope", "invalid_target", "unsupported_grant_type", // refreshes with more than a token
  "subject_not_found", // for identity providers
];

test("the service's refusals", async (t) => {
  const seen = new Set();
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
    seen.add(code);
  }
  // Requests that the package would not send, altered by something in between.
  const between = await network(t);
  const spoilt = sessions({ internal: between.url });
  for (const [code, status, change, call] of [
    ["duplicate_member", 400, { body: '{"a":1,"a":2}' }, () => spoilt.putData(id, checksum, {})],
    ["duplicate_parameter", 400, { path: "/v1/sessions?limit=1&limit=2" }, () => spoilt.list()],
    ["invalid_client", 401, { headers: { authorization: null } }, () => spoilt.introspect("x")],
    ["malformed_body", 400, { body: "{" }, () => spoilt.create()],
    ["method_not_allowed", 405, { method: "POST" }, () => spoilt.get(id)],
    ["missing_service_key", 401, { headers: { authorization: null } }, () => spoilt.get(id)],
    ["precondition_required", 428, { headers: { "if-match": null } }, () => spoilt.putData(id, checksum, {})],
    ["route_not_found", 404, { path: "/v2" }, () => spoilt.get(id)],
    ["token_in_query", 400, { path: "/v1/sessions?access_token=x" }, () => spoilt.list()],
  ]) {
    between.next = () => change;
    const error = await failure(call());
    assert.deepEqual([error.code, error.status, error.unavailable], [code, status, false], error.message);
    seen.add(code);
  }
  const without = sessions({ internal: down, public: down, retries: 0, timeout: 60_000 });
  for (const [code, call] of [["unavailable", () => without.get(id)], ["temporarily_unavailable", () => without.introspect(live.access_token)]]) {
    const error = await failure(call());
    assert.deepEqual([error.code, error.status, error.unavailable, error.retryAfter > 0], [code, 503, true, true], error.message);
    seen.add(code);
  }
  const { problems, oauth } = await described();
  assert.deepEqual([...new Set([...problems, ...oauth])].filter((code) => seen.has(code) === elsewhere.includes(code)), [], "a code is in one of the two lists");

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
  const { problems, oauth } = await described();
  for (const code of [...problems, ...oauth].filter((code) => !codes.has(code) && code !== "invalid_token")) {
    const json = problems.includes(code) ? { code, request_id: "golden" } : { error: code };
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

  const keys = await fake(t, (n) => (n === 1 ? unavailable : { status: 201, json: { access_token: "a", session: { id: "s" } } }));
  await sessions({ internal: keys.url }).create({ data: {} });
  const [first, second] = keys.seen.map((request) => request.headers["idempotency-key"]);
  assert.match(first, /^"[0-9a-f-]{36}"$/);
  assert.equal(first, second);
  assert.deepEqual(keys.seen.map((request) => request.body), ['{"data":{}}', '{"data":{}}']);

  const proxy = await listen(t, (request, response) => response.end("<html>"));
  assert.deepEqual([(await failure(sessions({ internal: proxy.url }).get(crypto.randomUUID()))).code], ["unexpected_answer"]);
});

test("an answer that is not the service's says nothing about a token", async (t) => {
  const pair = { access_token: "a", refresh_token: "r", token_type: "Bearer", expires_in: 900 };
  for (const json of [{}, null, [], "active", 7, { message: "down for maintenance" }, { active: null }, { active: "false" }, { ...pair, access_token: null }, { ...pair, refresh_token: undefined }]) {
    const proxy = await fake(t, () => ({ json }));
    const client = sessions({ internal: proxy.url, public: proxy.url });
    for (const call of [client.introspect("x"), client.refresh("x"), client.create()]) {
      const { code, status, unavailable } = await failure(call);
      assert.deepEqual([code, status, unavailable], ["unexpected_answer", 200, true], inspect(json));
    }
  }
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
