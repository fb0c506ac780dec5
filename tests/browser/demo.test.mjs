// A real Chromium in the demo's shop: comes through a link or with a code, browses, buys, and is credited once.
import assert from "node:assert/strict";
import { test } from "node:test";
import { visitor } from "./browser.mjs";
import { startDemo, startRedis } from "./processes.mjs";
import { arrive, browse, checkOut, cookieIsRight, creditedOnce } from "./shopper.mjs";

const timeout = 120_000;

/** The whole way through a link; `query` sets the shop's switches. */
async function throughALink(t, demo, query = "") {
  const { context, page, complaints, requests } = await visitor(t);
  const click = await arrive(page, `${demo.shop}/?via=alice${query}`);
  assert.equal(await page.evaluate(() => window.affonso_referral), click);
  await cookieIsRight(context, demo.shop, click);
  await browse(page, demo.shop);
  assert.equal(await page.evaluate(() => window.affonso_referral), click, "the next pages know it as well");
  await creditedOnce(demo.platform, await checkOut(page), click);
  assert.deepEqual(complaints, []);
  return { context, page, complaints, requests };
}

/** The whole way without a link, with a promo code at the checkout. */
async function withACode(t, demo) {
  const { page, complaints } = await visitor(t);
  await browse(page, demo.shop);
  const bought = await checkOut(page, { code: "alice10" });
  assert.equal(bought.paid, "102.55", "ten per cent off 113.95");
  await creditedOnce(demo.platform, bought);
  assert.deepEqual(complaints, []);
}

test("through a link", { timeout }, async (t) => {
  await throughALink(t, await startDemo(t));
});

test("with a promo code alone", { timeout }, async (t) => {
  await withACode(t, await startDemo(t));
});

test("under default-src 'self', where WebAssembly may not run in the page", { timeout }, async (t) => {
  const { page } = await throughALink(t, await startDemo(t), "&csp=strict");
  const policy = (await page.reload()).headers()["content-security-policy"];
  assert.match(policy, /default-src 'self'/, "the policy was there");
  assert.doesNotMatch(policy, /wasm-unsafe-eval|unsafe-eval/);
});

test("under a policy with nonces and strict-dynamic", { timeout }, async (t) => {
  const { page } = await throughALink(t, await startDemo(t), "&csp=nonce");
  assert.match((await page.reload()).headers()["content-security-policy"], /'nonce-.*'strict-dynamic'/);
});

test("with the tag made by a tag manager", { timeout }, async (t) => {
  const { page } = await throughALink(t, await startDemo(t), "&tag=manager");
  const tags = await page.locator("script[data-affonso]").evaluateAll((found) => found.map((tag) => tag.async));
  assert.deepEqual(tags, [true]);
});

for (const [name, query] of [
  ["through a link", ""],
  ["under default-src 'self'", "&csp=strict"],
  ["with a tag manager", "&tag=manager"],
]) {
  test(`on Redis, ${name}`, { timeout }, async (t) => {
    await throughALink(t, await startDemo(t, "--store", await startRedis(t)), query);
  });
}

test("on Redis, with a promo code alone", { timeout }, async (t) => {
  await withACode(t, await startDemo(t, "--store", await startRedis(t)));
});

test("a page without a referral asks nobody and sets nothing", { timeout }, async (t) => {
  const demo = await startDemo(t);
  const { context, page, complaints, requests } = await visitor(t);
  await page.goto(`${demo.shop}/?utm_source=news`);
  await page.locator("#referral-note").waitFor();
  await page.waitForLoadState("networkidle");
  const ours = requests.map((request) => new URL(request.url()).pathname).filter((path) => path.startsWith("/r/"));
  assert.deepEqual(ours, ["/r/pixel.js"], "the script, and nothing else");
  assert.deepEqual(await context.cookies(), []);
  assert.deepEqual((await demo.platform.received()).clicks, []);
  assert.deepEqual(complaints, []);
});

test("the same shopper again is the same click", { timeout }, async (t) => {
  const demo = await startDemo(t);
  const { context, page, complaints } = await visitor(t);
  const click = await arrive(page, `${demo.shop}/?via=alice`);
  assert.equal(await arrive(page, `${demo.shop}/?via=alice&sub1=x`), click);
  assert.equal(await arrive(await context.newPage(), `${demo.shop}/#/landing?ref=alice`), click);
  assert.equal((await demo.platform.received()).clicks.length, 1);
  assert.deepEqual(complaints, []);
});

test("a platform that is down goes unnoticed and is told once", { timeout }, async (t) => {
  const demo = await startDemo(t);
  await demo.platform.behave({ mode: "down" });
  const { context, page, complaints } = await visitor(t);
  const click = await arrive(page, `${demo.shop}/?via=alice`);
  assert.match(click, /^ush_/);
  await cookieIsRight(context, demo.shop, click);
  await browse(page, demo.shop);
  const bought = await checkOut(page);
  assert.deepEqual((await demo.platform.received()).conversions, []);
  await demo.platform.behaveWell();
  await creditedOnce(demo.platform, bought);
  assert.deepEqual(complaints, []);
});
