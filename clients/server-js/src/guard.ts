import { decodeJwt } from "jose";
import type { SessionCookies, Header } from "./cookies.js";
import { LatchkeyError } from "./errors.js";
import type { Sessions } from "./sessions.js";
import type { Session, TokenResponse } from "./types.js";
import { InvalidToken, Unavailable, type Verifier } from "./verifier.js";

export interface GuardOptions {
  /** Checks tokens strictly, unless there is a verifier, and refreshes for browsers with cookies. */
  sessions?: Sessions;
  /** Checks tokens locally. */
  verifier?: Verifier;
  /** Also takes tokens from cookies, and refreshes them. It needs `sessions`, with the address of the public listener. */
  cookies?: SessionCookies;
  /** Lets requests without a session pass. Default: they are refused with 401. */
  optional?: boolean;
}

/** The session that a request comes from. */
export interface Identity {
  /** The claims of the access token. If a session has no subject, its `sub` is its id. */
  claims: Record<string, unknown> & { sub: string; sid: string };
  /** The access token, for calls on the user's behalf. */
  token: string;
  /** The session with its data, if the token was checked strictly. */
  session?: Session;
  /** Whether it was refreshed for this request, so that its browser may never get it: a check must not confirm it. */
  refreshed: boolean;
}

/** The guard's decision about a request: it passes, with or without a session, or is refused. */
export type Outcome =
  | { kind: "pass"; identity: Identity | null; answer?: Answer }
  | { kind: "refuse"; status: 401 | 403 | 503; headers: Record<string, string> };

/** How long an answer with new cookies may take, in milliseconds. */
const late = 10_000;

/** Logins that a browser has left for another one, or for none, by the session's id. Late answers must know them. */
class Left {
  readonly #ids = new Map<string, ReturnType<typeof setTimeout>>();

  add(id: string): void {
    clearTimeout(this.#ids.get(id));
    this.#ids.set(id, setTimeout(() => this.#ids.delete(id), late).unref());
  }

  has(id: string): boolean {
    return this.#ids.has(id);
  }
}

/** Answer is what happens to the cookies in the answer to a request that came with some. */
export class Answer {
  readonly #options: { cookies: SessionCookies; left: Left; session: string; fresh: string[]; until: number };

  constructor(cookies: SessionCookies, left: Left, session: string, pair?: TokenResponse) {
    const until = pair ? performance.now() + Math.min(late, pair.expires_in * 500) : 0;
    this.#options = { cookies, left, session, fresh: pair ? cookies.write(pair) : [], until };
  }

  /**
   * cookies returns those to send with the answer, before the handler's `own`, which take precedence. It returns none for an answer
   * that took so long that the browser may have newer ones, nor if the browser has meanwhile been given another login's, or none.
   * Without them the browser sends those that it has, and the service gives it the same pair again, since it was not confirmed.
   */
  cookies(own: readonly string[]): string[] {
    const { cookies, left, session, fresh, until } = this.#options;
    const isLate = performance.now() >= until || left.has(session);
    if (own.some((header) => cookies.isSetBy(header))) left.add(session);
    return isLate ? [] : fresh;
  }
}

/** Guard decides about requests, whatever the framework. */
export class Guard {
  readonly #options: GuardOptions;
  /** Refreshes that are under way, by the token. */
  readonly #refreshing = new Map<string, Promise<TokenResponse>>();
  readonly #left = new Left();

  constructor(options: GuardOptions) {
    if (!options.sessions && !options.verifier) throw new TypeError("either `sessions` or `verifier` is needed");
    if (options.cookies && !options.sessions) throw new TypeError("`cookies` need `sessions`, to refresh");
    this.#options = options;
  }

  /** check judges a request. It throws errors that are the backend's own fault, such as a service key without the right. */
  async check(method: string, header: Header): Promise<Outcome> {
    const authorization = header("authorization");
    try {
      const token = /^Bearer +([^\s,]+)$/i.exec(authorization ?? "")?.[1];
      if (token !== undefined) return { kind: "pass", identity: await this.identify(token) };
      if (this.#options.cookies?.isCrossSite(method, header)) return { kind: "refuse", status: 403, headers: {} };
      const found = await this.#fromCookies(header("cookie"));
      if (found) return { kind: "pass", ...found };
    } catch (error) {
      if (error instanceof Unavailable) return { kind: "refuse", status: 503, headers: { "Retry-After": "1" } };
      if (!(error instanceof InvalidToken)) throw error;
    }
    if (this.#options.optional && authorization === undefined) return { kind: "pass", identity: null };
    return { kind: "refuse", status: 401, headers: { "WWW-Authenticate": authorization ? 'Bearer error="invalid_token"' : "Bearer" } };
  }

  /** identify checks an access token, and throws InvalidToken or Unavailable. A refreshed one is left unconfirmed. */
  async identify(token: string, refreshed = false): Promise<Identity> {
    const { verifier, sessions } = this.#options;
    if (verifier) return { claims: (await verifier.verify(token, { confirm: !refreshed })) as Identity["claims"], token, refreshed };
    const { active, claims, session, ...own } = await sessions!.introspect(token, { confirm: !refreshed }).catch(rethrow);
    // A token that is bound to a key is worthless without a proof of it (RFC 9449 §7.1).
    if (!active || !session || own.cnf) throw new InvalidToken("not active");
    return { claims: { ...claims, ...own } as Identity["claims"], token, session, refreshed };
  }

  /** identifyCookie is identify for a token that came in a cookie, which must be the one that the token names, if it names any. */
  async identifyCookie(token: string, refreshed = false): Promise<Identity> {
    // Before the service is asked: asking would confirm a token that is refused. The claims are verified afterwards.
    if (this.#options.cookies?.isOthers(claimsOf(token))) throw new InvalidToken("of another cookie");
    return this.identify(token, refreshed);
  }

  async #fromCookies(header: string | undefined): Promise<{ identity: Identity; answer: Answer } | undefined> {
    const { cookies } = this.#options;
    if (!cookies) return undefined;
    const { access, refresh } = cookies.read(header);
    if (access !== "") {
      try {
        const identity = await this.identifyCookie(access);
        return { identity, answer: new Answer(cookies, this.#left, identity.claims.sid) };
      } catch (error) {
        if (!(error instanceof InvalidToken) || refresh === "") throw error;
      }
    }
    if (refresh === "") return undefined;
    const pair = await this.#refresh(refresh);
    const identity = await this.identifyCookie(pair.access_token, true);
    return { identity, answer: new Answer(cookies, this.#left, identity.claims.sid, pair) };
  }

  /** #refresh refreshes once for all concurrent requests with the same token. */
  #refresh(token: string): Promise<TokenResponse> {
    const known = this.#refreshing.get(token);
    if (known) return known;
    const refresh = this.#options.sessions!.refresh(token).catch((error: unknown) => {
      if (error instanceof LatchkeyError && error.code === "invalid_grant") throw new InvalidToken("the session is over", { cause: error });
      return rethrow(error);
    }).finally(() => this.#refreshing.delete(token));
    this.#refreshing.set(token, refresh);
    return refresh;
  }
}

function claimsOf(token: string): Record<string, unknown> {
  try {
    return decodeJwt(token);
  } catch {
    return {}; // its check will refuse it
  }
}

/**
 * rethrow makes sure that the service's refusal of this backend is not taken for one of its user: frameworks answer with an error's
 * `status`.
 */
function rethrow(error: unknown): never {
  if (!(error instanceof LatchkeyError)) throw error;
  if (error.unavailable) throw new Unavailable("the service is unavailable", { cause: error });
  throw new Error(`the session service refused this backend: ${error.message}`, { cause: error });
}
