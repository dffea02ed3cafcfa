// The environment of the package in the tests: the service, a network that misbehaves, and servers that answer as a
// test wants.
import { createServer, request as forward } from "node:http";
import { Sessions } from "@latchkey/server";

export const { ISSUER: issuer, INTERNAL: internal, DOWN: down, SERVICE_KEY: serviceKey, OTHER_KEY: otherKey } = process.env;

// The process that started the tests may have been killed: then nobody waits for their outcome.
const runner = process.ppid;
setInterval(() => {
  try {
    if (process.env.PARENT) process.kill(Number(process.env.PARENT), 0);
    if (process.ppid === runner) return;
  } catch {}
  process.exit(1);
}, 500).unref();

/** served are the requests that were answered with what was asked for: their method and path. */
export const served = new Set();

const noting = async (address, init) => {
  const answer = await fetch(address, init);
  if (answer.ok) served.add(`${init.method} ${new URL(address).pathname}`);
  return answer;
};

export const sessions = (more = {}) => new Sessions({ internal, public: issuer, serviceKey, fetch: noting, ...more });

export const verifierOptions = { issuer, audience: process.env.AUDIENCE, internal, serviceKey, timeout: 30_000 };

/** subject is a new user. */
export const subject = () => `user-${crypto.randomUUID()}`;

/**
 * network is between the package and the service, and counts. `next` is given each request first: for "lost" it is
 * served but its answer does not arrive, a function is called when it was served, before the answer is passed on, and
 * an object has what is changed of the request: a method, a path, a body, headers, of which those that are null are
 * taken out.
 */
export async function network(t, upstream = internal) {
  const self = { count: 0, next: undefined };
  const { hostname, port, host } = new URL(upstream);
  const { url } = await listen(t, (incoming, outgoing) => {
    self.count++;
    const fate = self.next?.(incoming);
    const { method = incoming.method, path = incoming.url, headers, body } = typeof fate === "object" ? fate : {};
    const length = body === undefined ? {} : { "content-length": Buffer.byteLength(body) };
    const sent = Object.fromEntries(Object.entries({ ...incoming.headers, host, ...headers, ...length }).filter(([, value]) => value !== null));
    const served = forward({ hostname, port, path, method, headers: sent }, async (answer) => {
      if (typeof fate === "function") await fate();
      if (fate === "lost") return void answer.resume().on("end", () => incoming.socket.destroy());
      outgoing.writeHead(answer.statusCode, answer.headers);
      answer.pipe(outgoing);
    });
    served.on("error", () => incoming.socket.destroy());
    if (body === undefined) return void incoming.pipe(served);
    incoming.resume();
    served.end(body);
  });
  return Object.assign(self, { url });
}

/** fake answers every request with what `answer` returns for it: a status, headers and a body. */
export async function fake(t, answer) {
  const seen = [];
  const { url } = await listen(t, async (request, response) => {
    const body = (await request.toArray()).join("");
    seen.push({ method: request.method, path: request.url, headers: request.headers, body });
    const { status = 200, headers = {}, json = {} } = await answer(seen.length, request);
    response.writeHead(status, { "Content-Type": "application/json", ...headers }).end(JSON.stringify(json));
  });
  return { url, seen };
}

/** listen serves on a free port until the test ends. */
export async function listen(t, handle) {
  const server = createServer(handle);
  await new Promise((resolve, reject) => server.once("error", reject).listen(0, "127.0.0.1", resolve));
  t.after(() => (server.closeAllConnections(), server.close()));
  return { url: `http://127.0.0.1:${server.address().port}`, server };
}
