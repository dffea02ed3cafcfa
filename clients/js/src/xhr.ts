import { originsOf, type Credentials, type Source } from "./fetch.js";

/**
 * authorizedXHR returns a class to use in place of `XMLHttpRequest`, for libraries and code that need it (progress of uploads). It
 * sends the access token to the named origins, and repeats a request once that was answered with 401: listeners see only the second
 * answer. A request that has its own Authorization, goes elsewhere or is synchronous is passed on unchanged. A client with
 * `dpop` needs `Client.fetch`.
 */
export function authorizedXHR(source: Source, origins: Iterable<string>, XHR: typeof XMLHttpRequest = XMLHttpRequest): typeof XMLHttpRequest {
  const allowed = originsOf(origins);
  return class extends XHR {
    #opened: [string, string | URL] | undefined;
    #headers: [string, string][] = [];
    #body: Document | XMLHttpRequestBodyInit | null | undefined;
    /** The credentials that the request was sent with, as long as it may be sent again. */
    #used: Credentials | undefined;
    /** Changes when the request is given up or reopened, so that pending work for it ends. */
    #turn = 0;

    constructor() {
      super();
      // These listeners come first, so they can hide a first 401 from all others.
      for (const type of ["readystatechange", "progress", "load", "loadend"]) {
        super.addEventListener(type, (event) => {
          if (!this.#used || super.readyState < 2 || super.status !== 401) return;
          event.stopImmediatePropagation();
          if (type === "loadend") void this.#again(this.#used);
        });
      }
    }

    override open(method: string, url: string | URL, async = true, user?: string | null, password?: string | null): void {
      this.#turn++;
      this.#used = undefined;
      this.#headers = [];
      this.#opened = async && allowed.has(new URL(url, location.href).origin) ? [method, url] : undefined;
      super.open(method, url, async, user, password);
    }

    override setRequestHeader(name: string, value: string): void {
      super.setRequestHeader(name, value);
      if (name.toLowerCase() === "authorization") this.#opened = undefined;
      this.#headers.push([name, value]);
    }

    override send(body?: Document | XMLHttpRequestBodyInit | null): void {
      if (!this.#opened) return super.send(body);
      this.#body = body;
      void this.#first(this.#turn);
    }

    override abort(): void {
      this.#turn++;
      this.#used = undefined;
      super.abort();
    }

    async #first(turn: number): Promise<void> {
      const owner = source.current();
      const credentials = await source.credentials().catch(() => undefined);
      if (turn !== this.#turn) return;
      // Without an answer, or with another user's token, nothing is sent: it is an error like a network error.
      if (credentials === undefined || (credentials && owner !== null && credentials.id !== owner)) return this.#fail();
      if (credentials) this.#authorize(credentials);
      this.#used = credentials ?? undefined;
      super.send(this.#body);
    }

    async #again(used: Credentials): Promise<void> {
      const turn = this.#turn;
      this.#used = undefined;
      const next = await source.credentials(used.accessToken).catch(() => null);
      if (turn !== this.#turn) return;
      if (next?.id !== used.id) return this.#tell("readystatechange", "load", "loadend"); // the 401 it is
      super.open(...this.#opened!);
      for (const [name, value] of this.#headers) super.setRequestHeader(name, value);
      this.#authorize(next);
      super.send(this.#body);
    }

    #authorize({ tokenType, accessToken }: Credentials): void {
      super.setRequestHeader("Authorization", `${tokenType} ${accessToken}`);
    }

    #fail(): void {
      super.abort(); // which says nothing, as nothing was sent
      this.#tell("error", "loadend");
    }

    #tell(...types: string[]): void {
      for (const type of types) this.dispatchEvent(type === "readystatechange" ? new Event(type) : new ProgressEvent(type));
    }
  };
}
