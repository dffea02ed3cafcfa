// The running service as the tests know it, and operations that no client does: sign in as a backend, lose answers,
// rotate keys.
import { execFile } from "node:child_process";
import { createServer, request } from "node:http";
import { promisify } from "node:util";

export const { ISSUER: issuer, INTERNAL: internal, SERVICE_KEY: serviceKey, AUDIENCE: audience, RESOURCE: resource } = process.env;

/** signIn makes a session, as a backend does after a login, and returns what it hands to its client. */
export async function signIn(subject, headers = {}, more = {}) {
  const answer = await fetch(`${internal}/v1/sessions`, {
    method: "POST",
    headers: { Authorization: `Bearer ${serviceKey}`, "Content-Type": "application/json", ...headers },
    body: JSON.stringify({ subject, data: {}, ...more }),
  });
  if (answer.status !== 201) throw new Error(`sign in: ${answer.status} ${await answer.text()}`);
  const { session, ...tokens } = await answer.json();
  return tokens;
}

/** rotateKeys has a new key sign at once. */
export const rotateKeys = () => promisify(execFile)(process.env.API, ["keys", "rotate", "--now"]);

/** lossy is a network that loses the next answer after `lose()`: the request has been served, and the connection is cut. */
export async function lossy(t) {
  let losing = 0;
  const server = createServer((incoming, answer) => {
    const { hostname, port } = new URL(issuer);
    const upstream = request({ hostname, port, path: incoming.url, method: incoming.method, headers: incoming.headers }, (served) => {
      if (losing-- > 0) return served.resume().on("end", () => incoming.socket.destroy());
      answer.writeHead(served.statusCode, served.headers);
      served.pipe(answer);
    });
    incoming.pipe(upstream);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => server.close());
  return { url: `http://127.0.0.1:${server.address().port}`, lose: () => { losing = 1; } };
}

/** A store that several tabs share: each refresh reads it first, and the last answer written wins. */
export class Store {
  constructor(tokens) { this.tokens = tokens; }
  read() { return this.tokens; }
  write(tokens) { this.tokens = tokens; }
}
