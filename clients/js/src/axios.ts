import { LatchkeyError } from "./errors.js";
import { originsOf, type Credentials, type Source } from "./fetch.js";

interface Config {
  headers: { set(name: string, value: string): unknown; has(name: string): boolean };
  data?: { pipe?: unknown; getReader?: unknown } | null;
  [ours]?: Credentials;
}

interface Answer {
  status: number;
  config: Config;
}

interface Axios {
  interceptors: {
    request: { use(before: (config: any) => Promise<any>): unknown };
    response: { use(after: (answer: any) => Promise<any>, failed: (error: any) => Promise<any>): unknown };
  };
  request(config: any): Promise<any>;
  getUri(config: any): string;
}

/** Marks requests sent with our credentials. axios copies no symbols, so a repeated request has no mark. */
const ours = Symbol("latchkey");

/**
 * authorizeAxios makes an axios instance send the access token to the named origins, and repeat a request once that was answered with 401, unless its body is a stream, which can be read only once: then its caller gets the
 * 401, and the next request a new token. A client with `dpop` needs `Client.fetch`: pass it to axios as `env.fetch` with `adapter: "fetch"`.
 */
export function authorizeAxios(axios: Axios, source: Source, origins: Iterable<string>): void {
  const allowed = originsOf(origins);
  const authorize = (config: Config, credentials: Credentials): Config => {
    config.headers.set("Authorization", `${credentials.tokenType} ${credentials.accessToken}`);
    config[ours] = credentials;
    return config;
  };
  axios.interceptors.request.use(async (config: Config) => {
    const owner = source.current();
    if (config.headers.has("Authorization") || !allowed.has(originOf(axios.getUri(config)))) return config;
    const credentials = await source.credentials();
    if (!credentials) return config;
    if (owner !== null && credentials.id !== owner) {
      throw new LatchkeyError("session_changed", "another user has signed in since the request was made");
    }
    return authorize(config, credentials);
  });
  /** sendAgain returns the second answer, or undefined if the first one stands. */
  const sendAgain = async ({ status, config }: Answer): Promise<unknown> => {
    const used = config[ours];
    if (status !== 401 || !used) return undefined;
    const next = await source.credentials(used.accessToken);
    const spent = config.data?.pipe ?? config.data?.getReader;
    return next?.id === used.id && !spent ? axios.request(authorize(config, next)) : undefined;
  };
  axios.interceptors.response.use(
    async (answer: Answer) => (await sendAgain(answer)) ?? answer,
    async (error: { response?: Answer }) => {
      const second = error.response && (await sendAgain(error.response));
      if (second) return second;
      throw error;
    },
  );
}

function originOf(url: string): string {
  const here = typeof location === "object" ? location.href : undefined;
  return URL.canParse(url, here) ? new URL(url, here).origin : "";
}
