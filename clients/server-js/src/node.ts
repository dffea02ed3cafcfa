// Code for all frameworks on node:http.
import type { IncomingMessage, OutgoingHttpHeader, OutgoingHttpHeaders, ServerResponse } from "node:http";
import type { LatchkeyError } from "./errors.js";
import type { Answer, Guard, Outcome } from "./guard.js";

/** checkNode gives the request its identity, or returns how to refuse it. */
export async function checkNode(guard: Guard, request: IncomingMessage, response: ServerResponse): Promise<Extract<Outcome, { kind: "refuse" }> | undefined> {
  const outcome = await guard.check(request.method ?? "GET", (name) => request.headers[name]?.toString());
  if (outcome.kind === "refuse") return outcome;
  request.latchkey = outcome.identity;
  if (outcome.answer) hand(response, outcome.answer);
  return undefined;
}

/** hand puts fresh cookies into the answer when it begins, before those of a handler, which take precedence. Caches must not keep them. */
function hand(response: ServerResponse, answer: Answer): void {
  const writeHead = response.writeHead;
  response.writeHead = (status: number, ...rest: unknown[]) => {
    response.writeHead = writeHead;
    const reason = typeof rest[0] === "string" ? rest[0] : undefined;
    apply(response, rest.at(-1));
    const set = response.getHeader("Set-Cookie") ?? [];
    const own = Array.isArray(set) ? set : [String(set)];
    const cookies = answer.cookies(own);
    if (cookies.length > 0) {
      response.setHeader("Set-Cookie", [...cookies, ...own]);
      response.setHeader("Cache-Control", "no-store");
    }
    return reason === undefined ? response.writeHead(status) : response.writeHead(status, reason);
  };
}

/** apply sets the headers that a handler passed to writeHead, which would otherwise replace ours. */
function apply(response: ServerResponse, headers: unknown): void {
  const pairs: [string, OutgoingHttpHeader | undefined][] = [];
  if (Array.isArray(headers)) for (let i = 0; i + 1 < headers.length; i += 2) pairs.push([headers[i] as string, headers[i + 1] as OutgoingHttpHeader]);
  else if (typeof headers === "object" && headers !== null) pairs.push(...Object.entries(headers as OutgoingHttpHeaders));
  for (const [name] of pairs) response.removeHeader(name);
  for (const [name, value] of pairs) if (value !== undefined) response.appendHeader(name, Array.isArray(value) ? value : String(value));
}

/** mayWait is a Retry-After. */
export function mayWait({ retryAfter = 1000 }: LatchkeyError): string {
  return String(Math.ceil(retryAfter / 1000));
}
