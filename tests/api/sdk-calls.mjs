// What is asked of the platform's SDK (https://github.com/affonso-io/affonso-node), in the order in which a backend would.
// `click` and `conversion` are ids that earlier calls were answered with.
const PROGRAM = "cm4ya9sik0009l9fbcvl9m05z";

export const calls = {
  click: (sdk) =>
    sdk.clicks.create({
      programId: PROGRAM,
      trackingId: "alice",
      ip: "203.0.113.9",
      userAgent: "Mozilla/5.0 (X11; Linux x86_64; rv:153.0) Gecko/20100101 Firefox/153.0",
      referrer: "https://blog.example/post?x=ä",
      utmSource: "newsletter",
      sub1: "spring",
    }),
  lead: (sdk, { click }) =>
    sdk.signups.create({ click_id: click, email: "buyer@buyer.example", external_user_id: "user_1", name: "Zoë Buyer" }),
  sale: (sdk, { click }) =>
    sdk.conversions.create({
      referral_id: click,
      external_user_id: "user_1",
      customer_id: "cus_1",
      sale_amount: 99.9,
      sale_amount_currency: "USD",
      external_event_id: "pay_1",
      product_ids: ["prod_1"],
      is_subscription: true,
      interval: "monthly",
      created_at: "2026-10-01T12:00:00.000Z",
      metadata: { provider: "stripe", note: "10 €" },
    }),
  renewal: (sdk) =>
    sdk.conversions.create({
      customer_id: "cus_1",
      sale_amount: 10,
      sale_amount_currency: "USD",
      external_event_id: "pay_2",
    }),
  alias: (sdk, { click }) =>
    sdk.conversions.create({
      affonsoReferral: click,
      sale_amount: 5,
      sale_amount_currency: "eur",
      external_event_id: "pay_3",
    }),
  part: (sdk, { conversion }) =>
    sdk.conversions.refund(conversion, {
      amount: 25,
      currency: "USD",
      reason: "damaged",
      external_event_id: "re_1",
      refunded_at: "2026-10-02T12:00:00.000Z",
    }),
  rest: (sdk, { conversion }) => sdk.conversions.refund(conversion, {}),
  event: (sdk, { click }) =>
    sdk.events.create({ event_name: "demo_booked", event_type: "lead", referral_id: click, external_event_id: "evt_1" }),
  untyped: (sdk, { click }) => sdk.events.create({ event_name: "kyc_passed", referral_id: click }),
  upgrade: (sdk, { click }) =>
    sdk.events.create({
      event_name: "upgrade",
      event_type: "conversion",
      referral_id: click,
      sale_amount: 20.5,
      sale_amount_currency: "USD",
      external_event_id: "evt_2",
    }),
  segment: (sdk) =>
    sdk.sources.ingestSegment({
      type: "track",
      event: "Order Completed",
      messageId: "msg_1",
      userId: "cus_1",
      timestamp: "2026-10-01T12:00:00.000Z",
      properties: { revenue: 7.25, currency: "USD" },
      context: {},
    }),
};
