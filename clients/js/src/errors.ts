/** Why a call was refused. Neither code means that the user is signed out. */
export type ErrorCode =
  /** The session service cannot be reached or is overloaded. The tokens are kept: try again later. */
  | "unavailable"
  /** The session service refuses the request for a reason that is not the session's, such as a wrong client id. The tokens are kept. */
  | "refused"
  /** Another user has signed in since the call was made. */
  | "session_changed";

/** An error of this package. Errors of `fetch` itself are passed on unchanged. */
export class LatchkeyError extends Error {
  override readonly name = "LatchkeyError";
  readonly code: ErrorCode;
  /** How many milliseconds to wait, if the service said so. */
  readonly retryAfter: number | undefined;

  constructor(code: ErrorCode, message: string, retryAfter?: number) {
    super(message);
    this.code = code;
    this.retryAfter = retryAfter;
  }
}
