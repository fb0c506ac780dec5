// What a shopper does in the demo's shop, and what has to be true afterwards.
import assert from "node:assert/strict";
import { eventually } from "./processes.mjs";

const DAY_SECONDS = 24 * 60 * 60;

/** The answer to the snippet's report of a click, under whatever neutral name. */
export const recorded = (page) => page.waitForResponse((answer) => answer.request().method() === "POST");

/** Opens the shop and waits until the page knows who sent the shopper. Gives the click's id. */
export async function arrive(page, address) {
  await Promise.all([page.goto(address), recorded(page)]);
  await page.locator("#referral-note.known code").waitFor();
  return page.locator("#referral-note.known code").textContent();
}

/** Looks around and puts two things into the bag. */
export async function browse(page, shop) {
  for (const product of ["mug", "lamp"]) {
    await page.goto(`${shop}/`);
    await page.locator(`a[href="/product/${product}"]`).first().click();
    await page.locator("#add-to-bag").click();
    await page.locator("#place-order").waitFor();
  }
}

/** Pays for what is in the bag. Gives what the thank-you page says. */
export async function checkOut(page, { code } = {}) {
  if (code) {
    await page.locator("#promo-code").fill(code);
    await page.locator("#apply-code").click();
    await page.locator("#code-message:not(:empty)").waitFor();
    assert.doesNotMatch(await page.locator("#code-message").getAttribute("class"), /bad/);
  }
  const total = await page.locator("#total").textContent();
  await page.locator("#email").fill("ada@mail.example");
  await page.locator("#place-order").click();
  await page.locator("#order-id").waitFor();
  assert.equal(await page.locator("#order-total").textContent(), total);
  await page.locator('#conversion-status:is([data-status="credited"], [data-status="queued"])').waitFor();
  return { order: await page.locator("#order-id").textContent(), paid: /\d+(\.\d+)?/.exec(total)[0] };
}

/** The stand-in holds exactly one click and one conversion, both alice's, with the amount that was paid. */
export async function creditedOnce(platform, { order, paid }, click) {
  await eventually("the conversion at the platform", async () => (await platform.received()).conversions.length > 0);
  const { clicks, conversions } = await platform.received();
  const shown = JSON.stringify({ clicks, conversions }, null, 2);
  assert.equal(clicks.length, 1, shown);
  assert.equal(conversions.length, 1, shown);
  assert.equal(clicks[0].trackingId, "alice", shown);
  assert.equal(conversions[0].affiliate, "alice", shown);
  assert.equal(conversions[0].referral_id, clicks[0].id, shown);
  assert.equal(minor(conversions[0].sale_amount_text), minor(paid), shown);
  assert.ok(JSON.stringify(conversions[0].body).includes(order), `the order ${order} is in ${shown}`);
  if (click) assert.equal(clicks[0].id, click, shown);
}

/** The amount in the currency's minor unit, without a float on the way. */
function minor(text) {
  const [whole, fraction = ""] = text.split(".");
  return BigInt(whole + fraction.padEnd(2, "0").slice(0, 2));
}

/** The click's cookie is the server's, with every attribute that it should have. */
export async function cookieIsRight(context, address, click, { domain } = {}) {
  const cookies = (await context.cookies(address)).filter(({ name }) => name === "affonso_referral");
  assert.equal(cookies.length, 1, JSON.stringify(cookies));
  const [cookie] = cookies;
  assert.equal(cookie.value, click);
  assert.equal(cookie.path, "/");
  assert.equal(cookie.sameSite, "Lax");
  assert.equal(cookie.httpOnly, false, "integrators read it in the page");
  assert.equal(cookie.secure, false, "the page came over plain http");
  assert.equal(cookie.domain, domain ?? new URL(address).hostname);
  const days = (cookie.expires - Date.now() / 1000) / DAY_SECONDS;
  assert.ok(days > 29.9 && days <= 30.1, `${days} days`);
}
