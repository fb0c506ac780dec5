// The tag on pages that forbid, break or imitate things: the click is known, counted once, and nothing on the page complains.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, request as call } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { visitor } from "./browser.mjs";
import { PROGRAM } from "./merchant.mjs";
import { eventually, startEdge, startStandin } from "./processes.mjs";

const timeout = 120_000;
const WWW = "www.shop.test";
const configuration = (folder, platform) => `
[server]
http = "127.0.0.1:0"
admin = "127.0.0.1:0"
trusted_proxies = ["127.0.0.0/8"]
[store]
url = "sqlite:${folder}/usher.db"
[upstream]
base_url = "${platform}/v1"
api_key = "sk_live_stand_in"
[[site]]
name = "shop"
hosts = ["${WWW}", "go.shop.test"]
program = "${PROGRAM}"
prefix = "/k3"
`;

const attributes = `data-affonso="${PROGRAM}" data-api-base="/k3"`;
const tag = (more = "async", base = "") => `<script ${more} src="${base}/k3/pixel.js" ${attributes}></script>`;
const inject = `
  const tag = document.createElement("script");
  for (const [name, value] of Object.entries({ src: "/k3/pixel.js", "data-affonso": "${PROGRAM}", "data-api-base": "/k3" }))
    tag.setAttribute(name, value);
  document.head.append(tag);`;

/** A site whose every page is `site.html` with `site.headers`, before an edge of its own. Each page is another visitor's. */
async function setUp(t) {
  const folder = mkdtempSync(join(tmpdir(), "usher-policies-"));
  t.after(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }));
  const platform = await startStandin(t);
  const edge = new URL(await startEdge(t, configuration(folder, platform.address)));
  const site = { html: "", headers: {}, visitor: 0, reports: [], asked: [] };
  const server = createServer(async (request, answer) => {
    const pieces = [];
    for await (const piece of request) pieces.push(piece);
    const body = Buffer.concat(pieces);
    if (request.url === "/report") return answer.end(void site.reports.push(`${body}`));
    if (!request.url.startsWith("/k3/")) {
      answer.writeHead(200, { "content-type": "text/html", ...site.headers });
      return answer.end(`<!doctype html><title>shop</title><link rel="icon" href="data:,">${site.html}`);
    }
    site.asked.push({ method: request.method, path: request.url, body: `${body}` });
    const headers = { ...request.headers, "x-forwarded-for": `203.0.113.${site.visitor}`, connection: "close" };
    const { hostname, port } = edge;
    const handed = call({ hostname, port, method: request.method, path: request.url, headers }, (reply) => {
      answer.writeHead(reply.statusCode, reply.headers);
      reply.pipe(answer);
    });
    handed.on("error", () => answer.destroy());
    handed.end(body);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  const { port } = server.address();
  const all = { platform, site, port, ...(await visitor(t)) };
  return { ...all, arrive: (what) => arrive(all, what) };
}

/** Opens a page of the site through a link, and waits for the one click that comes of it. */
async function arrive({ platform, site, port, page, complaints }, { html = tag(), headers = {}, query } = {}) {
  const affiliate = `aff${++site.visitor}`;
  Object.assign(site, { html, headers, reports: [], asked: [] });
  complaints.length = 0;
  await page.goto(`http://${WWW}:${port}/${query?.(affiliate) ?? `?via=${affiliate}`}`);
  await page.waitForFunction(() => window.affonso_referral);
  await page.waitForLoadState("networkidle");
  const click = await page.evaluate(() => window.affonso_referral);
  const counted = (await platform.received()).clicks.filter(({ trackingId }) => trackingId === affiliate);
  assert.deepEqual(counted.map(({ id }) => id), [click]);
  assert.deepEqual([complaints, site.reports], [[], []]);
  return click;
}

const inBrowser = ({ asked }) => asked.some(({ body }) => body && !JSON.parse(body).url);

// Which of them may run WebAssembly in the page does not matter: a worker has its own policy.
const worker = [
  "default-src 'self'; img-src data:",
  "script-src 'self'",
  "script-src 'self' 'wasm-unsafe-eval'",
  "default-src 'none'; img-src data:; script-src 'self'; connect-src 'self'",
  "script-src-elem 'self'",
  "script-src-elem 'self'; default-src 'self'; img-src data:",
  "object-src 'none'; base-uri 'none'",
  "require-trusted-types-for 'script'",
  "script-src 'self' 'wasm-unsafe-eval'; require-trusted-types-for 'script'",
  "require-trusted-types-for 'script'; trusted-types usher",
];

test("no policy that lets the tag load is broken", { timeout }, async (t) => {
  const all = await setUp(t);
  const under = (policy, html) =>
    all.arrive({ html, headers: { "content-security-policy": `${policy}; report-uri /report` } });
  for (const policy of worker) {
    await under(policy);
    assert.ok(inBrowser(all.site), policy);
  }
  for (const [policy, html] of [
    ["script-src 'nonce-n'", tag('async nonce="n"')],
    ["script-src 'nonce-n' 'strict-dynamic'", `<script nonce="n">${inject}</script>`],
    ["worker-src 'none'", tag('async data-parser="edge"')],
    ["require-trusted-types-for 'script'; trusted-types default", `<script>
      trustedTypes.createPolicy("default", { createScriptURL: () => null });</script>${tag()}`],
  ]) {
    await under(policy, html);
    assert.ok(!inBrowser(all.site), policy);
  }
  await all.arrive({ html: `<meta http-equiv="Content-Security-Policy" content="script-src 'self'">${tag()}` });
  const reported = "default-src 'self'; img-src data:; require-trusted-types-for 'script'; report-uri /report";
  await all.arrive({ headers: { "content-security-policy-report-only": reported } });
});

const ways = {
  "in the way": tag(""),
  async: tag("async"),
  defer: tag("defer"),
  "a module": tag('type="module"'),
  injected: `<script>${inject}</script>`,
  "three times": `${tag("")}${tag("defer")}<script>addEventListener("load", () => {${inject}})</script>`,
  "under the platform's name, without a base": `<script async src="/k3/js/pixel.min.js" data-affonso="${PROGRAM}"></script>`,
  "after a stub": `<script>window.Affonso = { signup() {} }</script>${tag()}`,
  "beside constants of every short name": `<script>const ${[..."abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_$"]
    .map((name) => `${name} = 1`)
    .join()};</script>${tag()}`,
  "beside libraries that mend what is not broken": `<script>
    Array.prototype.toJSON = String.prototype.toJSON = () => "mended"; Object.prototype.own = 1;</script>${tag()}`,
  "where nothing may be stored": `<script>
    for (const name of ["localStorage", "sessionStorage", "indexedDB"])
      Object.defineProperty(window, name, { get() { throw new DOMException("x", "SecurityError"); } });
    Object.defineProperty(Document.prototype, "cookie", { get() { throw new DOMException("x", "SecurityError"); } });
    </script>${tag()}`,
  "where there are no workers": `<script>delete window.Worker</script>${tag()}`,
};

test("however the tag is loaded, and whatever else the page holds, a click is one", { timeout }, async (t) => {
  const all = await setUp(t);
  for (const [way, html] of Object.entries(ways)) {
    await all.arrive({ html });
    const posted = all.site.asked.filter(({ method }) => method === "POST");
    assert.equal(posted.length, 1, way);
    assert.equal(JSON.parse(posted[0].body).programId, PROGRAM, way);
  }
  await all.arrive({ query: (affiliate) => `#/sale?ref=${affiliate}` });
});

test("the edge on another host of the site sets the site's cookie", { timeout }, async (t) => {
  const all = await setUp(t);
  const html = `<script async src="http://go.shop.test:${all.port}/k3/pixel.js" data-affonso="${PROGRAM}"></script>`;
  const click = await all.arrive({ html });
  const cookies = (await all.context.cookies()).filter(({ name }) => name === "affonso_referral");
  assert.deepEqual(cookies.map(({ value, domain }) => [value, domain]), [[click, ".shop.test"]]);
  assert.equal(await all.page.evaluate(() => window.Affonso.signup("ada@mail.example")), true);
});

test("before consent nothing is stored, and afterwards it is the same click", { timeout }, async (t) => {
  const all = await setUp(t);
  const click = await all.arrive({ html: tag('async data-requires-consent="true"') });
  assert.deepEqual(await all.context.cookies(), []);
  assert.equal(new URL(all.page.url()).searchParams.get("affonso_id"), click);
  await all.page.goto(`http://${WWW}:${all.port}/next?affonso_id=${click}`);
  await all.page.waitForFunction(() => window.affonso_referral);
  assert.deepEqual(await all.context.cookies(), []);
  const granted = await all.page.evaluate(async () => [await window.affonsoConsentGranted(), await window.affonsoConsentGranted()]);
  assert.deepEqual(granted, [true, true]);
  assert.equal(await all.page.evaluate(() => document.cookie), `affonso_referral=${click}`);
  assert.equal((await all.platform.received()).clicks.length, 1);
});

test("a page in somebody else's frame is no click", { timeout }, async (t) => {
  const { platform, site, port, page, complaints } = await setUp(t);
  site.html = tag();
  await page.goto(`http://localhost:${port}/?x`); // another site, which the edge does not know
  complaints.length = 0;
  const asked = () => site.asked.map(({ method, path }) => `${method} ${path}`);
  site.asked = [];
  await page.evaluate((address) => {
    const frame = document.createElement("iframe");
    frame.src = address;
    document.body.append(frame);
  }, `http://${WWW}:${port}/?via=stuffed`);
  await eventually("the framed tag", () => asked().includes("GET /k3/pixel.js"));
  await page.waitForLoadState("networkidle");
  const framed = page.frames()[1];
  assert.equal(await framed.evaluate(() => window.Affonso.getReferralId()), null);
  assert.deepEqual(asked(), ["GET /k3/pixel.js"]);
  assert.deepEqual((await platform.received()).clicks, []);
});
