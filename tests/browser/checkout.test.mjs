// At checkout: the click is there without a request, and it goes along to whoever takes the money.
import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually } from "./processes.mjs";
import { WWW, setUp, tag } from "./site.mjs";

const timeout = 120_000;
const asked = ({ site }) => site.asked.map(({ method, path }) => `${method} ${path}`);

/** Lets no page of a payment provider be asked for, and keeps the addresses. */
async function checkouts(context) {
  const visited = [];
  await context.route(/stripe\.com|polar\.sh|dodopayments\.com|creem\.io/, (route) => {
    visited.push(route.request().url());
    return route.fulfill({ contentType: "text/html", body: '<link rel="icon" href="data:,">pay' });
  });
  return visited;
}

test("what an earlier page learned is there before the first script asks, without a request", { timeout }, async (t) => {
  const all = await setUp(t);
  const { page, site, port, complaints } = all;
  const click = await all.arrive();
  site.asked = [];
  site.html = `${tag("")}<script>window.first = [window.affonso_referral, Affonso.getReferralId()]</script>`;
  await page.goto(`http://${WWW}:${port}/cart`);
  assert.deepEqual(await page.evaluate(() => window.first), [click, click]);
  await page.waitForLoadState("networkidle");
  await page.goto(`http://go.shop.test:${port}/cart`);
  assert.deepEqual(await page.evaluate(() => window.first), [click, click], "also on another host of the site");
  await page.waitForLoadState("networkidle");
  assert.deepEqual([...new Set(asked(all))], ["GET /k3/pixel.js"]);
  assert.deepEqual(complaints, []);
});

const links = {
  "https://buy.stripe.com/a1": ["https://buy.stripe.com/a1?client_reference_id=$", "stripe"],
  "https://buy.stripe.com/a2?prefilled_email=a%40b.example#x": ["https://buy.stripe.com/a2?prefilled_email=a%40b.example&client_reference_id=$#x"],
  "https://buy.stripe.com/a3?client_reference_id=theirs": ["https://buy.stripe.com/a3?client_reference_id=theirs"],
  "https://buy.polar.sh/polar_cl_1": ["https://buy.polar.sh/polar_cl_1?reference_id=$"],
  "https://checkout.dodopayments.com/buy/p1?quantity=1": ["https://checkout.dodopayments.com/buy/p1?quantity=1&metadata_affonso_referral=$"],
  "https://test.checkout.dodopayments.com/buy/p1": ["https://test.checkout.dodopayments.com/buy/p1?metadata_affonso_referral=$"],
  "https://www.creem.io/payment/p1": ["https://www.creem.io/payment/p1?metadata%5Baffonso_referral%5D=$"],
  "https://creem.io/pricing": ["https://creem.io/pricing"],
  "https://buy.stripe.com.evil.example/a1": ["https://buy.stripe.com.evil.example/a1"],
  "https://evil.example/?to=https://buy.stripe.com/a1": ["https://evil.example/?to=https://buy.stripe.com/a1"],
  "/next": ["/next"],
  "http://www.pay.test/checkout": ["http://www.pay.test/checkout?affonso_id=$"],
  "http://go.shop.test/checkout": ["http://go.shop.test/checkout"],
};
const anchors = Object.keys(links).map((href) => `<a href="${href}">x</a>`).join("");
const elements = `<stripe-buy-button></stripe-buy-button><stripe-pricing-table></stripe-pricing-table>
  <stripe-buy-button client-reference-id="theirs"></stripe-buy-button>`;
const shown = (page) =>
  page.evaluate(() => [
    [...document.querySelectorAll("a")].map((a) => a.getAttribute("href")),
    [...document.querySelectorAll("stripe-buy-button, stripe-pricing-table")].map((e) => e.getAttribute("client-reference-id")),
  ]);

test("links, buttons and tables take the click along, also those that come later or change", { timeout }, async (t) => {
  const all = await setUp(t);
  const { page, site, port, complaints } = all;
  const first = await all.arrive();
  const wanted = (click) => [Object.values(links).map(([to]) => to.replace("$", click)), [click, click, "theirs"]];
  const isShown = (click) =>
    eventually("every checkout with the click", async () => `${await shown(page)}` === `${wanted(click)}`).catch(async () =>
      assert.deepEqual(await shown(page), wanted(click)),
    );
  site.html = `${tag()}${anchors}${elements}`;
  await page.goto(`http://${WWW}:${port}/pricing`);
  await isShown(first);

  await page.evaluate((html) => (document.body.innerHTML = `<main><div>${html}</div></main>`), anchors + elements);
  await isShown(first);
  await page.evaluate((hrefs) => document.querySelectorAll("a").forEach((a, i) => a.setAttribute("href", hrefs[i])), Object.keys(links));
  await isShown(first);

  const second = await page.evaluate(
    () =>
      new Promise((resolve) => {
        addEventListener("affonso_referral_ready", (event) => resolve(event.detail));
        history.pushState(null, "", "?via=other");
      }),
  );
  assert.notEqual(second, first);
  await isShown(second);
  assert.deepEqual(complaints, []);
});

test("checkouts that a script opens take the click along", { timeout }, async (t) => {
  const all = await setUp(t);
  const { page, context, site, port, complaints } = all;
  const click = await all.arrive();
  const visited = await checkouts(context);
  for (const [way, script] of Object.entries({
    assigned: 'location.href = "https://buy.stripe.com/a1"',
    replaced: 'location.replace("https://buy.stripe.com/a1")',
    opened: 'window.open("https://buy.stripe.com/a1")',
    submitted: 'document.querySelector("form").submit()',
  })) {
    visited.length = 0;
    site.html = `${tag("")}<button onclick='${script}'>Buy</button><form action="https://buy.stripe.com/a1"></form>`;
    await page.goto(`http://${WWW}:${port}/pricing`);
    const next = way === "opened" ? context.waitForEvent("page") : page.waitForURL(/stripe/);
    await page.locator("button").click();
    const opened = await next;
    await eventually(way, () => visited.length > 0);
    assert.deepEqual(visited, [`https://buy.stripe.com/a1?client_reference_id=${click}`], way);
    // One that is closed while it loads is a request that failed.
    await opened?.waitForLoadState();
    await opened?.close();
  }

  // Paddle's own script is not there: what it gives to pages is.
  const paddle = `window.Paddle = { Checkout: { open(options) { (this.given ||= []).push(options); } } };`;
  const button = `<a class="paddle_button" data-custom-data='{"cart":1}'>Buy</a>`;
  site.html = `${tag()}<script>${paddle}</script>${button}`;
  await page.goto(`http://${WWW}:${port}/pricing`);
  const data = () => page.evaluate(() => document.querySelector(".paddle_button").dataset.customData);
  await eventually("Paddle's button", async () => (await data()) === JSON.stringify({ cart: 1, affonso_referral: click }));
  const given = await page.evaluate(() => {
    Paddle.Checkout.open({ items: [1] });
    Paddle.Checkout.open({ customData: { cart: 1 } });
    Paddle.Checkout.open({ customData: { affonso_referral: "theirs" } });
    Paddle.Checkout.open();
    return Paddle.Checkout.given;
  });
  assert.deepEqual(given, [
    { items: [1], customData: { affonso_referral: click } },
    { customData: { affonso_referral: click, cart: 1 } },
    { customData: { affonso_referral: "theirs" } },
    { customData: { affonso_referral: click } },
  ]);
  assert.deepEqual(complaints, []);
});
