import { transact } from "./database.js";
import type { Prover } from "./fetch.js";

export interface DPoPOptions {
  /** The name under which the key is kept in IndexedDB. All tabs of the origin use the same one. Default: `latchkey`. */
  name?: string;
}

const algorithm = { name: "ECDSA", namedCurve: "P-256" } as const;

/**
 * dpop proves possession of a key with each request (RFC 9449). The key cannot be extracted: tokens that are read out of the
 * page are worthless elsewhere. It is kept in IndexedDB, or in memory without IndexedDB.
 */
export function dpop({ name = "latchkey" }: DPoPOptions = {}): Prover {
  const nonces = new Map<string, string>();
  let key: Promise<Key> | undefined;
  return {
    async proof(method, url, accessToken) {
      key ??= load(name);
      key.catch(() => (key = undefined)); // a failure is retried with the next proof
      const { privateKey, jwk } = await key;
      const { origin, pathname } = new URL(url);
      const nonce = nonces.get(origin);
      const claims = {
        jti: crypto.randomUUID(),
        htm: method,
        htu: origin + pathname,
        iat: Math.floor(Date.now() / 1000),
        ...(nonce !== undefined && { nonce }),
        ...(accessToken !== undefined && { ath: encode(await crypto.subtle.digest("SHA-256", bytes(accessToken))) }),
      };
      const signed = `${json({ typ: "dpop+jwt", alg: "ES256", jwk })}.${json(claims)}`;
      return `${signed}.${encode(await crypto.subtle.sign({ ...algorithm, hash: "SHA-256" }, privateKey, bytes(signed)))}`;
    },
    note(answer, url) {
      const nonce = answer.headers.get("DPoP-Nonce");
      if (nonce !== null) nonces.set(new URL(answer.url || url).origin, nonce);
    },
    async wants(answer) {
      if (answer.status === 401) return (answer.headers.get("WWW-Authenticate") ?? "").includes("use_dpop_nonce");
      if (answer.status !== 400) return false;
      const body = (await answer.clone().json().catch(() => null)) as { error?: unknown } | null;
      return body?.error === "use_dpop_nonce";
    },
  };
}

interface Key {
  privateKey: CryptoKey;
  jwk: JsonWebKey;
}

async function load(name: string): Promise<Key> {
  const fresh = async (): Promise<CryptoKeyPair> => crypto.subtle.generateKey(algorithm, false, ["sign"]);
  const pair = typeof indexedDB === "undefined" ? await fresh() : await kept(name, await fresh());
  const { kty, crv, x, y } = await crypto.subtle.exportKey("jwk", pair.publicKey);
  return { privateKey: pair.privateKey, jwk: { kty, crv, x, y } as JsonWebKey };
}

/** kept returns the stored key pair, and stores this one if there is none: in one transaction, so that all tabs have the same. */
function kept(name: string, fresh: CryptoKeyPair): Promise<CryptoKeyPair> {
  return transact(`${name}.dpop`, "readwrite", (values) => {
    const pair = { result: fresh };
    const reading: IDBRequest<CryptoKeyPair | undefined> = values.get("key");
    reading.onsuccess = () => {
      if (reading.result) pair.result = reading.result;
      else values.put(fresh, "key");
    };
    return pair;
  });
}

const bytes = (text: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(text);
const json = (value: unknown): string => encode(bytes(JSON.stringify(value)).buffer);

function encode(data: ArrayBuffer): string {
  return btoa(String.fromCharCode(...new Uint8Array(data))).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}
