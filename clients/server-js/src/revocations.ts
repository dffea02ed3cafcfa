// The feed of revocations, as docs/edge.md describes it.
import { once } from "node:events";
import http from "node:http";
import https from "node:https";
import { setTimeout as sleep } from "node:timers/promises";

/** An event as the service sends it. */
interface Part {
  cursor: string;
  reset?: true;
  more?: true;
  sessions: { id: string; until: number }[];
  superseded?: { pair: string; below: number; until: number }[];
  eras?: { below: number; before: number; until: number }[];
  complete_ms?: number;
  from: number;
  now?: number;
  shards?: number[];
}

/** All users were signed out, and sessions of an era below have ended. It was kept if the service has forgotten it. */
interface SignOut {
  below: number;
  before: number;
  until: number;
  kept: boolean;
}

/** The result of the last events: until when each revoked session is remembered, below which generation a pair's
/** access tokens were superseded, and when everyone was signed out. */
class Told {
  revoked = new Map<string, number>();
  superseded = new Map<string, { below: number; until: number }>();
  eras: SignOut[] = [];
}

/** The shard of a session, by its id: the 12 bits after the version of a UUIDv8; every other id is of the first shard. */
const shardOf = (session: string) => (session[14] === "8" ? parseInt(session.slice(15, 18), 16) : 0);

/** Which sessions were revoked and access tokens superseded, and until when that is proven to be complete. Each further
/** shard has its own set and its own proof: of a shard that cannot be followed, only the sessions have to be asked about. */
export class Revocations {
  readonly #further = new Map<number, { set: Revocations; end: AbortController }>();
  #told = new Told();
  #loading: Told | null = null;
  #cursor = "";
  #from = 0;
  #parts = 0;
  #proof = { mono: -Infinity, wall: -Infinity };
  /** The time that the service's database reported, and when. */
  #clock: { now: number; mono: number } | null = null;

  /** The time by which tokens expire, in milliseconds since 1970: as reported by the feed, since this machine's clock may be wrong. */
  now(): number {
    return this.#clock ? this.#clock.now + performance.now() - this.#clock.mono : Date.now();
  }

  /** Milliseconds since the last proof, on the clock that shows more; with several shards, since the oldest of their last proofs. */
  age(): number {
    return Math.max(this.#age(), ...[...this.#further.values()].map(({ set }) => set.#age()));
  }

  #age(): number {
    return Math.max(performance.now() - this.#proof.mono, Date.now() - this.#proof.wall);
  }

  /** The state of a token, by its claims; bound is in milliseconds. */
  state(token: { sid: string; jti: string; exp: number; iat: number; era: number }, bound: number): "live" | "revoked" | "unknown" {
    const shard = shardOf(token.sid);
    const set = shard === 0 ? this : this.#further.get(shard)?.set;
    return set ? set.#state(token, bound) : "unknown";
  }

  #state({ sid, jti, exp, iat, era }: { sid: string; jti: string; exp: number; iat: number; era: number }, bound: number): "live" | "revoked" | "unknown" {
    if (this.#told.revoked.has(sid)) return "revoked";
    const [pair = "", generation] = jti.split(".a");
    if (Number(generation) < (this.#told.superseded.get(pair)?.below ?? 0)) return "revoked";
    const ended = this.#told.eras.filter(({ below }) => era < below);
    if (ended.some(({ before }) => iat < before)) return "revoked";
    if (ended.length > 0) return "unknown"; // issued later, as only a clock or a failover can have it
    return exp + 60 < this.#from || this.#age() > bound ? "unknown" : "live";
  }

  /** Follows the feeds of all shards until the signal. */
  async follow(url: string, serviceKey: string, bound: number, signal: AbortSignal): Promise<void> {
    await this.#follow(url, serviceKey, bound, signal, (shards) => {
      for (const [number, { end }] of this.#further) {
        if (!shards.includes(number)) this.#further.delete(number) && end.abort();
      }
      for (const number of shards) {
        if (this.#further.has(number)) continue;
        const shard = { set: new Revocations(), end: new AbortController() };
        this.#further.set(number, shard);
        void shard.set.#follow(`${url}?shard=${number}`, serviceKey, bound, AbortSignal.any([signal, shard.end.signal]), () => {});
      }
    });
  }

  /** Follows one feed, and reconnects whenever it breaks. */
  async #follow(url: string, serviceKey: string, bound: number, signal: AbortSignal, are: (shards: number[]) => void): Promise<void> {
    for (let pause = 50; !signal.aborted; pause = Math.min(2 * pause, 2000)) {
      const before = this.#cursor;
      await this.#stream(url, serviceKey, Math.max(2 * bound, 2000), signal, are).catch(() => {});
      if (this.#cursor !== before) pause = 50;
      await sleep(pause * (0.5 + Math.random()), null, { signal }).catch(() => {});
    }
  }

  async #stream(url: string, serviceKey: string, patience: number, signal: AbortSignal, are: (shards: number[]) => void): Promise<void> {
    const sent = { mono: performance.now(), wall: Date.now() }; // the moment from which the proofs count
    const headers = { Authorization: `Bearer ${serviceKey}`, Accept: "text/event-stream", "Last-Event-ID": this.#cursor };
    const request = (url.startsWith("https:") ? https : http).get(url, { headers, signal, timeout: patience });
    request.on("error", () => {}); // even when it is destroyed below
    request.on("timeout", () => request.destroy()); // a connection that died silently never says anything again
    try {
      const [answer] = (await once(request, "response")) as [http.IncomingMessage];
      if (answer.statusCode !== 200) throw new Error(`status ${answer.statusCode}`);
      let text = "";
      for await (const chunk of answer.setEncoding("utf8")) {
        text += chunk;
        for (let end; (end = text.indexOf("\n")) >= 0; text = text.slice(end + 1)) {
          if (!text.startsWith("data: ")) continue;
          const part = JSON.parse(text.slice(6, end)) as Part;
          this.#take(part, sent);
          are(part.shards ?? []);
        }
        // The wall clock jumped, or a proxy buffers parts: a new request may do better.
        if (this.#age() > patience && performance.now() - sent.mono > patience) return;
      }
    } finally {
      request.destroy();
    }
  }

  #take(part: Part, sent: { mono: number; wall: number }): void {
    if (part.reset) this.#loading = new Told();
    const { revoked, superseded, eras } = this.#loading ?? this.#told;
    for (const { id, until } of part.sessions) revoked.set(id, until);
    for (const { pair, below, until } of part.superseded ?? []) {
      const known = superseded.get(pair);
      superseded.set(pair, { below: Math.max(below, known?.below ?? 0), until: Math.max(until, known?.until ?? 0) });
    }
    for (const era of part.eras ?? []) if (!eras.some(({ below, kept }) => below >= era.below && !kept)) eras.unshift({ ...era, kept: false });
    this.#cursor = part.cursor;
    if (part.complete_ms === undefined) return; // more follows
    if (this.#loading) {
      // A revocation is final, even if the database has lost it.
      for (const [id, until] of this.#told.revoked) if (until >= part.from) this.#loading.revoked.set(id, Math.max(until, this.#loading.revoked.get(id) ?? 0));
      for (const era of this.#told.eras) if (era.until >= part.from && !this.#loading.eras.some(({ below }) => below >= era.below)) this.#loading.eras.push({ ...era, kept: true });
      [this.#told, this.#loading, this.#from] = [this.#loading, null, 0];
    }
    this.#from = Math.max(this.#from, part.from);
    this.#proof = { mono: sent.mono + part.complete_ms, wall: sent.wall + part.complete_ms };
    if (part.now !== undefined) {
      // It was read after the proof, and before it arrived here: take the middle.
      const read = performance.now();
      this.#clock = { now: part.now, mono: (Math.min(this.#proof.mono, read) + read) / 2 };
    }
    if (++this.#parts % 256) return;
    for (const [id, until] of this.#told.revoked) if (until < this.#from) this.#told.revoked.delete(id);
    for (const [pair, { until }] of this.#told.superseded) if (until < this.#from) this.#told.superseded.delete(pair);
    const [last] = this.#told.eras; // never forgotten, unless it was kept
    this.#told.eras = this.#told.eras.filter((era) => (era === last && !era.kept) || (era.kept && era.until >= this.#from));
  }
}
