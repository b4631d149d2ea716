// Measures with Chromium's own trace how long the page's main thread computes. Only computing counts, not waiting for a
// processor, so that other programs on the machine don't matter.

const CATEGORIES = "toplevel,devtools.timeline,disabled-by-default-devtools.timeline";

// Returns the events of the page's main thread while a function runs.
async function record(page, act) {
  const session = await page.context().newCDPSession(page);
  const events = [];
  session.on("Tracing.dataCollected", ({ value }) => events.push(...value));
  const ended = new Promise((resolve) => session.once("Tracing.tracingComplete", resolve));
  await session.send("Tracing.start", { transferMode: "ReportEvents", categories: CATEGORIES });
  await act();
  await session.send("Tracing.end");
  await ended;
  await session.detach();
  const threads = new Map();
  for (const event of events) {
    const thread = `${event.pid} ${event.tid}`;
    if (!threads.has(thread)) threads.set(thread, []);
    threads.get(thread).push(event);
  }
  const mains = [...threads.values()].filter((events) =>
    events.some(({ name, args }) => name === "thread_name" && args.name === "CrRendererMain"),
  );
  // Other pages of the same browser are idle, so their threads have fewer events.
  return mains.sort((a, b) => b.length - a.length)[0];
}

const computing = (events) =>
  events
    .filter(({ name, ph }) => ph === "X" && name.endsWith("RunTask"))
    .map(({ ts, tdur = 0 }) => ({ at: ts, ms: tdur / 1000 }));

// Returns the milliseconds that the longest task computes while a function runs.
export async function longestTask(page, act) {
  return Math.max(0, ...computing(await record(page, act)).map(({ ms }) => ms));
}

// Returns the milliseconds that the main thread computes between each key and the next one, shortest first.
export async function timesOfKeys(page, act) {
  const events = await record(page, act);
  const keys = events
    .filter(({ name, args }) => name === "EventDispatch" && args?.data?.type === "keydown")
    .map(({ ts }) => ts)
    .sort((a, b) => a - b);
  // Chromium records a task under several names that end in `RunTask`. The sum must contain it once.
  const tasks = computing(events.filter(({ name }) => name === "RunTask"));
  const until = (index) => keys[index + 1] ?? Infinity;
  const times = keys.map((key, index) =>
    tasks.filter(({ at }) => at >= key - 1000 && at < until(index) - 1000).reduce((sum, { ms }) => sum + ms, 0),
  );
  return times.sort((a, b) => a - b);
}

// Scrolls an element for three seconds, by a number of pixels per frame. Returns the number of frames.
export function scroll(page, step, selector = ".data-grid") {
  return page.evaluate(async ([step, selector]) => {
    const pane = document.querySelector(selector);
    const end = performance.now() + 3000;
    let frames = 0;
    for (let by = step; performance.now() < end; frames += 1) {
      pane.scrollTop += by;
      if (pane.scrollTop + pane.clientHeight >= pane.scrollHeight || pane.scrollTop === 0) by = -by;
      await new Promise(requestAnimationFrame);
    }
    return frames;
  }, [step, selector]);
}
