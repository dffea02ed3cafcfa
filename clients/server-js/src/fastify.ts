import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { LatchkeyError } from "./errors.js";
import { checkNode, mayWait } from "./node.js";
import { Guard, type GuardOptions, type Identity } from "./guard.js";

export { SessionCookies, type CookiesOptions } from "./cookies.js";
export type { GuardOptions, Identity } from "./guard.js";

declare module "fastify" {
  interface FastifyRequest {
    /** The session that the request comes from, or null for none. */
    latchkey: Identity | null;
  }
}

/** guard is a plugin for Fastify: each request's identity is in `request.latchkey`. It applies to the instance that registers it, and those
 * below. */
export function guard(options: GuardOptions): (fastify: FastifyInstance) => Promise<void> {
  const guard = new Guard(options);
  const plugin = async (fastify: FastifyInstance) => {
    fastify.decorateRequest("latchkey", null);
    fastify.addHook("onRequest", async (request, reply) => {
      const refusal = await checkNode(guard, request.raw, reply.raw);
      if (refusal) return reply.code(refusal.status).headers(refusal.headers).send();
      request.latchkey = request.raw.latchkey ?? null;
    });
  };
  return Object.assign(plugin, { [Symbol.for("skip-override")]: true }); // or the hook would apply only to the plugin
}

/** answerErrors is an error handler: a failure at the session service is 503 or 500 for your client, whatever its status was. */
export function answerErrors(error: unknown, _request: FastifyRequest, reply: FastifyReply): void {
  if (!(error instanceof LatchkeyError)) return void reply.send(error);
  if (error.unavailable) return void reply.code(503).header("Retry-After", mayWait(error)).send();
  reply.send(new Error(`the session service refused this backend: ${error.message}`, { cause: error }));
}
