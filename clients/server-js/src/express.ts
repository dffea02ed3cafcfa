import type { IncomingMessage, OutgoingHttpHeader, OutgoingHttpHeaders, ServerResponse } from "node:http";
import { LatchkeyError } from "./errors.js";
import { Guard, type Fresh, type GuardOptions, type Identity } from "./guard.js";

export { SessionCookies, type CookiesOptions } from "./cookies.js";
export type { GuardOptions, Identity } from "./guard.js";

declare module "node:http" {
  interface IncomingMessage {
    /** Who sends the request, or null for nobody. */
    latchkey?: Identity | null;
  }
}

export type Next = (error?: unknown) => void;

/** guard is middleware for Express, Connect and plain node:http: `next` is called with the request's identity in `request.latchkey`. */
export function guard(options: GuardOptions): (request: IncomingMessage, response: ServerResponse, next: Next) => Promise<void> {
  const guard = new Guard(options);
  return async (request, response, next) => {
    try {
      const outcome = await checkNode(guard, request, response);
      if (outcome) return void response.writeHead(outcome.status, outcome.headers).end();
    } catch (error) {
      return next(error);
    }
    next();
  };
}

/** answerErrors is error-handling middleware: what fails at the session service is 503 or 500 for your client, whatever its status was. */
export function answerErrors(): (error: unknown, request: IncomingMessage, response: ServerResponse, next: Next) => void {
  return (error, _request, response, next) => {
    if (!(error instanceof LatchkeyError) || response.headersSent) return next(error);
    const wait = String(Math.ceil((error.retryAfter ?? 1000) / 1000));
    if (error.unavailable) response.writeHead(503, { "Retry-After": wait }).end();
    else next(new Error(`the session service refused this backend: ${error.message}`, { cause: error }));
  };
}

/** checkNode gives the request its identity, or returns how to refuse it. */
export async function checkNode(guard: Guard, request: IncomingMessage, response: ServerResponse) {
  const outcome = await guard.check(request.method ?? "GET", (name) => request.headers[name]?.toString());
  if (outcome.kind === "refuse") return outcome;
  request.latchkey = outcome.identity;
  if (outcome.fresh) hand(response, outcome.fresh);
  return undefined;
}

/** hand puts fresh cookies into the answer when it begins, before those of a handler, which count more. No cache may keep them. */
function hand(response: ServerResponse, fresh: Fresh): void {
  const writeHead = response.writeHead;
  response.writeHead = (status: number, ...rest: unknown[]) => {
    response.writeHead = writeHead;
    const reason = typeof rest[0] === "string" ? rest[0] : undefined;
    apply(response, rest.at(-1));
    const { cookies } = fresh;
    if (cookies.length > 0) {
      const own = response.getHeader("Set-Cookie") ?? [];
      response.setHeader("Set-Cookie", [...cookies, ...(Array.isArray(own) ? own : [String(own)])]);
      response.setHeader("Cache-Control", "no-store");
    }
    return reason === undefined ? response.writeHead(status) : response.writeHead(status, reason);
  };
}

/** apply sets the headers that a handler has given to writeHead, which would otherwise take the place of ours. */
function apply(response: ServerResponse, headers: unknown): void {
  const pairs: [string, OutgoingHttpHeader | undefined][] = [];
  if (Array.isArray(headers)) for (let i = 0; i + 1 < headers.length; i += 2) pairs.push([headers[i] as string, headers[i + 1] as OutgoingHttpHeader]);
  else if (typeof headers === "object" && headers !== null) pairs.push(...Object.entries(headers as OutgoingHttpHeaders));
  for (const [name] of pairs) response.removeHeader(name);
  for (const [name, value] of pairs) if (value !== undefined) response.appendHeader(name, Array.isArray(value) ? value : String(value));
}
