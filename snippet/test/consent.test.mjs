// Consent: what the part does that few pages load, and what Global Privacy Control changes.
import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "../index.js";
import { ours, page, settle } from "./page.mjs";

const landing = "https://shop.example/sale?via=alice";
const asking = { url: landing, script: ours({ "data-requires-consent": "true" }) };
const consents = (p) => p.requests.filter(({ to }) => to.endsWith("/r/t")).map(({ body }) => body.hasConsent);
const withdrawals = (p) => p.requests.filter(({ to }) => to.endsWith("/r/n")).map(({ body }) => body);

test("a site that asks for consent needs no word in the tag", async () => {
  const p = page({ ...asking, script: ours(), site: { asksConsent: "1" } });
  await p.load();
  assert.equal(p.scope.Affonso.isConsentRequired(), true);
  assert.deepEqual(consents(p), [false]);
  assert.deepEqual(p.imports, ["https://shop.example/r/m.js"]);
  assert.deepEqual(p.store, {});
});

test("a router does not leave the click behind before consent, and may after it", async () => {
  const p = page({ ...asking, state: "complete" });
  await p.load();
  const carried = () => p.events.filter(([kind]) => kind === "replace").map(([, , to]) => to);
  p.scope.history.pushState({}, "", "/cart?x=1");
  await settle();
  assert.deepEqual(carried(), ["https://shop.example/sale?via=alice&affonso_id=clk1", "https://shop.example/cart?x=1&affonso_id=clk1"]);
  assert.equal(p.requests.length, 1, "it is the same click");
  p.document.cookie = "affonso_referral=clk1";
  p.scope.history.pushState({}, "", "/thanks");
  await settle();
  assert.equal(carried().length, 2);
});

test("nothing waits in the browser's store before consent", async () => {
  const p = page({ ...asking, answer: () => undefined });
  await p.load();
  await p.scope.Affonso.signup("a@b.example");
  assert.deepEqual(p.store, {});
  assert.equal(await p.scope.affonsoConsentGranted(), false);
  assert.deepEqual(consents(p).at(-1), true);
  assert.equal(Object.keys(p.store).length, 1, "the whole click waits, the bare one is not sent any more");
});

test("Global Privacy Control is a refusal, where the site honours it", async () => {
  const gpc = { url: landing, change: (scope) => (scope.navigator.globalPrivacyControl = true) };
  const refused = page({ ...gpc, answer: () => undefined });
  await refused.load();
  assert.deepEqual([consents(refused), refused.store], [[false], {}]);
  await refused.scope.affonsoConsentGranted();
  assert.ok(!consents(refused).includes(true));
  const ignored = page({ ...gpc, site: { honoursGpc: "" } });
  await ignored.load();
  assert.deepEqual(consents(ignored), [undefined]);
});

test("withdrawal clears, also where nobody had to ask", async () => {
  for (const script of [ours(), ours({ "data-requires-consent": "true" })]) {
    const store = { theme: "dark", "t.1": "{}" };
    const p = page({ script, cookie: "affonso_referral=clk0", store, answer: () => 204 });
    await p.load();
    assert.equal(await p.scope.affonsoConsentWithdrawn(), true);
    assert.deepEqual(withdrawals(p), [{ granted: false }]);
    assert.equal(p.scope.affonso_referral, undefined);
    assert.equal(p.store["t.1"], undefined);
    assert.equal(p.store.theme, "dark");
  }
});

const both = { ad_storage: "granted", ad_user_data: "granted" };
/** Managers of consent: how they are on the page, how they say yes, and how they say no. */
const managers = {
  TCF: {
    change: (scope) => (scope.__tcfapi = (command, version, listen) => (scope.told = [command, version]) && (scope.tell = listen)),
    idle: ({ scope }) => scope.tell({ eventStatus: "cmpuishown", gdprApplies: true }, true),
    yes: ({ scope }) => scope.tell({ eventStatus: "useractioncomplete", gdprApplies: true, purpose: { consents: { 1: true, 7: true } } }, true),
    no: ({ scope }) => scope.tell({ eventStatus: "useractioncomplete", gdprApplies: true, purpose: { consents: { 1: true } } }, true),
  },
  "Google's consent mode": {
    change: (scope) => (scope.dataLayer = [["consent", "default", { ad_storage: "denied", ad_user_data: "denied" }]]),
    idle: ({ scope }) => scope.dataLayer.push({ event: "gtm.js" }, ["consent", "default", { ...both, region: ["US"] }]),
    yes: ({ scope }) => scope.dataLayer.push(["consent", "update", both]),
    no: ({ scope }) => scope.dataLayer.push(["consent", "update", { ad_user_data: "denied" }]),
  },
  Cookiebot: {
    change: (scope) => (scope.Cookiebot = { hasResponse: false, consent: { marketing: false } }),
    idle: () => {},
    yes: (p) => ((p.scope.Cookiebot.consent.marketing = true), p.fire("CookiebotOnAccept")),
    no: (p) => ((p.scope.Cookiebot.consent.marketing = false), p.fire("CookiebotOnDecline")),
  },
  OneTrust: {
    change: (scope) => (scope.OptanonActiveGroups = ",C0001,"),
    idle: () => {},
    yes: (p) => p.tell(new CustomEvent("OneTrustGroupsUpdated", { detail: ["C0001", "C0004"] })),
    no: (p) => p.tell(new CustomEvent("consent.onetrust", { detail: ["C0001"] })),
  },
  CookieYes: {
    change: (scope) => (scope.getCkyConsent = () => ({ isUserActionCompleted: false, categories: {} })),
    idle: () => {},
    yes: (p) => p.tell(new CustomEvent("cookieyes_consent_update", { detail: { accepted: ["advertisement"] } }), p.documentEvents),
    no: (p) => p.tell(new CustomEvent("cookieyes_consent_update", { detail: { accepted: ["necessary"] } }), p.documentEvents),
  },
};
for (const [name, { change, idle, yes, no }] of Object.entries(managers)) {
  test(`${name} is listened to`, async () => {
    const p = page({ ...asking, change, answer: ({ to }) => (to.endsWith("/n") ? 204 : { cid: "clk1" }) });
    p.tell = (event, on = p.windowEvents) => on.dispatchEvent(event);
    await p.load();
    await idle(p);
    await settle();
    assert.deepEqual([consents(p), withdrawals(p)], [[false], []], "nobody has said anything");
    await yes(p);
    await settle();
    await yes(p);
    await settle();
    assert.deepEqual([consents(p), withdrawals(p)], [[false, true], []]);
    await no(p);
    await settle();
    assert.deepEqual(withdrawals(p), [{ granted: false }]);
    assert.equal(p.scope.affonso_referral, undefined);
  });
}

test("what was decided before counts on the next page", async () => {
  for (const change of [
    (scope) => (scope.dataLayer = [["consent", "update", both]]),
    (scope) => (scope.Cookiebot = { hasResponse: true, consent: { marketing: true } }),
    (scope) => (scope.OptanonActiveGroups = ",C0001,C0004,"),
    (scope) => (scope.getCkyConsent = () => ({ isUserActionCompleted: true, categories: { advertisement: true } })),
    (scope) => (scope.__tcfapi = (_command, _version, listen) => listen({ gdprApplies: false }, true)),
  ]) {
    const p = page({ ...asking, change });
    await p.load();
    assert.deepEqual(consents(p), [false, true]);
  }
});

test("the loader makes the tag once, and none on a server", (t) => {
  load({ src: "/r/pixel.js", program: "prog" });
  const made = [];
  const attributes = {};
  globalThis.document = {
    querySelector: () => made[0] ?? null,
    createElement: () => ({ setAttribute: (name, value) => (attributes[name] = value) }),
    head: { append: (tag) => made.push(tag) },
  };
  t.after(() => delete globalThis.document);
  const options = { src: "/r/pixel.js", program: "prog", requiresConsent: true, domains: ["a.example", "b.example"] };
  load(options);
  load(options);
  assert.equal(made.length, 1);
  assert.deepEqual(attributes, {
    "data-affonso": "prog",
    "data-requires-consent": "true",
    "data-domains": "a.example,b.example",
    src: "/r/pixel.js",
  });
});
