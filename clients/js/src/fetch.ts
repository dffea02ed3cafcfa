import { LatchkeyError } from "./errors.js";

/** The credentials and headers of a request. */
export interface Credentials {
  /** The login to which the token belongs. */
  readonly id: string;
  readonly accessToken: string;
  readonly tokenType: string;
}

/** Where credentials come from: a client, or a worker that holds one. */
export interface Source {
  /** Returns the login's id without waiting, or null if nobody is signed in or that is not known yet. */
  current(): string | null;
  /** Returns what to send now, or null if nobody is signed in. With a token that was refused, it returns another one, or null. */
  credentials(refused?: string): Promise<Credentials | null>;
  /** Optional: returns what was last read, if it is still valid, without waiting, for a page that is being left. */
  known?(): Credentials | null;
}

/** Proofs of possession for requests (RFC 9449). */
export interface Prover {
  proof(method: string, url: string, accessToken?: string): Promise<string>;
  /** Takes the nonce of an answer, for the next proof. `url` is where the request went, which an answer need not show. */
  note(answer: Response, url: string): void;
  /** Reports whether a request was refused for lack of a nonce, so that it must be sent again. */
  wants(answer: Response): Promise<boolean>;
}

/** The same signature as the platform's own. */
export type Fetch = (input: RequestInfo | URL, init?: RequestInit) => Promise<Response>;

/**
 * authorizedFetch returns a fetch that sends the access token only to the named origins. After a 401 it refreshes and repeats the
 * request, once. A request that has its own Authorization, or goes elsewhere, is passed on unchanged.
 */
export function authorizedFetch(source: Source, origins: ReadonlySet<string>, send: Fetch, prover?: Prover): Fetch {
  const attempt = async (request: Request, with_: Credentials): Promise<Response> => {
    const spare = prover && request.clone();
    await authorize(request, with_, prover);
    const answer = await send(request);
    prover?.note(answer, request.url);
    if (!spare || !(await prover.wants(answer))) return answer;
    void answer.body?.cancel();
    await authorize(spare, with_, prover);
    const second = await send(spare);
    prover.note(second, spare.url);
    return second;
  };
  return async (input, init) => {
    const request = new Request(input, init);
    if (!origins.has(new URL(request.url).origin) || request.headers.has("Authorization")) return send(request);
    const owner = source.current();
    // A page that is being left cannot wait for the store: a keepalive request is sent at once, and again after a 401 if
    // there is time.
    const first = (request.keepalive && source.known?.()) || (await unlessAborted(request, source.credentials()));
    if (!first) return send(request);
    if (owner !== null && first.id !== owner) {
      throw new LatchkeyError("session_changed", "another user has signed in since the request was made");
    }
    const again = request.clone();
    const answer = await attempt(request, first);
    // A 401 from another origin, to which the request was redirected, says nothing about a token that it never got (Fetch, HTTP-redirect
    // fetch).
    if (answer.status === 401 && !(answer.redirected && new URL(answer.url).origin !== new URL(request.url).origin)) {
      const next = await unlessAborted(request, source.credentials(first.accessToken));
      // Another user's token must not be sent with this user's request.
      if (next?.id === first.id) {
        void answer.body?.cancel();
        return attempt(again, next);
      }
    }
    void again.body?.cancel();
    return answer;
  };
}

/** unlessAborted stops waiting when a request is given up. The awaited work continues: others may wait for it, too. */
function unlessAborted<T>({ signal }: Request, waited: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = () => reject(signal.reason);
    if (signal.aborted) stop();
    signal.addEventListener("abort", stop);
    waited.then(resolve, reject);
  });
}

/**
 * originsOf returns the origins of addresses. It throws for an address without its own origin, such as
 * `capacitor://localhost`, which would equal every other one.
 */
export function originsOf(addresses: Iterable<string>): Set<string> {
  return new Set(Array.from(addresses, (address) => {
    const { origin } = new URL(address);
    if (origin === "null") throw new TypeError(`${address} has no origin`);
    return origin;
  }));
}

/** authorize adds an access token to a request. */
export async function authorize(request: Request, { tokenType, accessToken }: Credentials, prover?: Prover): Promise<void> {
  request.headers.set("Authorization", `${tokenType} ${accessToken}`);
  if (prover) request.headers.set("DPoP", await prover.proof(request.method, request.url, accessToken));
}
