// Nothing is stored before consent, and nothing of who refuses.
import assert from "node:assert/strict";
import { quiet } from "../expect.mjs";

const asks = "https://www.asks.test";
const nobody = { clicks: [], domains: [] };
const asking = ({ tag }) => tag.replace("<script", '<script data-requires-consent="true"');
const before = { consent: false, ip: null, userAgent: null };

export const consent = [
  {
    name: "before consent nothing is stored",
    part: true,
    html: asking,
    expect: { domains: [], person: before },
    async walk({ page, go, known, site }) {
      await go();
      await known();
      await quiet(site);
      assert.deepEqual(await page.evaluate(() => [document.cookie, localStorage.length, sessionStorage.length]), ["", 0, 0]);
    },
  },
  {
    name: "before consent nothing is stored where the site says so",
    html: ({ askingTag }) => askingTag,
    expect: { domains: [], person: before },
    async walk({ page, go, known, affiliate }) {
      await go(`${asks}/?via=${affiliate}`);
      await known();
      assert.deepEqual(await page.evaluate(() => [document.cookie, localStorage.length]), ["", 0]);
    },
  },
  {
    name: "consent on a later page makes it the same click",
    part: true,
    html: (shopper) => `${asking(shopper)}<a id="go" href="/next">x</a>`,
    async walk({ page, go, known, site }) {
      await go();
      const id = await known();
      await quiet(site);
      await Promise.all([page.waitForNavigation(), page.click("#go")]);
      assert.equal(await known(), id);
      assert.equal(await page.evaluate(() => document.cookie), "");
      assert.equal(await page.evaluate(() => window.affonsoConsentGranted()), true);
    },
  },
  {
    name: "consent after a router's pages and a reload",
    part: true,
    html: asking,
    async walk({ page, go, known, site }) {
      await go();
      const id = await known();
      await quiet(site);
      await page.evaluate(() => history.pushState({}, "", "/cart"));
      await page.evaluate(() => history.replaceState({}, "", "/cart?step=2"));
      await page.reload();
      assert.equal(await known(), id);
      assert.equal(await page.evaluate(() => window.affonsoConsentGranted()), true);
    },
  },
  {
    name: "consent that is withdrawn",
    html: asking,
    expect: { domains: [] },
    async walk({ page, go, known }) {
      await go();
      await known();
      assert.equal(await page.evaluate(() => window.affonsoConsentGranted()), true);
      assert.equal(await page.evaluate(() => window.affonsoConsentWithdrawn()), true);
      assert.deepEqual(await page.evaluate(() => [document.cookie, localStorage.length]), ["", 0]);
    },
  },
  {
    name: "a browser that asks for privacy",
    part: true,
    browser: { gpc: true },
    expect: ({ affiliate }) => ({ clicks: [affiliate], domains: [], person: before }),
    async walk({ page, go, site }) {
      await go();
      assert.equal(await page.evaluate(() => navigator.globalPrivacyControl), true);
      await quiet(site);
      const silent = site.asked.filter(({ headers }) => headers["sec-gpc"] !== "1");
      assert.deepEqual(silent.map(({ method, host, path }) => `${method} ${host}${path}`), []);
    },
  },
  {
    name: "a browser that asks for privacy, the edge before the shop",
    browser: { gpc: true },
    html: () => "",
    expect: ({ affiliate }) => ({ clicks: [affiliate], domains: [], person: before }),
    async walk({ page, go, affiliate }) {
      await go(`https://www.front.test/?via=${affiliate}`);
      assert.equal(await page.evaluate(async () => (await (await fetch("/.well-known/gpc.json")).json()).gpc), true);
    },
  },
];
