import { setTimeout as sleep } from "node:timers/promises";
import { LatchkeyError, type ErrorCode } from "./errors.js";
import type { OAuthError, Problem } from "./types.js";

export interface TransportOptions {
  /** The address of the listener, such as `http://127.0.0.1:8081`. */
  base: string | URL;
  /** Sent with each request, only to this address. */
  serviceKey?: string;
  timeout: number;
  retries: number;
  fetch: typeof fetch;
}

/** One call. */
export interface Call {
  /** The operation's id, with which errors begin: addresses contain ids and subjects. */
  operation: string;
  method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  path: string;
  query?: Record<string, string | number | boolean | undefined>;
  json?: unknown;
  form?: Record<string, string>;
  headers?: Record<string, string>;
  /** Whether the request can safely be repeated. */
  resend: boolean;
  /** Whether JSON is an answer to this call: something on the way may answer with JSON, too. Default: all is. */
  is?: (body: unknown) => boolean;
  /** How many milliseconds longer than usual the service may take. */
  longer?: number;
  signal?: AbortSignal | undefined;
}

export interface Answer<T> {
  body: T;
  headers: Headers;
  /** When the request was sent, by performance.now(). */
  sent: number;
}

/** Longer waits are left to the caller, whose own client is waiting too. */
const longestWait = 2000;

/** Transport sends calls to one listener, and repeats them if that is safe and may help. */
export class Transport {
  readonly #options: TransportOptions;
  readonly #base: string;
  readonly #authorization: Record<string, string>;

  constructor(options: TransportOptions) {
    const { protocol, username, password, origin, pathname, search, hash } = new URL(options.base);
    if (!/^https?:$/.test(protocol) || username || password || search || hash) {
      throw new TypeError("the service's address must be an http or https URL without credentials, query and fragment");
    }
    const key = options.serviceKey;
    // fetch would quote a key that is not a valid header value in its error.
    if (key !== undefined && !/^[!-~]+$/.test(key)) throw new TypeError("the service key must consist of visible ASCII characters");
    this.#options = options;
    this.#base = origin + pathname.replace(/\/+$/, "");
    this.#authorization = key === undefined ? {} : { Authorization: `Bearer ${key}` };
  }

  async send<T>(call: Call): Promise<Answer<T>> {
    let resent = false;
    for (let attempt = 0; ; attempt++) {
      try {
        return await this.#attempt<T>(call, resent);
      } catch (error) {
        if (!(error instanceof LatchkeyError) || !call.resend || attempt >= this.#options.retries || !mayHelp(error)) throw error;
        const wait = error.retryAfter ?? 100 * 2 ** attempt * (0.5 + Math.random());
        if (wait > longestWait) throw error;
        resent ||= error.status !== 429; // which says that nothing was done
        await sleep(wait, undefined, call.signal && { signal: call.signal }).catch(() => call.signal?.throwIfAborted());
      }
    }
  }

  async #attempt<T>(call: Call, resent: boolean): Promise<Answer<T>> {
    const init = this.#init(call); // a TypeError for what cannot be sent, which is not an outage
    const sent = performance.now();
    let answer: Response, text: string;
    try {
      answer = await this.#options.fetch(this.#address(call), init);
      text = await answer.text();
    } catch (cause) {
      call.signal?.throwIfAborted();
      throw new LatchkeyError(`${call.operation}: no answer from the service`, 0, "no_answer", { resent, cause });
    }
    const body = parse(text);
    if (!answer.ok) throw refusal(call.operation, answer, body, resent);
    if (answer.status !== 204 && (body === undefined || call.is?.(body) === false)) {
      throw new LatchkeyError(`${call.operation}: ${answer.status} with something else than its answer`, answer.status, "unexpected_answer", { resent });
    }
    return { body: body as T, headers: answer.headers, sent };
  }

  #address({ path, query }: Call): string {
    const parameters = new URLSearchParams();
    for (const [name, value] of Object.entries(query ?? {})) if (value !== undefined) parameters.set(name, String(value));
    return `${this.#base}${path}${parameters.size > 0 ? `?${parameters}` : ""}`;
  }

  #init({ method, json, form, headers, longer = 0, signal }: Call): RequestInit {
    const timeout = AbortSignal.timeout(this.#options.timeout + longer);
    const init: RequestInit = {
      method,
      headers: new Headers({ ...this.#authorization, ...(json === undefined ? {} : { "Content-Type": "application/json" }), ...headers }),
      redirect: "error", // the key is only for this address
      signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
    };
    if (json !== undefined) init.body = JSON.stringify(json);
    if (form !== undefined) init.body = new URLSearchParams(form);
    return init;
  }
}

/** mayHelp reports whether the same request may get a different answer in a moment. A 500 is a fault, which would recur. */
function mayHelp({ status }: LatchkeyError): boolean {
  return status === 0 || status === 408 || status === 429 || status === 502 || status === 503 || status === 504;
}

function refusal(operation: string, answer: Response, body: unknown, resent: boolean): LatchkeyError {
  const problem = (typeof body === "object" && body !== null ? body : {}) as Partial<Problem & OAuthError>;
  // Introspection says invalid_token of the service key, which must not be taken for something about the token that was asked about.
  const error = problem.error === "invalid_token" ? "invalid_service_key" : problem.error;
  const code: ErrorCode = problem.code ?? error ?? "unexpected_answer";
  const detail = problem.detail ?? problem.error_description ?? problem.title;
  const seconds = answer.headers.get("Retry-After");
  return new LatchkeyError(`${operation}: ${answer.status} ${code}${detail === undefined ? "" : `: ${detail}`}`, answer.status, code, {
    requestId: problem.request_id ?? answer.headers.get("X-Request-Id") ?? undefined,
    retryAfter: seconds !== null && /^\d{1,6}$/.test(seconds) ? Number(seconds) * 1000 : undefined,
    pointer: problem.pointer,
    parameter: problem.parameter,
    resent,
  });
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
