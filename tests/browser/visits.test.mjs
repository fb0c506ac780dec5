// Every way in which a visit begins, goes on and ends: each click is counted, and counted once.
import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually } from "./processes.mjs";
import { WWW, setUp, tag } from "./site.mjs";

const timeout = 120_000;
const clicksOf = async ({ platform }, affiliate) =>
  (await platform.received()).clicks.filter(({ trackingId }) => trackingId === affiliate);
/** Waits until all of these have one click each, and nobody else has any. */
async function areCounted(all, affiliates) {
  await eventually(`the clicks of ${affiliates}`, async () => {
    const found = await Promise.all(affiliates.map((affiliate) => clicksOf(all, affiliate)));
    return found.every(({ length }) => length > 0);
  });
  await all.page.waitForLoadState("networkidle");
  const { clicks } = await all.platform.received();
  assert.deepEqual(clicks.map(({ trackingId }) => trackingId).sort(), [...affiliates].sort());
}

test("routers that change the address without a load", { timeout }, async (t) => {
  const all = await setUp(t);
  const { page, site, port, complaints } = all;
  site.html = tag("");
  await page.goto(`http://${WWW}:${port}/`);
  // One after the other, as a visitor walks.
  for (const [affiliate, walk] of Object.entries({
    pushed: () => history.pushState({ page: 1 }, "", "/p?via=pushed"),
    replaced: () => history.replaceState({ page: 2 }, "", "/p?via=replaced"),
    replaced2: () => history.replaceState(null, "", "/p?via=replaced2#/"),
    hashed: () => history.pushState(null, "", "/") ?? (location.hash = "#/p?via=hashed"),
    linked: () => {
      document.body.insertAdjacentHTML("beforeend", '<a id="l" href="#/q?ref=linked">x</a>');
      document.querySelector("#l").click();
    },
  })) {
    await page.evaluate(walk);
    await eventually(affiliate, async () => (await clicksOf(all, affiliate)).length);
    const [{ id }] = await clicksOf(all, affiliate);
    await page.waitForFunction((id) => window.affonso_referral === id, id);
  }
  assert.deepEqual(await page.evaluate(() => history.state), null, "the address of a fragment has no state");
  await page.evaluate(() => {
    for (const wrong of [() => history.pushState(() => {}, ""), () => history.pushState(null, "", "https://other.example/")]) {
      let thrown;
      try {
        wrong();
      } catch (error) {
        thrown = error.name;
      }
      if (!/^(DataCloneError|SecurityError)$/.test(thrown)) throw new Error(`${thrown} was thrown`);
    }
  });
  await areCounted(all, ["pushed", "replaced", "replaced2", "hashed", "linked"]);
  assert.deepEqual(complaints, []);
});

test("a tab that is closed at once", { timeout }, async (t) => {
  const all = await setUp(t);
  const { context, site, port } = all;
  site.html = tag("");
  const openAndClose = async (affiliate) => {
    const tab = await context.newPage();
    await tab.goto(`http://${WWW}:${port}/?via=${affiliate}`, { waitUntil: "domcontentloaded" });
    await Promise.all([tab.waitForEvent("close"), tab.close({ runBeforeUnload: true })]);
  };
  await openAndClose("closed1");
  await areCounted(all, ["closed1"]);
  // This one may find that the first still waits, for nobody was there to hear that it had arrived.
  await openAndClose("closed2");
  await all.page.goto(`http://${WWW}:${port}/`);
  await areCounted(all, ["closed1", "closed2"]);
  assert.equal(await all.page.evaluate(() => Object.keys(localStorage).length), 0);
});

test("two tabs at once are one visitor", { timeout }, async (t) => {
  const all = await setUp(t);
  const { context, site, port } = all;
  site.html = tag();
  const tabs = await Promise.all([context.newPage(), context.newPage(), context.newPage()]);
  await Promise.all(tabs.map((tab) => tab.goto(`http://${WWW}:${port}/?via=twice`)));
  const ids = await Promise.all(tabs.map(async (tab) => {
    await tab.waitForFunction(() => window.affonso_referral);
    return tab.evaluate(() => window.affonso_referral);
  }));
  assert.equal(new Set(ids).size, 1, `${ids}`);
  await areCounted(all, ["twice"]);
});

test("without a network: what waits survives the page, and is sent once", { timeout }, async (t) => {
  const all = await setUp(t);
  const { context, page, site, port } = all;
  site.html = tag("");
  await context.route(/\/k3\/(track|signups)/, (route) => route.abort("internetdisconnected"));
  await page.goto(`http://${WWW}:${port}/?via=away`);
  assert.equal(await page.evaluate(() => Affonso.signup("ada@mail.example")), false);
  assert.equal(await page.evaluate(() => Object.keys(localStorage).length), 2);
  assert.deepEqual((await all.platform.received()).clicks, []);
  await context.unroute(/\/k3\/(track|signups)/);
  const tabs = [page, await context.newPage()];
  await Promise.all(tabs.map((tab) => tab.goto(`http://${WWW}:${port}/`)));
  await Promise.all(tabs.map((tab) => tab.waitForFunction(() => window.affonso_referral)));
  await areCounted(all, ["away"]);
  await eventually("the lead", async () => (await all.platform.received()).signups.length);
  const { signups } = await all.platform.received();
  assert.deepEqual(signups.map(({ body }) => body.email), ["ada@mail.example"]);
  assert.equal(await page.evaluate(() => Object.keys(localStorage).length), 0);

  // The network itself comes back.
  site.visitor++;
  await context.setOffline(true);
  await page.evaluate(() => history.pushState(null, "", "/?via=gone"));
  await eventually("the click that waits", () => page.evaluate(() => Object.keys(localStorage).length === 1));
  await context.setOffline(false);
  await areCounted(all, ["away", "gone"]);
});

test("a second domain of the site is handed the click, and believes no id that nobody knows", { timeout }, async (t) => {
  const all = await setUp(t);
  const { context, page, site, port, complaints } = all;
  const click = await all.arrive();
  const there = `http://www.pay.test:${port}/checkout`;
  for (const html of [
    `<a id="go" href="${there}?x=1#y">x</a>`,
    `<form action="${there}"><input name="q"><button id="go">x</button></form>`,
    `<form method="post" action="${there}"><button id="go">x</button></form>`,
    `<button id="go" onclick="location.href = '${there}'">x</button>`,
  ]) {
    await context.clearCookies({ domain: ".pay.test" });
    site.html = tag("") + html;
    await page.goto(`http://${WWW}:${port}/pricing`);
    await page.locator("#go").click();
    await page.waitForURL(/pay\.test/);
    await page.waitForFunction((click) => window.affonso_referral === click, click);
    const cookies = await context.cookies(there);
    assert.deepEqual(cookies.filter(({ name }) => name === "affonso_referral").map(({ value, domain }) => [value, domain]), [
      [click, ".pay.test"],
    ]);
  }
  assert.equal((await all.platform.received()).clicks.length, 1);
  assert.deepEqual(complaints, []);

  for (const made of ["ush_01arz3ndektsv4rrffq69g5fav", "x".repeat(300), "%3Cscript%3E"]) {
    await context.clearCookies();
    await page.goto(`${there}?affonso_id=${made}`);
    await page.waitForLoadState("networkidle");
    assert.equal(await page.evaluate(() => window.affonso_referral), undefined, made);
    assert.deepEqual(await context.cookies(), [], made);
  }
});
