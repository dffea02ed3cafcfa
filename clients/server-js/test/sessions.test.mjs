import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { internal, network, served, sessions, subject } from "./service.mjs";

test("a session's life", async () => {
  const client = sessions();
  const sub = subject();
  const created = await client.create({ subject: sub, data: { cart: [1] }, claims: { role: "editor" }, client: { label: "Firefox" } });
  const { id } = created.session;
  assert.equal(created.token_type, "Bearer");

  const asked = await client.introspect(created.access_token);
  assert.deepEqual([asked.active, asked.sub, asked.sid, asked.session.data, asked.claims.role], [true, sub, id, { cart: [1] }, "editor"]);
  assert.deepEqual(await client.introspect(created.refresh_token), { active: false });
  assert.deepEqual(await client.introspect(""), { active: false });

  const read = await client.data(id);
  assert.deepEqual(read, { value: { cart: [1] }, version: created.session.checksum });
  const version = await client.putData(id, read.version, { cart: [1, 2] });
  assert.equal((await client.get(id)).checksum, version);
  assert.deepEqual(await client.update(id, (data) => ({ ...data, theme: "dark" })), { cart: [1, 2], theme: "dark" });
  assert.deepEqual(await client.update(id, () => undefined), { cart: [1, 2], theme: "dark" });

  const claims = await client.claims(id);
  assert.deepEqual(claims.value, { role: "editor" });
  await client.putClaims(id, claims.version, { role: "admin" });
  assert.deepEqual(await client.updateClaims(id, (now) => ({ ...now, scope: "all" }), { supersede: true }), { role: "admin", scope: "all" });
  assert.equal((await client.introspect(created.access_token)).active, false, "it was superseded");

  assert.equal((await client.patch(id, { client: { label: "Till 4" }, session_ttl: 28800 })).client.label, "Till 4");
  const refreshed = await client.refresh(created.refresh_token);
  assert.equal((await client.introspect(refreshed.access_token, { confirm: false })).claims.role, "admin");
  assert.equal((await client.history(id)).refreshed.times, 1);

  await client.end(id);
  await client.end(id);
  assert.equal((await client.introspect(refreshed.access_token)).active, false);
  await assert.rejects(client.refresh(refreshed.refresh_token), { status: 400, code: "invalid_grant" });
});

test("lists, and ends of several", async () => {
  const client = sessions();
  const sub = subject();
  const made = [];
  for (let i = 0; i < 3; i++) made.push((await client.create({ subject: sub })).session.id);
  const found = [];
  for await (const { id } of client.all({ subject: sub, limit: 2 })) found.push(id);
  assert.deepEqual(found, made.toReversed());
  assert.equal((await client.list({ subject: sub, limit: 2 })).sessions.length, 2);
  await assert.rejects(client.list({ subject: undefined }), TypeError);
  const { cursor } = await client.revocations();
  assert.equal(await client.endAll(sub), 3);
  assert.equal(await client.endAll(sub), 0);
  assert.deepEqual((await client.list({ subject: sub })).sessions, []);
  const told = new Set();
  for (let since = cursor; told.size < 3; ) {
    const part = await client.revocations({ since, wait: 5 });
    for (const { id } of part.sessions) if (made.includes(id)) told.add(id);
    since = part.cursor;
  }
});

test("a token is revoked, and a session replaced", async () => {
  const client = sessions();
  const guest = await client.create({ data: { cart: [7] } });
  const user = await client.create({ subject: subject(), replaces: guest.access_token });
  assert.deepEqual(user.session.data, { cart: [7] });
  assert.equal((await client.introspect(guest.access_token)).active, false);
  await client.revoke(user.refresh_token);
  assert.equal((await client.introspect(user.access_token)).active, false);
  await client.revoke("x");
});

test("parallel updates lose nothing", async () => {
  const client = sessions();
  const { session: { id } } = await client.create({ data: { n: 0 } });
  await Promise.all(Array.from({ length: 6 }, () => client.update(id, ({ n }) => ({ n: n + 1 }))));
  assert.deepEqual((await client.data(id)).value, { n: 6 });
});

test("lost answers", async (t) => {
  const between = await network(t);
  const client = sessions({ internal: between.url });
  const direct = sessions();
  const lose = (method) => {
    let lost = false;
    between.next = (request) => (request.method === method && !lost ? ((lost = true), "lost") : undefined);
  };
  const sub = subject();
  lose("POST");
  const { session: { id } } = await client.create({ subject: sub, data: { n: 0 } });
  assert.deepEqual((await direct.list({ subject: sub })).sessions.map((s) => s.id), [id], "one session was made");

  lose("PUT");
  assert.deepEqual(await client.update(id, ({ n }) => ({ n: n + 1 })), { n: 1 });
  assert.deepEqual((await direct.data(id)).value, { n: 1 }, "it was counted once");
  lose("PUT");
  await client.updateClaims(id, () => ({ role: "editor" }));

  // Another client writes between the write whose answer is lost and the next attempt: it is not known whether the
  // change is in it.
  let puts = 0;
  between.next = (request) => {
    if (request.method !== "PUT" || ++puts > 1) return undefined;
    return async () => {
      await direct.update(id, ({ n }) => ({ n: n + 10 }));
      request.socket.destroy();
    };
  };
  await assert.rejects(client.update(id, ({ n }) => ({ n: n + 1 })), { status: 412, code: "checksum_mismatch", resent: true });
  assert.deepEqual((await direct.data(id)).value, { n: 12 });

  lose("PATCH");
  await client.patch(id, { client: { label: "x" } });
  lose("DELETE");
  await client.end(id);
  lose("DELETE");
  assert.equal(await client.endAll(sub), 0);
});

test("a proof of possession is not used twice", async (t) => {
  const between = await network(t);
  between.next = () => "lost";
  const client = sessions({ internal: between.url });
  await assert.rejects(client.introspect("token", { dpop: { proof: "x", method: "GET", url: internal } }), { status: 0, code: "no_answer", resent: false });
  assert.equal(between.count, 1);
});

test("every operation that is offered was served above", () => {
  const offered = [...readFileSync("src/sessions.ts", "utf8").matchAll(/operation: "(\w+)"/g)].map(([, name]) => name);
  assert.ok(offered.length > 12, `only ${offered.length} were found`);
  let path = "";
  const names = new Set();
  for (const line of readFileSync(`${process.env.HTTPAPI}/openapi.yaml`, "utf8").split("\n")) {
    path = /^ {2}(\/\S*):$/.exec(line)?.[1] ?? path;
    const method = /^ {4}(get|put|post|patch|delete):$/.exec(line)?.[1]?.toUpperCase();
    if (method) path = `${method} ${path.split(" ").at(-1)}`;
    const [, name] = /^ {6}operationId: (\w+)$/.exec(line) ?? [];
    const pattern = new RegExp(`^${path.replace("{id}", "[0-9a-f-]{36}")}$`);
    if (name && [...served].some((request) => pattern.test(request))) names.add(name);
  }
  assert.deepEqual(offered.filter((name) => !names.has(name)), []);
});

test("a session without a refresh token", async () => {
  const created = await sessions().create({ subject: "ann", refresh_token: false });
  assert.equal(created.refresh_token, undefined);
  assert.equal((await sessions().introspect(created.access_token)).active, true);
});
