// Typical application code must have types.
import express from "express";
import fastify from "fastify";
import { LatchkeyError, SessionCookies, Sessions } from "@latchkey/server";
import { answerErrors, guard } from "@latchkey/server/express";
import * as forFastify from "@latchkey/server/fastify";
import { NextSessions } from "@latchkey/server/next";
import { Verifier } from "@latchkey/server/verifier";

interface Cart {
  items: number[];
}

const sessions = new Sessions({ internal: "http://127.0.0.1:8081", serviceKey: "key", public: "http://127.0.0.1:8080" });
const options = { sessions, cookies: new SessionCookies(), optional: true };

const app = express();
app.use(guard({ verifier: new Verifier({ issuer: "i", audience: "a", internal: "http://127.0.0.1:8081", serviceKey: "key" }) }));
app.get("/", async (request, response) => {
  const sub: string | undefined = request.latchkey?.claims.sub;
  const { items }: Cart = await sessions.update<Cart>("id", (cart) => ({ items: [...cart.items, 1] }));
  response.json({ sub, items });
});
app.use(answerErrors());

const server = fastify();
server.setErrorHandler(forFastify.answerErrors);
await server.register(forFastify.guard(options));
server.get("/", async (request) => request.latchkey?.session?.data);

const next = new NextSessions(options);
export const proxy = (request: Request) => next.proxy(request, (headers) => new Response(null, { headers }));

export function isEnded(error: unknown): boolean {
  return error instanceof LatchkeyError && error.code === "session_ended";
}

// @ts-expect-error: no such code
export const isWrong = (error: LatchkeyError) => error.code === "session_endet";
// @ts-expect-error: no such member
export const created = sessions.create({ colour: "red" });
