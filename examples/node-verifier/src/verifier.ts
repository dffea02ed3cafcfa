// A middleware for Node servers: access tokens are checked without asking anybody.
import type { IncomingMessage, ServerResponse } from "node:http";
import { createRemoteJWKSet, errors, jwtVerify, type JWTPayload } from "jose";
import { Revocations } from "./revocations.js";

export interface Options {
  /** The tokens' iss and aud. */
  issuer: string;
  audience: string;
  /** Base URL of the service's internal listener, and the key for it. */
  internal: string;
  serviceKey: string;
  /** The service's public keys; by default below the issuer. */
  keys?: string;
  /** For how many milliseconds a revoked session's token may still be accepted, at worst. */
  bound?: number;
}

/** The token is no good: 401. */
export class InvalidToken extends Error {}
/** Whether it is cannot be told: 503. */
export class Unavailable extends Error {}

// What jose throws if a token is no good. Anything else, such as keys that cannot be fetched, says nothing about it.
const invalid = [
  errors.JWTExpired, errors.JWTClaimValidationFailed, errors.JWTInvalid, errors.JWSInvalid,
  errors.JWSSignatureVerificationFailed, errors.JWKSNoMatchingKey, errors.JOSEAlgNotAllowed, errors.JOSENotSupported,
];

export class Verifier {
  readonly revocations = new Revocations();
  readonly #options: Required<Options>;
  readonly #keys: ReturnType<typeof createRemoteJWKSet>;
  readonly #end = new AbortController();

  constructor(options: Options) {
    this.#options = { keys: `${options.issuer}/.well-known/jwks.json`, bound: 1000, ...options };
    this.#keys = createRemoteJWKSet(new URL(this.#options.keys));
    const { internal, serviceKey, bound } = this.#options;
    void this.revocations.follow(`${internal}/v1/revocations`, serviceKey, bound, this.#end.signal);
  }

  close(): void {
    this.#end.abort();
  }

  /** The claims of an access token that is good; else it throws InvalidToken or Unavailable. */
  async verify(token: string): Promise<JWTPayload> {
    const { issuer, audience, bound } = this.#options;
    let claims: JWTPayload;
    try {
      const required = { issuer, audience, typ: "at+jwt", requiredClaims: ["exp", "iat", "jti", "sid"], clockTolerance: 5, currentDate: new Date(this.revocations.now()) };
      ({ payload: claims } = await jwtVerify(token, this.#keys, required));
    } catch (error) {
      if (invalid.some((type) => error instanceof type)) throw new InvalidToken("not valid", { cause: error });
      throw new Unavailable("no keys", { cause: error });
    }
    let state = this.revocations.state({ sid: String(claims["sid"]), jti: claims.jti!, exp: claims.exp! }, bound);
    if (state === "unknown") state = await this.#ask(token);
    if (state === "revoked") throw new InvalidToken("revoked");
    return claims;
  }

  /** Asks the service about one token (RFC 7662). */
  async #ask(token: string): Promise<"live" | "revoked"> {
    try {
      const answer = await fetch(`${this.#options.internal}/oauth2/introspect`, {
        method: "POST",
        headers: { Authorization: `Bearer ${this.#options.serviceKey}` },
        body: new URLSearchParams({ token }),
        redirect: "error",
        signal: AbortSignal.timeout(1000),
      });
      if (!answer.ok) throw new Error(`status ${answer.status}`);
      const { active } = (await answer.json()) as { active: boolean };
      return active ? "live" : "revoked";
    } catch (cause) {
      throw new Unavailable("nobody knows", { cause });
    }
  }

  /** For Express, Connect and plain node:http: next is called with the claims in request.claims. */
  middleware() {
    return async (request: IncomingMessage & { claims?: JWTPayload }, response: ServerResponse, next: () => void) => {
      const { authorization } = request.headers;
      try {
        const token = /^Bearer +([^\s,]+)$/i.exec(authorization ?? "")?.[1];
        if (!token) throw new InvalidToken("no token");
        request.claims = await this.verify(token);
      } catch (error) {
        if (error instanceof InvalidToken) {
          response.writeHead(401, { "WWW-Authenticate": authorization ? 'Bearer error="invalid_token"' : "Bearer" });
        } else {
          response.writeHead(503, { "Retry-After": "1" });
        }
        response.end();
        return;
      }
      next();
    };
  }
}
