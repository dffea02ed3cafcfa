/** A backend's response to its client after a login, and the response to a refresh (RFC 6749 §5.1). Times are in
/** seconds. */
export interface TokenResponse {
  access_token: string;
  /** Missing if the session was made without one: it ends with its access token. */
  refresh_token?: string;
  expires_in: number;
  token_type?: string;
}

/** A login as stored. It is replaced as a whole, and never changed. */
export interface Session {
  /** Identifies the login. It stays the same across refreshes. */
  readonly id: string;
  readonly accessToken: string;
  /** Undefined for a session that cannot be refreshed. */
  readonly refreshToken: string | undefined;
  /** `Bearer`, or `DPoP` for a token that is bound to a key (RFC 9449). */
  readonly tokenType: string;
  /** When it was received by this device's clock, in milliseconds, and for how many seconds after that the access token is valid. */
  readonly receivedAt: number;
  readonly expiresIn: number;
  /** How often the tokens were replaced since the login. */
  readonly turn?: number;
}

/**
 * toSession reads a token response. It throws a TypeError for anything else, so that a mistake in the backend is noticed at the
 * login and not at the first refresh.
 */
export function toSession(answer: TokenResponse, id: string, turn = 0): Session {
  const { access_token: accessToken, refresh_token: refreshToken, expires_in: expiresIn, token_type: tokenType = "Bearer" } = answer;
  if (typeof accessToken !== "string" || !["string", "undefined"].includes(typeof refreshToken) || !(Number(expiresIn) >= 0)) {
    throw new TypeError("a token response has access_token, expires_in and, unless the session is made without one, refresh_token");
  }
  return { id, accessToken, refreshToken, tokenType, receivedAt: Date.now(), expiresIn: Number(expiresIn), turn };
}

/** random returns an identifier for a login or a tab. `crypto.randomUUID` is missing from pages served over plain HTTP. */
export function random(): string {
  return crypto.getRandomValues(new Uint32Array(4)).join("-");
}

/** remaining returns for how many milliseconds the access token is still valid, by this device's clock. */
export function remaining(session: Session): number {
  const age = Date.now() - session.receivedAt;
  // A clock that was set back is no evidence: the service's 401 decides.
  return session.expiresIn * 1000 - Math.max(0, age);
}
