// What the tag costs a page: its own metrics with the tag and without, in turns, also with an edge that stands still; and how long
// it holds the main thread of a slow machine. USHER_PROOF=full takes more pairs.
import assert from "node:assert/strict";
import { test } from "node:test";
import { quiet } from "./matrix/expect.mjs";
import { open } from "./matrix/makes.mjs";
import { median, spread } from "./matrix/statistics.mjs";
import { startWorld } from "./matrix/world.mjs";

const PAIRS = process.env.USHER_PROOF === "full" ? 40 : 8;
const LANDINGS = process.env.USHER_PROOF === "full" ? 11 : 5;
const SLOWER = 4;
/** What a page may become slower, where the noise does not hide it (reliability: +-5 ms). */
const DIFFERENCE_MS = 5;
const HELD_MS = 5;
const timeout = 600_000;

for (const frozen of [false, true]) {
  const how = frozen ? "the edge stands still" : "the edge answers";
  test(`a page is as quick with the tag as without: ${how}`, { timeout }, async (t) => {
    const world = await startWorld(t);
    const browser = await open(t, "chromium", world.front);
    const ways = ["with the tag", "with an empty script", "without"];
    const measured = Object.fromEntries(ways.map((way) => [way, []]));
    // The first visit of each warms the browser up.
    for (let turn = -1; turn < PAIRS; turn++) {
      for (let place = 0; place < ways.length; place++) {
        const way = ways[(turn + 1 + place) % ways.length];
        const metrics = await view(world, browser, { way, frozen });
        if (turn >= 0) measured[way].push(metrics);
      }
    }
    const later = [];
    for (const [metric, name] of [["loaded", "DOMContentLoaded"], ["painted", "largest contentful paint"]]) {
      const values = (way) => measured[way].map((metrics) => metrics[metric]);
      t.diagnostic(`${name}, ${how}: ${ways.map((way) => `${way} ${ms(median(values(way)))}`).join(", ")}; ${PAIRS} turns`);
      for (const other of ways.slice(1)) {
        const differences = values(ways[0]).map((value, turn) => value - values(other)[turn]);
        const [low, high] = spread(differences);
        t.diagnostic(`  the tag's difference to "${other}": ${ms(median(differences))} (95 %: ${ms(low)} to ${ms(high)})`);
        if (other === "without" && low > 0 && median(differences) > DIFFERENCE_MS) later.push(name);
      }
    }
    assert.deepEqual(later, [], "later with the tag, beyond noise");
  });
}

test("the main thread is held for less than 5 ms on a machine that is four times slower", { timeout }, async (t) => {
  const world = await startWorld(t);
  const browser = await open(t, "chromium", world.front);
  const held = {};
  for (const [how, path, script] of [
    ["a script that only reads document.cookie", () => "/", "document.cookie"],
    ["an ordinary page", () => "/"],
    ["a landing", (affiliate) => `/?via=${affiliate}`],
  ]) {
    // Chromium makes a machine slower by stopping the thread for as many times as long as it has run or waited. On cores that other
    // processes share, that multiplies their work too. So what the processor does without it is what counts.
    const [ordinary, slower] = [await repeated(world, browser, path, script, 1), await repeated(world, browser, path, script, SLOWER)];
    held[how] = SLOWER * median(ordinary.map(({ onCpu }) => onCpu));
    const longest = slower.map(({ longest }) => longest);
    t.diagnostic(
      `${how}: the longest task takes the processor ${ms(median(ordinary.map(({ onCpu }) => onCpu)))}, ${SLOWER}x slower ${ms(held[how])}; ` +
        `by the clock in a throttled browser ${ms(median(longest))} (${ms(Math.min(...longest))} to ${ms(Math.max(...longest))}); medians of ${LANDINGS}`,
    );
  }
  assert.ok(held["an ordinary page"] < HELD_MS && held["a landing"] < HELD_MS, JSON.stringify(held));
});

async function repeated(world, browser, path, script, rate) {
  const rounds = [];
  for (let round = -1; round < LANDINGS; round++) {
    const took = await tasks(world, browser, path, script, rate);
    if (round >= 0) rounds.push(took);
  }
  return rounds;
}

const ms = (value) => `${value.toFixed(1)} ms`;

/** One view of a page by somebody new. */
async function view(world, browser, { way, frozen }) {
  const { page, context, go, known, site, edge } = await world.shopper(browser);
  const picture = `<svg xmlns="http://www.w3.org/2000/svg" width="600" height="400"><rect width="600" height="400" fill="teal"/></svg>`;
  const rows = Array.from({ length: 300 }, (_, row) => `<p>Thing ${row}, and what is to be said of it.</p>`).join("");
  const small = Array.from({ length: 8 }, (_, number) => `<img src="/small-${number}.svg" width="20" height="20">`).join("");
  for (const [path] of small.matchAll(/\/small-\d\.svg/g)) site.files[path] = ["image/svg+xml", picture];
  site.files["/picture.svg"] = ["image/svg+xml", picture];
  site.files["/shop.css"] = ["text/css", "body { font-family: sans-serif }"];
  site.files["/shop.js"] = ["text/javascript", "document.body.dataset.ready = 1"];
  // As many files as ordinary pages have: the tag is one among those that share the connections.
  const whole = site.page;
  site.page = (request) =>
    whole(request).replace("</head>", '<link rel="stylesheet" href="/shop.css"></head>') +
    `<img id="large" src="/picture.svg" width="600" height="400">${small}${rows}<script src="/shop.js"></script>`;
  site.files["/empty.js"] = ["text/javascript", ""];
  site.html = { "with the tag": site.html, "with an empty script": '<script async src="/empty.js"></script>', without: "" }[way];
  try {
    if (frozen) edge.signal("SIGSTOP");
    await page.goto("https://www.shop.test/?via=" + `speed${world.people}`, { waitUntil: "domcontentloaded" });
    if (way === "with the tag" && !frozen) await known();
    return await page.evaluate(async () => {
      await document.querySelector("#large").decode();
      const frame = () => new Promise((drawn) => requestAnimationFrame(drawn));
      for (let count = 0; count < 3; count++) await frame();
      const entries = await new Promise((resolve) =>
        new PerformanceObserver((list) => resolve(list.getEntries())).observe({ type: "largest-contentful-paint", buffered: true }));
      return { painted: entries.at(-1).startTime, loaded: performance.getEntriesByType("navigation")[0].domContentLoadedEventEnd };
    });
  } finally {
    edge.signal("SIGCONT");
    await context.close();
  }
}

/** What a browser calls the running of scripts, in a trace (https://chromium.googlesource.com/chromium/src/+/main/third_party/blink/renderer/core/inspector/inspector_trace_events.h). */
const SCRIPT = ["EvaluateScript", "v8.compile", "FunctionCall", "RunMicrotasks", "TimerFire", "EventDispatch"];

/**
 * Shows somebody new a page that has no script but ours, or this one, in a browser that is slowed down so often. Gives the longest
 * task's share of scripts, and how much of it was on the processor.
 */
async function tasks(world, browser, path, script, rate) {
  const { context, site, affiliate } = await world.shopper(browser);
  site.files["/k3floor.js"] = ["text/javascript", script];
  if (script) site.html = '<script async src="/k3floor.js"></script>';
  const page = await context.newPage(); // without the watch of the others, which is a script too
  const session = await page.createCDPSession();
  try {
    await session.send("Emulation.setCPUThrottlingRate", { rate });
    await page.tracing.start({ categories: ["devtools.timeline", "disabled-by-default-devtools.timeline"] });
    await page.goto(`https://www.shop.test${path(affiliate)}`, { waitUntil: "load" });
    await quiet(site);
    const { traceEvents } = JSON.parse(Buffer.from(await page.tracing.stop()).toString());
    return held(traceEvents);
  } finally {
    await context.close();
  }
}

function held(events) {
  const evaluated = events.find(({ name, args }) => name === "EvaluateScript" && args?.data?.url?.includes("/k3"));
  assert.ok(evaluated, "the tag has run");
  const isHere = ({ pid, tid, ph, dur }) => ph === "X" && pid === evaluated.pid && tid === evaluated.tid && dur > 0;
  const here = events.filter(isHere).sort((a, b) => a.ts - b.ts || b.dur - a.dur);
  const end = ({ ts, dur }) => ts + dur;
  const outermost = here.filter(({ name }) => SCRIPT.includes(name)).reduce((kept, event) =>
    (kept.length && end(kept.at(-1)) >= end(event) ? kept : [...kept, event]), []);
  const within = (task) => outermost.filter((event) => event.ts >= task.ts && end(event) <= end(task));
  const sum = (part, tasks) => tasks.reduce((sum, event) => sum + (event[part] ?? 0), 0) / 1000;
  const shares = here.filter(({ name }) => name === "RunTask").map(within);
  const longest = shares.reduce((one, other) => (sum("dur", other) > sum("dur", one) ? other : one));
  return { longest: sum("dur", longest), onCpu: sum("tdur", longest) };
}
