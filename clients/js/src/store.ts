import { transact } from "./database.js";
import { random, type Session } from "./session.js";
import { openChannel } from "./tabs.js";

/**
 * Where a login is kept. All tabs and processes that use one login must use one store: two copies that are refreshed separately
 * look like a thief and a victim.
 *
 * Both functions may be asynchronous (React Native, Capacitor, Electron). `write(null)` forgets the login.
 */
export interface Store {
  read(): Session | null | Promise<Session | null>;
  write(session: Session | null): void | Promise<void>;
  /** Optional: calls back when another tab has written, and returns a function that stops that. */
  watch?(changed: () => void): () => void;
}

/** memoryStore keeps the login for as long as the page lives. A duplicated tab starts without one. */
export function memoryStore(): Store {
  return inMemory();
}

/**
 * databaseStore keeps the login in IndexedDB: all tabs share it, every tab sees a write at once, and it survives a restart of the
 * browser. A script injected into the page can read it. If the browser forbids IndexedDB, as in a sandboxed frame, it is a
 * `memoryStore`.
 */
export function databaseStore(name = "latchkey"): Store {
  let forbidden: SyncStore | undefined;
  let opened = false;
  const use = async <T>(mode: IDBTransactionMode, step: (values: IDBObjectStore) => { result: T }, instead: (memory: SyncStore) => T): Promise<T> => {
    if (forbidden) return instead(forbidden);
    try {
      const result = await transact(name, mode, step);
      opened = true;
      return result;
    } catch (error) {
      // Later it says nothing about what is stored there.
      if (opened || (error as Error | null)?.name !== "SecurityError") throw error;
      return instead((forbidden ??= inMemory()));
    }
  };
  return {
    read: async () => (await use<Session | null | undefined>("readonly", (values) => values.get("session"), (memory) => memory.read())) ?? null,
    write: (session) => use<unknown>("readwrite", (values) => (session ? values.put(session, "session") : values.delete("session")), (memory) => memory.write(session)) as Promise<void>,
  };
}

/**
 * localStore keeps the login in `localStorage`, which is like `databaseStore`, but other tabs see a write a moment later: two
 * tabs may refresh at the same time, which gives both the same pair. Without `localStorage`, it is a `memoryStore`.
 */
export function localStore(name = "latchkey"): Store {
  let storage: Storage;
  try {
    storage = usable(localStorage);
  } catch {
    return inMemory();
  }
  return {
    ...stored(storage, name),
    watch(changed) {
      const listen = ({ key }: StorageEvent) => (key === name || key === null) && changed();
      globalThis.addEventListener?.("storage", listen); // which a shell with its own localStorage may lack
      return () => globalThis.removeEventListener?.("storage", listen);
    },
  };
}

/**
 * tabStore keeps the login in `sessionStorage`: it survives a reload, and other tabs have their own. A browser copies
 * `sessionStorage` when a tab is duplicated; the copies then follow each other, so that they stay one client of one session.
 * Without `sessionStorage`, it is a `memoryStore`; without BroadcastChannel, copies cannot follow each other.
 */
export function tabStore(name = "latchkey"): Store {
  let storage: Storage;
  let tab: string;
  try {
    storage = usable(sessionStorage);
    tab = storage[`${name}.tab`] ??= random();
  } catch {
    return inMemory();
  }
  const own = stored(storage, name);
  const watching = new Set<() => void>();
  let answered = () => {};
  const twins = openChannel<Message>(`${name}.tab.${tab}`, (message) => {
    const mine = own.read();
    if (message === "ask") {
      if (mine) twins?.postMessage({ answer: mine } satisfies Message);
      return;
    }
    const { written, answer } = message as { written?: Session | null; answer?: Session };
    if (written !== undefined) own.write(written);
    else if (answer?.id === mine?.id && turnOf(answer) > turnOf(mine)) own.write(answer!);
    answered();
    for (const changed of watching) changed();
  });
  const ask = () => own.read() && new Promise<void>((resolve) => {
    answered = resolve;
    setTimeout(resolve, 100);
    twins?.postMessage("ask" satisfies Message);
  });
  // A copy may have been made, restored, or frozen a while ago: it asks before its first use.
  let asking = twins && ask();
  if (twins && typeof document === "object") {
    const back = () => (asking = ask());
    document.addEventListener("resume", back);
    document.addEventListener("visibilitychange", () => document.visibilityState === "hidden" || back());
  }
  return {
    async read() {
      await asking;
      return own.read();
    },
    write(session) {
      own.write(session);
      twins?.postMessage({ written: session } satisfies Message);
    },
    watch(changed) {
      watching.add(changed);
      return () => void watching.delete(changed);
    },
  };
}

type Message = "ask" | { answer: Session } | { written: Session | null };

/** turnOf says which of two copies of a login is newer, whatever the clocks say. */
const turnOf = (session?: Session | null): number => session?.turn ?? 0;

interface SyncStore extends Store {
  read(): Session | null;
  write(session: Session | null): void;
}

function inMemory(): SyncStore {
  let kept: Session | null = null;
  return { read: () => kept, write: (session) => void (kept = session) };
}

/** usable throws for the null that some shells have in place of a storage. */
function usable(storage: Storage): Storage {
  storage.getItem("");
  return storage;
}

function stored(storage: Storage, name: string): SyncStore {
  return {
    read() {
      const text = storage.getItem(name);
      try {
        const kept = JSON.parse(text ?? "null") as Session | null;
        return typeof kept?.accessToken === "string" ? kept : null;
      } catch {
        return null; // not our value
      }
    },
    write(session) {
      if (session) storage.setItem(name, JSON.stringify(session));
      else storage.removeItem(name);
    },
  };
}
