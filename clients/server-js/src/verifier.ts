// Access tokens are checked without a call to the service, and introspected if that is not certain enough.
import { createRemoteJWKSet, errors, jwtVerify, type JWTPayload } from "jose";
import { LatchkeyError } from "./errors.js";
import { Revocations } from "./revocations.js";
import { Sessions } from "./sessions.js";

export interface VerifierOptions {
  /** The tokens' `iss` and `aud`. */
  issuer: string;
  audience: string;
  /** The address of the service's internal listener, and a key for it with the rights `revocations` and `introspect`. */
  internal: string;
  serviceKey: string;
  /** The service's public keys. Default: `/.well-known/jwks.json` below the issuer. */
  keys?: string;
  /** For how many milliseconds a revoked session's token may still be accepted, at worst. Default: 1000. */
  bound?: number;
  /** For how many milliseconds to wait for an answer about one token. Default: 1000. */
  timeout?: number;
}

export interface VerifyOptions {
  /** `false` in a request that has refreshed this token itself, and only there: whether the client has it is left open. */
  confirm?: boolean;
}

/** The token is not valid: 401. */
export class InvalidToken extends Error {
  override readonly name = "InvalidToken";
}

/** It cannot be determined whether it is: 503. */
export class Unavailable extends Error {
  override readonly name = "Unavailable";
}

// The errors that jose throws for an invalid token. Anything else, such as keys that cannot be fetched, says nothing
// about it.
const invalid = [
  errors.JWTExpired, errors.JWTClaimValidationFailed, errors.JWTInvalid, errors.JWSInvalid,
  errors.JWSSignatureVerificationFailed, errors.JWKSNoMatchingKey, errors.JOSEAlgNotAllowed, errors.JOSENotSupported,
];

/** How often the keys are fetched, in milliseconds. The service publishes a new key for at least this long before it signs. */
const keysEvery = 300_000;

/** How long after a fetch no token can cause another. */
const keysRest = 5000;

/** Verifier follows the feed of revocations from its making on, until it is closed. One for the whole process is enough. */
export class Verifier {
  /** The known revoked sessions. */
  readonly revocations = new Revocations();
  readonly #options: Required<VerifierOptions>;
  readonly #keys: ReturnType<typeof createRemoteJWKSet>;
  readonly #sessions: Sessions;
  readonly #end = new AbortController();
  readonly #fetching: ReturnType<typeof setInterval>;

  constructor(options: VerifierOptions) {
    this.#options = { keys: `${options.issuer}/.well-known/jwks.json`, bound: 1000, timeout: 1000, ...options };
    const { internal, serviceKey, keys, bound, timeout } = this.#options;
    // Known keys stay in use while they cannot be fetched, and one that was revoked does not for long.
    this.#keys = createRemoteJWKSet(new URL(keys), { cacheMaxAge: Infinity, cooldownDuration: keysRest });
    this.#fetching = setInterval(() => void this.#keys.reload().catch(() => {}), keysEvery).unref();
    this.#sessions = new Sessions({ internal, serviceKey, timeout, retries: 0 });
    void this.revocations.follow(`${internal}/v1/revocations`, serviceKey, bound, this.#end.signal);
  }

  /** close stops following. */
  close(): void {
    clearInterval(this.#fetching);
    this.#end.abort();
  }

  /** verify returns the claims of a valid access token; else it throws InvalidToken or Unavailable. */
  async verify(token: string, { confirm = true }: VerifyOptions = {}): Promise<JWTPayload> {
    const { issuer, audience, bound } = this.#options;
    let claims: JWTPayload;
    try {
      const required = { issuer, audience, typ: "at+jwt", requiredClaims: ["exp", "iat", "jti", "sid"], clockTolerance: 5, currentDate: new Date(this.revocations.now()) };
      ({ payload: claims } = await jwtVerify(token, this.#keys, required));
    } catch (error) {
      if (invalid.some((type) => error instanceof type)) throw new InvalidToken("not valid", { cause: error });
      throw new Unavailable("no keys", { cause: error });
    }
    // A token that is bound to a key is worth nothing without a proof of it (RFC 9449 §7.1), and proofs are not looked at here.
    if (claims["cnf"] !== undefined) throw new InvalidToken("bound to a key");
    let state = this.revocations.state({ sid: String(claims["sid"]), jti: claims.jti!, exp: claims.exp!, iat: claims.iat!, era: Number(claims["latchkey_era"] ?? 0) }, bound);
    if (state === "unknown") state = await this.#ask(token, confirm);
    if (state === "revoked") throw new InvalidToken("revoked");
    return claims;
  }

  async #ask(token: string, confirm: boolean): Promise<"live" | "revoked"> {
    try {
      return (await this.#sessions.introspect(token, { confirm })).active ? "live" : "revoked";
    } catch (cause) {
      if (cause instanceof LatchkeyError) throw new Unavailable("the service is unavailable", { cause });
      throw cause;
    }
  }
}
