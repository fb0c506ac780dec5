// The tag on pages that forbid, break or imitate things: the click is known, counted once, and nothing on the page complains.
import assert from "node:assert/strict";
import { test } from "node:test";
import { PROGRAM } from "./merchant.mjs";
import { eventually } from "./processes.mjs";
import { WWW, inject, setUp, tag } from "./site.mjs";

const timeout = 120_000;
const inBrowser = ({ asked }) => asked.some(({ body }) => body && !JSON.parse(body).url);
/** The referral stands where only the browser sees it. */
const inside = (affiliate) => `?page=${affiliate}#/sale?via=${affiliate}`;

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
  "require-trusted-types-for 'script'; trusted-types referral",
];

test("no policy that lets the tag load is broken", { timeout }, async (t) => {
  const all = await setUp(t);
  const under = (policy, html, query) =>
    all.arrive({ html, query, headers: { "content-security-policy": `${policy}; report-uri /report` } });
  for (const policy of worker) {
    await under(policy, undefined, inside);
    assert.ok(inBrowser(all.site), policy);
  }
  // What the site was asked for needs no worker.
  for (const policy of ["default-src 'self'; img-src data:", "worker-src 'none'", "require-trusted-types-for 'script'; trusted-types none"]) {
    await under(policy);
    assert.ok(!inBrowser(all.site), policy);
  }
  for (const [policy, html] of [
    ["script-src 'nonce-n'", tag('async nonce="n"')],
    ["script-src 'nonce-n' 'strict-dynamic'", `<script nonce="n">${inject}</script>`],
    ["worker-src 'none'", tag('async data-parser="edge"')],
    ["require-trusted-types-for 'script'; trusted-types default", `<script>
      trustedTypes.createPolicy("default", { createScriptURL: () => null });</script>${tag()}`],
  ]) {
    await under(policy, html, inside);
    assert.ok(!inBrowser(all.site), policy);
  }
  await all.arrive({ html: `<meta http-equiv="Content-Security-Policy" content="script-src 'self'">${tag()}`, query: inside });
  const reported = "default-src 'self'; img-src data:; require-trusted-types-for 'script'; report-uri /report";
  await all.arrive({ headers: { "content-security-policy-report-only": reported }, query: inside });
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
};

test("however the tag is loaded, and whatever else the page holds, a click is one", { timeout }, async (t) => {
  const all = await setUp(t);
  for (const [way, html] of Object.entries(ways)) {
    await all.arrive({ html });
    const posted = all.site.asked.filter(({ method }) => method === "POST");
    assert.equal(posted.length, 1, way);
    assert.equal(JSON.parse(posted[0].body).programId, PROGRAM, way);
  }
  await all.arrive({ query: inside });
  await all.arrive({ html: `<script>delete window.Worker</script>${tag()}`, query: inside });
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
