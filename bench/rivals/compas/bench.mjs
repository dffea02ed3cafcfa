// Measures @compas/store's session functions: as many callers as connections, each of which starts the next call when
// its last one has been answered. Settings are one JSON object on standard input; the results are rows of results.json.
import { readFile } from "node:fs/promises";
import { text } from "node:stream/consumers";
import { isDeepStrictEqual } from "node:util";
import { newEvent } from "@compas/stdlib";
import {
  newPostgresConnection,
  sessionStoreCreate,
  sessionStoreGet,
  sessionStoreRefreshTokens,
} from "@compas/store";

const config = JSON.parse(await text(process.stdin));
const settings = {
  accessTokenMaxAgeInSeconds: 5 * 60,
  refreshTokenMaxAgeInSeconds: 24 * 60 * 60,
  signingKey: "a-key-of-thirty-two-bytes-or-more",
};

// The library writes a log line for each call. Where it writes to is the application's choice: here, nowhere.
const log = { info() {}, error() {} };
const event = () => newEvent(log);

// The callers, and the connections that they have.
let workers = 1;
let sql;
async function connect(max) {
  await sql?.end();
  workers = max;
  sql = await newPostgresConnection({
    ...config.connection,
    max,
    onnotice() {}, // would print to standard output
  });
}
await connect(1);

// must takes the value out of the library's { value, error }.
function must(operation, { value, error }) {
  if (error) throw new Error(`${operation}: ${error.key} (${error.status}) ${JSON.stringify(error.info)}`, { cause: error.cause });
  return value;
}

const create = async () => must("create", await sessionStoreCreate(event(), sql, settings, config.data));
const get = async (token) => must("get", await sessionStoreGet(event(), sql, settings, token)).session;
const refresh = async (token) => must("refresh", await sessionStoreRefreshTokens(event(), sql, settings, token));

// loop runs step(caller, turn) for some seconds and returns each call's milliseconds.
async function loop(seconds, step) {
  const latencies = [];
  const end = performance.now() + seconds * 1000;
  const caller = async (_, number) => {
    for (let turn = 0, now = performance.now(); now < end; turn++) {
      await step(number, turn);
      const done = performance.now();
      latencies.push(done - now);
      now = done;
    }
  };
  await Promise.all(Array.from({ length: workers }, caller));
  return latencies;
}

const rows = [];
async function measure(operation, step) {
  await loop(config.seconds / 4, step); // until the compiler has seen it

  const cpu = process.cpuUsage();
  const start = performance.now();
  const latencies = Float64Array.from(await loop(config.seconds, step)).sort();
  const seconds = (performance.now() - start) / 1000;
  const { user, system } = process.cpuUsage(cpu);

  const rank = (share) => latencies[Math.ceil(share * latencies.length) - 1];
  const cpuMicros = ((user + system) / latencies.length).toFixed(0);
  const row = {
    ...config.row,
    workers,
    group: `${config.row.group} at ${workers}`,
    operation,
    rounds: [latencies.length / seconds],
    p50_ms: rank(0.5),
    p99_ms: rank(0.99),
    note: `${version} on Node ${process.version}, CPU of the process ${cpuMicros} µs per call`,
  };
  rows.push(row);
}

const { version } = JSON.parse(await readFile(new URL("node_modules/@compas/store/package.json", import.meta.url), "utf8"));
await sql.unsafe(await readFile(new URL("schema.sql", import.meta.url), "utf8"));

// As many sessions as the others have, as the library leaves them. They are only there.
await sql.unsafe(`
  WITH made AS (
    INSERT INTO "sessionStore" ("checksum", "data")
    SELECT md5(n::text), $1::text::jsonb FROM generate_series(1, $2::int) n RETURNING "id"
  ), refresh AS (
    INSERT INTO "sessionStoreToken" ("session", "expiresAt", "createdAt")
    SELECT "id", now() + interval '1 day', now() FROM made RETURNING "id", "session"
  )
  INSERT INTO "sessionStoreToken" ("session", "expiresAt", "refreshToken", "createdAt")
  SELECT "session", now() + interval '5 minutes', "id", now() FROM refresh`, [JSON.stringify(config.data), config.row.sessions]);
await sql.unsafe(`VACUUM (ANALYZE) "sessionStore"`);
await sql.unsafe(`VACUUM (ANALYZE) "sessionStoreToken"`);

const pairs = [];
for (const max of config.workers) {
  await connect(max);
  await measure("create", async () => {
    pairs.push(await create());
  });

  const found = await get(pairs[0].accessToken);
  if (!isDeepStrictEqual(found.data, config.data)) {
    throw new Error(`get: the session's data is ${JSON.stringify(found.data)}`);
  }
  await measure("get", async () => {
    const session = await get(pairs[Math.floor(Math.random() * pairs.length)].accessToken);
    if (!session?.data) throw new Error("get: a session without data");
  });

  // Each caller rotates the tokens of sessions that are its alone, one session after another.
  const own = Math.floor(pairs.length / max);
  const last = pairs[0];
  await measure("refresh", async (caller, turn) => {
    const index = caller + max * (turn % own);
    pairs[index] = await refresh(pairs[index].refreshToken);
  });
  await get(pairs[0].accessToken);
  const { error } = await sessionStoreGet(event(), sql, settings, last.accessToken);
  if (error?.key !== "sessionStore.get.revokedToken") {
    throw new Error(`a rotated access token: ${error?.key ?? "still accepted"}`);
  }
}

await sql.end();
process.stdout.write(JSON.stringify(rows));
