// What the snippet does in a page, on the built file.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ours, page, settle, tag } from "./page.mjs";

const landing = "https://shop.example/sale?via=alice#top";
const asItIs = { programId: "prog1", referrer: "https://blog.example/", url: "?via=alice" };
/** The referral stands where only the browser sees it. */
const inside = "https://shop.example/sale#/p?via=alice";
const insideAsItIs = { ...asItIs, url: inside };

test("a page without a referral asks nobody and loads nothing", async () => {
  for (const url of ["https://shop.example/", "https://shop.example/?q=via&xvia=1#/a", "https://shop.example/?utm_source=x&sub1=y"]) {
    const p = page({ url });
    await p.load();
    assert.deepEqual([p.requests, p.workers, p.events, p.timers], [[], [], [], []], url);
    assert.equal(p.scope.affonso_referral, undefined);
    assert.equal(p.scope.Affonso.getReferralId(), null);
    assert.equal(p.scope.Affonso.getDiscount(), null);
    assert.equal(p.scope.Affonso.getAffiliateCoupons().length, 0);
    assert.equal(p.scope.Affonso.isConsentRequired(), false);
    assert.equal(await p.scope.affonsoConsentGranted(), true);
    assert.equal(await p.scope.Affonso.signup("a@b.example"), false, "a lead needs a referral");
    assert.deepEqual(p.requests, []);
  }
});

test("what the site was asked for is read by the edge: one request, and nothing of the fragment", async () => {
  for (const url of [landing, landing + "=1", "https://shop.example/sale?via=alice"]) {
    const p = page({ url });
    await p.load();
    assert.deepEqual([p.imports, p.timers], [[], []]);
    assert.deepEqual(p.bodies(), [asItIs]);
    assert.equal(p.scope.affonso_referral, "clk1");
  }
});

test("what only the browser knows is read by the worker and recorded", async () => {
  const data = { discount: { amount: 10, promoCode: "A10" }, affiliateCoupons: [{ code: "A10" }] };
  const p = page({ url: inside, answer: () => ({ cid: "clk1", data }) });
  await p.load();
  const [worker] = p.workers;
  assert.equal(worker.src, "https://shop.example/r/w.js");
  assert.deepEqual(worker.sent, [inside, "atp,via,partner.id"]);
  assert.deepEqual(p.requests, [], "nothing is sent before the worker answers");

  worker.answer({ trackingId: "alice", sub1: "x" });
  await settle();
  const [request] = p.requests;
  assert.equal(request.to, "https://shop.example/r/t");
  assert.equal(request.method, "POST");
  assert.equal(request.options.keepalive, true);
  assert.equal(request.options.headers, undefined, "a browser asks nobody's leave for plain text");
  const { url: _, ...rest } = asItIs;
  assert.deepEqual(request.body, { ...rest, trackingId: "alice", sub1: "x" });
  assert.equal(p.scope.affonso_referral, "clk1");
  assert.deepEqual(p.events, [["ready", "clk1"]]);
  assert.equal(p.scope.Affonso.getReferralId(), "clk1");
  assert.deepEqual(p.scope.Affonso.getDiscount(), data.discount);
  assert.deepEqual(p.scope.Affonso.getAffiliateCoupons(), data.affiliateCoupons);

  p.timers.forEach((timer) => timer.run());
  await p.fire("pagehide");
  assert.equal(p.requests.length, 1, "a late timer records nothing twice");
});

test("addresses that can hold a referral", async () => {
  for (const at of ["?via=a", "?x=1&atp=a", "?affonso_id=c1", "?%76ia=a", "?partner.id=a", "?via=a%"]) {
    const p = page({ url: "https://shop.example/" + at });
    await p.load();
    assert.deepEqual([p.workers.length, p.requests.length], [0, 1], at);
  }
  for (const at of ["#via=a", "#/p?via=a", "?via=a#/p?via=b"]) {
    const p = page({ url: "https://shop.example/" + at });
    await p.load();
    assert.deepEqual([p.workers.length, p.requests.length], [1, 0], at);
  }
});

test("an address that a script has set is read by the worker", async () => {
  const p = page({ url: "https://shop.example/" });
  await p.load();
  p.scope.history.pushState({}, "", "/p?via=alice");
  await settle();
  assert.deepEqual(p.workers.map(({ sent }) => sent[0]), ["https://shop.example/p?via=alice"]);
});

test("in a frame of somebody else's page only a click that is handed over is taken", async () => {
  const framed = (scope) => {
    scope.top = { location: { get href() { throw new Error("SecurityError"); } } };
  };
  const stuffed = page({ url: landing, change: framed });
  await stuffed.load();
  assert.deepEqual([stuffed.workers, stuffed.requests], [[], []]);
  for (const options of [
    { url: "https://shop.example/checkout?affonso_id=clk1", change: framed },
    { url: landing, change: (scope) => (scope.top = { location: { href: "https://shop.example/" } }) },
  ]) {
    const p = page(options);
    await p.load();
    assert.equal(p.requests.length, 1, options.url);
  }
});

test("a worker that finds no referral leaves no trace", async () => {
  const p = page({ url: inside });
  await p.load();
  p.workers[0].answer(0);
  await settle();
  assert.deepEqual(p.requests, []);
});

const fallbacks = {
  "cannot read it here": (p) => p.workers[0].answer(undefined),
  "fails": (p) => p.workers[0].fail(new Error("SecurityError")),
  "takes a second": (p) => p.timers.filter((timer) => timer.ms === 1000).forEach((timer) => timer.run()),
  "is still at it when the page goes": (p) => p.fire("pagehide"),
};
for (const [what, act] of Object.entries(fallbacks)) {
  test(`the address is sent as it is when the worker ${what}`, async () => {
    const p = page({ url: inside });
    await p.load();
    await act(p);
    await settle();
    assert.deepEqual(p.bodies(), [insideAsItIs]);
    assert.equal(p.scope.affonso_referral, "clk1");
  });
}

const careful = {
  "our tag asks for it": { script: ours({ "data-parser": "edge" }) },
  "our tag has a digest, as lists of digests want": { script: { ...ours(), integrity: "sha256-x" } },
  "our file comes from another host": { script: ours({}, "https://go.shop.example/r/pixel.js") },
};
for (const [what, options] of Object.entries(careful)) {
  test(`nothing is loaded where ${what}`, async () => {
    const p = page({ url: inside, ...options });
    await p.load();
    assert.deepEqual(p.imports, []);
    assert.deepEqual(p.bodies(), [insideAsItIs]);
    assert.equal(p.scope.affonso_referral, "clk1");
  });
}

test("credentials are asked for, also on another host of the site", async () => {
  const p = page({ url: landing, script: ours({}, "https://go.shop.example/r/pixel.js") });
  await p.load();
  assert.equal(p.requests[0].to, "https://go.shop.example/r/t");
  assert.equal(p.requests[0].options.credentials, "include");
});

test("a huge address is cut", async () => {
  const p = page({ url: "https://shop.example/?via=" + "x".repeat(100_000) });
  await p.load();
  assert.equal(p.bodies()[0].url.length, 8000);
});

test("our tag and base", async () => {
  const at = "https://shop.example";
  for (const [what, script, found, to] of [
    ["plain", ours(), null, at + "/r/t"],
    ["query", ours({}, at + "/r/pixel.js?v=2"), null, at + "/r/t"],
    ["deep alias", ours({}, at + "/r/js/pixel.min.js"), null, at + "/r/t"],
    ["a prefix called js", ours({}, at + "/js/pixel.js"), null, at + "/js/t"],
    ["neutral", ours({}, at + "/n1/k3f9x2.js"), null, at + "/n1/t"],
    ["deep prefix", ours({}, at + "/a/b/pixel.js"), null, at + "/a/b/t"],
    ["api base", ours({ "data-api-base": "/r" }, at + "/assets/bundle.js"), null, at + "/r/t"],
    ["api base with a slash", ours({ "data-api-base": "/r/" }), null, at + "/r/t"],
    ["whole api base", ours({ "data-api-base": "https://go.shop.example/x" }), null, "https://go.shop.example/x/t"],
    ["module", null, ours(), at + "/r/t"],
    ["bundled into another script", tag({}, at + "/assets/app.js"), ours(), at + "/r/t"],
    ["no program", tag(), null, at + "/r/t"],
  ]) {
    const p = page({ url: landing, script, found });
    await p.load();
    assert.deepEqual(p.requests.map((request) => request.to), [to], what);
  }
});

test("an earlier visit's cookie is known at once and told once", async () => {
  const data = encodeURIComponent(JSON.stringify({ discount: { amount: 5 }, affiliateCoupons: [] }));
  const p = page({ cookie: `a=b; affonso_referral=clk%2D0; affonso_data=${data}`, state: "loading" });
  await p.load();
  assert.equal(p.scope.affonso_referral, "clk-0");
  assert.deepEqual(p.events, [], "listeners may come later in the page");
  await p.fire("DOMContentLoaded", p.documentEvents);
  assert.deepEqual(p.events, [["ready", "clk-0"]]);
  assert.deepEqual({ ...p.scope.Affonso.getDiscount() }, { amount: 5 });

  const late = page({ cookie: "affonso_referral=clk0" });
  const loading = late.load();
  assert.deepEqual([late.scope.affonso_referral, late.events], ["clk0", []]);
  await loading;
  assert.deepEqual(late.events, [["ready", "clk0"]]);
});

test("what came with the click stays when the edge has forgotten it", async () => {
  const data = encodeURIComponent(JSON.stringify({ discount: { amount: 5 }, affiliateCoupons: [{ code: "A5" }] }));
  const nothing = { discount: null, affiliateCoupons: [] };
  const p = page({ url: landing, cookie: `affonso_referral=clk1; affonso_data=${data}`, answer: () => ({ cid: "clk1", data: nothing }) });
  await p.load();
  assert.deepEqual([{ ...p.scope.Affonso.getDiscount() }, p.scope.Affonso.getAffiliateCoupons().length], [{ amount: 5 }, 1]);
});

test("a tag that nobody waits for does not hold the page up with a look at its cookies", async () => {
  const value = "clk%2D0";
  for (const [get, id] of [[async () => ({ value }), "clk-0"], [async () => null, undefined], [() => Promise.reject(new TypeError("opaque")), undefined]]) {
    const asked = [];
    const change = (scope) => {
      scope.cookieStore = { get: (name) => (asked.push(name), get()) };
      Object.defineProperty(scope.document, "cookie", { get: () => assert.fail("it was looked at") });
    };
    const p = page({ url: landing, script: { ...ours(), async: true }, change, answer: () => undefined });
    const loading = p.load();
    assert.deepEqual([asked, p.scope.affonso_referral], [[], undefined], "another task");
    await loading;
    assert.deepEqual([asked, p.scope.affonso_referral, p.requests.length], [["affonso_referral"], id, 1]);
  }
});

test("the event comes once for an id, again for another", async () => {
  for (const [cid, told] of [["clk0", ["clk0"]], ["clk2", ["clk0", "clk2"]]]) {
    const p = page({ url: landing, cookie: "affonso_referral=clk0", answer: () => ({ cid }) });
    await p.load();
    assert.deepEqual(p.events.map(([, id]) => id), told);
  }
});

test("an empty id sets nothing", async () => {
  const p = page({ url: landing, answer: () => ({ cid: "", data: null }) });
  await p.load();
  assert.equal("affonso_referral" in p.scope, false);
  assert.deepEqual(p.events, []);
});

test("loaded twice is loaded once", async () => {
  const p = page({ url: landing });
  await p.load();
  const { Affonso } = p.scope;
  await p.load();
  assert.equal(p.requests.length, 1);
  assert.equal(p.scope.Affonso, Affonso);
});

test("what does not reach the edge waits in the browser's store, and is sent once", async () => {
  for (const event of ["online", "pageshow"]) {
    for (const failure of [undefined, 503, 429]) {
      let up = false;
      const p = page({ url: landing, answer: () => (up ? { cid: "clk1" } : failure) });
      await p.load();
      assert.deepEqual(p.bodies(), [asItIs]);
      assert.equal(Object.keys(p.store).length, 1);
      assert.equal(p.scope.affonso_referral, undefined);
      await p.fire(event, p.windowEvents, { persisted: true });
      assert.equal(Object.keys(p.store).length, 1, "it waits on");
      up = true;
      await p.fire(event, p.windowEvents, { persisted: true });
      assert.equal(p.scope.affonso_referral, "clk1");
      assert.deepEqual(p.store, {});
      await p.fire("online");
      await p.fire("pageshow", p.windowEvents, { persisted: true });
      assert.deepEqual(p.bodies(), [asItIs, asItIs, asItIs]);
    }
  }
});

test("what waits outlives the page, in its order, and a lead waits with its click", async () => {
  const broken = { "t.1": "{", "t.2": "null", "t.3": "[]" };
  const store = { theme: "dark", t: "the page's own", t1: "{", ...broken };
  const away = { store, answer: () => undefined };
  const first = page({ url: landing, ...away });
  await first.load();
  assert.equal(await first.scope.Affonso.signup("a@b.example"), false);
  const second = page({ url: "https://shop.example/?via=bob", ...away });
  await second.load();

  const p = page({ store, answer: ({ to, body }) => (to.endsWith("/s") ? 201 : { cid: body.url === asItIs.url ? "clk1" : "clk2" }) });
  await p.load();
  assert.deepEqual(p.bodies(), [
    asItIs,
    { programId: "prog1", click_id: "clk1", email: "a@b.example" },
    { ...asItIs, url: "?via=bob" },
  ]);
  assert.equal(p.scope.affonso_referral, "clk2");
  assert.deepEqual(p.store, { theme: "dark", t: "the page's own", t1: "{" });
});

test("what the edge will never take does not wait", async () => {
  const p = page({ url: landing, answer: () => 400 });
  await p.load();
  assert.deepEqual(p.store, {});
});

const deny = () => {
  throw new Error("SecurityError");
};
test("where nothing can be stored it waits in memory", async () => {
  for (const change of [
    (scope) => delete scope.localStorage,
    (scope) => Object.defineProperty(scope, "localStorage", { get: deny }),
    (scope) => (scope.localStorage = null),
  ]) {
    let up = false;
    const p = page({ url: landing, change, answer: () => (up ? { cid: "clk1" } : undefined) });
    await p.load();
    up = true;
    await p.fire("online");
    assert.equal(p.scope.affonso_referral, "clk1");
  }
});

test("a route change with a referral is recorded, and no address twice", async () => {
  const p = page({ reads: false });
  await p.load();
  for (const at of ["#/cart?via=bob", "#/cart?via=bob", "#/", "#/cart?via=bob"]) {
    p.scope.location.href = "https://shop.example/" + at;
    await p.fire("popstate");
  }
  assert.deepEqual(p.bodies().map((body) => body.url), ["https://shop.example/#/cart?via=bob"]);
});

test("a router's change of address is noticed", async () => {
  const old = page({ reads: false });
  await old.load();
  old.scope.history.pushState({}, "", "/a?via=alice");
  await settle();
  old.scope.history.replaceState({}, "", "https://shop.example/b?via=bob");
  await settle();
  assert.deepEqual(old.bodies().map((body) => body.url), ["https://shop.example/a?via=alice", "https://shop.example/b?via=bob"]);
  assert.throws(() => old.scope.history.pushState({}, "", "https://["), "the router hears of its errors");
});

test("an address that a router strips right behind the tag is read all the same", async () => {
  const p = page({ url: landing, script: { ...ours(), async: true } });
  const loading = p.load();
  p.scope.history.replaceState({}, "", "https://shop.example/sale");
  await loading;
  assert.deepEqual(p.bodies(), [asItIs]);
});

test("a page that comes out of the back/forward cache learns what others have", async () => {
  const p = page({ cookie: "affonso_referral=clk0" });
  await p.load();
  p.document.cookie = "affonso_referral=clk1";
  await p.fire("pageshow");
  assert.equal(p.scope.affonso_referral, "clk0", "this one was never away");
  await p.fire("pageshow", p.windowEvents, { persisted: true });
  assert.equal(p.scope.affonso_referral, "clk1");
});

test("a prerendered page counts when it is shown", async () => {
  const p = page({ url: landing });
  p.document.prerendering = true;
  await p.load();
  assert.deepEqual(p.requests, []);
  p.document.prerendering = false;
  await p.fire("prerenderingchange", p.documentEvents);
  assert.equal(p.requests.length, 1);
});

test("signup, bind and codes", async () => {
  const p = page({
    url: landing,
    answer: ({ to }) =>
      to.endsWith("/s") ? 201 : to.endsWith("/b") ? 204 : to.endsWith("/c/sav%2Fe%20") ? { code: "SAV/E", valid: true, cid: "clk9", discount: { amount: 7 }, data: { discount: { amount: 7 }, affiliateCoupons: [{ code: "SAV/E" }] } } : to.includes("/c/") ? { code: "NOPE", valid: false } : { cid: "clk1" },
    change: (scope) => (scope.Response = Response),
  });
  p.load();
  const { Affonso } = p.scope;
  assert.equal(await Affonso.signup("a@b.example"), true, "waits for the click");
  assert.equal(await Affonso.signup({ email: "a@b.example", externalUserId: "u1", name: "A" }), true);
  assert.equal(await Affonso.bind(1001), true);
  assert.deepEqual(p.bodies().slice(1), [
    { programId: "prog1", click_id: "clk1", email: "a@b.example" },
    { programId: "prog1", click_id: "clk1", email: "a@b.example", external_user_id: "u1", name: "A" },
    { programId: "prog1", click_id: "clk1", order_id: "1001" },
  ]);
  assert.equal((await Affonso.applyCode("nope")).valid, false);
  assert.equal(p.scope.affonso_referral, "clk1");
  const answer = await Affonso.applyCode("sav/e ");
  assert.deepEqual([answer.valid, answer.code], [true, "SAV/E"]);
  assert.equal(p.scope.affonso_referral, "clk9");
  assert.deepEqual([Affonso.getDiscount(), Affonso.getAffiliateCoupons()], [{ amount: 7 }, [{ code: "SAV/E" }]]);
  assert.deepEqual(p.requests.filter(({ to }) => to.includes("/c/")).map(({ method }) => method), ["POST", "POST"]);
  assert.deepEqual(p.events, [["ready", "clk1"], ["ready", "clk9"]]);
});

test("before consent the click is bare, and travels in the address", async () => {
  const script = ours({ "data-requires-consent": "true" });
  const p = page({ url: "https://shop.example/sale?via=alice&a=b%20c#top", script });
  await p.load();
  assert.equal(p.scope.Affonso.isConsentRequired(), true);
  assert.equal(p.bodies()[0].hasConsent, false);
  assert.equal(p.document.cookie, "");
  assert.equal(p.scope.Affonso.getReferralId(), "clk1");
  const carried = "https://shop.example/sale?via=alice&a=b%20c&affonso_id=clk1#top";
  const [replaced] = p.events.filter(([kind]) => kind === "replace");
  assert.deepEqual(replaced, ["replace", { kept: 1 }, carried]);

  const granted = p.scope.affonsoConsentGranted();
  assert.equal(await granted, true);
  assert.equal(await p.scope.affonsoConsentGranted(), true);
  assert.equal(p.requests.length, 2, "idempotent");
  const { hasConsent, upgradeClickId, url } = p.bodies()[1];
  assert.deepEqual([hasConsent, upgradeClickId, url], [true, "clk1", "?via=alice&a=b%20c"]);
  await p.fire("popstate");
  assert.equal(p.requests.length, 2);
});

test("the address carries the click whatever it held", async () => {
  const script = ours({ "data-requires-consent": "true" });
  for (const [url, carried] of [
    ["https://shop.example/#/cart?via=alice", "https://shop.example/?affonso_id=clk1#/cart?via=alice"],
    ["https://shop.example/?via=alice#top", "https://shop.example/?via=alice&affonso_id=clk1#top"],
    ["https://shop.example/?affonso_id=clk1", undefined],
  ]) {
    const p = page({ url, script, reads: false });
    await p.load();
    const replaced = p.events.find(([kind]) => kind === "replace");
    assert.equal(replaced?.[2], carried);
  }
});

test("consent while the click is under way waits for it", async () => {
  const p = page({ url: inside, script: ours({ "data-requires-consent": "true" }) });
  await p.load();
  const granted = p.scope.affonsoConsentGranted();
  await settle();
  p.workers[0].answer({ trackingId: "alice" });
  assert.equal(await granted, true);
  assert.deepEqual(p.bodies().map((body) => [body.hasConsent, body.upgradeClickId, body.trackingId]), [
    [false, undefined, "alice"],
    [true, "clk1", "alice"],
  ]);
});

test("consent without a referral asks nobody; a failed one can be given again", async () => {
  const script = ours({ "data-requires-consent": "true" });
  const none = page({ script });
  await none.load();
  assert.equal(await none.scope.affonsoConsentGranted(), true);
  assert.deepEqual(none.requests, []);

  let up = true;
  const p = page({ url: landing, script, answer: () => (up ? { cid: "clk1" } : undefined) });
  await p.load();
  up = false;
  assert.equal(await p.scope.affonsoConsentGranted(), false);
  up = true;
  assert.equal(await p.scope.affonsoConsentGranted(), true);
  assert.equal(p.bodies().at(-1).upgradeClickId, "clk1");
});

const hostile = {
  "cookies are forbidden": (scope) => Object.defineProperty(scope.document, "cookie", { get: deny, set: deny }),
  "the cookie is broken": (scope) => (scope.document.cookie = "affonso_referral=%E0%A4%A; affonso_data=%7B"),
  "there is no fetch": (scope) => delete scope.fetch,
  "fetch throws": (scope) => (scope.fetch = deny),
  "the answer is not JSON": (scope) => (scope.fetch = async () => new Response("<html>")),
  "the answer is null": (scope) => (scope.fetch = async () => Response.json(null)),
  "the answer is a number": (scope) => (scope.fetch = async () => Response.json({ cid: { x: 1 }, data: 7 })),
  "history throws": (scope) => (scope.history.replaceState = deny),
  "there is no history": (scope) => delete scope.history,
  "events cannot be made": (scope) => delete scope.CustomEvent,
  "nothing can be listened to": (scope) => (scope.addEventListener = deny),
  "the document cannot be searched": (scope) => (scope.document.querySelector = deny),
  "URL is broken": (scope) => (scope.URL = deny),
  "there is no document": (scope) => delete scope.document,
  "the address cannot be read": (scope) => Object.defineProperty(scope, "location", { get: deny }),
  "our name is taken": (scope) => Object.defineProperty(scope, "Affonso", { value: Object.freeze({}), writable: false }),
  "the id cannot be set": (scope) => Object.defineProperty(scope, "affonso_referral", { set: deny }),
  "there are no timers": (scope) => delete scope.setTimeout,
};
for (const [what, change] of Object.entries(hostile)) {
  test(`nothing is thrown where ${what}`, async () => {
    for (const consent of ["false", "true"]) {
      const p = page({ url: inside, cookie: "affonso_referral=c0", script: ours({ "data-requires-consent": consent }), change });
      await p.load();
      p.workers.forEach((worker) => worker.answer(undefined));
      await settle();
      const { Affonso, affonsoConsentGranted } = p.scope;
      if (Affonso?.applyCode) {
        Affonso.getReferralId();
        Affonso.getDiscount();
        Affonso.getAffiliateCoupons();
        await Affonso.signup();
        await Affonso.signup(null);
        await Affonso.applyCode("\ud800");
        await Affonso.applyCode(Symbol("x"));
        await Affonso.bind(Symbol("x"));
        const granted = affonsoConsentGranted();
        await settle();
        p.workers.forEach((worker) => worker.answer(undefined));
        await granted;
      }
      await p.fire("pagehide");
      await p.fire("online");
    }
  });
}
