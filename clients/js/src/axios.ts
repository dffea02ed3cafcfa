import type { Credentials, Source } from "./fetch.js";

interface Config {
  url?: string | undefined;
  baseURL?: string | undefined;
  headers: { set(name: string, value: string): unknown; has(name: string): boolean };
  [ours]?: Credentials;
}

interface Axios {
  interceptors: {
    request: { use(before: (config: any) => Promise<any>): unknown };
    response: { use(after: undefined, failed: (error: any) => Promise<any>): unknown };
  };
  request(config: any): Promise<any>;
}

const ours = Symbol("latchkey");

/**
 * authorizeAxios has an axios instance send the access token to the named origins, and send a request again, once, that was answered
 * with 401. A client with `dpop` needs `Client.fetch`: pass it to axios as `env.fetch` with `adapter: "fetch"`.
 */
export function authorizeAxios(axios: Axios, source: Source, origins: Iterable<string>): void {
  const allowed = new Set([...origins].map((origin) => new URL(origin).origin));
  const authorize = (config: Config, credentials: Credentials): Config => {
    config.headers.set("Authorization", `${credentials.tokenType} ${credentials.accessToken}`);
    config[ours] = credentials;
    return config;
  };
  axios.interceptors.request.use(async (config: Config) => {
    if (config[ours] || config.headers.has("Authorization") || !allowed.has(originOf(config))) return config;
    const credentials = await source.credentials();
    return credentials ? authorize(config, credentials) : config;
  });
  axios.interceptors.response.use(undefined, async (error: { config?: Config & { [again]?: true }; response?: { status: number } }) => {
    const { config, response } = error;
    const used = config?.[ours];
    if (!config || !used || config[again] || response?.status !== 401) throw error;
    const next = await source.credentials(used.accessToken);
    if (next?.id !== used.id) throw error;
    config[again] = true;
    return axios.request(authorize(config, next));
  });
}

const again = Symbol("again");

function originOf({ url = "", baseURL }: Config): string {
  const here = typeof location === "object" ? location.href : undefined;
  return URL.canParse(url, baseURL ?? here) ? new URL(url, baseURL ?? here).origin : "";
}
