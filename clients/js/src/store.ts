import { transact } from "./database.js";
import { random, type Session } from "./session.js";

/**
 * Where a login is kept. All tabs and processes that use one login have to use one store: two copies that are refreshed apart look
 * like a thief and the victim.
 *
 * Both functions may be asynchronous (React Native, Capacitor, Electron). `write(null)` forgets the login.
 */
export interface Store {
  read(): Session | null | Promise<Session | null>;
  write(session: Session | null): void | Promise<void>;
  /** Optional: calls back when another tab has written, and returns how to stop that. */
  watch?(changed: () => void): () => void;
}

/** memoryStore keeps the login for as long as the page lives. A tab that is duplicated starts without one. */
export function memoryStore(): Store {
  let kept: Session | null = null;
  return { read: () => kept, write: (session) => void (kept = session) };
}

/**
 * databaseStore keeps the login in IndexedDB: all tabs share it, a write is seen by every tab at once, and it outlives the browser.
 * A script that is injected into the page can read it.
 */
export function databaseStore(name = "latchkey"): Store {
  return {
    read: async () => (await transact<Session | undefined>(name, "readonly", (values) => values.get("session"))) ?? null,
    write: async (session) => {
      await transact<unknown>(name, "readwrite", (values) => (session ? values.put(session, "session") : values.delete("session")));
    },
  };
}

/**
 * localStore keeps the login in `localStorage`, which is like `databaseStore`, but lets another tab see a write a moment later:
 * two tabs may refresh at the same time, which gives both the same pair.
 */
export function localStore(name = "latchkey"): Store {
  return {
    ...stored(() => localStorage, name),
    watch(changed) {
      const listen = ({ key }: StorageEvent) => (key === name || key === null) && changed();
      addEventListener("storage", listen);
      return () => removeEventListener("storage", listen);
    },
  };
}

/**
 * tabStore keeps the login in `sessionStorage`: it outlives a reload, and other tabs have their own. A browser copies
 * `sessionStorage` when a tab is duplicated; the copies then follow each other, so that they stay one client of one session.
 */
export function tabStore(name = "latchkey"): Store {
  const own = stored(() => sessionStorage, name);
  const tab: string = (sessionStorage[`${name}.tab`] ??= random());
  const twins = new BroadcastChannel(`${name}.tab.${tab}`);
  let answered = () => {};
  twins.onmessage = ({ data }: MessageEvent<Message>) => {
    const mine = own.read();
    if (data === "ask") {
      if (mine) twins.postMessage({ answer: mine } satisfies Message);
    } else if ("written" in data) {
      own.write(data.written);
    } else {
      if (data.answer.id === mine?.id && data.answer.receivedAt > mine.receivedAt) own.write(data.answer);
      answered();
    }
  };
  // A copy may have been made, or restored, a while ago: it asks before its first use.
  const asking = own.read() && new Promise<void>((resolve) => {
    answered = resolve;
    setTimeout(resolve, 100);
    twins.postMessage("ask" satisfies Message);
  });
  return {
    async read() {
      await asking;
      return own.read();
    },
    write(session) {
      own.write(session);
      twins.postMessage({ written: session } satisfies Message);
    },
  };
}

type Message = "ask" | { answer: Session } | { written: Session | null };

interface SyncStore extends Store {
  read(): Session | null;
  write(session: Session | null): void;
}

function stored(storage: () => Storage, name: string): SyncStore {
  return {
    read() {
      try {
        const kept = JSON.parse(storage().getItem(name) ?? "null") as Session | null;
        return typeof kept?.accessToken === "string" ? kept : null;
      } catch {
        return null; // somebody else's value
      }
    },
    write(session) {
      if (session) storage().setItem(name, JSON.stringify(session));
      else storage().removeItem(name);
    },
  };
}
