import type { Header } from "./cookies.js";
import { Guard, type Answer, type GuardOptions, type Identity } from "./guard.js";
import { InvalidToken, Unavailable } from "./verifier.js";

export { SessionCookies, type CookiesOptions } from "./cookies.js";
export { Unavailable } from "./verifier.js";
export type { GuardOptions, Identity } from "./guard.js";

/** How a token that was refreshed during a request gets to the components of that request. */
const refreshedHeader = "latchkey-refreshed";

/**
 * NextSessions is for Next.js, and anything else with the platform's Request and Response. It runs in Node, not at the
 * edge.
 *
 * Only what can set cookies refreshes: `proxy`, or `route` without a proxy. A component only reads.
 */
export class NextSessions {
  readonly #options: GuardOptions;
  readonly #guard: Guard;

  constructor(options: GuardOptions) {
    this.#options = options;
    this.#guard = new Guard(options);
  }

  /**
   * proxy is for proxy.ts, or middleware.ts before Next.js 16: it refreshes if necessary, and sets the cookies. `pass` continues with
   * the headers that it is given, which pass a refreshed token to components.
   */
  async proxy<R extends Response>(request: Request, pass: (headers: Headers) => R | Promise<R>): Promise<R | Response> {
    return this.#handle(request, (identity) => {
      const headers = new Headers(request.headers);
      headers.delete(refreshedHeader); // a client's own
      if (identity?.refreshed) headers.set(refreshedHeader, identity.token);
      return pass(headers);
    });
  }

  /** route is for route handlers without a proxy in front: `handle` is called with the request's identity, or null for none. */
  async route(request: Request, handle: (identity: Identity | null) => Response | Promise<Response>): Promise<Response> {
    return this.#handle(request, handle);
  }

  /**
   * component returns who sends a request, by its headers, or null. It is for server components, and for route handlers behind the
   * proxy. It never refreshes: a component cannot set cookies. It throws Unavailable if that cannot be determined.
   */
  async component(headers: Headers): Promise<Identity | null> {
    const get = headerOf(headers);
    const refreshed = get(refreshedHeader); // if a client has sent it, that only leaves the client's own token unconfirmed
    const bearer = /^Bearer +([^\s,]+)$/i.exec(get("authorization") ?? "")?.[1];
    const given = refreshed ?? bearer;
    const token = given ?? this.#options.cookies?.read(get("cookie")).access ?? "";
    if (token === "") return null;
    try {
      return await (given === undefined ? this.#guard.identifyCookie(token) : this.#guard.identify(token, refreshed !== undefined));
    } catch (error) {
      if (error instanceof InvalidToken) return null;
      throw error;
    }
  }

  async #handle<R extends Response>(request: Request, next: (identity: Identity | null) => R | Promise<R>): Promise<R | Response> {
    const outcome = await this.#guard.check(request.method, headerOf(request.headers));
    if (outcome.kind === "refuse") return new Response(null, outcome);
    const answer = await next(outcome.identity);
    return outcome.answer ? hand(answer, outcome.answer) : answer;
  }
}

function headerOf(headers: Headers): Header {
  return (name) => headers.get(name) ?? undefined;
}

/** hand puts fresh cookies into an answer, before its own, which take precedence. Caches must not keep them. */
function hand<R extends Response>(answer: R, given: Answer): R | Response {
  const cookies = given.cookies(answer.headers.getSetCookie());
  if (cookies.length === 0) return answer;
  const headers = new Headers(answer.headers);
  headers.delete("Set-Cookie");
  for (const cookie of [...cookies, ...answer.headers.getSetCookie()]) headers.append("Set-Cookie", cookie);
  headers.set("Cache-Control", "no-store");
  return new Response(answer.body, { status: answer.status, statusText: answer.statusText, headers });
}
