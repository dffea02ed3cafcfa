// Calls @compas/store's session functions for the tests: each line of standard input is one call, each line of standard
// output the answer to one. Calls are answered as they are done, not in their order.
import { createInterface } from "node:readline";
import { newEvent } from "@compas/stdlib";
import {
  newPostgresConnection,
  sessionStoreCleanupExpiredSessions,
  sessionStoreCreate,
  sessionStoreGet,
  sessionStoreInvalidate,
  sessionStoreRefreshTokens,
  sessionStoreUpdate,
} from "@compas/store";

const sql = await newPostgresConnection({ ...JSON.parse(process.env.CONNECTION), max: 10, onnotice() {} });
const settings = {
  accessTokenMaxAgeInSeconds: 600,
  refreshTokenMaxAgeInSeconds: 48 * 60 * 60,
  signingKey: process.env.SIGNING_KEY,
};
const event = () => newEvent({ info() {}, error() {} });

const calls = {
  create: (data) => sessionStoreCreate(event(), sql, settings, data),
  get: (token) => sessionStoreGet(event(), sql, settings, token),
  update: (session) => sessionStoreUpdate(event(), sql, session),
  invalidate: (session) => sessionStoreInvalidate(event(), sql, session),
  refresh: (token) => sessionStoreRefreshTokens(event(), sql, settings, token),
  cleanup: async (days) => ({ value: await sessionStoreCleanupExpiredSessions(event(), sql, days) }),
};

for await (const line of createInterface({ input: process.stdin })) {
  const { id, call, argument } = JSON.parse(line);
  calls[call](argument)
    .then(({ value, error }) => ({ value, error: error?.key }))
    .catch((error) => ({ error: `thrown: ${error}` }))
    .then((answer) => process.stdout.write(`${JSON.stringify({ id, ...answer })}\n`));
}
await sql.end();
