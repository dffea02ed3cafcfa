import type { IncomingMessage, ServerResponse } from "node:http";
import { LatchkeyError } from "./errors.js";
import { Guard, type GuardOptions, type Identity } from "./guard.js";
import { checkNode, mayWait } from "./node.js";

export { SessionCookies, type CookiesOptions } from "./cookies.js";
export type { GuardOptions, Identity } from "./guard.js";

declare module "node:http" {
  interface IncomingMessage {
    /** The session that the request comes from, or null for none. */
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

/** answerErrors is error-handling middleware: a failure at the session service is 503 or 500 for your client, whatever its status was. */
export function answerErrors(): (error: unknown, request: IncomingMessage, response: ServerResponse, next: Next) => void {
  return (error, _request, response, next) => {
    if (!(error instanceof LatchkeyError) || response.headersSent) return next(error);
    if (error.unavailable) response.writeHead(503, { "Retry-After": mayWait(error) }).end();
    else next(new Error(`the session service refused this backend: ${error.message}`, { cause: error }));
  };
}
