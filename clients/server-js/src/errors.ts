import type { OAuthError, Problem } from "./types.js";

/** Why a call failed: the code of a problem document, the `error` of OAuth's routes, or one of this package's. */
export type ErrorCode =
  | Problem["code"]
  | OAuthError["error"]
  /** No answer came. Nothing is known: keep the tokens, answer 503. */
  | "no_answer"
  /** An answer that is not the service's, such as a proxy's. */
  | "unexpected_answer";

export interface ErrorDetails {
  requestId?: string | undefined;
  retryAfter?: number | undefined;
  pointer?: string | undefined;
  parameter?: string | undefined;
  resent?: boolean | undefined;
  cause?: unknown;
}

/** A call that failed. It never contains the service key, nor a token. */
export class LatchkeyError extends Error {
  override readonly name = "LatchkeyError";
  /** The answer's status, or 0 if there was no answer. Below 400, the answer was not the service's. */
  readonly status: number;
  readonly code: ErrorCode;
  /** The request's id in the service's log. */
  readonly requestId: string | undefined;
  /** How many milliseconds to wait before the next try, if the service said so. */
  readonly retryAfter: number | undefined;
  /** The body's member that is at fault, as a JSON pointer. */
  readonly pointer: string | undefined;
  /** The query parameter or header that is at fault. */
  readonly parameter: string | undefined;
  /** Whether the request had been sent before without an answer that showed its outcome, so that it may have been served. */
  readonly resent: boolean;

  constructor(message: string, status: number, code: ErrorCode, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.status = status;
    this.code = code;
    this.requestId = details.requestId;
    this.retryAfter = details.retryAfter;
    this.pointer = details.pointer;
    this.parameter = details.parameter;
    this.resent = details.resent ?? false;
  }

  /** unavailable says that nothing is known about a token or a session: your answer is 503, never 401. */
  get unavailable(): boolean {
    return this.status < 400 || this.status === 429 || this.status >= 500;
  }
}
