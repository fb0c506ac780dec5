// What surrounds a shopper of the matrix: the stand-in for the platform, one edge with three sites, and the web before it.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { request as call } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { KEY, PROGRAM } from "../merchant.mjs";
import { beforeSites, start, startStandin, usher } from "../processes.mjs";
import { OURS, startFront } from "./front.mjs";
import { visitor } from "./makes.mjs";

export { KEY, PROGRAM };
export const PREFIX = "/k3";
const COMMON = `
program = "${PROGRAM}"
names_secret = "names of the shop"
click_signing_key = "what proves a click"
api_keys = ["${KEY}"]`;
const configuration = (folder, platform, origin) => `${beforeSites(folder, platform)}
[[site]]
name = "shop"
hosts = ["www.shop.test", "go.shop.test", "www.pay.test"]
prefix = "${PREFIX}"
go = "/go"
${COMMON}
[[site.links]]
path = "/spring"
affiliate = "spring"
to = "https://www.shop.test/sale"
[[site]]
name = "front"
hosts = ["www.front.test"]
prefix = "${PREFIX}"
origin = "${origin}"
${COMMON}
[[site]]
name = "asks"
hosts = ["www.asks.test"]
prefix = "${PREFIX}"
consent = "required"
${COMMON}
`;

/** Starts it all. `shopper(browser)` is somebody new, before whom the world is as at its beginning. */
export async function startWorld(t) {
  const folder = mkdtempSync(join(tmpdir(), "usher-matrix-"));
  const platform = await startStandin(t);
  const site = { prefix: PREFIX, isOurs };
  reset(site, "203.0.113.1");
  const front = await startFront(t, site);
  const file = join(folder, "usher.toml");
  writeFileSync(file, configuration(folder, platform.address, `http://127.0.0.1:${front.ports.origin}`));
  const run = (...parameters) => {
    const ran = spawnSync(usher, [...parameters, "--config", file], { encoding: "utf8", cwd: folder });
    if (ran.status !== 0) throw new Error(`usher ${parameters.join(" ")}: ${ran.stderr}`);
    return ran.stdout;
  };
  run("codes", "add", "SAVE10", "--affiliate", "saver", "--percent", "10", "--site", "shop");
  const listening = [/listening.*\bhttp="?(127\.0\.0\.1:\d+)/];
  const edge = await start(t, usher, ["serve", "--config", file], listening, { cwd: folder });
  t.after(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }));
  const address = `http://${edge.matches[0][1]}`;
  front.setEdge(address);
  const printed = (name) => run("snippet", "--site", name);
  const [tag, askingTag] = ["shop", "asks"].map((name) => /<script [^>]*><\/script>/.exec(printed(name))[0]);
  const managed = /<script>\s*\(function[^]*?<\/script>/.exec(printed("shop"))[0];
  const world = { platform, site, front, edge, address, tag, askingTag, managed, people: 0 };
  return Object.assign(world, { shopper: (browser) => shopper(world, browser) });
}

/** Browsers ask for a site's icon by themselves, and give up on it when the page is left. */
function isOurs(url) {
  const { host, pathname } = new URL(url);
  return OURS.includes(host) && pathname !== "/favicon.ico";
}

function reset(site, address) {
  const page = () => site.html;
  Object.assign(site, { html: "", headers: {}, files: {}, asked: [], reports: [], address, page });
}

async function shopper(world, browser) {
  const { platform, site, tag } = world;
  const number = ++world.people;
  reset(site, `203.0.${100 + (number >> 8)}.${number & 255}`);
  site.page = ({ url }) => document(site.html, url);
  site.html = tag;
  await platform.behaveWell();
  await fetch(`${platform.address}/_received`, { method: "DELETE" });
  const person = { ...world, ...(await visitor(browser, site)) };
  person.affiliate = `aff${number}`;
  person.go = (path = `/?via=${person.affiliate}`, page = person.page) =>
    page.goto(new URL(path, "https://www.shop.test").href, { waitUntil: "load" });
  person.known = async (page = person.page) => {
    // In the background nothing is drawn, so the time is asked for instead.
    await page.waitForFunction(() => window.affonso_referral, { timeout: 10_000, polling: 50 });
    return page.evaluate(() => window.affonso_referral);
  };
  /** What the site was asked for below the prefix, as `METHOD path`. */
  person.asked = () =>
    site.asked.filter(({ path }) => path.startsWith(`${PREFIX}/`)).map(({ method, path }) => `${method} ${path}`);
  person.report = (sale) => report(world.address, sale);
  return person;
}

const document = (html, path) => `<!doctype html><html lang="en"><head><title>${path.split("?")[0]}</title><link rel="icon" href="data:,">
${html}</head><body><h1>Things to buy</h1><p>All of them.</p></body></html>`;

/** What the shop's backend says of a sale. Gives the answer's status. */
function report(edge, sale) {
  const headers = { host: "www.shop.test", authorization: `Bearer ${KEY}`, "content-type": "application/json" };
  const body = { sale_amount: 99.9, sale_amount_currency: "USD", ...sale };
  return new Promise((resolve, reject) => {
    call(`${edge}${PREFIX}/v1/conversions`, { method: "POST", headers }, (answer) => {
      answer.resume();
      resolve(answer.statusCode);
    })
      .on("error", reject)
      .end(JSON.stringify(body));
  });
}
