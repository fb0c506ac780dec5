// The edge in front of a whole site: clicks with and without scripts, each once, and pages that fake them.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { visitor } from "./browser.mjs";
import { PROGRAM } from "./merchant.mjs";
import { startEdge, startStandin } from "./processes.mjs";

const timeout = 120_000;
const configuration = (folder, platform, origin) => `
[server]
http = "127.0.0.1:0"
admin = "127.0.0.1:0"
[store]
url = "sqlite:${folder}/usher.db"
[upstream]
base_url = "${platform}/v1"
api_key = "sk_live_stand_in"
click_budget_ms = 5000 # the machine may be busy
[[site]]
name = "shop"
hosts = ["localhost"]
program = "${PROGRAM}"
prefix = "/k3"
names_secret = "names of the shop"
origin = "${origin}"
`;

/** A server that answers every request with `site.html` and `site.headers`. Gives its port. */
async function serve(t, site) {
  const server = createServer((request, answer) => {
    site.asked?.push(request);
    answer.writeHead(200, { "content-type": "text/html", ...site.headers }).end(site.html);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return server.address().port;
}

const page = (head = "") =>
  `<!doctype html><html><head><title>shop</title><link rel="icon" href="data:,">${head}</head><body><p>Welcome</p></body></html>`;

/** A site behind an edge of its own, and a shopper. */
async function setUp(t, more) {
  const folder = mkdtempSync(join(tmpdir(), "usher-fronted-"));
  t.after(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }));
  const platform = await startStandin(t);
  const site = { html: page(), headers: {}, asked: [] };
  const port = await serve(t, site);
  const edge = await startEdge(t, configuration(folder, platform.address, `http://127.0.0.1:${port}`));
  const shop = `http://localhost:${new URL(edge).port}`;
  const clicks = async () => (await platform.received()).clicks.map(({ id, trackingId }) => [trackingId, id]);
  return { site, shop, clicks, ...(await visitor(t, more)) };
}

const cookie = async (context) =>
  (await context.cookies()).find(({ name }) => name === "affonso_referral")?.value;

test("a shopper without scripts has the cookie, and is one click", { timeout }, async (t) => {
  const { shop, clicks, context, page, complaints } = await setUp(t, { javaScriptEnabled: false });
  await page.goto(`${shop}/?via=alice`);
  const known = await cookie(context);
  assert.deepEqual(await clicks(), [["alice", known]]);
  await page.goto(`${shop}/?via=alice`);
  await page.goto(`${shop}/`);
  await page.goto(`${shop}/go/alice/sale`);
  assert.equal(page.url(), `${shop}/sale`);
  assert.equal(await cookie(context), known);
  assert.deepEqual(await clicks(), [["alice", known]]);
  await page.goto(`${shop}/go/bob`);
  assert.deepEqual((await clicks()).map(([affiliate]) => affiliate), ["alice", "bob"]);
  assert.deepEqual(complaints, []);
});

test("with scripts the tag finds the same click, under every policy that knows its nonce", { timeout }, async (t) => {
  const { site, shop, clicks, context, page: tab, complaints } = await setUp(t);
  const strict = "default-src 'none'; img-src data:; connect-src 'self'";
  for (const [affiliate, headers, head] of [
    ["plain", {}],
    ["own", { "content-security-policy": "default-src 'self'; img-src data:" }],
    ["nonce", { "content-security-policy": `${strict}; script-src 'nonce-n0nce'` }],
    ["dynamic", { "content-security-policy": `${strict}; script-src 'nonce-n0nce' 'strict-dynamic'; worker-src 'none'` }],
    ["types", { "content-security-policy": "require-trusted-types-for 'script'; trusted-types 'none'" }],
    ["meta", {}, `<meta http-equiv="Content-Security-Policy" content="script-src 'nonce-n0nce'"><script nonce="n0nce">0</script>`],
    ["reported", { "content-security-policy-report-only": "script-src 'self'; worker-src 'none'" }],
  ]) {
    await context.clearCookies();
    Object.assign(site, { headers, html: page(head) });
    const before = (await clicks()).length;
    await tab.goto(`${shop}/?via=${affiliate}`);
    await tab.waitForFunction(() => window.affonso_referral);
    await tab.waitForLoadState("networkidle");
    const known = await tab.evaluate(() => window.affonso_referral);
    assert.equal(await cookie(context), known, affiliate);
    assert.deepEqual((await clicks()).slice(before), [[affiliate, known]]);
    assert.equal(await tab.locator("script[data-affonso]").count(), 1, affiliate);
    assert.deepEqual(complaints, [], affiliate);
  }
  for (const policy of ["script-src 'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='", "script-src 'self'; connect-src 'none'", "sandbox"]) {
    Object.assign(site, { headers: { "content-security-policy": policy }, html: page() });
    await tab.goto(`${shop}/?via=forbidden`);
    await tab.waitForLoadState("networkidle");
    assert.equal(await tab.locator("script").count(), 0, policy);
    assert.deepEqual(complaints, [], policy);
  }
  assert.equal((await clicks()).filter(([affiliate]) => affiliate === "forbidden").length, 1);
});

test("a page that stuffs cookies makes no click", { timeout }, async (t) => {
  const { site, shop, clicks, context, page: tab } = await setUp(t);
  const links = ["?via=eve", "go/eve"].map((link) => `${shop}/${link}`);
  const html = `<!doctype html><link rel="icon" href="data:,"><title>free gifts</title>${links
    .map((link) => `<iframe src="${link}"></iframe><img src="${link}"><link rel="prefetch" href="${link}">
      <script src="${link}"></script><object data="${link}"></object><link rel="stylesheet" href="${link}">`)
    .join("")}<script>for (const link of ${JSON.stringify(links)}) fetch(link, { mode: "no-cors", credentials: "include" })</script>`;
  const port = await serve(t, { html });
  await tab.goto(`http://127.0.0.1:${port}/`);
  await tab.waitForLoadState("networkidle");
  assert.ok(site.asked.length >= 8, `the site was asked ${site.asked.length} times`);
  assert.deepEqual([await clicks(), await cookie(context)], [[], undefined]);
});
