// One edge before a stand-in for the platform, with a site whose key is KEY and whose host is the loopback address.
import { startEdge, startStandin } from "../browser/processes.mjs";

export { eventually, start } from "../browser/processes.mjs";

export const KEY = "key-of-the-shop";
export const PROGRAM = "cm4ya9sik0009l9fbcvl9m05z";
export const SECRET = "whsec_of_the_shop";

/** Starts both. `site` is more TOML for the site. Gives the API's base address and the platform. */
export async function setUp(t, site = "") {
  const platform = await startStandin(t);
  const edge = await startEdge(
    t,
    `
[server]
http = "127.0.0.1:0"
admin = "127.0.0.1:0"
[store]
url = "sqlite:usher.db"
[upstream]
base_url = "${platform.address}/v1"
api_key = "sk_live_stand_in"
[[site]]
name = "shop"
hosts = ["127.0.0.1"]
program = "${PROGRAM}"
prefix = "/r"
names_secret = "names of the shop"
api_keys = ["${KEY}"]
${site}`,
  );
  return { api: `${edge}/r/v1`, platform };
}

/** A call as any backend makes it. Gives the status and the JSON of the answer. */
export async function post(url, body, headers = {}) {
  const answer = await fetch(url, {
    method: "POST",
    headers: { authorization: `Bearer ${KEY}`, "content-type": "application/json", ...headers },
    body: JSON.stringify(body),
  });
  return { status: answer.status, json: await answer.json() };
}
