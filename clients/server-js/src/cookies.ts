import type { TokenResponse } from "./types.js";

export interface CookiesOptions {
  /** The cookies' name after the prefix `__Host-`. Applications on one host each need their own name. Default: `session`. */
  name?: string;
  /** Other origins, such as `https://www.example.com`, whose pages may send requests that change something. Default: none. */
  origins?: readonly string[];
}

/** How much of a token is in one cookie: browsers drop one that has more than 4,096 bytes with its name. */
const partBytes = 3840;
const maxParts = 4;

/** A request's headers: a value by its lower-case name. */
export type Header = (name: string) => string | undefined;

/**
 * SessionCookies hold a browser's tokens, where no script can read them. They have the prefix `__Host-`, so that no other host
 * of the domain can set them, and are Secure, HttpOnly and SameSite=Lax.
 */
export class SessionCookies {
  readonly #access: string;
  readonly #refresh: string;
  readonly #origins: ReadonlySet<string>;

  constructor({ name = "session", origins = [] }: CookiesOptions = {}) {
    if (!/^[A-Za-z0-9_-]+$/.test(name)) throw new TypeError("the cookies' name must consist of letters, digits, _ and -");
    this.#access = `__Host-${name}`;
    this.#refresh = `${this.#access}-refresh`;
    this.#origins = new Set(origins);
  }

  /**
   * isOthers reports whether an access token, by its claims, belongs in a cookie of another name. The tokens of Go programs that keep
   * sessions in cookies name the cookie; tokens of other sessions name none, and are valid in any.
   */
  isOthers(claims: Record<string, unknown>): boolean {
    const { latchkey_cookie: cookie } = claims;
    return cookie !== undefined && cookie !== this.#access;
  }

  /** read returns the tokens in a Cookie header. A duplicate cookie is not ours. */
  read(header: string | undefined): { access: string; refresh: string } {
    const values = new Map<string, string>();
    for (const pair of (header ?? "").split(";")) {
      const [name = "", ...value] = pair.trim().split("=");
      values.set(name, values.has(name) ? "" : value.join("="));
    }
    let access = values.get(this.#access) ?? "";
    if (/^[2-9]\./.test(access)) {
      const rest = Array.from({ length: Number(access[0]) - 1 }, (_, i) => values.get(`${this.#access}.${i + 2}`) ?? "");
      access = access.slice(2) + rest.join("");
    }
    return { access, refresh: values.get(this.#refresh) ?? "" };
  }

  /**
   * write returns the Set-Cookie headers for a new pair, or for a session without a refresh token. The access token's cookie ends
   * shortly before the token, by the browser's own count: without it, the next request refreshes.
   */
  write(pair: Pick<TokenResponse, "access_token" | "expires_in"> & Partial<Pick<TokenResponse, "refresh_token" | "refresh_expires_in">>): string[] {
    const { access_token: token, expires_in: left } = pair;
    const age = pair.refresh_token === undefined ? left : left - Math.min(30, Math.ceil(left / 5));
    const parts = Array.from({ length: Math.ceil(token.length / partBytes) }, (_, i) => token.slice(i * partBytes, (i + 1) * partBytes));
    if (parts.length > maxParts) throw new RangeError("the access token is too large for cookies");
    const cookies = parts.slice(1).map((part, i) => cookie(`${this.#access}.${i + 2}`, part, age));
    cookies.push(cookie(this.#access, parts.length > 1 ? `${parts.length}.${parts[0]}` : token, age));
    const { refresh_token = "", refresh_expires_in = 0 } = pair;
    cookies.push(cookie(this.#refresh, refresh_token, refresh_token === "" ? 0 : refresh_expires_in));
    return cookies;
  }

  /** isSetBy reports whether a Set-Cookie header is that of a log-in or a log-out. */
  isSetBy(header: string): boolean {
    return header.startsWith(`${this.#access}=`);
  }

  /** clear returns the Set-Cookie headers of a log-out. */
  clear(): string[] {
    const parts = Array.from({ length: maxParts - 1 }, (_, i) => `${this.#access}.${i + 2}`);
    return [this.#access, ...parts, this.#refresh].map((name) => cookie(name, "", 0));
  }

  /**
   * isCrossSite reports whether a page of another site sends a request that may change something: browsers add the cookies to that as
   * well. A WebSocket begins with a GET, and counts.
   */
  isCrossSite(method: string, header: Header): boolean {
    if (/^(GET|HEAD|OPTIONS)$/.test(method) && header("upgrade") === undefined) return false;
    const origin = header("origin");
    if (origin !== undefined && this.#origins.has(origin)) return false;
    const site = header("sec-fetch-site");
    if (site !== undefined) return site !== "same-origin" && site !== "none";
    return origin !== undefined && hostOf(origin) !== header("host");
  }
}

function cookie(name: string, value: string, age: number): string {
  return `${name}=${value}; Path=/; Max-Age=${age}; HttpOnly; Secure; SameSite=Lax`;
}

function hostOf(origin: string): string | undefined {
  return URL.canParse(origin) ? new URL(origin).host : undefined;
}
