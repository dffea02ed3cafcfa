const table = "kept";
const open = new Map<string, Promise<IDBDatabase>>();

/** transact uses one value of our database in one transaction. Every tab sees what it has written once it resolves. */
export async function transact<T>(name: string, mode: IDBTransactionMode, use: (values: IDBObjectStore) => { result: T }): Promise<T> {
  // A browser may have closed the connection of a background page without notice.
  const transaction = await begin(name, mode).catch(() => begin(name, mode));
  return new Promise((resolve, reject) => {
    const used = use(transaction.objectStore(table));
    transaction.oncomplete = () => resolve(used.result);
    transaction.onabort = () => reject(transaction.error);
  });
}

async function begin(name: string, mode: IDBTransactionMode): Promise<IDBTransaction> {
  let connection = open.get(name);
  if (!connection) open.set(name, (connection = connect(name)));
  try {
    return (await connection).transaction(table, mode);
  } catch (error) {
    if (open.get(name) === connection) open.delete(name);
    throw error;
  }
}

function connect(name: string): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(name, 1);
    request.onupgradeneeded = () => void request.result.createObjectStore(table);
    request.onerror = () => reject(request.error);
    request.onsuccess = () => {
      // The user clears the site's data, or the browser closes it: the next use opens it again.
      request.result.onversionchange = () => (open.delete(name), request.result.close());
      request.result.onclose = () => open.delete(name);
      resolve(request.result);
    };
  });
}
