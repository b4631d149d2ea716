// Measures the dashboard of a running release: `node benches/speed.mjs [<minutes>]`. ATLASHUB_URL is the admin URL of
// the server, and ATLASHUB_ADMIN_TOKEN its admin token; `cargo xtask bench dashboard` sets both.
//
// Prints the sizes of the files that the first page loads, the times until it is painted and until it can be used, the
// time from a click on a link of the sidebar until the other page is shown, and the growth of memory while the overview
// stays open for some minutes.
import { chromium } from "playwright-core";

const url = process.env.ATLASHUB_URL;
const token = process.env.ATLASHUB_ADMIN_TOKEN;
const minutes = Number(process.argv[2] ?? 0);
const ROUNDS = 7;
const PAGES = ["/projects", "/jobs", "/backups", "/plugins", "/notifications", "/audit", "/settings", "/"];

const browser = await chromium.launch({
  executablePath: process.env.ATLASHUB_TEST_CHROMIUM ?? "/usr/bin/chromium",
  args: [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--js-flags=--expose-gc",
  ],
});

const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
const kib = (bytes) => `${(bytes / 1024).toFixed(1)} KiB`;
const report = (name, value) => console.log(`${name.padEnd(46)} ${value}`);

async function signedIn() {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 } });
  const origin = new URL(url).origin;
  await context.request.post(`${url}/admin/v1/session`, { data: { token }, headers: { origin } });
  const page = await context.newPage();
  const session = await context.newCDPSession(page);
  return { context, page, session };
}

// Records the time at which the heading of a page exists and the page is no longer busy.
function watchHeading() {
  const look = () => {
    const main = document.querySelector("main");
    if (document.querySelector("#h1") && main?.getAttribute("aria-busy") !== "true")
      globalThis.completeAt ??= performance.now();
    else requestAnimationFrame(look);
  };
  look();
}

// Creates a project. Without one, the first page would be the form for the first project instead of the overview.
{
  const { context } = await signedIn();
  const headers = { origin: new URL(url).origin };
  const created = await context.request.post(`${url}/admin/v1/projects`, {
    data: { name: `speed ${Date.now()}` },
    headers,
  });
  if (!created.ok()) throw new Error(await created.text());
  await context.close();
}

// The first page, with an empty cache.
const paints = [];
const texts = [];
const complete = [];
let transferred;
for (let round = 0; round < ROUNDS; round += 1) {
  const { context, page, session } = await signedIn();
  const urls = new Map();
  const sizes = new Map();
  await session.send("Network.enable");
  session.on("Network.responseReceived", ({ requestId, response }) =>
    urls.set(requestId, new URL(response.url).pathname),
  );
  session.on("Network.loadingFinished", ({ requestId, encodedDataLength }) =>
    sizes.set(urls.get(requestId), encodedDataLength),
  );
  await page.addInitScript(watchHeading);
  await page.goto(url);
  await page.waitForFunction(() => globalThis.completeAt);
  await page.waitForFunction(() => performance.getEntriesByName("first-contentful-paint").length > 0);
  const paintTime = (name) => page.evaluate((name) => performance.getEntriesByName(name)[0]?.startTime, name);
  paints.push(await paintTime("first-paint"));
  texts.push(await paintTime("first-contentful-paint"));
  complete.push(await page.evaluate(() => globalThis.completeAt));
  await page.waitForLoadState("networkidle").catch(() => {});
  transferred = [...sizes].filter(([path]) => path === "/" || path?.startsWith("/assets/"));
  await context.close();
}
for (const [path, bytes] of transferred) report(`  ${path.replace(/-[0-9a-f]{16}/, "")}`, kib(bytes));
report("first load", kib(transferred.reduce((sum, [, bytes]) => sum + bytes, 0)));
report("first paint (median)", `${Math.round(median(paints))} ms`);
report("complete in the document (median)", `${Math.round(median(complete))} ms`);
report("painted with text, can be used (median)", `${Math.round(median(texts))} ms`);

// Clicks through the links of the sidebar. Returns the times until each page is shown.
async function switchTimes(page) {
  const times = new Map();
  for (const path of PAGES) {
    const time = await page.evaluate((path) => new Promise((resolve) => {
      const link = document.querySelector(`.sidebar a[href="${path}"]`);
      const old = document.querySelector("main");
      const begin = performance.now();
      link.click();
      const look = () => {
        const main = document.querySelector("main");
        if (main !== old && main?.querySelector("#h1") && main.getAttribute("aria-busy") !== "true") {
          resolve(performance.now() - begin);
        } else requestAnimationFrame(look);
      };
      look();
    }), path);
    times.set(path, time);
    await page.waitForLoadState("networkidle").catch(() => {});
  }
  return times;
}

const { context, page, session } = await signedIn();
await page.goto(url);
await page.waitForSelector("#h1");
await switchTimes(page);
// The browser's cache has all files, but the tab has loaded none of them.
await page.goto(url);
await page.waitForSelector("#h1");
for (const [name, times] of [
  ["page switch, first in this tab", await switchTimes(page)],
  ["page switch, again", await switchTimes(page)],
]) {
  const [slowest, longest] = [...times].reduce((a, b) => (b[1] > a[1] ? b : a));
  report(name, `${Math.round(median([...times.values()]))} ms (median), ${Math.round(longest)} ms (${slowest})`);
}

// Keeps a reference to the memory of the first WebAssembly module, so that `memory` can measure it.
function keepModuleMemory() {
  const instantiate = WebAssembly.instantiateStreaming;
  WebAssembly.instantiateStreaming = async (...given) => {
    const result = await instantiate(...given);
    globalThis.moduleMemory ??= result.instance.exports.memory;
    return result;
  };
}

// Returns the bytes of JavaScript's heap after a garbage collection, and of the module's memory, in total.
async function memory() {
  await session.send("HeapProfiler.collectGarbage");
  const { usedSize } = await session.send("Runtime.getHeapUsage");
  return usedSize + (await page.evaluate(() => globalThis.moduleMemory.buffer.byteLength));
}
if (minutes > 0) {
  await page.addInitScript(keepModuleMemory);
  await page.goto(url);
  await page.waitForSelector("#h1");
  await page.waitForTimeout(30_000);
  const begin = await memory();
  await page.waitForTimeout(minutes * 60_000);
  const growth = (await memory()) - begin;
  report(`growth in ${minutes} minutes on the overview`, kib(growth));
  report("growth in an hour, at this rate", `${((growth * 60) / minutes / 1024 / 1024).toFixed(1)} MiB`);
}
await context.close();
await browser.close();
