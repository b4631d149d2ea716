// Measures pages with a lot of data in a running release: `node --test benches/large.test.mjs`. It prints each figure
// beside its goal and fails only if it can't measure.
//
// ATLASHUB_BENCH_DATABASE is the URL of the platform's database. Finished runs are inserted there directly.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { admin, button, createProject, eventually, openPage, shown, url } from "../tests/support.mjs";
import { longestTask, scroll } from "./trace.mjs";

const database = process.env.ATLASHUB_BENCH_DATABASE;
const report = (name, value) => console.log(`${name.padEnd(46)} ${value}`);
const sql = (text) =>
  execFileSync("psql", ["-qAt", "-v", "ON_ERROR_STOP=1", database, "-c", text], { encoding: "utf8" });

// A version 7 UUID with the time of the column `at`, because the list of runs is sorted by id.
const UUIDV7 = `encode(overlay(overlay(uuid_send(gen_random_uuid()) placing
  substring(int8send((extract(epoch from at) * 1000)::bigint) from 3) from 1 for 6)
  placing '\\x70'::bytea from 7 for 1), 'hex')::uuid`;

// Reports how long `act` takes, and the longest task of the page during it.
async function reportStep(name, page, act) {
  let elapsed;
  const longest = await longestTask(page, async () => {
    const begin = performance.now();
    await act();
    elapsed = performance.now() - begin;
  });
  report(name, `${Math.round(elapsed)} ms, longest task ${longest.toFixed(1)} ms (goal 50)`);
}

test("100 000 runs", async (t) => {
  const { id } = await createProject("many runs");
  const job = await admin("POST", "/jobs", {
    type: "http",
    scheduleCron: "0 3 1 1 *",
    name: "Many",
    projectId: id,
    httpUrl: "http://localhost:9999/",
  });
  sql(`insert into cron_job_runs (id, job_id, project_id, trigger, status, started_at, finished_at, duration_ms,
      created_at, error_text)
    select ${UUIDV7}, '${job.id}', '${id}', 'manual', case when i % 10 = 0 then 'fail' else 'success' end, at,
      at + interval '1 second', 1000, at, case when i % 10 = 0 then 'The server returned 500' end
    from (select i, now() - i * interval '0.8 seconds' as at from generate_series(1, 100000) as i) as times;
    analyze cron_job_runs`);
  const page = await openPage(t);
  const runs = page.getByRole("table", { name: "Runs" });
  await page.goto(`${url}/runs`);
  await shown(runs);
  await reportStep("runs: 200 on a page", page, async () => {
    await page.goto(`${url}/runs?limit=200`);
    await eventually(async () => (await runs.getByRole("row").count()) > 200);
  });
  await reportStep("runs: next page", page, async () => {
    await button(page, "Next page").click();
    await eventually(() => new URL(page.url()).searchParams.get("after"));
    await shown(runs);
  });
  await reportStep("runs: only failed", page, async () => {
    await page.goto(`${url}/runs?limit=200&status=fail`);
    await eventually(async () => (await runs.getByRole("row").count()) > 200);
  });
  await reportStep("runs: scroll", page, () => scroll(page, 100, "main"));
});

test("a log of 4 MiB", async (t) => {
  const { id } = await createProject("long log");
  const job = await admin("POST", "/jobs", {
    type: "http",
    scheduleCron: "0 3 1 1 *",
    name: "Log",
    projectId: id,
    httpUrl: "http://localhost:9999/",
  });
  const { runId } = await admin("POST", `/jobs/${job.id}/run`, {});
  await eventually(async () => (await admin("GET", `/runs/${runId}`)).finishedAt, "the end of the run");
  const line = (index) => ({
    at: "2026-02-03T14:31:02.114Z",
    level: "info",
    message: `Copied file ${index} of 32000`,
    fields: { bytes: index * 117, key: `folder/${index}.txt` },
  });
  const items = Array.from({ length: 32_000 }, (_, index) => line(index));
  assert.ok(JSON.stringify(items).length > 4 << 20);
  const page = await openPage(t);
  await page.route(`**/admin/v1/runs/${runId}/log`, (route) => route.fulfill({ json: { items, nextCursor: null } }));
  await page.goto(`${url}/runs/${runId}`);
  await shown(page.getByRole("status").filter({ hasText: /^32.000 lines/ }));
  for (const [way, step] of [["steady", 100], ["in leaps", 1500]]) {
    let frames;
    const longest = await longestTask(page, async () => (frames = await scroll(page, step, "#run-log")));
    report(
      `scroll of a log of 4 MiB, ${way}`,
      `longest task ${longest.toFixed(1)} ms (goal 50), ${frames} frames in 3 s`,
    );
  }
  await reportStep("log: find a text", page, async () => {
    await page.getByRole("searchbox", { name: "Find in log" }).fill("file 31999");
    await page.keyboard.press("Enter");
    await shown(page.getByRole("log").getByText("Copied file 31999 of 32000"));
  });
});

async function withBucket(maxObjectBytes) {
  const { id } = await createProject("large storage");
  await admin("POST", `/projects/${id}/buckets`, { name: "covers", maxObjectBytes });
  return { address: `${url}/projects/${id}/storage/covers`, covers: `/projects/${id}/buckets/covers` };
}

test("50 000 objects", async (t) => {
  const { address, covers } = await withBucket(50_000_000);
  const put = async (index) => {
    const path = `${index % 10 === 0 ? "archive/" : ""}photo-${String(index).padStart(5, "0")}.txt`;
    const signed = await admin("POST", `${covers}/signed-upload`, { path, contentType: "text/plain", size: 5 });
    const response = await fetch(signed.uploadUrl, { method: "PUT", body: "photo", headers: signed.headers });
    assert.ok(response.ok, await response.text());
  };
  const begin = performance.now();
  let next = 0;
  await Promise.all(Array.from({ length: 24 }, async () => {
    while (next < 50_000) await put(next++);
  }));
  report("50 000 objects uploaded", `${Math.round((performance.now() - begin) / 1000)} s`);
  const page = await openPage(t, { origins: ["http://127.0.0.1"] });
  const rows = page.getByRole("table", { name: "Objects in covers" }).getByRole("row");
  await page.goto(address);
  await shown(rows.nth(40));
  await reportStep("objects: 200 on a page", page, async () => {
    await page.goto(`${address}?limit=200`);
    await shown(rows.nth(190));
  });
  await reportStep("objects: next page", page, async () => {
    await button(page, "Next page").click();
    await shown(page.getByText(/^201–400/));
  });
  await reportStep("objects: filter by prefix", page, async () => {
    await page.getByRole("searchbox", { name: "Filter by prefix" }).fill("photo-4999");
    await shown(page.getByText(/of 9$/));
  });
  await page.goto(`${address}?limit=200`);
  await shown(rows.nth(190));
  await reportStep("objects: scroll", page, () => scroll(page, 100, "main"));
});

// Returns the memory of the page's renderer, in MiB. Assumes that it is the largest renderer on this machine.
function rendererMib() {
  const sizes = readdirSync("/proc").filter((name) => /^\d+$/.test(name)).map((pid) => {
    try {
      if (!readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("--type=renderer")) return 0;
      return Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8"))?.[1] ?? 0) / 1024;
    } catch {
      return 0;
    }
  });
  return Math.max(...sizes);
}

test("an upload of 2 GiB", async (t) => {
  const { address, covers } = await withBucket(3 * 2 ** 30);
  const folder = mkdtempSync(join(tmpdir(), "atlashub-bench-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, "large.bin");
  writeFileSync(file, "");
  truncateSync(file, 2 ** 31);
  const page = await openPage(t, { origins: ["http://127.0.0.1"] });
  await page.goto(address);
  await page.locator("#upload-files").waitFor({ state: "attached" });
  const before = rendererMib();
  let peak = before;
  const begin = performance.now();
  await page.locator("#upload-files").setInputFiles(file);
  const bar = page.getByRole("progressbar", { name: "Uploading large.bin" });
  await shown(bar);
  for (let ended = false; !ended; ) {
    peak = Math.max(peak, rendererMib());
    ended = (await admin("GET", `${covers}/objects`)).items.some(({ size }) => size === 2 ** 31);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  const seconds = Math.round((performance.now() - begin) / 1000);
  report("upload of 2 GiB", `${seconds} s, the renderer grows by ${(peak - before).toFixed(1)} MiB (goal 50)`);
});
