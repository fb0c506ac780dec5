// The built worker and WebAssembly, glue and all, against the vectors that the native parser passes.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { dist, meta, nonce, runWorkerIn } from "./page.mjs";

const wasm = readFileSync(new URL("tracker.wasm", dist));
const names = readFileSync(new URL("names.rs", dist), "utf8");
const vectors = JSON.parse(readFileSync(new URL("../../referral/tests/vectors.json", import.meta.url), "utf8"));

/** Starts the worker; `file` answers its fetch. Gives what it posts for a message. */
const worker = (file) => {
  const posted = [];
  const fetched = [];
  let closed = 0;
  const scope = runWorkerIn({
    onmessage: undefined,
    postMessage: (answer) => posted.push(answer),
    close: () => closed++,
    fetch: async (name) => (fetched.push(name), file()),
    TextDecoder,
    TextEncoder,
  });
  let asked = 0;
  const ask = async (url, parameters) => {
    await scope.onmessage({ data: [url, parameters.join(",")] });
    assert.equal(closed, ++asked, "a worker that has answered ends");
    const answer = posted.pop();
    return answer && { ...answer };
  };
  return { ask, fetched };
};

const response = (headers = {}, status = 200) => () => new Response(wasm, { status, headers });

test("reads every vector as the native parser does", async () => {
  const { ask, fetched } = worker(response());
  assert.ok(vectors.length > 60);
  for (const { url, parameters, expected } of vectors) {
    const present = "trackingId" in expected || "affonsoId" in expected;
    assert.deepEqual(await ask(url, parameters), present ? expected : 0, url);
  }
  assert.ok(names.includes(`WASM_NAME: &str = "${fetched[0]}"`));
});

test("goes on after many and after huge addresses", async () => {
  const { ask } = worker(response());
  const many = "?" + "x=%41&".repeat(50) + "via=alice&sub1=" + "%C3%A9".repeat(200);
  for (let i = 0; i < 2000; i++) {
    assert.equal((await ask(many, ["via"])).trackingId, "alice");
  }
  const huge = "?via=alice&sub1=" + "é€😀".repeat(200_000) + "&gclid=x";
  assert.deepEqual(await ask(huge, ["via"]), { trackingId: "alice", sub1: "é€😀".repeat(63) + "é€", gclid: "x" });
});

test("compiles nothing where a policy could forbid it", async () => {
  assert.equal(await worker(response({ "content-security-policy": "default-src 'self'" })).ask("?via=a", ["via"]), undefined);
});

test("says so when the file cannot be had", async () => {
  assert.equal(await worker(response({}, 404)).ask("?via=a", ["via"]), undefined);
  assert.equal(await worker(() => Promise.reject(new TypeError("offline"))).ask("?via=a", ["via"]), undefined);
  assert.equal(await worker(() => new Response("not wasm")).ask("?via=a", ["via"]), undefined);
});

/** The page's side. `change` makes it another page. */
const inPage = (change = () => {}) => {
  const workers = [];
  const scope = { document: { querySelector: () => null }, address: "https://shop.example/r/w.js" };
  scope.Worker = class {
    constructor(src, options) {
      Object.assign(this, { src, options, sent: [], postMessage: (message) => this.sent.push([...message]) });
      workers.push(this);
    }
  };
  change(scope);
  return { workers, ...runWorkerIn(scope) };
};

test("the page starts a worker of the same file, and takes what it says", async () => {
  const { read, workers, onmessage } = inPage();
  const reading = read("https://shop.example/#/?via=alice", "atp,via");
  const [{ src, options, sent }] = workers;
  assert.deepEqual([src, { ...options }, sent], ["https://shop.example/r/w.js", { type: "module" }, [["https://shop.example/#/?via=alice", "atp,via"]]]);
  workers[0].onmessage({ data: { trackingId: "alice" } });
  assert.deepEqual(await reading, { trackingId: "alice" });
  assert.equal(onmessage, undefined, "the page's own messages are its own");
});

test("a worker that fails says nothing in the console", async () => {
  const { read, workers } = inPage();
  const reading = read("?via=alice", "via");
  const event = new Event("error", { cancelable: true });
  workers[0].onerror(event);
  assert.equal(await reading, undefined);
  assert.ok(event.defaultPrevented);
});

test("where trusted types may be required the worker's address is one, and the policy is made once", () => {
  const made = [];
  const createPolicy = (name, { createScriptURL }) => {
    made.push(name);
    return { createScriptURL: (url) => ({ trusted: createScriptURL(url) }) };
  };
  const { read, workers } = inPage((scope) => (scope.trustedTypes = { defaultPolicy: null, createPolicy }));
  read("?via=alice", "via");
  read("?via=bob", "via");
  assert.deepEqual(workers.map(({ src }) => src.trusted), ["https://shop.example/r/w.js", "https://shop.example/r/w.js"]);
  assert.deepEqual(made, ["referral"]);
});

const tells = (policy) => (scope) => (scope.document.querySelector = (selector) => (selector.split(",").includes(policy) ? {} : null));
const careful = {
  "a script has a nonce": tells(nonce),
  "a meta holds a policy": tells(meta),
  "a default trusted-types policy decides": (scope) => (scope.trustedTypes = { defaultPolicy: {}, createPolicy: assert.fail }),
  "trusted types do not list ours": (scope) => (scope.trustedTypes = { createPolicy() { throw new TypeError("Policy"); } }),
  "workers cannot be made": (scope) => (scope.Worker = undefined),
  "making one throws": (scope) => (scope.Worker = class { constructor() { throw new Error("SecurityError"); } }),
};
for (const [what, change] of Object.entries(careful)) {
  test(`no worker where ${what}`, async () => {
    const { read, workers } = inPage(change);
    await assert.rejects(read("?via=alice", "via"));
    assert.deepEqual(workers, []);
  });
}
