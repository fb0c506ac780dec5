// A site on real host names before an edge of its own, whose every page is what the test says.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, request as call } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { visitor } from "./browser.mjs";
import { PROGRAM } from "./merchant.mjs";
import { beforeSites, startEdge, startStandin } from "./processes.mjs";

export const WWW = "www.shop.test";
const configuration = (folder, platform, more) => `${beforeSites(folder, platform)}
[[site]]
name = "shop"
hosts = ["${WWW}", "go.shop.test", "www.pay.test"]
program = "${PROGRAM}"
prefix = "/k3"
${more}
`;

export const attributes = `data-affonso="${PROGRAM}" data-api-base="/k3"`;
export const tag = (more = "async", base = "") => `<script ${more} src="${base}/k3/pixel.js" ${attributes}></script>`;
export const inject = `
  const tag = document.createElement("script");
  for (const [name, value] of Object.entries({ src: "/k3/pixel.js", "data-affonso": "${PROGRAM}", "data-api-base": "/k3" }))
    tag.setAttribute(name, value);
  document.head.append(tag);`;

/**
 * A site whose every page is `site.html` with `site.headers`, before an edge of its own that has `more` in its configuration.
 * Each page that is arrived at is another visitor's.
 */
export async function setUp(t, more = "") {
  const folder = mkdtempSync(join(tmpdir(), "usher-policies-"));
  t.after(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }));
  const platform = await startStandin(t);
  const edge = new URL(await startEdge(t, configuration(folder, platform.address, more)));
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
