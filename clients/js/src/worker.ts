import type { Client } from "./client.js";
import { LatchkeyError, type ErrorCode } from "./errors.js";
import { authorizedFetch, originsOf, type Credentials, type Fetch, type Source } from "./fetch.js";
import { Observed, type State } from "./observed.js";
import type { TokenResponse } from "./session.js";

type Call = "credentials" | "signIn" | "signOut" | "signOutEverywhere" | "signOutElsewhere" | "devices" | "renameDevice" | "endDevice";

type Question = { id: number; call: Call; args: unknown[] } | "state";
type Answer =
  | { state: State }
  | { id: number; value: unknown }
  | { id: number; code: ErrorCode | undefined; message: string; retryAfter: number | undefined };

interface Port {
  postMessage(message: unknown): void;
  onmessage: ((event: MessageEvent) => void) | null;
  addEventListener?(type: "error", listener: () => void): void;
}

interface Waiting {
  resolve: (value: any) => void;
  reject: (reason: Error) => void;
}

/** How long a call waits for the worker to start, and for a sign of life from one that has started, in milliseconds. */
const startTimeout = 30_000;

/**
 * serveClient lets a page use a client that lives in a worker, which alone holds the refresh token. The page gets only access
 * tokens, and nothing that outlives them. Call it with the worker's global scope, or with a shared worker's port.
 */
export function serveClient(client: Client, port: Port): void {
  client.subscribe((state) => port.postMessage({ state } satisfies Answer));
  port.onmessage = async ({ data }: MessageEvent<Question>) => {
    if (data === "state") return port.postMessage({ state: client.state() } satisfies Answer);
    const { id, call, args } = data;
    try {
      const value = await (client[call] as (...args: unknown[]) => Promise<unknown>)(...args);
      port.postMessage({ id, value: call === "credentials" ? withoutRefreshToken(value as Credentials | null) : value } satisfies Answer);
    } catch (error) {
      const { code, message, retryAfter } = error as Partial<LatchkeyError> & Error;
      port.postMessage({ id, code, message, retryAfter } satisfies Answer);
    }
  };
  port.postMessage({ state: client.state() } satisfies Answer);
}

function withoutRefreshToken(credentials: Credentials | null): Credentials | null {
  return credentials && { id: credentials.id, accessToken: credentials.accessToken, tokenType: credentials.tokenType };
}

/**
 * WorkerClient is the page's side: it does what `Client` does, except for proofs of possession. Calls wait until the worker has
 * started. If it fails to, or takes too long, they are rejected with the code `unavailable`, and have no effect later. They are
 * rejected with the same code if the worker was ended, of which the page is not notified: the worker is polled from time to time while
 * calls wait.
 */
export class WorkerClient implements Source {
  readonly fetch: Fetch;
  readonly #port: Port;
  readonly #waiting = new Map<number, Waiting>();
  /** Functions that start the calls that wait for the worker, and that abandon them. Undefined once it has started. */
  #early: Map<() => void, () => void> | undefined = new Map();
  #failed = false;
  /** How often in a row the worker did not respond, and when it is asked next. */
  #silent = 0;
  #pulse: ReturnType<typeof setInterval> | undefined;
  readonly #observed = new Observed();
  #known: Credentials | null = null;
  #last = 0;

  readonly #startTimeout: number;

  /**
   * `origins` are those that get the access token; add the issuer's if the page calls it itself. `startTimeout` is how long a call
   * waits for the worker to start, or for a sign of life, in milliseconds. Default: 30,000.
   */
  constructor(port: Port, origins: Iterable<string>, options: { startTimeout?: number } = {}) {
    this.#port = port;
    this.#startTimeout = options.startTimeout ?? startTimeout;
    this.fetch = authorizedFetch(this, originsOf(origins), (input, init) => fetch(input, init));
    port.addEventListener?.("error", () => this.#fail());
    port.onmessage = ({ data }: MessageEvent<Answer>) => {
      this.#silent = 0;
      this.#start();
      if ("state" in data) {
        const { state } = data;
        if (state.status === "signed-in") this.#observed.settle(state.session);
        else if (state.status === "signed-out") this.#observed.settle(null, state.reason, state.by);
        return;
      }
      const call = this.#waiting.get(data.id);
      this.#waiting.delete(data.id);
      if (this.#waiting.size === 0) this.#rest();
      if ("value" in data) call?.resolve(data.value);
      else call?.reject(data.code ? new LatchkeyError(data.code, data.message, data.retryAfter) : new Error(data.message));
    };
    port.postMessage("state" satisfies Question); // it may have been told before there was a listener
  }

  readonly state = (): State => this.#observed.state();

  readonly subscribe = (listener: (state: State) => void): (() => void) => this.#observed.subscribe(listener);

  current(): string | null {
    return this.#observed.current();
  }

  async credentials(refused?: string): Promise<Credentials | null> {
    return (this.#known = await this.#call<Credentials | null>("credentials", refused));
  }

  known(): Credentials | null {
    return this.#known?.id === this.current() ? this.#known : null;
  }

  signIn(tokens: TokenResponse): Promise<void> {
    return this.#call("signIn", tokens);
  }

  signOut(): Promise<void> {
    return this.#call("signOut");
  }

  signOutEverywhere(): Promise<void> {
    return this.#call("signOutEverywhere");
  }

  signOutElsewhere(): Promise<void> {
    return this.#call("signOutElsewhere");
  }

  devices(): ReturnType<Client["devices"]> {
    return this.#call("devices");
  }

  renameDevice(id: string, label: string): Promise<void> {
    return this.#call("renameDevice", id, label);
  }

  endDevice(id: string): Promise<void> {
    return this.#call("endDevice", id);
  }

  #call<T>(call: Call, ...args: unknown[]): Promise<T> {
    return new Promise((resolve, reject) => {
      const id = ++this.#last;
      const send = () => {
        this.#waiting.set(id, { resolve, reject });
        this.#port.postMessage({ id, call, args } satisfies Question);
        this.#listen();
      };
      if (!this.#early) return send();
      const giveUp = () => {
        clearTimeout(timer);
        this.#early?.delete(start);
        reject(new LatchkeyError("unavailable", "the worker has not started"));
      };
      const start = () => {
        clearTimeout(timer);
        send();
      };
      const timer = setTimeout(giveUp, this.#startTimeout);
      this.#early.set(start, giveUp);
      if (this.#failed) giveUp();
    });
  }

  /**
   * listen asks whether the worker that calls wait for is running, and gives them up if it does not respond. A single silence proves
   * nothing: in a page that was frozen, the time is over before it can receive anything.
   */
  #listen(): void {
    this.#pulse ??= setInterval(() => {
      if (++this.#silent < 3) return this.#port.postMessage("state" satisfies Question);
      this.#waiting.forEach(({ reject }) => reject(new LatchkeyError("unavailable", "the worker has ended")));
      this.#waiting.clear();
      this.#rest();
    }, this.#startTimeout / 3);
  }

  #rest(): void {
    clearInterval(this.#pulse);
    this.#pulse = undefined;
    this.#silent = 0;
  }

  /** start sends the calls that waited for the worker. */
  #start(): void {
    const early = this.#early;
    this.#early = undefined;
    early?.forEach((_, start) => start());
  }

  /** fail notes a script that could not be loaded, or ended with an error before it served any call. */
  #fail(): void {
    this.#failed = true;
    this.#early?.forEach((giveUp) => giveUp());
  }
}
