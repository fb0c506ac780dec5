// Consent: nothing is stored before it, the click comes along whatever way the visitor takes, and withdrawal clears.
import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually } from "./processes.mjs";
import { WWW, setUp, tag } from "./site.mjs";

const timeout = 120_000;
const signed = 'click_signing_key = "key of the shop"\nconsent = "required"';
const stored = ({ page, context }) =>
  Promise.all([context.cookies(), page.evaluate(() => [Object.keys(localStorage), Object.keys(sessionStorage), window.name])]);
const nothing = [[], [[], [], ""]];

test("before consent the click comes along, whatever way the visitor takes", { timeout }, async (t) => {
  const all = await setUp(t, signed);
  const { page, site, port, complaints, platform } = all;
  const ways = `
    <a id="link" href="/next?x=1#y">x</a>
    <form action="/next"><input name="q"><button id="get">x</button></form>
    <form method="post" action="/next"><button id="post">x</button></form>
    <button id="script" onclick="location.href = '/next'">x</button>
    <button id="push" onclick="history.pushState(null, '', '/pushed')">x</button>`;
  const click = await all.arrive({ html: tag("") + ways });
  assert.deepEqual(await stored(all), nothing);
  const told = (await platform.received()).clicks.find(({ id }) => id === click);
  assert.deepEqual([told.ip ?? null, told.body.userAgent ?? null], [null, null]);
  for (const way of ["link", "get", "post", "script"]) {
    await page.goto(`http://${WWW}:${port}/?affonso_id=${click}`);
    await page.waitForFunction((click) => window.affonso_referral === click, click);
    await page.waitForLoadState("networkidle");
    await page.locator(`#${way}`).click();
    await page.waitForURL(/next.*affonso_id=/);
    await page.waitForFunction((click) => window.affonso_referral === click, click);
  }
  await page.locator("#push").click();
  await page.locator("#link").click();
  await page.waitForURL(/next.*affonso_id=/);
  await page.waitForFunction((click) => window.affonso_referral === click, click);
  assert.deepEqual(await stored(all), nothing);

  assert.equal(await page.evaluate(() => affonsoConsentGranted()), true);
  const names = async () => (await all.context.cookies()).map(({ name, httpOnly, value }) => [/^affonso/.test(name) && name, httpOnly, value.split(".")[0]]);
  assert.deepEqual((await names()).sort(), [["affonso_referral", false, click], [false, true, click]].sort());
  await page.goto(`http://${WWW}:${port}/`);
  await page.locator("#link").click();
  await page.waitForURL((url) => url.pathname === "/next");
  assert.equal(new URL(page.url()).search, "?x=1", "a cookie holds it now");

  assert.equal(await page.evaluate(() => affonsoConsentWithdrawn()), true);
  await eventually("no cookies", async () => (await all.context.cookies()).length === 0);
  assert.equal(await page.evaluate(() => Affonso.getReferralId()), null);
  assert.equal((await platform.received()).clicks.length, 1);
  assert.deepEqual(complaints, []);
});

test("no policy that lets the tag load is broken by what listens to managers of consent", { timeout }, async (t) => {
  const all = await setUp(t, signed);
  for (const [policy, html] of [
    ["default-src 'self'; img-src data:", tag()],
    ["script-src 'self'; require-trusted-types-for 'script'", tag()],
    ["script-src 'nonce-n'", tag('async nonce="n"')],
    ["script-src 'nonce-n' 'strict-dynamic'; require-trusted-types-for 'script'", tag('async nonce="n"')],
  ]) {
    all.page.context().setDefaultTimeout(20_000);
    await all.arrive({ html, headers: { "content-security-policy": `${policy}; report-uri /report` } });
    const carried = () => new URL(all.page.url()).searchParams.has("affonso_id");
    await eventually(`the part under ${policy}`, carried);
    assert.deepEqual([all.complaints, all.site.reports], [[], []], policy);
  }
});
