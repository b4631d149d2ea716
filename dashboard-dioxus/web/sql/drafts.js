// Stores the texts of the SQL page in IndexedDB, one record per tab: {project, id, revision, …}. The bundler adds this
// file to the script that starts the app.
//
// A window replaces a record only if it has seen the record's latest revision, so two windows never overwrite each
// other's text.

const STORE = "sqlDrafts";
const channel = typeof BroadcastChannel === "undefined" ? undefined : new BroadcastChannel("atlashub-sql-drafts");

let opening;

function database() {
  opening ??= new Promise((resolve, reject) => {
    const request = indexedDB.open("atlashub", 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE, { keyPath: ["project", "id"] });
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  return opening;
}

async function transaction(mode, work) {
  const transaction = (await database()).transaction(STORE, mode);
  const result = work(transaction.objectStore(STORE));
  await new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onerror = () => reject(transaction.error);
    transaction.onabort = () => reject(transaction.error);
  });
  return result();
}

// Returns the project's records as JSON.
export async function readDrafts(project) {
  const range = IDBKeyRange.bound([project, ""], [project, "\uffff"]);
  const records = await transaction("readonly", (store) => {
    const request = store.getAll(range);
    return () => request.result;
  });
  return JSON.stringify(records);
}

// Stores a record if the stored one still has the revision `seen`, or does not exist, and returns an empty text.
// Otherwise returns the stored record as JSON.
export async function writeDraft(json, seen) {
  const record = JSON.parse(json);
  const other = await transaction("readwrite", (store) => {
    let other;
    const request = store.get([record.project, record.id]);
    request.onsuccess = () => {
      const stored = request.result;
      if (stored && stored.revision !== seen) other = stored;
      else store.put(record);
    };
    return () => other;
  });
  if (other) return JSON.stringify(other);
  channel?.postMessage(json);
  return "";
}

// Removes a record.
export async function removeDraft(project, id) {
  await transaction("readwrite", (store) => {
    store.delete([project, id]);
    return () => undefined;
  });
}

// Calls `callback` with the JSON of each record that another window stores.
export function watchDrafts(callback) {
  channel?.addEventListener("message", (event) => callback(event.data));
}
