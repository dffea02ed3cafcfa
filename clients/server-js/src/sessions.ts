import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import { Cache } from "./cache.js";
import { LatchkeyError } from "./errors.js";
import { Transport, type Call } from "./transport.js";
import type {
  Claims, CreatedSession, Data, History, Introspection, ListedSession, NewSession, Revocations, RevocationsQuery, Session, SessionFilter, SessionPage,
  SessionPatch, TokenResponse,
} from "./types.js";

export interface Options {
  /** The address of the service's internal listener, such as `http://127.0.0.1:8081`. */
  internal: string | URL;
  serviceKey: string;
  /** The address of its public listener. Only `refresh` and `revoke` need it. */
  public?: string | URL;
  /** How many milliseconds to wait for one answer. Default: 5000. */
  timeout?: number;
  /** How often to retry a repeatable request. Default: 2. */
  retries?: number;
  /**
   * Remembers introspections of active tokens: for `for` milliseconds, 5000 at most, never beyond the token's `exp`, and `entries` of
   * them, 1000 by default. For that long an ended session's token is still accepted here, unless it was ended through this
   * client, and data and claims may be older than the stored ones. Default: none is remembered.
   */
  cache?: { for: number; entries?: number };
  /** Default: the platform's. */
  fetch?: typeof fetch;
}

/** Options of every call. */
export interface CallOptions {
  /** Ends the call, with the signal's reason. */
  signal?: AbortSignal | undefined;
}

export interface CreateOptions extends CallOptions {
  /** The creation's idempotency key. Default: a new one for each call, with which the call may be retried. */
  idempotencyKey?: string;
}

export interface IntrospectOptions extends CallOptions {
  /** `false` only in a request that has itself refreshed this token: then it is not recorded that the client has it. */
  confirm?: boolean;
  /** A proof of possession that came with the token, to be checked and used up. Such an introspection is never remembered, nor repeated. */
  dpop?: { proof: string; method: string; url: string };
}

export interface ClaimsOptions extends CallOptions {
  /** Whether earlier access tokens are refused. */
  supersede?: boolean;
}

/** Data or claims, with the version for a write. */
export interface Versioned<T> {
  value: T;
  /** The `checksum`, without quotes. */
  version: string;
}

/** How often an update is tried if others also write. */
const updateAttempts = 10;

/** Sessions is the service's internal API. It holds no connection and need not be closed. */
export class Sessions {
  readonly #internal: Transport;
  readonly #public: Transport | undefined;
  readonly #cache: Cache;

  constructor({ internal, serviceKey, public: issuer, timeout = 5000, retries = 2, cache = { for: 0 }, fetch: send }: Options) {
    const shared = { timeout, retries, fetch: send ?? ((input: string | URL | Request, init?: RequestInit) => fetch(input, init)) };
    this.#internal = new Transport({ ...shared, base: internal, serviceKey });
    this.#public = issuer === undefined ? undefined : new Transport({ ...shared, base: issuer });
    this.#cache = new Cache(cache.for, cache.entries ?? 1000);
  }

  /** create makes a session and its tokens, after your own code has checked who the user is. */
  async create(session: NewSession = {}, { idempotencyKey = randomUUID(), signal }: CreateOptions = {}): Promise<CreatedSession> {
    const headers = { "Idempotency-Key": `"${idempotencyKey}"` };
    return this.#call({ operation: "createSession", method: "POST", path: "/v1/sessions", json: session, headers, resend: true, is: isCreated, signal });
  }

  /** introspect asks about an access token: its claims and its session, or only `{active: false}`. A refresh token is never active. */
  async introspect(token: string, { confirm = true, dpop, signal }: IntrospectOptions = {}): Promise<Introspection> {
    if (token === "") return { active: false };
    const remembers = confirm && dpop === undefined;
    const known = remembers ? this.#cache.get(token) : undefined;
    if (known) return known;
    const form: Record<string, string> = { token };
    if (!confirm) form["confirm"] = "false";
    if (dpop) Object.assign(form, { dpop: dpop.proof, dpop_htm: dpop.method, dpop_htu: dpop.url });
    const mark = this.#cache.mark();
    const call: Call = { operation: "introspectToken", method: "POST", path: "/oauth2/introspect", form, resend: !dpop, is: isIntrospection, signal };
    const { body, headers, sent } = await this.#internal.send<Introspection>(call);
    if (remembers) this.#cache.put(token, body, sent, headers.get("Date"), mark);
    return body;
  }

  /** get reads a session by its id, including one that has ended, until cleanup removes it. */
  async get(id: string, { signal }: CallOptions = {}): Promise<Session> {
    return this.#call({ operation: "getSession", method: "GET", path: pathOf(id), resend: true, signal });
  }

  /** history reads where a session was created, how often it was refreshed, and by whom it was ended and why. */
  async history(id: string, { signal }: CallOptions = {}): Promise<History> {
    return this.#call({ operation: "getSessionHistory", method: "GET", path: `${pathOf(id)}/history`, resend: true, signal });
  }

  /** list reads one page: of one subject's sessions, or without a subject of all sessions. */
  async list(filter: SessionFilter = {}, { signal }: CallOptions = {}): Promise<SessionPage> {
    if ("subject" in filter && typeof filter.subject !== "string") throw new TypeError("list: the subject must be a string; leave it out for all sessions");
    return this.#call({ operation: "listSessions", method: "GET", path: "/v1/sessions", query: filter, resend: true, signal });
  }

  /** all iterates over all pages of a list. */
  async *all(filter: SessionFilter = {}, options: CallOptions = {}): AsyncGenerator<ListedSession, void, undefined> {
    for (let page = await this.list(filter, options); ; page = await this.list({ ...filter, cursor: page.next_cursor }, options)) {
      yield* page.sessions;
      if (page.next_cursor === undefined) return;
    }
  }

  /** data reads a session's data with its version. */
  async data<T = Data>(id: string, options: CallOptions = {}): Promise<Versioned<T>> {
    const { data, checksum } = await this.get(id, options);
    if (checksum === undefined) throw new LatchkeyError("getSession: the service key does not have the right read-data", 403, "missing_right");
    return { value: data as T, version: checksum };
  }

  /** putData replaces a session's data if it still has that version, and returns the new version. Otherwise: `checksum_mismatch`. */
  async putData(id: string, version: string, data: Data, { signal }: CallOptions = {}): Promise<string> {
    return this.#put({ operation: "putSessionData", path: `${pathOf(id)}/data`, version, value: data, signal, stored: () => this.data(id, { signal }) }, id);
  }

  /**
   * update changes a session's data: it reads, calls `change` with a copy, and writes what that returns, or nothing for undefined. If it
   * was written meanwhile, it begins again, so `change` may be called several times. Returns the current data.
   */
  async update<T extends object = Data>(id: string, change: (data: T) => T | undefined | Promise<T | undefined>, options: CallOptions = {}): Promise<T> {
    return this.#update(() => this.data<T>(id, options), change, (version, next) => this.putData(id, version, next as Data, options), options);
  }

  /** claims reads a session's own claims with their version. */
  async claims(id: string, { signal }: CallOptions = {}): Promise<Versioned<Claims>> {
    const call: Call = { operation: "getSessionClaims", method: "GET", path: `${pathOf(id)}/claims`, resend: true, signal };
    const { body, headers } = await this.#internal.send<Claims>(call);
    return { value: body, version: unquoted(headers.get("ETag")) };
  }

  /** putClaims replaces a session's claims as a whole if they still have that version, and returns the new version. */
  async putClaims(id: string, version: string, claims: Claims, { supersede = false, signal }: ClaimsOptions = {}): Promise<string> {
    const query = supersede ? { supersede } : {};
    return this.#put({ operation: "putSessionClaims", path: `${pathOf(id)}/claims`, version, value: claims, query, signal, stored: () => this.claims(id, { signal }) }, id);
  }

  /** updateClaims is update for claims. */
  async updateClaims(id: string, change: (claims: Claims) => Claims | undefined | Promise<Claims | undefined>, options: ClaimsOptions = {}): Promise<Claims> {
    return this.#update(() => this.claims(id, options), change, (version, next) => this.putClaims(id, version, next, options), options);
  }

  /** patch changes a session's lifetimes and label. */
  async patch(id: string, patch: SessionPatch, { signal }: CallOptions = {}): Promise<ListedSession> {
    return this.#change({ operation: "patchSession", method: "PATCH", path: pathOf(id), json: patch, resend: true, signal }, { session: id });
  }

  /** end ends a session, including both of its tokens. Ending it again is not an error. */
  async end(id: string, { signal }: CallOptions = {}): Promise<void> {
    await this.#change({ operation: "endSession", method: "DELETE", path: pathOf(id), resend: true, signal }, { session: id });
  }

  /** endAll ends all of a subject's sessions and returns how many were live. After a retry, that is how many were left. */
  async endAll(subject: string, { signal }: CallOptions = {}): Promise<number> {
    const call: Call = { operation: "endSessions", method: "DELETE", path: "/v1/sessions", query: { subject }, resend: true, signal };
    return (await this.#change<{ revoked: number }>(call, { subject })).revoked;
  }

  /** revocations reads one document of the feed. `@latchkey/server/verifier` follows the feed on its own. */
  async revocations(query: RevocationsQuery = {}, { signal }: CallOptions = {}): Promise<Revocations> {
    const longer = (query.wait ?? 0) * 1000;
    return this.#call({ operation: "getRevocations", method: "GET", path: "/v1/revocations", query, resend: true, longer, signal });
  }

  /**
   * refresh exchanges a refresh token at the public listener. Only `invalid_grant` means that the session is over. Before you send
   * a browser's token, read about servers that render pages: docs/holders.md.
   */
  async refresh(refreshToken: string, { signal }: CallOptions = {}): Promise<TokenResponse> {
    const form = { grant_type: "refresh_token", refresh_token: refreshToken };
    const call: Call = { operation: "refreshTokens", method: "POST", path: "/oauth2/token", form, resend: true, is: isPair, signal };
    return (await this.#issuer().send<TokenResponse>(call)).body;
  }

  /** revoke ends the session of an access or a refresh token (RFC 7009). A token that is no longer valid is not an error. */
  async revoke(token: string, { signal }: CallOptions = {}): Promise<void> {
    await this.#issuer().send({ operation: "revokeToken", method: "POST", path: "/oauth2/revoke", form: { token }, resend: true, signal });
    this.#cache.forget();
  }

  #issuer(): Transport {
    if (!this.#public) throw new TypeError("the option `public`, the address of the public listener, is needed for this");
    return this.#public;
  }

  async #call<T>(call: Call): Promise<T> {
    return (await this.#internal.send<T>(call)).body;
  }

  /** #change sends changes of sessions, which are forgotten whatever the result: even without an answer, the change may have been made. */
  async #change<T>(call: Call, which: { session?: string; subject?: string }): Promise<T> {
    try {
      return await this.#call<T>(call);
    } finally {
      this.#cache.forget(which);
    }
  }

  async #put(write: Write, id: string): Promise<string> {
    const { operation, path, version, value, query, signal, stored } = write;
    const call: Call = { operation, method: "PUT", path, json: value, headers: { "If-Match": `"${version}"` }, resend: true, signal, ...(query && { query }) };
    try {
      return (await this.#change<{ checksum: string }>(call, { session: id })).checksum;
    } catch (error) {
      if (!isConflict(error) || !error.resent) throw error;
      // It may have been our own write, whose answer was lost.
      const now = await stored();
      if (isDeepStrictEqual(now.value, JSON.parse(JSON.stringify(value)))) return now.version;
      throw error;
    }
  }

  async #update<T extends object>(
    read: () => Promise<Versioned<T>>, change: (value: T) => T | undefined | Promise<T | undefined>,
    write: (version: string, next: T) => Promise<unknown>, { signal }: CallOptions,
  ): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      const { value, version } = await read();
      const next = await change(structuredClone(value));
      if (next === undefined) return value;
      try {
        await write(version, next);
        return next;
      } catch (error) {
        // After a write that may have been stored, beginning again could make the change
        // twice.
        if (!isConflict(error) || error.resent || attempt === updateAttempts) throw error;
      }
      await sleep(Math.random() * 20 * attempt, undefined, signal && { signal }).catch(() => signal?.throwIfAborted());
    }
  }
}

interface Write {
  operation: string;
  path: string;
  version: string;
  value: object;
  query?: Record<string, boolean>;
  signal: AbortSignal | undefined;
  stored: () => Promise<Versioned<unknown>>;
}

function isIntrospection(body: unknown): boolean {
  return typeof (body as Partial<Introspection> | null)?.active === "boolean";
}

/** A new session may have no refresh token. */
function isCreated(body: unknown): boolean {
  const created = body as Partial<CreatedSession> | null;
  return typeof created?.access_token === "string" && typeof created.session?.id === "string";
}

function isPair(body: unknown): boolean {
  const pair = body as Partial<TokenResponse> | null;
  return typeof pair?.access_token === "string" && typeof pair.refresh_token === "string";
}

function isConflict(error: unknown): error is LatchkeyError {
  return error instanceof LatchkeyError && error.code === "checksum_mismatch";
}

function unquoted(etag: string | null): string {
  return (etag ?? "").replace(/^"|"$/g, "");
}

/** pathOf refuses an id that would lead to another route. */
function pathOf(id: string): string {
  if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(id)) throw new TypeError("a session's id must be a UUID");
  return `/v1/sessions/${id}`;
}
