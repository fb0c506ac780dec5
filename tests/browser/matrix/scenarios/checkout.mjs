// Signing up, paying, and codes: what the shop's pages and its backend do with the click.
import assert from "node:assert/strict";
import { eventually, startDemo } from "../../processes.mjs";
import { quiet } from "../expect.mjs";
import { cookieIsRight } from "../../shopper.mjs";

const sold = ({ affiliate }) => ({ sales: [[`order-${affiliate}`, affiliate, "99.9"]] });
const payments = {
  "https://buy.stripe.com/a1": "https://buy.stripe.com/a1?client_reference_id=$",
  "https://buy.polar.sh/p": "https://buy.polar.sh/p?reference_id=$",
  "https://checkout.dodopayments.com/buy/p": "https://checkout.dodopayments.com/buy/p?metadata_affonso_referral=$",
  "https://www.creem.io/payment/p": "https://www.creem.io/payment/p?metadata%5Baffonso_referral%5D=$",
  "/next": "/next",
};

export const checkout = [
  {
    name: "a lead by address",
    part: true,
    expect: { leads: ["ada@mail.example"] },
    async walk({ page, go, known }) {
      await go();
      await known();
      assert.equal(await page.evaluate(() => Affonso.signup("ada@mail.example")), true);
    },
  },
  {
    name: "a lead by the shop's own id, before the click is known",
    html: ({ tag }) => `${tag.replace(" async defer", "")}<script>window.lead = Affonso.signup({ externalUserId: "u1", name: "Ada" })</script>`,
    expect: { leads: ["u1"] },
    async walk({ page, go, known }) {
      await go();
      assert.equal(await page.evaluate(() => window.lead), true);
      await known();
    },
  },
  {
    name: "a sale that names the click",
    part: true,
    expect: sold,
    async walk({ go, known, report, affiliate }) {
      await go();
      const referral_id = await known();
      assert.equal(await report({ external_event_id: `order-${affiliate}`, referral_id }), 201);
    },
  },
  {
    name: "a sale that names an order which the page has bound",
    expect: sold,
    async walk({ page, go, known, report, affiliate }) {
      await go();
      await known();
      assert.equal(await page.evaluate((order) => Affonso.bind(order), `bound-${affiliate}`), true);
      const status = await report({ external_event_id: `order-${affiliate}`, order_id: `bound-${affiliate}` });
      assert.ok([201, 202].includes(status), `${status}`);
    },
  },
  {
    name: "a sale by code alone",
    part: true,
    expect: ({ affiliate }) => ({ clicks: ["saver"], sales: [[`order-${affiliate}`, "saver", "99.9"]] }),
    async walk({ page, go, known, report, affiliate, site }) {
      await go("/");
      await page.waitForFunction(() => window.Affonso?.applyCode);
      const answer = await page.evaluate(() => Affonso.applyCode("save10"));
      assert.equal(answer.valid, true, JSON.stringify(answer));
      const referral_id = await known();
      await quiet(site); // nobody pays within milliseconds
      assert.equal(await report({ external_event_id: `order-${affiliate}`, referral_id, promo_code: "SAVE10" }), 201);
    },
  },
  {
    name: "payment links, buttons and tables take the click along",
    async walk({ page, go, known, site, tag }) {
      await go();
      const id = await known();
      const links = Object.keys(payments).map((href) => `<a href="${href}">x</a>`).join("");
      site.html = `${tag}${links}<stripe-buy-button></stripe-buy-button><stripe-pricing-table></stripe-pricing-table>`;
      await go("/pricing");
      await known();
      const wanted = [...Object.values(payments).map((href) => href.replace("$", id)), id, id];
      const shown = () => page.evaluate(() => [
        ...[...document.querySelectorAll("a")].map((a) => a.getAttribute("href")),
        ...[...document.querySelectorAll("stripe-buy-button, stripe-pricing-table")].map((e) => e.getAttribute("client-reference-id")),
      ]);
      await eventually("every checkout holds the click", async () => `${await shown()}` === `${wanted}`);
    },
  },
  {
    name: "the click is there before the first script that asks",
    async walk({ page, go, known, site, tag }) {
      await go();
      const id = await known();
      site.html = `${tag.replace(" async defer", "")}<script>window.first = [window.affonso_referral, Affonso.getReferralId()]</script>`;
      await go("/cart");
      assert.deepEqual(await page.evaluate(() => window.first), [id, id]);
    },
  },
  {
    name: "the demo shop, from the link to the order",
    expect: { clicks: [], domains: [] }, // its own platform and host
    async walk({ page, context, t }) {
      const { shop, platform } = await startDemo(t);
      await page.goto(`${shop}/?via=alice`);
      await page.waitForSelector("#referral-note.known code");
      await page.goto(`${shop}/product/mug`);
      await page.click("#add-to-bag");
      await page.waitForSelector("#place-order");
      await page.type("#email", "ada@mail.example");
      await page.click("#place-order");
      await page.waitForSelector('#conversion-status:is([data-status="credited"], [data-status="queued"])');
      await eventually("the sale", async () => (await platform.received()).conversions.length);
      const { clicks, conversions } = await platform.received();
      assert.deepEqual(clicks.map(({ trackingId }) => trackingId), ["alice"]);
      assert.deepEqual(conversions.map(({ affiliate, referral_id }) => [affiliate, referral_id]), [["alice", clicks[0].id]]);
      await cookieIsRight(page, shop, clicks[0].id);
      await context.deleteCookie(...(await context.cookies()));
    },
  },
];
