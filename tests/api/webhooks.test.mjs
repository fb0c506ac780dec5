// The libraries that payment providers publish sign fresh deliveries, which the edge takes; what they turn away, it does too.
import "@shopify/shopify-api/adapters/node";
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { shopifyApi } from "@shopify/shopify-api";
import { createSHA256HMAC } from "@shopify/shopify-api/runtime";
import paytm from "paytmchecksum";
import { Webhook } from "standardwebhooks";
import Stripe from "stripe";
import { PROGRAM, eventually, post, setUp } from "./set-up.mjs";

const timeout = 60_000;
const now = () => Math.floor(Date.now() / 1000);
const LATE = now() - 301;

/** The body of a recorded delivery, with texts replaced: all of `[from, to]`, each of which must occur. */
function recorded(record, pairs) {
  const file = new URL(`../vectors/webhooks/${record}.json`, import.meta.url);
  let { body } = JSON.parse(readFileSync(file, "utf8"));
  for (const [from, to] of pairs) {
    assert.ok(body.includes(from), `${record} names ${from}`);
    body = body.replaceAll(from, to);
  }
  return body;
}

const json = { "content-type": "application/json" };

const stripe = new Stripe("sk_test_of_nobody");
const stripes = {
  package: "stripe",
  provider: "stripe",
  secrets: ["whsec_6AXeA9pPzq4rE2UXRzEN4LZqccR5W3rT", "whsec_another"],
  body: (click) =>
    recorded("stripe/checkout-completed-one-time-eur", [
      ["cm9yvemnejl6hnspuzvxiwmdk", click],
      ["pi_qsEZERbiWm85K6K1mlf8hPZ0", "pi_fresh"],
    ]),
  sale: ["pi_fresh", "129"],
  hasTime: true,
  sign: (body, secret, at) => {
    const signature = stripe.webhooks.generateTestHeaderString({ payload: body, secret, timestamp: at });
    return { body, headers: { ...json, "stripe-signature": signature } };
  },
  verify: ({ body, headers }, secret) => stripe.webhooks.constructEvent(body, headers["stripe-signature"], secret),
};

const shopify = (secret) =>
  shopifyApi({
    apiKey: "key",
    apiSecretKey: secret,
    apiVersion: "2026-01",
    hostName: "shop.example",
    isEmbeddedApp: false,
    logger: { level: 0, log: () => {} },
  });
const shopifys = {
  package: "@shopify/shopify-api",
  provider: "shopify",
  secrets: ["ca8760d6c5b1a0c99de02e5e51002d33", "ca8760d6c5b1a0c99de02e5e51002d34"],
  body: (click) =>
    recorded("shopify/orders-paid-eur", [["cmrxr4xet1u09ypz9nvuzhjyu", click], ["5830012345601", "5830012345777"]]),
  sale: ["order:5830012345777", "39.9"],
  sign: async (body, secret) => {
    const headers = {
      ...json,
      "x-shopify-topic": "orders/paid",
      "x-shopify-hmac-sha256": await createSHA256HMAC(secret, body),
      "x-shopify-shop-domain": "maison-exemple.myshopify.com",
      "x-shopify-api-version": "2026-07",
      "x-shopify-webhook-id": "e1d6fece-c0b9-4036-ab73-d2f24c133f40",
    };
    return { body, headers };
  },
  verify: async ({ body, headers }, secret) => {
    const rawRequest = { method: "POST", url: "/r/hooks/shopify", headers };
    const { valid, reason } = await shopify(secret).webhooks.validate({ rawBody: body, rawRequest });
    assert.ok(valid, reason);
  },
};

/** Two providers keep to Standard Webhooks; one of them takes the secret's text for the key. */
const standard = (provider, key, more) => ({
  package: "standardwebhooks",
  provider,
  hasTime: true,
  sign: (body, secret, at) => {
    const signature = new Webhook(key(secret)).sign("msg_fresh", new Date(at * 1000), body);
    const headers = { ...json, "webhook-id": "msg_fresh", "webhook-timestamp": `${at}`, "webhook-signature": signature };
    return { body, headers };
  },
  verify: ({ body, headers }, secret) => new Webhook(key(secret)).verify(body, headers),
  ...more,
});
const dodos = standard("dodopayments", (secret) => secret, {
  secrets: ["whsec_XkFbGqLn+kNpHlZad9UvyrqOPqdWnlmB", "whsec_YkFbGqLn+kNpHlZad9UvyrqOPqdWnlmB"],
  body: (click) =>
    recorded("dodopayments/payment-succeeded-one-time", [
      ["cmqy0yemgq9zbfhfk9htyyrib", click],
      ["pay_lsnUHNwCaMBPpA6jg5vu", "pay_fresh"],
    ]),
  sale: ["pay_fresh", "47.2"],
});
const polars = standard("polar", (secret) => Buffer.from(secret).toString("base64"), {
  secrets: ["whsec_HBUps09VWWTyHozsNHl2l5JuxP7ltZef", "whsec_another"],
  body: (click) =>
    recorded("polar/order-paid-one-time", [
      ["cm6zj49rtlozsi0fzljab7egn", click],
      ["41b1534e-9060-49bb-a793-15b308b36e1b", "41b1534e-9060-49bb-a793-15b308b36e77"],
    ]),
  sale: ["41b1534e-9060-49bb-a793-15b308b36e77", "24.78"],
});

/** The library gives what it cannot decipher to the console. */
const quietly = async (verified) => {
  const { log } = console;
  console.log = () => {};
  try {
    assert.ok(await verified());
  } finally {
    console.log = log;
  }
};
const paytms = {
  package: "paytmchecksum",
  provider: "paytm",
  secrets: ["mvK9GIKYPHI2Jf1S", "mvK9GIKYPHI2Jf1T"],
  toml: (secret) => `mid = "DUKAAN19469438475514"\nmerchant_key = "${secret}"`,
};
const form = "application/x-www-form-urlencoded";
const paytmForms = {
  ...paytms,
  body: (click) =>
    recorded("paytm/payment-success-form", [
      ["cm2k2vvy6yadpy4m6qg7ujb5m", click],
      ["2026562133917204867218718103519", "2026562133917204867218718103777"],
    ]),
  sale: ["2026562133917204867218718103777", "1499"],
  sign: async (body, secret) => {
    const fields = new URLSearchParams(body);
    fields.delete("CHECKSUMHASH");
    fields.set("CHECKSUMHASH", await paytm.generateSignature(Object.fromEntries(fields), secret));
    return { body: `${fields}`, headers: { "content-type": form } };
  },
  verify: ({ body }, secret) =>
    quietly(() => {
      const { CHECKSUMHASH: checksum, ...fields } = Object.fromEntries(new URLSearchParams(body));
      return paytm.verifySignature(fields, secret, checksum);
    }),
};
const inner = (body) => body.slice('{"body":'.length, body.lastIndexOf(',"head":'));
const paytmJson = {
  ...paytms,
  body: (click) =>
    recorded("paytm/payment-success-json", [
      ["cm2k2vvy6yadpy4m6qg7ujb5m", click],
      ["2026708950911242792795337293552", "2026708950911242792795337293777"],
    ]),
  sale: ["2026708950911242792795337293777", "100.5"],
  sign: async (body, secret) => {
    const signature = await paytm.generateSignature(inner(body), secret);
    return { body: `{"body":${inner(body)},"head":{"signature":"${signature}","version":"v1"}}`, headers: json };
  },
  verify: ({ body }, secret) =>
    quietly(() => paytm.verifySignature(inner(body), secret, JSON.parse(body).head.signature)),
};

/** Whether the signature stands in the body: then there is no header but the content's type. */
const signsInBody = ({ headers }) => Object.keys(headers).length === 1;

/** Deliveries that the library turns away, by what is wrong with them. */
async function altered({ sign, body, secrets: [secret, another], sale: [, amount], hasTime }, click) {
  const text = body(click);
  const good = await sign(text, secret, now());
  const digits = amount.replace(".", "").replace(/0+$/, "");
  const all = {
    "another's secret": await sign(text, another, now()),
    "another body": { ...good, body: good.body.replace(click, `${click}x`) },
    "a longer body": { ...good, body: `${good.body}\n` },
    "another's signature": { ...(await sign(text.replaceAll(digits, `${digits}1`), secret, now())), body: good.body },
  };
  if (signsInBody(good)) {
    delete all["another's signature"];
    delete all["a longer body"];
  }
  if (hasTime) all["a signature from before"] = await sign(text, secret, LATE);
  return Object.entries(all);
}

for (const kind of [stripes, shopifys, dodos, polars, paytmForms, paytmJson]) {
  const { provider, secrets, sign, verify, sale, body } = kind;
  test(`${kind.package} and the edge agree on ${provider} ${sale[0]}`, { timeout }, async (t) => {
    const settings = kind.toml?.(secrets[0]) ?? `secret = ["${secrets[0]}"]`;
    const { api, platform } = await setUp(t, `[[site.webhook]]\nprovider = "${provider}"\n${settings}\n`);
    const { json: clicked } = await post(`${api}/clicks`, { programId: PROGRAM, trackingId: "alice" });
    const click = clicked.data.id;
    const tell = async (request) => {
      const answer = await fetch(new URL(`../hooks/${provider}`, `${api}/`), { method: "POST", ...request });
      return { status: answer.status, said: await answer.text() };
    };

    for (const [wrong, request] of await altered(kind, click)) {
      await assert.rejects(async () => verify(request, secrets[0]), undefined, `${kind.package} takes ${wrong}`);
      const { status, said } = await tell(request);
      assert.ok(status >= 400 && status < 500, `${wrong}: ${status} ${said}`);
    }
    const fresh = await sign(body(click), secrets[0], now());
    await verify(fresh, secrets[0]);
    for (const time of ["once", "twice"]) assert.equal((await tell(fresh)).status, 200, time);
    await eventually("the sale", async () => (await platform.received()).conversions.length);
    const { conversions } = await platform.received();
    assert.deepEqual(
      conversions.map(({ external_event_id, sale_amount_text, affiliate }) => [external_event_id, sale_amount_text, affiliate]),
      [[...sale, "alice"]],
    );
  });
}
