import type { Client } from "./client.js";
import { LatchkeyError, type ErrorCode } from "./errors.js";
import { authorizedFetch, type Credentials, type Fetch, type Source } from "./fetch.js";
import type { State } from "./observed.js";
import type { TokenResponse } from "./session.js";

type Call = "credentials" | "signIn" | "signOut" | "signOutEverywhere" | "signOutElsewhere" | "devices" | "renameDevice" | "endDevice";

type Question = { id: number; call: Call; args: unknown[] };
type Answer =
  | { state: State }
  | { id: number; value: unknown }
  | { id: number; code: ErrorCode | undefined; message: string; retryAfter: number | undefined };

interface Port {
  postMessage(message: unknown): void;
  onmessage: ((event: MessageEvent) => void) | null;
}

/**
 * serveClient lets a page use a client that lives in a worker, which alone holds the refresh token. The page gets access tokens,
 * and nothing that outlives them. Call it with the worker's global scope, or with a shared worker's port.
 */
export function serveClient(client: Client, port: Port): void {
  client.subscribe((state) => port.postMessage({ state } satisfies Answer));
  port.onmessage = async ({ data: { id, call, args } }: MessageEvent<Question>) => {
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

/** WorkerClient is the page's side: what `Client` does, except for proofs of possession. */
export class WorkerClient implements Source {
  readonly fetch: Fetch;
  readonly #port: Port;
  readonly #waiting = new Map<number, { resolve: (value: any) => void; reject: (reason: Error) => void }>();
  readonly #listeners = new Set<(state: State) => void>();
  #state: State = { status: "loading" };
  #last = 0;

  /** `origins` are those that get the access token; add the issuer's if the page calls it itself. */
  constructor(port: Port, origins: Iterable<string>) {
    this.#port = port;
    this.fetch = authorizedFetch(this, new Set([...origins].map((origin) => new URL(origin).origin)), (input, init) => fetch(input, init));
    port.onmessage = ({ data }: MessageEvent<Answer>) => {
      if ("state" in data) {
        this.#state = data.state;
        for (const listener of [...this.#listeners]) listener(data.state);
        return;
      }
      const call = this.#waiting.get(data.id);
      this.#waiting.delete(data.id);
      if ("value" in data) call?.resolve(data.value);
      else call?.reject(data.code ? new LatchkeyError(data.code, data.message, data.retryAfter) : new Error(data.message));
    };
  }

  readonly state = (): State => this.#state;

  readonly subscribe = (listener: (state: State) => void): (() => void) => {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  };

  current(): string | null {
    return this.#state.status === "signed-in" ? this.#state.session : null;
  }

  credentials(refused?: string): Promise<Credentials | null> {
    return this.#call("credentials", refused);
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
      this.#waiting.set(id, { resolve, reject });
      this.#port.postMessage({ id, call, args } satisfies Question);
    });
  }
}
