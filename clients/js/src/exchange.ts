import type { TokenResponse } from "./session.js";

/**
 * The meaning of an answer for the tokens: a new pair; that the token is valid after all; the end of the session, which
 * is final; repeating the request, no sooner than after `after` milliseconds if the service said so; or a refusal that
 * says nothing about the session.
 */
export type Outcome =
  | { kind: "pair"; tokens: TokenResponse; after: number }
  | { kind: "good" }
  | { kind: "ended" }
  | { kind: "retry"; after: number | undefined }
  | { kind: "refused"; message: string };

/** classify reads an answer of the token endpoint (RFC 6749 §5). Only `invalid_grant` ends a session. */
export async function classify(answer: Response): Promise<Outcome> {
  const after = retryAfter(answer.headers);
  const body: unknown = await answer.json().catch(() => null);
  if (answer.ok) {
    return isPair(body) ? { kind: "pair", tokens: body, after: rateLimited(answer.headers) } : { kind: "retry", after };
  }
  const error = (body as { error?: unknown } | null)?.error;
  if (answer.status === 400 && error === "invalid_grant") return { kind: "ended" };
  return failed(answer, after, `the refresh was refused: ${answer.status} ${String(error ?? "")}`);
}

/** classifyCheck reads what the service says about a session by its access token alone. Only `invalid_token` ends it. */
export async function classifyCheck(answer: Response): Promise<Outcome> {
  const after = retryAfter(answer.headers);
  const body = (await answer.json().catch(() => null)) as { code?: unknown } | null;
  if (answer.ok && body) return { kind: "good" };
  if (answer.status === 401 && body?.code === "invalid_token") return { kind: "ended" };
  return answer.ok ? { kind: "retry", after } : failed(answer, after, `the access token was refused: ${answer.status} ${String(body?.code ?? "")}`);
}

function failed({ status }: Response, after: number | undefined, message: string): Outcome {
  if (status >= 500 || status === 408 || status === 425 || status === 429) return { kind: "retry", after };
  return { kind: "refused", message: message.trim() };
}

function isPair(body: unknown): body is TokenResponse {
  const pair = body as Partial<TokenResponse> | null;
  return typeof pair?.access_token === "string" && typeof pair.refresh_token === "string" && Number(pair.expires_in) >= 0;
}

const minute = 60_000;

/** The longest pause that an answer can ask for: proxies answer, too, and some name a time in days or in milliseconds. */
const longest = 5 * minute;

/**
 * retryAfter reads both forms of the header (RFC 9110 §10.2.3), as milliseconds, and bounds them. A date is trusted for
 * a minute at most: by a device whose clock is days behind would place it days away.
 */
export function retryAfter(headers: Headers): number | undefined {
  const value = headers.get("Retry-After");
  if (value === null) return undefined;
  if (/^\d+$/.test(value)) return Math.min(Number(value) * 1000, longest);
  const wait = Date.parse(value) - Date.now();
  return Number.isNaN(wait) ? undefined : Math.min(Math.max(0, wait), minute);
}

/** isPage recognizes a page that something on the way, such as a captive portal, has sent in place of an answer. */
export function isPage(answer: Response): boolean {
  return answer.ok && /^text\/html/i.test(answer.headers.get("Content-Type") ?? "");
}

/** rateLimited returns for how many milliseconds a limit is used up, as the `RateLimit` header says, bounded: 0 if it is not. */
export function rateLimited(headers: Headers): number {
  let wait = 0;
  for (const limit of (headers.get("RateLimit") ?? "").split(",")) {
    const left = /;\s*r=(\d+)/.exec(limit)?.[1];
    const seconds = /;\s*t=(\d+)/.exec(limit)?.[1];
    if (left === "0" && seconds !== undefined) wait = Math.max(wait, Number(seconds) * 1000);
  }
  return Math.min(wait, longest);
}
