import { LatchkeyError } from "./errors.js";
import type { Fetch } from "./fetch.js";
import { Observed } from "./observed.js";
import { Tabs } from "./tabs.js";

export interface CookieOptions {
  /**
   * An address of your backend that answers GET with 200 and a text that identifies the login, such as the session's id, and
   * with 401 if nobody is signed in. An HTML page does not count as an answer.
   */
  session: string | URL;
  /** An address of your backend that ends the session on POST. */
  signOut: string | URL;
  /** Distinguishes several clients of one origin. Default: `latchkey`. */
  name?: string;
  /** Default: the platform's. */
  fetch?: Fetch;
}

/**
 * CookieClient is for a page whose backend holds the tokens: the page has a cookie that it cannot read. The client
 * reports in every tab whether a user is signed in, and has nothing to refresh.
 */
export class CookieClient {
  readonly #options: CookieOptions;
  readonly #send: Fetch;
  readonly #observed = new Observed();
  readonly #tabs: Tabs<"signed-in" | "signed-out" | "ended">;
  /** Detects an outdated answer. */
  #turn = 0;

  constructor(options: CookieOptions) {
    this.#options = options;
    this.#send = options.fetch ?? ((input, init) => fetch(input, init));
    const look = (reason?: "signed-out" | "ended") => void this.#look(reason).catch(() => undefined); // it is asked again when the page becomes visible again
    this.#tabs = new Tabs(`${options.name ?? "latchkey"}.cookies`, (told) => look(told === "signed-in" ? undefined : told), look);
    look();
  }

  /** state returns what is known now. */
  get state() {
    return this.#observed.state;
  }

  /** subscribe calls the listener at each change of the state, in any tab, and returns a function that stops that. */
  get subscribe() {
    return this.#observed.subscribe;
  }

  /** fetch is the platform's, and notices the session's end: at a 401 the backend is asked who is signed in. */
  readonly fetch: Fetch = async (input, init) => {
    const answer = await this.#send(input, init);
    if (answer.status === 401) await this.#look().catch(() => undefined);
    return answer;
  };

  /** Call signIn when your backend has set the cookie of a login. Throws `unavailable` if the backend cannot be asked whose it is. */
  async signIn(): Promise<void> {
    this.#tabs.tell("signed-in");
    await this.#look();
  }

  /** signOut ends the session, and every tab learns of it. If it throws, nothing has changed: try again. */
  async signOut(): Promise<void> {
    const answer = await this.#ask(this.#options.signOut, { method: "POST" });
    if (!answer.ok && answer.status !== 401) throw new LatchkeyError("refused", `the sign-out was refused: ${answer.status}`);
    this.#turn++;
    this.#observed.settle(null, "signed-out", "this-tab");
    this.#tabs.tell("signed-out");
  }

  /** close stops listening. */
  close(): void {
    this.#tabs.close();
  }

  /**
   * #look asks the backend who is signed in. An answer that comes after a newer question, or a sign-out, changes nothing. `told` is
   * why the login is over, if another tab has said so.
   */
  async #look(told?: "signed-out" | "ended"): Promise<void> {
    const turn = ++this.#turn;
    const answer = await this.#ask(this.#options.session, { cache: "no-store" });
    if (!answer.ok && answer.status !== 401) throw new LatchkeyError("refused", `the backend answered ${answer.status}`);
    const session = answer.ok ? await answer.text() : null;
    // Such as the login page that the backend redirects to, which identifies no login.
    if (session?.trimStart().startsWith("<")) throw new LatchkeyError("unavailable", "the backend answered with a page");
    if (turn !== this.#turn) return;
    const ended = session === null && this.#observed.current() !== null && !told;
    this.#observed.settle(session, ended ? "ended" : told, "another-tab");
    if (ended) this.#tabs.tell("ended");
  }

  async #ask(url: string | URL, init: RequestInit): Promise<Response> {
    const answer = await this.#send(url, init).catch(() => undefined);
    if (!answer || answer.status >= 500 || answer.status === 429) throw new LatchkeyError("unavailable", "the backend is unavailable");
    return answer;
  }
}
