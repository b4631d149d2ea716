// Compares the tables of a project with those of the previous run, stores them, and reports what changed.

import databases from "atlashub:plugin/databases@0.1.0";
import http from "atlashub:plugin/http@0.1.0";
import log from "atlashub:plugin/log@0.1.0";
import objects from "atlashub:plugin/objects@0.1.0";

const SNAPSHOT = "schema-watch/tables.json";

// These convert text to UTF-8 and back, because QuickJS has no `TextEncoder`.
const toBytes = (text) => Uint8Array.from(unescape(encodeURIComponent(text)), (char) => char.charCodeAt(0));
const toText = (bytes) => decodeURIComponent(escape(bytes.map((byte) => String.fromCharCode(byte)).join("")));

/** Returns an error of the interface `types`. `details` is an object for the run history. */
function failure(code, message, details = null) {
  return { code, message, details: details && JSON.stringify(details) };
}

/** Reads the snapshot of the previous run, or returns null if there is none. */
async function readSnapshot(store, key) {
  let opened;
  try {
    opened = objects.get(store, key);
  } catch (error) {
    if (error.payload?.code === "not-found") return null;
    throw error;
  }
  const [, body, outcome] = opened;
  const bytes = [];
  for await (const chunk of body) bytes.push(...chunk);
  // A stream can't report that it was cut short; its outcome does.
  const ended = await outcome.read();
  if (ended.tag === "err") throw ended.val;
  return JSON.parse(toText(bytes));
}

/** Returns the columns of each table: `{ "public.items": { "id": "bigint", "name": "text, nullable" } }`. */
function describe(tables) {
  const described = {};
  for (const table of tables) {
    const columns = table.columns.map(({ name, dataType, nullable }) => [
      name,
      nullable ? `${dataType}, nullable` : dataType,
    ]);
    described[`${table.schema}.${table.name}`] = Object.fromEntries(columns);
  }
  return described;
}

/** Returns one sentence for each difference. */
function compare(before, now) {
  const changes = [];
  for (const table of Object.keys({ ...before, ...now }).sort()) {
    if (!before[table]) changes.push(`${table} was created`);
    else if (!now[table]) changes.push(`${table} was dropped`);
    else {
      const [old, columns] = [before[table], now[table]];
      for (const column of Object.keys({ ...old, ...columns }).sort()) {
        if (!(column in old)) changes.push(`${table}.${column} was added (${columns[column]})`);
        else if (!(column in columns)) changes.push(`${table}.${column} was dropped`);
        else if (old[column] !== columns[column]) {
          changes.push(`${table}.${column} is now ${columns[column]} and was ${old[column]}`);
        }
      }
    }
  }
  return changes;
}

/** Posts the text as JSON. */
function post(url, text) {
  const response = http.send({
    method: "POST",
    url,
    headers: [["content-type", { tag: "text", val: "application/json" }]],
    body: { tag: "text", val: JSON.stringify({ text }) },
    timeoutMs: 30000,
    maxRedirects: 0,
  });
  if (response.status >= 300) {
    const code = response.status >= 500 ? "unavailable" : "invalid";
    throw failure(code, `${url} returned status ${response.status}`, { httpStatus: response.status });
  }
}

async function watch(params) {
  const { project, bucket, webhook } = params;
  const [store, key] = [`project:${project}`, `${bucket}/${SNAPSHOT}`];
  const now = describe(databases.tables(store));
  const before = await readSnapshot(store, key);
  const changes = before ? compare(before, now) : [];
  for (const change of changes) log.write("info", change, "");
  if (changes.length > 0 && webhook) post(webhook, `Schema of ${store}:\n${changes.join("\n")}`);
  // The snapshot is stored last, so that a run that failed before this point reports the same changes when it is
  // retried.
  objects.putBytes(store, key, "application/json", toBytes(JSON.stringify(now, null, 2)));
  return { tables: Object.keys(now).length, isFirst: !before, changes };
}

export const job = {
  async run(context, params) {
    if (context.job !== "watch") throw failure("invalid", `unknown job ${context.job}`);
    try {
      return JSON.stringify(await watch(JSON.parse(params)));
    } catch (error) {
      // A JavaScript exception would stop the run, and its message would be lost.
      throw error instanceof Error && !error.payload ? failure("failed", String(error)) : error;
    }
  },
};
