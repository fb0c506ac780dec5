// However the tag is loaded, and whatever policy the page has: one click, and no violation.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";

const put = (tag, more) => tag.replace(/ async defer/, more);
const noncePolicy = "default-src 'none'; img-src data:; connect-src 'self'; base-uri 'none'; script-src 'nonce-n0nce'";

const ways = {
  "in the way": ({ tag }) => put(tag, ""),
  async: ({ tag }) => put(tag, " async"),
  "put off": ({ tag }) => put(tag, " defer"),
  "as a module": ({ tag }) => put(tag, ' type="module"'),
  "by a tag manager": ({ managed }) => managed,
  "three times": ({ tag, managed }) => `${tag}${managed}${tag}`,
  "long after the page": ({ managed }) =>
    managed.replace("(function", 'addEventListener("load", () => setTimeout(function').replace(/}\)\(\);/, "}, 500));"),
};

const policies = {
  "'self'": ["default-src 'self'; img-src data:"],
  "'self' with wasm-unsafe-eval": ["default-src 'self' 'wasm-unsafe-eval'; img-src data:"],
  "script-src and connect-src alone": ["default-src 'none'; img-src data:; script-src 'self'; connect-src 'self'"],
  "a strict nonce": [noncePolicy, ({ tag }) => put(tag, ' async nonce="n0nce"')],
  "a strict nonce with strict-dynamic": [
    `${noncePolicy} 'strict-dynamic'`,
    ({ managed }) => managed.replace("<script>", '<script nonce="n0nce">'),
  ],
  "strict-dynamic with wasm-unsafe-eval": [
    `${noncePolicy} 'strict-dynamic' 'wasm-unsafe-eval'`,
    ({ managed }) => managed.replace("<script>", '<script nonce="n0nce">'),
  ],
  "trusted types": ["require-trusted-types-for 'script'"],
  "trusted types and 'self'": ["default-src 'self'; img-src data:; require-trusted-types-for 'script'"],
};

export const loading = [
  ...Object.entries(ways).map(([name, html]) => ({ name: `the tag ${name}`, html })),
  ...Object.entries(policies).map(([name, [policy, html]]) => ({
    name: `under ${name}`,
    html,
    headers: { "content-security-policy": `${policy}; report-uri /report` },
  })),
  {
    name: "under a policy that is only reported",
    headers: { "content-security-policy-report-only": "default-src 'self'; img-src data:; report-uri /report" },
  },
  {
    name: "with its digest (SRI), under a policy that names it",
    async walk(shopper) {
      const { page, site, tag, go, known } = shopper;
      const path = /src="([^"]*)"/.exec(tag)[1];
      await go("/");
      const text = await page.evaluate(async (path) => (await fetch(path)).text(), path);
      const digest = `sha384-${createHash("sha384").update(text).digest("base64")}`;
      site.html = put(tag, ` async integrity="${digest}"`);
      site.headers = { "content-security-policy": `script-src '${digest}'; connect-src 'self'; report-uri /report` };
      await go();
      await known();
    },
  },
  {
    name: "also in a frame of the page's own",
    async walk({ page, site, tag, go, known, affiliate }) {
      site.html = `${tag}`;
      const whole = site.page;
      site.page = (request) => whole(request) + (request.url.startsWith("/inner") ? "" : `<iframe src="/inner?via=${affiliate}"></iframe>`);
      await go();
      const id = await known();
      const inner = page.frames().find((frame) => frame.url().includes("/inner"));
      await inner.waitForFunction(() => window.affonso_referral);
      assert.equal(await inner.evaluate(() => window.affonso_referral), id);
    },
  },
];
