/** A lock runs one task at a time among all that name it, in this tab and, if the platform supports it, in all tabs of the origin. */
export type Lock = <T>(name: string, task: () => Promise<T>) => Promise<T>;

/**
 * How many milliseconds a refresh waits for another tab's. A suspended tab may hold a lock for hours. Continuing without it is
 * safe: two simultaneous refreshes get the same pair within the service's grace.
 */
const patience = 15_000;

/**
 * platformLock uses the Web Locks API, and an order within this tab if that is missing (an insecure context, a native shell) or
 * forbidden (a sandboxed frame).
 */
export function platformLock(): Lock {
  const locks = (globalThis.navigator as Navigator | undefined)?.locks as LockManager | undefined;
  const ordered = inPage();
  if (!locks) return ordered;
  return async <T>(name: string, task: () => Promise<T>): Promise<T> => {
    let running: Promise<T> | undefined;
    try {
      return await locks.request(name, { signal: AbortSignal.timeout(patience) }, () => (running = task()));
    } catch {
      // The lock may have been stolen, which does not end the task.
      return running ?? ordered(name, task);
    }
  };
}

function inPage(): Lock {
  const last = new Map<string, Promise<unknown>>();
  return <T>(name: string, task: () => Promise<T>): Promise<T> => {
    const mine = (last.get(name) ?? Promise.resolve()).then(task, task);
    last.set(name, mine.catch(() => undefined));
    return mine;
  };
}
