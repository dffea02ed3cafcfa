import { createHash } from "node:crypto";
import type { Introspection } from "./types.js";

/** The maximum time for which an introspection may be remembered, in milliseconds. */
export const longest = 5000;

interface Entry {
  /** As text: callers may change their own copies. */
  text: string;
  until: number;
  session: string;
  subject: string | undefined;
}

/** Cache remembers active tokens for a moment. Inactive ones are not remembered: anyone can make them. */
export class Cache {
  readonly #for: number;
  readonly #entries: number;
  /** The oldest first. */
  readonly #known = new Map<string, Entry>();
  #forgotten = 0;

  constructor(for_: number, entries: number) {
    if (!(for_ >= 0 && for_ <= longest)) throw new RangeError(`cache.for must be 0 to ${longest} milliseconds`);
    if (!(Number.isInteger(entries) && entries > 0)) throw new RangeError("cache.entries must be a positive integer");
    this.#for = for_;
    this.#entries = entries;
  }

  get(token: string): Introspection | undefined {
    const entry = this.#known.get(name(token));
    return entry && entry.until > performance.now() ? (JSON.parse(entry.text) as Introspection) : undefined;
  }

  /** Call mark before asking about a token, and pass its result with the answer. */
  mark(): number {
    return this.#forgotten;
  }

  /**
   * put remembers an answer to a request that was sent at that time: never beyond the token's end, by the clock of the
   * service, nor if a session was changed meanwhile.
   */
  put(token: string, answer: Introspection, sent: number, date: string | null, mark: number): void {
    if (this.#for === 0 || !answer.active || !answer.session || mark !== this.#forgotten) return;
    const now = Date.parse(date ?? "") + 1000; // it has no fractions of a second
    const left = (answer.exp ?? 0) * 1000 - (Number.isNaN(now) ? Date.now() : now);
    if (left <= 0) return;
    const key = name(token);
    this.#known.delete(key);
    this.#known.set(key, {
      text: JSON.stringify(answer),
      until: sent + Math.min(this.#for, left),
      session: answer.session.id,
      subject: answer.session.subject,
    });
    const [oldest] = this.#known.keys();
    if (this.#known.size > this.#entries && oldest !== undefined) this.#known.delete(oldest);
  }

  /** forget drops a session, or all sessions of a subject, that were changed through this client; or everything. */
  forget(which: { session?: string; subject?: string } = {}): void {
    this.#forgotten++;
    const { session, subject } = which;
    for (const [key, entry] of this.#known) {
      if ((session ?? entry.session) === entry.session && (subject ?? entry.subject) === entry.subject) this.#known.delete(key);
    }
  }
}

/** name keeps tokens out of memory. */
function name(token: string): string {
  return createHash("sha256").update(token).digest("base64url");
}
