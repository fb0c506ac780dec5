// How a visitor arrives. A row without a `walk` is a landing: its page is opened, and the click becomes known.
import assert from "node:assert/strict";
import { quiet } from "../expect.mjs";
import { STRANGER } from "../front.mjs";

const front = "https://www.front.test";
const elsewhere = { domains: [".front.test"] };

export const landing = [
  ...["atp", "via", "affonso", "aff", "ref"].map((name) => ({
    name: `lands by ${name}`,
    path: (affiliate) => `/?utm_source=x&${name}=${affiliate}#top`,
  })),
  { name: "lands by a name that is percent-encoded", path: (affiliate) => `/?%76%69a=${affiliate}` },
  {
    name: "a landing is one request beside the tag's own",
    part: true,
    async walk({ go, known, site, asked }) {
      await go();
      await known();
      await quiet(site);
      assert.deepEqual(asked().map((request) => request.replace(/\/\w+$/, "/")).slice(1), ["POST /k3/"]);
      assert.match(asked()[0], /^GET .*\.js$/);
    },
  },
  {
    name: "a landing is one request on a host of the edge's own, too",
    html: ({ tag }) => tag.replace('src="', 'src="https://go.shop.test').replace(/data-api-base="[^"]*"/, ""),
    async walk({ go, known, site, asked }) {
      await go();
      await known();
      await quiet(site);
      assert.deepEqual(asked().map((request) => request.split(" ")[0]), ["GET", "POST"], `${asked()}`);
    },
  },
  {
    name: "lands on a fragment's own query, which WebAssembly reads",
    part: true,
    path: (affiliate) => `/#/sale?via=${affiliate}`,
    more: ({ asked }) => assert.ok(asked().some((request) => request.endsWith(".wasm")), `${asked()}`),
  },
  {
    name: "lands through a link on another site",
    async walk({ page, site, affiliate, known }) {
      const link = `<a href="https://www.shop.test/?via=${affiliate}">x</a>`;
      const whole = site.page;
      site.page = (request) => (request.headers.host === STRANGER ? `<link rel="icon" href="data:,">${link}` : whole(request));
      await page.goto(`https://${STRANGER}/`);
      await Promise.all([page.waitForNavigation(), page.click("a")]);
      await known();
    },
    more: async ({ platform }) => assert.equal((await platform.received()).clicks[0].referrer, `https://${STRANGER}/`),
  },
  {
    name: "the edge on a host of its own",
    html: ({ tag }) => tag.replace('src="', 'src="https://go.shop.test').replace(/data-api-base="[^"]*"/, ""),
  },
  {
    name: "the edge on a host of its own, named as the base",
    html: ({ tag }) => tag.replace('src="', 'src="https://go.shop.test').replace('data-api-base="', 'data-api-base="https://go.shop.test'),
  },
  { name: "the edge before the shop puts the tag in", path: (affiliate) => `${front}/?via=${affiliate}`, html: () => "", expect: elsewhere },
  {
    name: "without scripts, the edge before the shop",
    browser: { scripts: false },
    part: true,
    html: () => "",
    expect: elsewhere,
    async walk({ go, affiliate }) {
      await go(`${front}/?via=${affiliate}`);
      await go(`${front}/cart`);
      await go(`${front}/?via=${affiliate}`);
    },
  },
  {
    name: "a short link",
    expect: { clicks: ["spring"] },
    async walk({ page, go, known }) {
      await go("https://go.shop.test/spring");
      assert.equal(page.url(), "https://www.shop.test/sale");
      await known();
    },
  },
  {
    name: "a link of the affiliate's own, without scripts",
    browser: { scripts: false },
    expect: elsewhere,
    html: () => "",
    async walk({ page, go, affiliate }) {
      await go(`${front}/go/${affiliate}/sale`);
      assert.equal(page.url(), `${front}/sale`);
    },
  },
  { name: "no link at all", path: () => "/?utm_source=x", expect: { clicks: [], domains: [] }, unknown: true },
];
