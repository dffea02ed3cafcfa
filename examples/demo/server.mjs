// A session service, a shop that uses it, and a page. Between the page and both there is a network that can be broken,
// to see what happens to the session. `make demo` runs it.
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdirSync, openSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";

const { API = "bin/api", CLIENT = "clients/js/dist", PLACE = "var/demo", PORT = "3080", PUBLIC = "127.0.0.1:3081", INTERNAL = "127.0.0.1:3082" } = process.env;
const [issuer, internal, serviceKey] = [`http://${PUBLIC}`, `http://${INTERNAL}`, randomBytes(20).toString("hex")];
const json = { "Content-Type": "application/json", "Cache-Control": "no-store" };

/** backend asks the service as the shop: with its key, on the internal listener. */
const backend = (method, path, body, headers = {}) =>
  fetch(internal + path, { method, body, headers: { Authorization: `Bearer ${serviceKey}`, ...headers } });

/** login makes a session. A real shop checks a password first. */
async function login({ user, label }) {
  const made = await backend("POST", "/v1/sessions", JSON.stringify({ subject: user, data: { cart: [] }, client: { label } }), json);
  const { session, ...tokens } = await made.json();
  return { status: made.status, headers: json, body: JSON.stringify(tokens) };
}

/** cart returns what is in the cart, with one more item if there is one to add. */
async function cart(token, item) {
  for (;;) {
    const asked = await backend("POST", "/oauth2/introspect", new URLSearchParams({ token }));
    if (!asked.ok) return { status: 503, headers: { "Retry-After": "1" }, body: "" };
    const { active, session } = await asked.json();
    if (!active) return { status: 401, headers: { "WWW-Authenticate": `Bearer error="invalid_token"` }, body: "" };
    if (!item) return { status: 200, headers: json, body: JSON.stringify({ user: session.subject, cart: session.data.cart }) };
    const data = { ...session.data, cart: [...session.data.cart, item] };
    const put = await backend("PUT", `/v1/sessions/${session.id}/data`, JSON.stringify(data), { ...json, "If-Match": `"${session.checksum}"` });
    if (put.ok) return { status: 200, headers: json, body: JSON.stringify({ user: session.subject, cart: data.cart }) };
    if (put.status !== 412) return { status: 503, headers: { "Retry-After": "1" }, body: "" }; // 412: another tab was faster
  }
}

/** pass hands a request on to the session service's public listener. */
async function pass(request, path, body) {
  const headers = Object.fromEntries(["authorization", "content-type", "user-agent"].flatMap((name) => (request.headers[name] ? [[name, request.headers[name]]] : [])));
  const answer = await fetch(issuer + path, { method: request.method, headers, body: body || undefined });
  return { status: answer.status, headers: Object.fromEntries(answer.headers), body: await answer.text() };
}

const files = { html: "text/html; charset=utf-8", js: "text/javascript", css: "text/css" };

async function file(path) {
  const place = path.startsWith("/latchkey/") ? `${CLIENT}/${path.slice(10)}` : new URL(`page${path === "/" ? "/index.html" : path}`, import.meta.url);
  const type = files[path === "/" ? "html" : path.split(".").pop()];
  if (!type || path.includes("..")) return { status: 404, headers: {}, body: "" };
  const headers = { "Content-Type": type, "Content-Security-Policy": "default-src 'self'", "Cache-Control": "no-cache" };
  return readFile(place).then((body) => ({ status: 200, headers, body }), () => ({ status: 404, headers: {}, body: "" }));
}

let network = "works";
let losing = false;
const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** route answers a request, or returns nothing where the network loses the answer. */
async function route(request, path, body) {
  if (path === "/network") return (network = body || network), { status: 200, headers: json, body: JSON.stringify(network) };
  if (path === "/favicon.ico") return { status: 204, headers: {}, body: "" }; // browsers ask for it unasked
  const overNetwork = path.startsWith("/api/") || path.startsWith("/sessions/");
  if (!overNetwork) return file(path);
  if (network === "is down") return undefined;
  if (network === "is slow") await pause(2000);
  const token = /^Bearer (.+)$/.exec(request.headers.authorization ?? "")?.[1] ?? "";
  const answer = path === "/api/login" ? await login(JSON.parse(body))
    : path === "/api/cart" ? await cart(token, request.method === "POST" ? JSON.parse(body).item : undefined)
    : path.startsWith("/sessions/") ? await pass(request, path.slice(9), body)
    : { status: 404, headers: {}, body: "" };
  if (network === "loses every other answer" && (losing = !losing)) return undefined;
  return answer;
}

const server = createServer(async (request, response) => {
  const parts = [];
  for await (const part of request) parts.push(part);
  const answer = await route(request, request.url, Buffer.concat(parts).toString()).catch((error) => (console.error(error), undefined));
  if (!answer) return void response.destroy();
  response.writeHead(answer.status, answer.headers).end(answer.body);
});

mkdirSync(PLACE, { recursive: true, mode: 0o700 });
const log = openSync(`${PLACE}/latchkey.log`, "a", 0o600);
const service = spawn(API, ["serve"], {
  stdio: ["ignore", "ignore", log],
  env: {
    ...process.env,
    LATCHKEY_DATABASE_URL: "private", LATCHKEY_VAR_DIR: PLACE, LATCHKEY_PUBLIC_ADDR: PUBLIC, LATCHKEY_INTERNAL_ADDR: INTERNAL,
    LATCHKEY_SERVICE_KEYS: `shop:${serviceKey}`, LATCHKEY_ACCESS_TOKEN_TTL: "20s", LATCHKEY_REFRESH_GRACE: "5s", // short, so that there is something to see
  },
});
service.on("exit", (code) => {
  if (code) console.error(`The service has ended: ${PLACE}/latchkey.log says why.`);
  process.exit(code ?? 1);
});
process.on("SIGINT", () => {}); // a terminal tells the service, too
process.on("SIGTERM", () => service.kill("SIGTERM"));

while (!(await fetch(`${internal}/readyz`).then(({ ok }) => ok, () => false))) await pause(100);
server.listen(Number(PORT), "127.0.0.1", () => console.log(`The demo is at http://localhost:${PORT} (Ctrl-C ends it). The service's log: ${PLACE}/latchkey.log`));
