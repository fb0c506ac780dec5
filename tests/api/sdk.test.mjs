// The platform's SDK with its `baseUrl` pointed at the edge: unchanged, signed and not.
import assert from "node:assert/strict";
import { test } from "node:test";
import { client } from "./sdk.mjs";
import { KEY, PROGRAM, SECRET, eventually, setUp } from "./set-up.mjs";

const timeout = 60_000;
const signed = `signing_secret = ["whsec_before", "${SECRET}"]`;

for (const [name, site, secret] of [
  ["unsigned", "", undefined],
  ["signed where nobody asks for it", "", SECRET],
  ["signed", signed, SECRET],
]) {
  test(`every call of the SDK is served, ${name}`, { timeout }, async (t) => {
    const { api, platform } = await setUp(t, site);
    const call = await client(api, KEY, secret);
    const { id: click, ...visit } = await call("click");
    assert.deepEqual([visit.tracking_id, visit.program_id], ["alice", PROGRAM]);
    const lead = await call("lead", { click });
    assert.deepEqual([lead.id, lead.status, lead.email], [click, "lead", "buyer@buyer.example"]);
    const sale = await call("sale", { click });
    assert.deepEqual([sale.referral_id, sale.sale_amount, sale.replayed], [click, 99.9, false]);
    assert.equal((await call("sale", { click })).id, sale.id);
    assert.equal((await call("renewal")).referral_id, click);
    assert.equal((await call("alias", { click })).sale_amount_currency, "EUR");
    const conversion = sale.id;
    assert.equal((await call("part", { conversion })).sales_status, "partial_refunded");
    assert.equal((await call("rest", { conversion })).sales_status, "refunded");
    assert.equal((await call("event", { click })).action, "referral_updated");
    assert.equal((await call("untyped", { click })).event_type, "milestone");
    assert.equal((await call("upgrade", { click })).sale_amount, 20.5);
    assert.equal((await call("segment")).external_event_id, "msg_1");
    // Without an event id it is the same refund, told again.
    assert.equal((await call("rest", { conversion })).sales_status, "refunded");

    const { clicks, signups, conversions, refunds, events } = await platform.received();
    assert.deepEqual([clicks.length, signups.length, events.length], [1, 1, 2]);
    assert.deepEqual([clicks[0].ip, clicks[0].body.referrer], ["203.0.113.9", "https://blog.example/post?x=ä"]);
    assert.deepEqual(
      conversions.map(({ external_event_id, affiliate }) => [external_event_id, affiliate]),
      [["pay_1"], ["pay_2"], ["pay_3"], ["evt_2"], ["msg_1"]].map(([event]) => [event, "alice"]),
    );
    assert.deepEqual(conversions[0].body.metadata, { provider: "stripe", note: "10 €" });
    assert.deepEqual(refunds.map(({ amount }) => amount), ["25", "74.9"]);
  });
}

test("while the platform is down the SDK is told that it is queued, and everything arrives", { timeout }, async (t) => {
  const { api, platform } = await setUp(t);
  const call = await client(api, KEY);
  await platform.behave({ mode: "down" });
  const { id: click } = await call("click");
  const [{ id: conversion, status }] = await Promise.all(["sale", "lead", "event"].map((name) => call(name, { click })));
  assert.equal(status, "queued");
  await call("part", { conversion });
  await platform.behaveWell();
  await eventually("everything", async () => {
    const { totals } = await platform.received();
    return totals.clicks && totals.signups && totals.conversions && totals.refunds && totals.events;
  });
  const { conversions, refunds } = await platform.received();
  assert.deepEqual([conversions[0].affiliate, refunds[0].conversion_id], ["alice", conversions[0].id]);
});

test("the SDK's errors are what it expects of the platform", { timeout }, async (t) => {
  const { api } = await setUp(t, signed);
  const right = await client(api, KEY, SECRET);
  const { id: click } = await right("click");
  for (const [key, secret] of [["key-of-another", SECRET], [KEY, "whsec_another"], [KEY, undefined]]) {
    const call = await client(api, key, secret);
    await assert.rejects(call("sale", { click }), { status: 401, code: "UNAUTHORIZED" });
  }
  await assert.rejects(right("sale", { click: "not an id" }), { status: 400, code: "VALIDATION_ERROR", field: "referral_id" });
  await assert.rejects(right("sale", { click: "unknown" }), { status: 404, code: "NOT_FOUND" });
  await assert.rejects(right("part", { conversion: "unknown" }), { status: 404, code: "NOT_FOUND" });
});
