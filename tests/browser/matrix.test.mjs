// The matrix: every scenario in Chromium, Firefox, and Firefox with uBlock Origin. USHER_PROOF=full runs all of it; else
// Firefox, which takes the same ways as Firefox with uBlock Origin, is left out, and that one has a part.
import assert from "node:assert/strict";
import { test } from "node:test";
import { check } from "./matrix/expect.mjs";
import { makes, open } from "./matrix/makes.mjs";
import { control } from "./matrix/control.mjs";
import { scenarios } from "./matrix/scenarios.mjs";
import { startWorld } from "./matrix/world.mjs";

const isFull = process.env.USHER_PROOF === "full";
const only = process.env.USHER_SCENARIO;
const wanted = (make) =>
  scenarios.filter(({ name, without, part }) => !without?.includes(make) && (isFull || make === "chromium" || part) && (!only || name.includes(only)));

for (const make of (process.env.USHER_BROWSERS ?? (isFull ? Object.keys(makes).join() : "chromium,ublock")).split(",")) {
  test(`the matrix in ${make}`, { timeout: 1_200_000 }, async (t) => {
    const world = await startWorld(t);
    const browsers = {};
    const browser = async (options = {}) => (browsers[JSON.stringify(options)] ??= await open(t, make, world.front, options));
    await t.test(`${make}: what lists name is blocked, and the tag is not`, async () =>
      control(make, await world.shopper(await browser())));
    for (const scenario of wanted(make)) {
      await t.test(`${make}: ${scenario.name}`, { timeout: 60_000 }, async (t) =>
        play(t, scenario, { ...(await world.shopper(await browser(scenario.browser))), make }));
    }
  });
}

test("the matrix has forty scenarios", () => assert.ok(scenarios.length >= 40, `${scenarios.length}`));

async function play(t, scenario, shopper) {
  const { site, affiliate, go, known } = shopper;
  if (scenario.html) site.html = scenario.html(shopper);
  Object.assign(site.headers, scenario.headers);
  try {
    if (scenario.walk) {
      await scenario.walk({ ...shopper, t });
    } else {
      await go(scenario.path?.(affiliate));
      if (!scenario.unknown) await known();
    }
    const { expect } = scenario;
    await check(shopper, typeof expect === "function" ? expect(shopper) : expect);
    await scenario.more?.(shopper);
  } finally {
    shopper.edge.signal("SIGCONT");
    shopper.front.setEdge(shopper.address);
    shopper.front.cut(false);
    await shopper.context.close();
  }
}
