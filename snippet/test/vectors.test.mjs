// The built worker and WebAssembly, glue and all, against the vectors that the native parser passes.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import vm from "node:vm";
import { dist } from "./page.mjs";

const wasm = readFileSync(new URL("tracker.wasm", dist));
const script = readFileSync(new URL("worker.js", dist), "utf8");
const names = readFileSync(new URL("names.rs", dist), "utf8");
const vectors = JSON.parse(readFileSync(new URL("../../referral/tests/vectors.json", import.meta.url), "utf8"));

/** Starts the worker; `file` answers its fetch. Gives what it posts for a message. */
const worker = (file) => {
  const posted = [];
  const fetched = [];
  let closed = 0;
  const scope = vm.createContext({
    onmessage: undefined,
    postMessage: (answer) => posted.push(answer),
    close: () => closed++,
    fetch: async (name) => (fetched.push(name), file()),
    TextDecoder,
    TextEncoder,
  });
  vm.runInContext(script, scope);
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
    assert.deepEqual(await ask(url, parameters), present ? expected : null, url);
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
  assert.equal(await worker(response({ "content-security-policy": "default-src 'self'" })).ask("?via=a", ["via"]), 0);
});

test("says so when the file cannot be had", async () => {
  assert.equal(await worker(response({}, 404)).ask("?via=a", ["via"]), 0);
  assert.equal(await worker(() => Promise.reject(new TypeError("offline"))).ask("?via=a", ["via"]), 0);
  assert.equal(await worker(() => new Response("not wasm")).ask("?via=a", ["via"]), 0);
});
