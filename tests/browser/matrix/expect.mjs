// What has to be true after a scenario: what the platform received, the cookies with every attribute, and an empty console.
import assert from "node:assert/strict";
import { eventually } from "../processes.mjs";
import { PROGRAM } from "./world.mjs";

const DAY_SECONDS = 24 * 60 * 60;
const QUIET_MS = 300;
/** The cookies together, as the field `Cookie` holds them. */
const COOKIES_BYTES = 512;

/**
 * `clicks`: the affiliates, in their order, the visitor's one when left out; `person`: what differs from a click with consent.
 * `domains`: of the cookies, the shop's when left out; `mayLack`: the browser was gone before they came; `queued`: the platform
 * has its own id of the click. Leads by their address or id, sales by their event. `allowed`: what of the console is the
 * browser's own affair here.
 */
export async function check(shopper, expected = {}) {
  const { clicks: wanted = [shopper.affiliate], domains = [".shop.test"], leads = [], sales = [], allowed } = expected;
  const { platform, context, site, complaints } = shopper;
  const isComplete = (received) =>
    received.clicks.length >= wanted.length && received.signups.length >= leads.length && received.conversions.length >= sales.length;
  await eventually("all that the platform should receive", async () => isComplete(await platform.received())).catch(() => {});
  await quiet(site);
  const received = await platform.received();
  const userAgent = site.asked[0]?.headers["user-agent"];
  const shown = ({ trackingId, programId, consent, ip, userAgent }) => ({ trackingId, programId, consent, ip, userAgent });
  const person = { programId: PROGRAM, consent: true, ip: site.address, userAgent, ...expected.person };
  assert.deepEqual(received.clicks.map(shown), wanted.map((trackingId) => ({ trackingId, ...person })), "clicks");
  assert.deepEqual(received.signups.map(({ body }) => body.email ?? body.external_user_id), leads, "leads");
  const sale = ({ external_event_id, affiliate, sale_amount_text }) => [external_event_id, affiliate, sale_amount_text];
  assert.deepEqual(received.conversions.map(sale), sales, "sales");
  assert.deepEqual([received.refunds, received.events], [[], []]);
  const cookies = await context.cookies();
  const click = expected.queued ? undefined : received.clicks.at(-1)?.id;
  if (cookies.length || !expected.mayLack) {
    assert.deepEqual([...new Set(cookies.map(({ domain }) => domain))].sort(), [...domains].sort(), "whose cookies");
    for (const domain of domains) assertCookies(cookies.filter((cookie) => cookie.domain === domain), click);
  }
  assert.deepEqual(complaints.filter((complaint) => !allowed?.test(complaint)), [], "the console");
  assert.deepEqual(site.reports, [], "reports of violations");
}

/** Nothing has been asked for some time. */
export async function quiet(site) {
  for (let before = -1; before !== site.asked.length; ) {
    before = site.asked.length;
    await new Promise((resolve) => setTimeout(resolve, QUIET_MS));
  }
}

function assertCookies(cookies, click) {
  const shown = JSON.stringify(cookies, null, 2);
  const named = (name) => cookies.filter((cookie) => cookie.name === name);
  const [referral, ...twice] = named("affonso_referral");
  assert.ok(referral && !twice.length, `the readable cookie, once: ${shown}`);
  if (click) assert.equal(referral.value, click, shown);
  const proofs = cookies.filter(({ httpOnly }) => httpOnly);
  assert.equal(proofs.length, 1, `the signed one, once: ${shown}`);
  assert.ok(proofs[0].value.includes(referral.value), `both hold the same click: ${shown}`);
  const known = [...named("affonso_referral"), ...named("affonso_data"), ...proofs];
  assert.equal(known.length, cookies.length, `nothing else: ${shown}`);
  for (const { name, path, secure, sameSite, expires } of cookies) {
    const days = (expires - Date.now() / 1000) / DAY_SECONDS;
    assert.deepEqual([path, secure, sameSite], ["/", true, "Lax"], `${name}: ${shown}`);
    assert.ok(days > 29.99 && days <= 30.001, `${name} stays ${days} days`);
  }
  const bytes = cookies.reduce((sum, { name, value }) => sum + name.length + value.length + 3, 0);
  assert.ok(bytes <= COOKIES_BYTES, `${bytes} bytes of cookies`);
}
