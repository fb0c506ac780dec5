// The control: on one page, scripts of vendors and ours. A blocker stops what its lists name and nothing else, and no browser
// stops anything by itself.
import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { VENDORS } from "./front.mjs";
import { UBLOCK } from "./makes.mjs";
import { eventually } from "../processes.mjs";
import { check, quiet } from "./expect.mjs";

const scripts = { "cdn.firstpromoter.com": "/fpr.js", "cdn.tolt.io": "/tolt.js", "cdn.affonso.io": "/js/pixel.min.js" };

export async function control(make, shopper) {
  const { site, page, tag, known, go, affiliate } = shopper;
  const isBlocked = (host) => make === "ublock" && isListed(host);
  assert.ok(make !== "ublock" || VENDORS.some(isListed), "the lists name one of the vendors at least");
  const passed = () => site.asked.filter(({ host }) => VENDORS.includes(host)).map(({ host, path }) => `${host}${path}`);
  // The lists are read while the browser starts.
  await eventually("the lists are in force", async () => {
    site.asked.length = 0;
    await load(page, site, "");
    return !passed().some((url) => isBlocked(url.split("/")[0]));
  });
  shopper.complaints.length = 0;
  site.asked.length = 0;
  await load(page, site, tag, affiliate, go);
  await known();
  await quiet(site);
  const wanted = VENDORS.filter((host) => !isBlocked(host)).map((host) => host + scripts[host]);
  assert.deepEqual([...new Set(passed())].sort(), wanted.sort(), "vendors' scripts that have passed");
  await check(shopper, { allowed: /(firstpromoter|tolt|affonso)\.(com|io)/ });
}

async function load(page, site, tag, affiliate = "", go) {
  const vendors = Object.entries(scripts).map(([host, path]) => `<script async src="https://${host}${path}"></script>`);
  site.html = vendors.join("") + tag;
  await (go ? go(`/?via=${affiliate}`) : page.goto("https://www.shop.test/"));
}

let lists;
/** Whether the lists that the blocker comes with name this host, or the domain that it belongs to. */
function isListed(host) {
  lists ??= textsBelow(join(UBLOCK, "assets")).join("\n");
  const domain = host.split(".").slice(-2).join(".");
  return lists.includes(`||${host}^`) || lists.includes(`||${domain}^`);
}

function textsBelow(folder) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    return entry.isDirectory() ? textsBelow(path) : path.endsWith(".txt") ? [readFileSync(path, "utf8")] : [];
  });
}
