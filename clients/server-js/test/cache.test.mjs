import assert from "node:assert/strict";
import { test } from "node:test";
import { fake, network, sessions } from "./service.mjs";

/** counted is a client and how often it has asked. */
async function counted(t, cache) {
  const between = await network(t);
  const client = sessions({ internal: between.url, cache });
  return { client, between, asks: async (token, more) => {
    const before = between.count;
    const answer = await client.introspect(token, more);
    return [between.count - before, answer.active];
  } };
}

test("nothing is remembered unless it is asked for", async (t) => {
  const { client, asks } = await counted(t, undefined);
  const { access_token: token, session } = await client.create({ data: { n: 1 } });
  assert.deepEqual(await asks(token), [1, true]);
  assert.deepEqual(await asks(token), [1, true]);
  await sessions().end(session.id);
  assert.deepEqual(await asks(token), [1, false]);
});

test("an active token is remembered, until the session is changed from here", async (t) => {
  const { client, asks } = await counted(t, { for: 5000 });
  const create = () => client.create({ subject: `user-${crypto.randomUUID()}`, data: { n: 1 }, access_token_ttl: 600 });
  const { access_token: token, refresh_token, session } = await create();
  assert.deepEqual(await asks(token), [1, true]);
  assert.deepEqual(await asks(token), [0, true]);
  (await client.introspect(token)).session.data.n = 7;
  assert.deepEqual((await client.introspect(token)).session.data, { n: 1 }, "what a caller changes is its own");
  assert.deepEqual(await asks(token, { confirm: false }), [1, true]);
  for (const change of [
    () => client.update(session.id, ({ n }) => ({ n: n + 1 })), () => client.updateClaims(session.id, () => ({ a: 1 })),
    () => client.patch(session.id, { client: { label: "x" } }),
  ]) {
    await change();
    assert.deepEqual(await asks(token), [1, true], String(change));
    assert.deepEqual(await asks(token), [0, true], String(change));
  }
  await client.end(session.id);
  assert.deepEqual(await asks(token), [1, false]);
  assert.deepEqual(await asks(token), [1, false], "inactive tokens are not remembered");
  assert.deepEqual(await asks(refresh_token), [1, false]);
  for (const end of [({ session }) => client.endAll(session.subject), ({ refresh_token }) => client.revoke(refresh_token)]) {
    const created = await create();
    assert.deepEqual(await asks(created.access_token), [1, true]);
    await end(created);
    assert.deepEqual(await asks(created.access_token), [1, false]);
  }
});

test("an answer that was under way at a change is not remembered", async (t) => {
  const { client, between, asks } = await counted(t, { for: 5000 });
  const { access_token: token, session } = await client.create();
  between.next = (request) => (request.url === "/oauth2/introspect" ? () => client.end(session.id) : undefined);
  assert.equal((await client.introspect(token)).active, true);
  between.next = undefined;
  assert.deepEqual(await asks(token), [1, false]);
});

test("no more are remembered than may be", async (t) => {
  const { client, asks } = await counted(t, { for: 5000, entries: 2 });
  const [a, b, c] = await Promise.all([1, 2, 3].map(async () => (await client.create()).access_token));
  for (const token of [a, b, c]) assert.deepEqual(await asks(token), [1, true]);
  for (const token of [b, c]) assert.deepEqual(await asks(token), [0, true]);
  assert.deepEqual(await asks(a), [1, true]);
  for (const cache of [{ for: 5001 }, { for: -1 }, { for: NaN }, { for: 1, entries: 0 }]) assert.throws(() => sessions({ cache }), RangeError);
});

test("a token is not remembered beyond its end, by the service's clock", async (t) => {
  for (const ahead of [0, 86_400, -86_400]) {
    const now = Math.floor(Date.now() / 1000) + ahead;
    const server = await fake(t, () => ({
      headers: { Date: new Date(now * 1000).toUTCString() }, json: { active: true, exp: server.exp, session: { id: "x" } },
    }));
    const client = sessions({ internal: server.url, cache: { for: 5000 } });
    for (const [token, exp] of [["over", now], ["in this second", now + 1]]) {
      server.exp = exp;
      for (const times of [1, 2]) {
        const before = server.seen.length;
        await client.introspect(token);
        assert.equal(server.seen.length - before, 1, `${token}, ${times}`);
      }
    }
    server.exp = now + 2; // so that there is one second for certain
    const asked = server.seen.length;
    await client.introspect("soon");
    const answered = performance.now();
    for (;;) {
      const before = performance.now();
      await client.introspect("soon");
      if (server.seen.length > asked + 1) break;
      assert.ok(before - answered < 1000, `it was remembered for ${before - answered} ms`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
});
