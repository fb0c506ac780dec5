// The examples of docs/examples, as they lie there: before their own configuration, with addresses from the kernel.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { visitor } from "./browser.mjs";
import { eventually, start, startEdge, startStandin, usher } from "./processes.mjs";

const timeout = 60_000;
const lies = (name) => fileURLToPath(new URL(`../../docs/examples/${name}`, import.meta.url));
const text = (name) => readFileSync(lies(name), "utf8");

/** The examples' configuration, with these addresses. */
function configuration(platform, origin) {
  const replaced = [
    ["127.0.0.1:8080", "127.0.0.1:0"],
    ["127.0.0.1:9090", "127.0.0.1:0"],
    ["http://127.0.0.1:4010/v1", `${platform}/v1`],
    ["http://127.0.0.1:3000", origin],
    ["../../target/examples.db", "usher.db"],
    ["[upstream]", "[upstream]\nclick_budget_ms = 5000 # the machine may be busy"],
  ];
  return replaced.reduce((toml, [held, now]) => {
    assert.ok(toml.includes(held), `usher.toml holds ${held}`);
    return toml.replaceAll(held, now);
  }, text("usher.toml"));
}

/** An example as its README runs it, and a shopper. */
async function setUp(t, folder) {
  const platform = await startStandin(t);
  const served = await start(t, process.execPath, [lies("serve.mjs"), lies(folder), "0"], [/http:\/\/\S+/]);
  const edge = await startEdge(t, configuration(platform.address, served.matches[0][0]));
  const clicks = async () => (await platform.received()).clicks.map(({ id, trackingId }) => [trackingId, id]);
  return { port: new URL(edge).port, platform, clicks, ...(await visitor(t)) };
}

/** Opens a page and waits until it knows its click, and has nothing more to ask. */
async function arrive(page, address) {
  await page.goto(address);
  await page.waitForFunction(() => window.affonso_referral);
  await page.waitForLoadState("networkidle");
  return page.evaluate(() => window.affonso_referral);
}

const payment = (id) => `https://buy.stripe.com/your-link?client_reference_id=${id}`;
const cookies = async (context) => (await context.cookies()).map(({ name, value }) => [name, value]);
const referral = async (context) => new Map(await cookies(context)).get("affonso_referral");

test("their tags are what usher snippet prints", () => {
  const printed = (site) => {
    const ran = spawnSync(usher, ["snippet", "--config", lies("usher.toml"), "--site", site], { encoding: "utf8" });
    assert.equal(ran.status, 0, ran.stderr);
    return ran.stdout;
  };
  const part = (site, pattern) => pattern.exec(printed(site))[0];
  const squeezed = (markup) => markup.replace(/\s+/g, " ");
  for (const page of ["plain/index.html", "plain/order.html"])
    assert.ok(text(page).includes(part("shop", /<script async.*<\/script>/)), page);
  const inReact = squeezed(part("shop", /<Script[^]*?\/>/));
  assert.ok(squeezed(text("nextjs/app/layout.tsx")).includes(inReact), inReact);
  const custom = part("asks", /<script>[^]*<\/script>/);
  assert.ok(text("tag-manager/custom-html.html").includes(custom), custom);
});

test("plain HTML: one click, its cookie, the payment link, the next page", { timeout }, async (t) => {
  const { port, platform, clicks, context, page, complaints } = await setUp(t, "plain");
  const id = await arrive(page, `http://localhost:${port}/?via=alice`);
  assert.deepEqual(await clicks(), [["alice", id]]);
  assert.equal(await referral(context), id);
  assert.equal(await page.locator("#referral").textContent(), id);
  assert.equal(await page.locator("#buy").getAttribute("href"), payment(id));
  await page.locator("#join input").fill("ada@mail.example");
  await page.locator("#join button").click();
  await page.locator("#join output:not(:empty)").waitFor();
  assert.equal(await page.locator("#join output").textContent(), "reported");
  assert.equal((await platform.received()).signups.length, 1);

  await page.locator("#more").click();
  await page.locator("#order input").fill("NOBODYS");
  await page.locator("#apply").click();
  await page.locator("#order output:not(:empty)").waitFor();
  assert.equal(await page.locator("#order output").textContent(), "unknown");
  await page.locator("#order p button").click();
  assert.equal(JSON.parse(await page.locator("#sent").textContent()).referral_id, id);
  assert.deepEqual([await clicks(), complaints], [[["alice", id]], []]);
});

test("a tag manager: nothing is stored before consent, then the same click is", { timeout }, async (t) => {
  const { port, clicks, context, page, complaints } = await setUp(t, "tag-manager");
  const shop = `http://127.0.0.1:${port}`;
  const id = await arrive(page, `${shop}/?via=alice`);
  const stored = async () => [await cookies(context), await page.evaluate(() => Object.keys(localStorage))];
  assert.deepEqual(await stored(), [[], []]);
  assert.equal(await page.locator("#buy").getAttribute("href"), payment(id));
  await page.waitForURL(/affonso_id=/);
  await page.locator("#more").click();
  await page.waitForURL(/page=2/);
  await page.waitForFunction((id) => window.affonso_referral === id, id);
  assert.deepEqual(await stored(), [[], []]);

  await page.locator("#agree").click();
  await eventually("the cookie", async () => (await referral(context)) === id);
  assert.equal(await arrive(page, `${shop}/`), id);
  assert.deepEqual(await clicks(), [["alice", id]]);

  await page.locator("#withdraw").click();
  await eventually("no cookies", async () => (await cookies(context)).length === 0);
  assert.deepEqual([await clicks(), complaints], [[["alice", id]], []]);
});
