// The platform's SDK, as it speaks over the wire.
//
// The package registry does not have it, so requests are kept in recorded/affonso-sdk.json and made again from there; the file
// says what they were recorded from. Whoever has a built copy names it in AFFONSO_SDK (a file to import): then that copy is
// tried, and `node sdk.mjs "what it is"` records its requests anew.
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath, pathToFileURL } from "node:url";
import { calls } from "./sdk-calls.mjs";

const recording = new URL("recorded/affonso-sdk.json", import.meta.url);
const BASE = "https://recorded.example/v1";
const SECRET = "whsec_recorded";

/** The SDK itself or, without one, its recorded requests: a function of a call's name and the ids known, for the answer's data. */
export async function client(api, key, signingSecret) {
  if (!process.env.AFFONSO_SDK) return recorded(api, key, signingSecret);
  const { Affonso } = await load();
  const sdk = new Affonso(key, { baseUrl: api, signingSecret });
  return (name, known) => calls[name](sdk, known);
}

const load = () => import(pathToFileURL(process.env.AFFONSO_SDK).href);
const sign = (secret, at, body) => createHmac("sha256", secret).update(`${at}.${body}`).digest("hex");

function recorded(api, key, signingSecret) {
  const { requests } = JSON.parse(readFileSync(recording, "utf8"));
  return async (name, known = {}) => {
    const request = requests[name];
    const fill = (text) => text.replace("{click}", known.click).replace("{conversion}", known.conversion);
    const headers = { ...request.headers, Authorization: `Bearer ${key}` };
    const at = headers["X-Affonso-Timestamp"];
    const body = fill(request.body);
    // That it signs as we do shows in the recording itself; what is sent is signed afresh, since ids and time are other ones.
    if (at) assert.equal(headers["X-Affonso-Signature"], sign(SECRET, at, request.body), `${name}'s signature`);
    delete headers["X-Affonso-Timestamp"];
    delete headers["X-Affonso-Signature"];
    if (at && signingSecret) {
      const now = `${Math.floor(Date.now() / 1000)}`;
      Object.assign(headers, { "X-Affonso-Timestamp": now, "X-Affonso-Signature": sign(signingSecret, now, body) });
    }
    const answer = await fetch(api + fill(request.path), { method: request.method, headers, body });
    const said = await answer.json();
    if (answer.ok && said.success) return said.data;
    throw Object.assign(new Error(said.error.message), { status: answer.status, ...said.error });
  };
}

/** Lets the SDK make every call and keeps what it would have sent. */
async function record(source) {
  const { Affonso } = await load();
  const requests = {};
  for (const [name, call] of Object.entries(calls)) {
    const fetch = async (url, { method, headers, body }) => {
      requests[name] = { method, path: decodeURI(url).replace(BASE, ""), headers, body };
      return new Response('{"success":true,"data":{}}', { status: 201 });
    };
    await call(new Affonso("KEY", { baseUrl: BASE, signingSecret: SECRET, fetch }), { click: "{click}", conversion: "{conversion}" });
  }
  writeFileSync(recording, `${JSON.stringify({ source, requests }, null, 2)}\n`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await record(process.argv[2]);
