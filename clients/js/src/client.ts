import { LatchkeyError } from "./errors.js";
import { classify, classifyCheck, isPage, retryAfter, type Outcome } from "./exchange.js";
import { authorize, authorizedFetch, originsOf, type Credentials, type Fetch, type Prover, type Source } from "./fetch.js";
import { platformLock, type Lock } from "./lock.js";
import { Observed, type State } from "./observed.js";
import { random, remaining, toSession, type Session, type TokenResponse } from "./session.js";
import { databaseStore, type Store } from "./store.js";
import { Tabs } from "./tabs.js";

export interface Options {
  /** The session service's public address, such as `https://sessions.example.com`. */
  issuer: string;
  /** The origins of the APIs that get the access token, in addition to the issuer's. No others get it. */
  origins?: Iterable<string>;
  /** Default: `databaseStore(name)`, which all tabs share. */
  store?: Store;
  /** Distinguishes several clients of one origin. Default: `latchkey`. */
  name?: string;
  /** `dpop()` of `@latchkey/client/dpop` binds the tokens to a key that cannot leave the browser. */
  dpop?: Prover;
  /** How long one refresh may take, in milliseconds. It must stay below the service's grace. Default: 10,000. */
  timeout?: number;
  /** How often a failed request is retried, after growing pauses, before a call throws `unavailable`. Default: 4. */
  retries?: number;
  /** Whether to refresh ahead of expiry while the page is visible. Without it a token is refreshed when it is needed. Default: in browsers. */
  ahead?: boolean;
  /** Default: the platform's. For tests and shells of native apps. */
  fetch?: Fetch;
  lock?: Lock;
}

/** One of the user's sessions, for a list of devices. */
export interface Device {
  id: string;
  current: boolean;
  created_at: string;
  client?: { label?: string; user_agent?: string; ip?: string };
  [member: string]: unknown;
}

type Reason = "signed-in" | "refreshed" | "signed-out" | "ended";

const second = 1000;

/** Client holds one login: it refreshes, signs out, and sends requests with the access token. Make one per page. */
export class Client implements Source {
  /** fetch has the platform's signature, and sends the access token to the issuer and the named origins. */
  readonly fetch: Fetch;

  readonly #issuer: string;
  readonly #name: string;
  readonly #store: Store;
  readonly #lock: Lock;
  readonly #send: Fetch;
  readonly #prover: Prover | undefined;
  readonly #timeout: number;
  readonly #retries: number;
  readonly #ahead: boolean;
  readonly #observed = new Observed();
  readonly #tabs: Tabs<Reason>;
  /** The last message from another tab. */
  #heard: "signed-out" | "ended" | undefined;
  #refreshing: { of: string; session: Promise<Session | null> } | undefined;
  #notBefore = 0;
  #known: Session | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;
  readonly #unwatch: (() => void) | undefined;
  #closed = false;

  constructor(options: Options) {
    const { issuer, origins = [], name = "latchkey", timeout = 10 * second, retries = 4 } = options;
    this.#issuer = issuer.replace(/\/+$/, "");
    this.#name = name;
    this.#store = options.store ?? databaseStore(name);
    this.#lock = options.lock ?? platformLock();
    this.#send = options.fetch ?? ((input, init) => fetch(input, init));
    this.#prover = options.dpop;
    this.#timeout = timeout;
    this.#retries = retries;
    this.#ahead = options.ahead ?? typeof document === "object";
    this.fetch = authorizedFetch(this, originsOf([this.#issuer, ...origins]), this.#send, this.#prover);
    this.#tabs = new Tabs<Reason>(
      name,
      (reason) => {
        this.#heard = reason === "ended" || reason === "signed-out" ? reason : undefined;
        this.#look(this.#heard);
      },
      () => this.#look(),
    );
    this.#unwatch = this.#store.watch?.(() => this.#look(this.#heard));
    this.#look();
  }

  /** state returns what is known now. The function is bound, as `useSyncExternalStore` requires. */
  readonly state = (): State => this.#observed.state();

  /** subscribe calls the listener at each change of the state, in any tab, and returns a function that stops that. */
  readonly subscribe = (listener: (state: State) => void): (() => void) => this.#observed.subscribe(listener);

  /** signIn stores what your backend sent after the login. An earlier login is forgotten, not ended. */
  async signIn(tokens: TokenResponse): Promise<void> {
    const session = toSession(tokens, random());
    await this.#exclusively(() => this.#store.write(session));
    this.#heard = undefined;
    this.#tabs.tell("signed-in");
    await this.#observe();
  }

  /**
   * signOut forgets the login at once, in every tab, and then ends the session at the service. If the service cannot be reached, it
   * throws `unavailable`: the user is signed out here, but the session lives until it expires.
   */
  async signOut(): Promise<void> {
    const session = await this.#forget(() => true, "signed-out");
    if (!session) return;
    const form = new URLSearchParams({ token: session.refreshToken ?? session.accessToken });
    const answer = await this.#patiently(() =>
      this.#send(`${this.#issuer}/oauth2/revoke`, { method: "POST", body: form, keepalive: true, redirect: "error", signal: AbortSignal.timeout(this.#timeout) }), true);
    if (!answer.ok) throw new LatchkeyError("refused", `the sign-out was refused: ${answer.status}`);
  }

  /** signOutEverywhere ends all of the user's sessions, including this one. If it fails, nothing has changed here: try again. */
  async signOutEverywhere(): Promise<void> {
    const mine = await this.#store.read();
    await this.#own("DELETE", "");
    await this.#forget(({ id }) => id === mine?.id, "signed-out");
  }

  /** signOutElsewhere ends all of the user's other sessions. */
  async signOutElsewhere(): Promise<void> {
    await this.#own("DELETE", "?keep=current");
  }

  /** devices returns all of the user's live sessions, newest first. */
  async devices(): Promise<Device[]> {
    const devices: Device[] = [];
    for (let query = ""; ; ) {
      const page = (await (await this.#own("GET", query)).json()) as { sessions: Device[]; next_cursor?: string };
      devices.push(...page.sessions);
      if (!page.next_cursor) return devices;
      query = `?cursor=${encodeURIComponent(page.next_cursor)}`;
    }
  }

  /** renameDevice sets the label under which a list shows one of the user's sessions. */
  async renameDevice(id: string, label: string): Promise<void> {
    await this.#own("PATCH", `/${encodeURIComponent(id)}`, [], { client: { label } });
  }

  /** endDevice ends one of the user's sessions. Ending it twice is not an error. */
  async endDevice(id: string): Promise<void> {
    await this.#own("DELETE", `/${encodeURIComponent(id)}`, [404]);
  }

  /** close stops timers and listeners. The login stays in the store. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#unwatch?.();
    this.#tabs.close();
  }

  current(): string | null {
    return this.#observed.current();
  }

  known(): Credentials | null {
    return this.#known && remaining(this.#known) > 0 ? this.#known : null;
  }

  /**
   * credentials returns the access token, refreshed if it has expired, or null if nobody is signed in. `refused` is a token that was
   * answered with 401. Throws `unavailable` if a refresh is needed and the service cannot be reached. For a session without a
   * refresh token, it asks the service whether the session has ended.
   */
  async credentials(refused?: string): Promise<Credentials | null> {
    const session = await this.#store.read();
    if (!session) return this.#settle(null);
    if (session.id !== this.current()) this.#settle(session); // another tab has signed in, and its message did not arrive
    this.#known = session;
    const usable = session.accessToken !== refused && remaining(session) > 0;
    return usable ? session : this.#refresh(session);
  }

  /** #refresh replaces a session's tokens, once for all simultaneous callers. */
  #refresh(old: Session): Promise<Session | null> {
    // Another user may have signed in during a refresh for the previous one.
    if (this.#refreshing?.of === old.accessToken) return this.#refreshing.session;
    const session = this.#lock(`${this.#name}.refresh`, () => this.#exchange(old)).finally(() => {
      if (this.#refreshing?.session === session) this.#refreshing = undefined;
    });
    this.#refreshing = { of: old.accessToken, session };
    return session;
  }

  async #exchange(old: Session): Promise<Session | null> {
    for (let attempt = 0; ; attempt++) {
      await this.#turn(attempt);
      // Another tab may have been faster, or the user has signed out or in while this one waited.
      const sent = await this.#store.read();
      if (sent?.accessToken !== old.accessToken) return this.#settle(sent);
      const outcome = await this.#ask(sent);
      switch (outcome.kind) {
        case "pair":
          this.#wait(outcome.after);
          return this.#commit(sent, toSession(outcome.tokens, sent.id, (sent.turn ?? 0) + 1));
        case "good":
          return this.#settle(sent);
        case "ended":
          return this.#commit(sent, null);
        case "refused":
          throw new LatchkeyError("refused", outcome.message);
        case "retry":
          this.#wait(outcome.after);
          if (attempt === this.#retries) throw unavailable(outcome.after);
      }
    }
  }

  /** #wait records for how many milliseconds the service asks for no requests. */
  #wait(after = 0): void {
    this.#notBefore = Math.max(this.#notBefore, performance.now() + after); // by a clock that cannot be set
  }

  /**
   * #turn waits until the next attempt may be made: as the service said, and longer each time, at random. It throws
   * `unavailable` at once if the service asks for a longer pause than a refresh may take.
   */
  async #turn(attempt: number): Promise<void> {
    const told = this.#notBefore - performance.now();
    if (told > this.#timeout) throw unavailable(Math.ceil(told));
    const backoff = attempt && second * 2 ** (attempt - 1) * (0.5 + Math.random() / 2);
    const wait = Math.max(backoff, told);
    if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
  }

  async #ask(session: Session): Promise<Outcome> {
    const { refreshToken } = session;
    const request = () => (refreshToken === undefined ? this.#check(session) : this.#grant(refreshToken));
    const send = async () => {
      const sent = await request();
      const answer = await this.#send(sent);
      this.#prover?.note(answer, sent.url);
      return answer;
    };
    try {
      const first = await send();
      const answer = (await this.#prover?.wants(first)) ? await send() : first;
      return await (refreshToken === undefined ? classifyCheck(answer) : classify(answer));
    } catch {
      return { kind: "retry", after: undefined }; // no answer, or a partial one
    }
  }

  async #grant(refreshToken: string): Promise<Request> {
    const url = `${this.#issuer}/oauth2/token`;
    const body = new URLSearchParams({ grant_type: "refresh_token", refresh_token: refreshToken });
    const headers = this.#prover ? { DPoP: await this.#prover.proof("POST", url) } : {};
    return new Request(url, { method: "POST", body, headers, redirect: "error", signal: AbortSignal.timeout(this.#timeout) });
  }

  /** #check asks whether a session that cannot be refreshed is still live: neither this device's clock nor an API's 401 ends it. */
  async #check(session: Session): Promise<Request> {
    const request = new Request(`${this.#issuer}/v1/me/sessions/current`, { redirect: "error", signal: AbortSignal.timeout(this.#timeout) });
    await authorize(request, session, this.#prover);
    return request;
  }

  /**
   * #commit stores an answer only if the store still has the token that was sent for it: an answer that arrives after a
   * sign-out, another login or a newer answer changes nothing.
   */
  async #commit(sent: Session, next: Session | null): Promise<Session | null> {
    const stored = await this.#exclusively(async () => {
      const kept = await this.#store.read();
      if (kept?.accessToken !== sent.accessToken) return kept;
      await this.#store.write(next);
      return next;
    });
    if (stored === next) this.#tabs.tell(next ? "refreshed" : "ended");
    return this.#settle(stored, "ended");
  }

  async #forget(which: (session: Session) => boolean, reason: Reason): Promise<Session | null> {
    const session = await this.#exclusively(async () => {
      const kept = await this.#store.read();
      if (!kept || !which(kept)) return null;
      await this.#store.write(null);
      return kept;
    });
    if (session) {
      this.#tabs.tell(reason);
      this.#settle(null, "signed-out", "this-tab");
    }
    return session;
  }

  /** #exclusively reads and writes the store in one step. Unlike the refresh's lock, it never waits for the network. */
  #exclusively<T>(task: () => T | Promise<T>): Promise<T> {
    return this.#lock(`${this.#name}.store`, async () => task());
  }

  /** #own calls the service about the user's own sessions. */
  async #own(method: string, path: string, fine: number[] = [], body?: object): Promise<Response> {
    const init = body ? { method, body: JSON.stringify(body), headers: { "Content-Type": "application/json" } } : { method };
    const answer = await this.#patiently(() => this.fetch(`${this.#issuer}/v1/me/sessions${path}`, init));
    if (answer.ok || fine.includes(answer.status)) return answer;
    throw new LatchkeyError("refused", `the session service answered ${answer.status}`);
  }

  /** #patiently sends a repeatable request until it is answered. An urgent one is sent at least once, whatever the service has said before.
   * */
  async #patiently(send: () => Promise<Response>, urgent = false): Promise<Response> {
    for (let attempt = 0; ; attempt++) {
      if (attempt || !urgent) await this.#turn(attempt);
      const answer = await send().catch((error: unknown) => {
        if (error instanceof LatchkeyError) throw error;
        return null;
      });
      if (answer && answer.status < 500 && answer.status !== 429 && !isPage(answer)) return answer;
      const after = answer ? retryAfter(answer.headers) : undefined;
      this.#wait(after);
      if (attempt === this.#retries) throw unavailable(after);
    }
  }

  /** #observe notes what the store has. `told` is what another tab has said. */
  async #observe(told?: "signed-out" | "ended"): Promise<void> {
    this.#settle(await this.#store.read(), told, "another-tab");
  }

  /** #look observes in the background: a store that cannot be read now is read again at the next call. */
  #look(told?: "signed-out" | "ended"): void {
    void this.#observe(told).catch(() => undefined);
  }

  /** #settle notes what the store has, and plans the next refresh. */
  #settle(session: Session | null, reason?: "signed-out" | "ended", by?: "this-tab" | "another-tab"): Session | null {
    this.#known = session;
    this.#observed.settle(session?.id ?? null, reason, by);
    this.#plan(session);
    return session;
  }

  /** #plan refreshes ahead of expiry, if possible, while the page is visible. */
  #plan(session: Session | null, soonest = second): void {
    clearTimeout(this.#timer);
    if (!this.#ahead || session?.refreshToken === undefined || this.#closed) return;
    const early = Math.min(30 * second, session.expiresIn * 200);
    const wait = Math.max(remaining(session) - early, this.#notBefore - performance.now(), soonest);
    this.#timer = setTimeout(async () => {
      if (typeof document === "object" && document.visibilityState === "hidden") return; // planned again when the page becomes visible again
      // A failure here is retried when a token is needed, or after a while.
      await this.#refresh(session).catch(() => this.#plan(session, 30 * second));
    }, Math.min(wait, 2 ** 31 - 1));
  }
}

function unavailable(after: number | undefined): LatchkeyError {
  return new LatchkeyError("unavailable", "the session service is unavailable", after);
}
