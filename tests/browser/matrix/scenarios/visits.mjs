// Everything that a visit can be made of: each click is counted, and counted once.
import assert from "node:assert/strict";
import { eventually } from "../../processes.mjs";
import { quiet } from "../expect.mjs";

const two = ({ affiliate }) => ({ clicks: [affiliate, `${affiliate}b`] });
const next = async (page, id) => {
  await page.waitForFunction((id) => window.affonso_referral && window.affonso_referral !== id, {}, id);
  return page.evaluate(() => window.affonso_referral);
};
/** Speculation rules that take these documents in advance. */
const speculate = (how, path) => `<script type="speculationrules">${JSON.stringify({ [how]: [{ source: "list", urls: [path] }] })}</script>`;

export const visits = [
  {
    name: "a router that pushes, replaces and goes back",
    part: true,
    expect: two,
    async walk({ page, go, known, affiliate }) {
      await go();
      const first = await known();
      await page.evaluate((to) => history.pushState({}, "", `/p?via=${to}`), `${affiliate}b`);
      await next(page, first);
      await page.evaluate(() => (history.replaceState({}, "", "/p?page=2"), history.pushState({}, "", "/p?page=3")));
      await page.evaluate(() => new Promise((back) => (addEventListener("popstate", back), history.back())));
    },
  },
  {
    name: "a router of fragments",
    expect: two,
    async walk({ page, go, known, affiliate }) {
      await go(`/#/?via=${affiliate}`);
      const first = await known();
      await page.evaluate((to) => (location.hash = `#/p?via=${to}`), `${affiliate}b`);
      await next(page, first);
    },
  },
  {
    name: "back and forward through the page cache",
    part: true,
    async walk({ page, go, known, site, tag }) {
      site.html = `${tag}<script>addEventListener("pageshow", ({ persisted }) => (window.kept = persisted))</script>`;
      await go();
      const id = await known();
      await go("/next");
      assert.equal(await known(), id);
      // The driver waits for a load that a page which was kept does not have.
      const isAt = (path) => page.waitForFunction((path) => location.pathname === path, { polling: 50 }, path);
      await page.evaluate(() => void history.back());
      await isAt("/");
      await page.waitForFunction(() => window.kept, { polling: 50 });
      assert.equal(await known(), id);
      await page.evaluate(() => void history.forward());
      await isAt("/next");
      assert.equal(await known(), id);
    },
  },
  {
    name: "the same page again and again",
    async walk({ page, go, known }) {
      await go();
      const id = await known();
      await page.reload();
      assert.equal(await known(), id);
      await go();
      assert.equal(await known(), id);
    },
  },
  {
    name: "two tabs at once",
    async walk({ page, newPage, go, known }) {
      const second = await newPage();
      await Promise.all([go(undefined, page), go(undefined, second)]);
      assert.equal(await known(page), await known(second));
    },
  },
  {
    name: "a tab in the background",
    async walk({ page, newPage, go, known }) {
      const other = await newPage();
      await other.bringToFront();
      await go(undefined, page);
      await known(page);
    },
  },
  ...[
    ["a tab that is closed at once", "domcontentloaded", ""],
    ["a tab that is closed as soon as the page is there", "load", " async"],
  ].map(([name, waitUntil, how]) => ({
    name,
    async walk({ newPage, affiliate, site, platform, go, make }) {
      const tab = await newPage();
      await tab.goto(`https://www.shop.test/?via=${affiliate}`, { waitUntil });
      await tab.close();
      await quiet(site);
      // Firefox does not always let a request out that begins while its page ends. What it has written down goes with the next.
      const isThere = (await platform.received()).clicks.length > 0;
      if (make !== "chromium" && !isThere) await go("/");
    },
    html: ({ tag }) => tag.replace(" async defer", how),
    // Whoever closes a tab waits for no cookie.
    expect: { mayLack: true },
  })),
  {
    name: "a page that is prefetched is no visit",
    expect: { clicks: [], domains: [] },
    async walk({ page, go, site, tag, affiliate }) {
      site.html = `${tag}<link rel="prefetch" href="/landing?via=${affiliate}">${speculate("prefetch", `/spec?via=${affiliate}`)}`;
      await go("/");
      await quiet(site);
      await page.evaluate(() => 0);
    },
  },
  {
    name: "a page that is prefetched from the edge is no visit",
    expect: { clicks: [], domains: [] },
    async walk({ go, site, affiliate }) {
      const path = `/landing?via=${affiliate}`;
      site.html = `<link rel="prefetch" href="${path}">${speculate("prefetch", `/spec?via=${affiliate}`)}`;
      await go("https://www.front.test/");
      await quiet(site);
    },
  },
  {
    name: "a page that is prerendered is a visit once it is shown",
    without: ["firefox", "ublock"], // neither prerenders
    async walk({ page, platform, go, known, site, affiliate }) {
      const rules = `${speculate("prerender", `/landing?via=${affiliate}`)}<a href="/landing?via=${affiliate}">x</a>`;
      const whole = site.page;
      site.page = (request) => whole(request) + (request.url === "/" ? rules : "");
      await go("/");
      await eventually("the page is prerendered", () => site.asked.some(({ path, headers }) => path.startsWith("/landing") && /prerender/.test(headers["sec-purpose"])));
      await quiet(site);
      assert.deepEqual((await platform.received()).clicks, []);
      await page.click("a");
      await eventually("the click", async () => (await platform.received()).clicks.length);
      const loaded = site.asked.filter(({ path }) => path.startsWith("/landing"));
      assert.deepEqual(loaded.map(({ headers }) => headers["sec-purpose"]), ["prefetch;prerender"], "it was not loaded again");
      await known();
    },
  },
  {
    name: "offline and back",
    part: true,
    expect: { allowed: /failed|INTERNET_DISCONNECTED|Failed to load/ },
    async walk({ page, go, known, front, platform, affiliate, site }) {
      await go("/");
      await quiet(site);
      front.cut(true);
      await page.evaluate((to) => history.pushState(null, "", `/?via=${to}`), affiliate);
      await eventually("what waits", () => page.evaluate(() => Object.keys(localStorage).length === 1));
      await quiet(site);
      assert.deepEqual((await platform.received()).clicks, []);
      front.cut(false);
      await go("/later");
      await known();
      assert.equal(await page.evaluate(() => Object.keys(localStorage).length), 0);
    },
  },
  {
    name: "somebody who is known asks for nothing",
    part: true,
    async walk({ go, known, site, asked }) {
      await go();
      const id = await known();
      await quiet(site);
      site.asked.length = 0;
      await go("/cart");
      assert.equal(await known(), id);
      await quiet(site);
      assert.deepEqual(asked().filter((request) => !/^GET .*\.js$/.test(request)), []);
      assert.ok(asked().length <= 1, `${asked()}`);
    },
  },
  {
    name: "somebody who comes through another link",
    expect: two,
    async walk({ page, go, known, affiliate }) {
      await go();
      const first = await known();
      await go(`/?via=${affiliate}b`);
      await next(page, first);
    },
  },
  {
    name: "another host of the site",
    html: ({ tag }) => tag,
    async walk({ page, go, known }) {
      await go();
      const id = await known();
      await go("https://www.shop.test/cart");
      assert.equal(await page.evaluate(() => document.cookie.includes("affonso_referral")), true);
      assert.equal(await known(), id);
    },
  },
  {
    name: "another domain of the site is handed the click",
    part: true,
    expect: { domains: [".shop.test", ".pay.test"] },
    async walk({ page, go, known, site, tag }) {
      await go();
      const id = await known();
      site.html = `${tag}<a id="go" href="https://www.pay.test/checkout">Pay</a>`;
      await go("/cart");
      assert.equal(await known(), id);
      await Promise.all([page.waitForNavigation(), page.click("#go")]);
      assert.match(page.url(), /^https:\/\/www\.pay\.test/);
      assert.equal(await known(), id);
    },
  },
];
