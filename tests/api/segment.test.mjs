// Segment's own Node library: the `track` payloads that it makes, passed on one by one as Segment does, and the library itself
// with its `host` and `path` pointed at the edge.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { test } from "node:test";
import { Analytics } from "@segment/analytics-node";
import { KEY, PROGRAM, SECRET, eventually, post, setUp } from "./set-up.mjs";

const timeout = 60_000;
const path = "sources/segment/events";

/** What a shop's backend tells Segment of one buyer. What is sent apart may arrive in any order, so the first goes alone. */
async function shop(analytics, click) {
  analytics.identify({ userId: "user_1", traits: { email: "buyer@buyer.example" } });
  analytics.track({
    userId: "user_1",
    event: "trial_started",
    properties: { affonso_referral: click, plan: "pro" },
    context: { ip: "203.0.113.9", traits: { externalUserId: "ext_1" } },
  });
  await analytics.flush();
  analytics.track({
    userId: "user_1",
    event: "Order Completed",
    properties: { order_id: "1001", revenue: 99.9, currency: "USD", products: [{ product_id: "p1", price: 99.9 }] },
    timestamp: new Date("2026-10-01T12:00:00Z"),
  });
  analytics.track({
    anonymousId: "anonymous_1",
    event: "purchase",
    properties: { total: "5.50", sale_amount_currency: "EUR", external_user_id: "ext_1" },
    messageId: "message_3",
  });
  analytics.page({ userId: "user_1", name: "Thank you" });
}

const arrived = async (platform) => {
  const { conversions, events } = await platform.received();
  return {
    // Calls that the library sends apart may overtake each other.
    sales: conversions
      .map(({ affiliate, sale_amount_text, sale_amount_currency }) => [affiliate, sale_amount_text, sale_amount_currency])
      .sort((one, other) => other[1] - one[1]),
    events: events.map(({ affiliate, event_name, event_type }) => [affiliate, event_name, event_type]),
  };
};
const expected = {
  sales: [["alice", "99.9", "USD"], ["alice", "5.5", "EUR"]],
  events: [["alice", "trial_started", "trial"]],
};

async function click(api) {
  const { json } = await post(`${api}/clicks`, { programId: PROGRAM, trackingId: "alice" });
  return json.data.id;
}

/** The calls that the library makes, as it would send them to Segment. */
async function captured(referral) {
  const calls = [];
  const server = createServer(async (request, answer) => {
    let body = "";
    for await (const piece of request) body += piece;
    calls.push(...JSON.parse(body).batch);
    answer.end("{}");
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const analytics = new Analytics({ writeKey: "write-key", host: `http://127.0.0.1:${server.address().port}` });
  await shop(analytics, referral);
  await analytics.closeAndFlush();
  server.close();
  return calls;
}

test("the library's track payloads are taken as Segment passes them on", { timeout }, async (t) => {
  const { api, platform } = await setUp(t);
  const calls = await captured(await click(api));
  assert.deepEqual(calls.map(({ type }) => type), ["identify", "track", "track", "track", "page"]);
  for (const call of calls) {
    const { status, json } = await post(`${api}/${path}`, call);
    assert.equal(status, call.type === "track" ? 201 : 400, JSON.stringify(json));
    if (call.type !== "track") assert.match(json.error.message, /track/);
  }
  assert.deepEqual(await arrived(platform), expected);
  for (const call of calls.filter(({ type }) => type === "track")) {
    assert.equal((await post(`${api}/${path}`, call)).status, 200, "the same again");
  }
  assert.deepEqual(await arrived(platform), expected);
});

function pointedAt(api, settings = {}) {
  const { origin, pathname } = new URL(`${api}/${path}`);
  const analytics = new Analytics({ writeKey: KEY, host: origin, path: pathname, flushInterval: 50, ...settings });
  const statuses = [];
  const failures = [];
  analytics.on("http_response", ({ status }) => statuses.push(status));
  analytics.on("error", ({ reason }) => failures.push(`${reason?.message ?? reason}`));
  return { analytics, statuses, failures };
}

for (const flushAt of [1, 15]) {
  test(`the library itself may send here, ${flushAt} to a batch`, { timeout }, async (t) => {
    const { api, platform } = await setUp(t);
    const { analytics, statuses, failures } = pointedAt(api, { flushAt });
    await shop(analytics, await click(api));
    await analytics.closeAndFlush();
    assert.deepEqual([failures, [...new Set(statuses)]], [[], [200]]);
    assert.deepEqual(await arrived(platform), expected);
  });
}

test("a batch that comes while the platform is down is taken, and comes once", { timeout }, async (t) => {
  const { api, platform } = await setUp(t);
  const referral = await click(api);
  await platform.behave({ mode: "down" });
  const { analytics, statuses, failures } = pointedAt(api);
  await shop(analytics, referral);
  await analytics.closeAndFlush();
  assert.deepEqual([failures, statuses], [[], [202, 202]]);
  await platform.behaveWell();
  await eventually("everything", async () => (await arrived(platform)).sales.length === 2);
  const { conversions } = await platform.received();
  assert.deepEqual(conversions.map(({ replays }) => replays), [0, 0]);
});

test("a program learns of what was refused", { timeout }, async (t) => {
  const { api, platform } = await setUp(t);
  const good = { type: "track", event: "purchase", messageId: "m1", userId: "u1", properties: { total: 5, currency: "EUR" } };
  good.properties.affonso_referral = await click(api);
  const { amount, ...bad } = { ...good, messageId: "m2", properties: { total: -5, currency: "EUR" } };
  const { status, json } = await post(`${api}/${path}`, { batch: [{ type: "page" }, good, bad] });
  assert.deepEqual([status, json.error.code, json.error.field], [400, "VALIDATION_ERROR", "batch"]);
  assert.match(json.error.message, /^1 of 2 track calls were taken; batch\[2\]: /);
  assert.equal((await arrived(platform)).sales.length, 1);
  assert.equal((await post(`${api}/${path}`, { batch: Array(101).fill(good) })).status, 400);
  const stranger = pointedAt(api, { writeKey: "key-of-another" });
  stranger.analytics.track({ userId: "u1", event: "purchase" });
  await stranger.analytics.closeAndFlush();
  assert.deepEqual(stranger.statuses, [401]);
  assert.equal(stranger.failures.length, 1);
});

test("where calls must be signed the library's user signs them", { timeout }, async (t) => {
  const { api } = await setUp(t, `signing_secret = "${SECRET}"`);
  const { analytics, statuses } = pointedAt(api);
  analytics.track({ userId: "u1", event: "purchase" });
  await analytics.closeAndFlush();
  assert.deepEqual(statuses, [401], "unsigned");
});
