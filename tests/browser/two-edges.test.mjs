// Two edges on one Redis behind a merchant's site on real host names, each request by the other one.
import assert from "node:assert/strict";
import { test } from "node:test";
import { visitor } from "./browser.mjs";
import { HOSTS, KEY, PROGRAM, merchant } from "./merchant.mjs";
import { eventually, redisCli, startEdge, startRedis, startStandin } from "./processes.mjs";
import { cookieIsRight, recorded } from "./shopper.mjs";

const timeout = 120_000;

const configuration = (store, platform) => `
[server]
http = "127.0.0.1:0"
admin = "127.0.0.1:0"
trusted_proxies = ["127.0.0.0/8"]
[store]
url = "${store}"
[upstream]
base_url = "${platform}/v1"
api_key = "sk_live_stand_in"
[[site]]
name = "shop"
hosts = ${JSON.stringify(HOSTS)}
program = "${PROGRAM}"
prefix = "/k3"
names_secret = "names of the shop"
api_keys = ["${KEY}"]
`;

async function setUp(t, site) {
  const [redis, platform] = await Promise.all([startRedis(t), startStandin(t)]);
  redisCli(redis, "HSET", "usher:shop:codes", "SPRING10", '{"affiliate":"alice"}');
  const toml = configuration(redis, platform.address);
  const edges = await Promise.all([startEdge(t, toml), startEdge(t, toml)]);
  const { port, served } = await merchant(t, edges, site);
  return { platform, served, at: HOSTS.map((host) => `http://${host}:${port}`), ...(await visitor(t)) };
}

async function arrive(page, address) {
  await Promise.all([page.goto(address), address.includes("via=") && recorded(page)]);
  await page.locator("#referral:not(:empty)").waitFor();
  return page.locator("#referral").textContent();
}

async function buy(page, code = "") {
  await page.locator("input").fill(code);
  await page.locator("button").click();
  await page.locator("#order:not(:empty)").waitFor();
  assert.match(await page.locator("#order").textContent(), /^20[0-2]$/);
}

async function creditedOnce({ platform, served, complaints }) {
  await eventually("the sale", async () => (await platform.received()).conversions.length === 1);
  const { clicks, conversions } = await platform.received();
  assert.deepEqual(clicks.map(({ trackingId }) => trackingId), ["alice"]);
  assert.deepEqual(
    conversions.map(({ affiliate, referral_id, sale_amount_text }) => [affiliate, referral_id, sale_amount_text]),
    [["alice", clicks[0].id, "99.9"]],
  );
  assert.ok(Math.min(...served) > 0, `both edges were asked: ${served}`);
  assert.deepEqual(complaints, []);
  return clicks[0];
}

for (const [name, site] of [
  ["through a link", {}],
  ["under default-src 'self'", { policy: "default-src 'self'" }],
  ["with a tag manager", { managed: true }],
]) {
  test(`two edges that share a Redis are one, ${name}`, { timeout }, async (t) => {
    const all = await setUp(t, site);
    const { context, page, at } = all;
    const click = await arrive(page, `${at[0]}/?via=alice&sub1=spring`);
    await cookieIsRight(context, at[0], click, { domain: ".shop.test" });
    assert.equal(await arrive(page, `${at[1]}/`), click, "the cookie is the registrable domain's");
    await buy(page);
    const received = await creditedOnce(all);
    assert.deepEqual([received.id, received.ip, received.body.sub1], [click, "203.0.113.7", "spring"]);
  });
}

test("two edges that share a Redis are one, with a promo code alone", { timeout }, async (t) => {
  const all = await setUp(t);
  await all.page.goto(`${all.at[0]}/`);
  await buy(all.page, " spring10 ");
  await creditedOnce(all);
});
