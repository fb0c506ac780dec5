// What goes wrong, and who does wrong: the page notices nothing, and nobody is credited who sent nobody.
import assert from "node:assert/strict";
import { STRANGER } from "../front.mjs";
import { eventually } from "../../processes.mjs";
import { quiet } from "../expect.mjs";

const nobody = { clicks: [], domains: [] };
/** A page of somebody else's that asks for ours by itself. */
const stuffing = (name, html, expect = nobody) => ({
  name: `clicks made by ${name}`,
  expect: { ...expect, allowed: /./ }, // it is the stranger's own page that complains
  async walk({ page, site, tag, affiliate }) {
    const whole = site.page;
    const links = [`https://www.shop.test/?via=${affiliate}`, `https://www.front.test/?via=${affiliate}`, "https://go.shop.test/spring"];
    const doing = links.map(html).join("");
    site.page = (request) => (request.headers.host === STRANGER ? `<link rel="icon" href="data:,">${doing}` : whole(request));
    site.html = tag;
    await page.goto(`https://${STRANGER}/`);
    const reached = () => links.every((link) => site.asked.some(({ host }) => host === new URL(link).host));
    await eventually("the site is asked", reached);
    await quiet(site);
    await page.goto("https://www.shop.test/");
  },
});

export const trouble = [
  {
    name: "the platform is away",
    part: true,
    expect: { queued: true, person: { ip: null } }, // addresses are not written down
    async walk({ go, known, platform, site }) {
      await platform.behave({ mode: "down" });
      await go();
      const id = await known();
      await quiet(site);
      assert.deepEqual((await platform.received()).clicks, []);
      await platform.behaveWell();
      await go("/cart");
      assert.equal(await known(), id);
    },
  },
  {
    name: "the edge stands still",
    part: true,
    async walk({ page, go, known, edge, affiliate }) {
      edge.signal("SIGSTOP");
      const start = performance.now();
      await page.goto(`https://www.shop.test/?via=${affiliate}`, { waitUntil: "domcontentloaded" });
      assert.equal(await page.$eval("h1", (heading) => heading.textContent), "Things to buy");
      assert.ok(performance.now() - start < 3000, "the page does not wait");
      edge.signal("SIGCONT");
      await known();
    },
    html: ({ tag }) => tag.replace(" defer", ""),
  },
  {
    name: "the edge is gone",
    expect: { ...nobody, allowed: /failed: |ERR_|502|Failed to load/ },
    async walk({ page, go, front }) {
      front.setEdge("http://127.0.0.1:1");
      await go();
      assert.equal(await page.$eval("h1", (heading) => heading.textContent), "Things to buy");
    },
  },
  stuffing("hidden frames", (link) => `<iframe hidden src="${link}"></iframe>`),
  stuffing("images", (link) => `<img src="${link}">`),
  stuffing("scripts and styles", (link) => `<script src="${link}"></script><link rel="stylesheet" href="${link}">`),
  stuffing("requests of a script", (link) => `<script>fetch("${link}", { mode: "no-cors", credentials: "include" }).catch(() => {})</script>`),
  {
    name: "an id that somebody made up",
    expect: nobody,
    async walk({ go, site }) {
      await go("/?affonso_id=ush_01arz3ndektsv4rrffq69g5fav");
      await quiet(site);
    },
    more: async ({ page }) => assert.equal(await page.evaluate(() => window.affonso_referral), undefined),
  },
];
