// The environment of the client in the tests: a backend that signs users in, an API that checks tokens, and a network
// that misbehaves.
import { createServer, request as forward } from "node:http";

export const { ISSUER: issuer, INTERNAL: internal, SERVICE_KEY: serviceKey } = process.env;

// The process that started the tests may have been killed: then nobody waits for their outcome.
const runner = process.ppid;
setInterval(() => {
  try {
    if (process.env.PARENT) process.kill(Number(process.env.PARENT), 0);
    if (process.ppid === runner) return;
  } catch {}
  process.exit(1);
}, 500).unref();

const authorization = { Authorization: `Bearer ${serviceKey}` };

/** signIn makes a session, as a backend does after a login, and returns what it hands to its client. */
export async function signIn(subject = `user-${crypto.randomUUID()}`, more = {}) {
  const answer = await fetch(`${internal}/v1/sessions`, {
    method: "POST",
    headers: { ...authorization, "Content-Type": "application/json" },
    body: JSON.stringify({ subject, data: {}, ...more }),
  });
  if (answer.status !== 201) throw new Error(`sign in: ${answer.status} ${await answer.text()}`);
  const { session, ...tokens } = await answer.json();
  return tokens;
}

/** endAll ends a subject's sessions, as a backend would. */
export async function endAll(subject) {
  const answer = await fetch(`${internal}/v1/sessions?subject=${subject}`, { method: "DELETE", headers: authorization });
  if (!answer.ok) throw new Error(`end: ${answer.status}`);
}

async function introspect(token) {
  const answer = await fetch(`${internal}/oauth2/introspect`, { method: "POST", headers: authorization, body: new URLSearchParams({ token }) });
  if (!answer.ok) throw new Error(`introspection: ${answer.status}`);
  return answer.json();
}

/** api is a service that answers with the subject of the token and what was sent to it. Pages of any origin may call it. */
export async function api(t) {
  const seen = [];
  const { url } = await listen(t, async (request, response) => {
    const cors = { "Access-Control-Allow-Origin": "*", "Access-Control-Allow-Headers": "*, Authorization", "Access-Control-Allow-Methods": "*" };
    if (request.method === "OPTIONS") return void response.writeHead(204, cors).end();
    const body = await text(request);
    const [, token] = /^(?:Bearer|DPoP) (.+)$/.exec(request.headers.authorization ?? "") ?? [];
    const { active, sub } = token ? await introspect(token) : {};
    const call = { method: request.method, path: request.url, headers: request.headers, body, subject: active ? sub : null };
    seen.push(call);
    response.writeHead(active ? 200 : 401, { ...cors, "Content-Type": "application/json" }).end(JSON.stringify(call));
  });
  return { url, seen };
}

/**
 * network is between client and session service. `count` has the refreshes that were sent; a function as `next` is
 * given each request first, and whatever it returns other than undefined is the answer: a status with headers and body,
 * or "lost" for one that was served and whose answer does not arrive. While `held` is a promise, answers to refreshes
 * wait for it.
 */
export async function network(t, upstream = issuer) {
  const self = { count: 0, next: undefined, held: undefined };
  const target = new URL(upstream);
  const { url } = await listen(t, async (incoming, outgoing) => {
    const refresh = incoming.method === "POST" && incoming.url === "/oauth2/token";
    if (refresh) self.count++;
    const fate = self.next?.(incoming);
    if (typeof fate === "object") {
      await text(incoming);
      return void outgoing.writeHead(fate.status, fate.headers).end(fate.body);
    }
    const headers = { ...incoming.headers, host: target.host };
    const served = forward({ hostname: target.hostname, port: target.port, path: incoming.url, method: incoming.method, headers }, async (answer) => {
      if (refresh) await self.held;
      if (fate === "lost") return void answer.resume().on("end", () => incoming.socket.destroy());
      outgoing.writeHead(answer.statusCode, answer.headers);
      answer.pipe(outgoing);
    });
    served.on("error", () => incoming.socket.destroy());
    incoming.pipe(served);
  });
  self.url = url;
  return self;
}

/** listen serves on a free port, or on the given one, until the test ends. */
export async function listen(t, handle, port = 0) {
  const server = createServer((request, response) => void handle(request, response).catch(() => response.destroy()));
  await new Promise((resolve, reject) => server.once("error", reject).listen(port, "127.0.0.1", resolve));
  t.after(() => (server.closeAllConnections(), server.close()));
  return { url: `http://127.0.0.1:${server.address().port}` };
}

async function text(request) {
  const parts = [];
  for await (const part of request) parts.push(part);
  return Buffer.concat(parts).toString();
}

/** gate returns a promise and what resolves it. */
export function gate() {
  let open;
  return Object.assign(new Promise((resolve) => (open = resolve)), { open: () => open() });
}

/** until waits for something to become true. */
export async function until(what, patience = 10_000) {
  for (const end = Date.now() + patience; Date.now() < end; ) {
    if (await what()) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`timed out waiting for: ${what}`);
}
