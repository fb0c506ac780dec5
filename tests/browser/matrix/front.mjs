// All of the web, as the browsers of the matrix see it: one server for HTTP/2 and TLS that plays every host, before one edge.
// Firefox comes through a proxy, for it maps no names; a host that is not played here is not reached.
import { spawnSync } from "node:child_process";
import { createHash, createPrivateKey, createPublicKey } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { Agent, createServer as createProxy, request as call } from "node:http";
import { createSecureServer } from "node:http2";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Hosts whose scripts blockers know, beside the platform's own. */
export const VENDORS = ["cdn.firstpromoter.com", "cdn.tolt.io", "cdn.affonso.io"];
export const OURS = ["www.shop.test", "go.shop.test", "www.pay.test", "www.front.test", "www.asks.test"];
export const STRANGER = "www.stranger.test";
const PLAYED = [...VENDORS, ...OURS, STRANGER];
/** Whatever path is asked for: the edge has it all. */
const EDGE_ALONE = ["go.shop.test", "www.front.test"];
/** Fields that belong to a connection, which HTTP/2 does without (RFC 9113 section 8.2.2). */
const OF_CONNECTIONS = ["connection", "keep-alive", "transfer-encoding"];

/**
 * Starts it. `site` says what pages hold; `setEdge` tells where the edge is, once it runs; while it is `cut` nobody is
 * reached.
 */
export async function startFront(t, site) {
  const certificate = certify(t);
  let edge;
  let isCut = false;
  const agent = new Agent({ keepAlive: true });
  t.after(() => agent.destroy());
  const sessions = new Set();
  const web = createSecureServer({ ...certificate, allowHTTP1: true }, async (request, answer) => {
    const host = (request.headers.host ??= request.authority ?? "");
    const isPlayed = PLAYED.includes(host); // Chromium calls home whatever it is told
    if (isPlayed) site.asked.push({ host, method: request.method, path: request.url, headers: request.headers });
    if (VENDORS.includes(host)) return answer.writeHead(200, { "content-type": "text/javascript" }).end("");
    if (!isPlayed) return answer.writeHead(503).end();
    const isEdges = EDGE_ALONE.includes(host) || request.url.startsWith(`${site.prefix}/`);
    if (host !== STRANGER && isEdges) return handOver(agent, edge, request, site.address, answer);
    await page(site, request, answer);
  });
  const proxy = createProxy((_, answer) => answer.writeHead(503).end()).on("connect", ({ url }, client) => {
    const host = url.replace(/:443$/, "");
    if (!PLAYED.includes(host)) return client.end("HTTP/1.1 503 Unavailable\r\n\r\n");
    const server = connect(web.address().port, "127.0.0.1", () => {
      client.write("HTTP/1.1 200 OK\r\n\r\n");
      client.pipe(server).pipe(client);
    });
    client.on("error", () => server.destroy());
    server.on("error", () => client.destroy());
  });
  web.on("session", (session) => sessions.add(session.on("close", () => sessions.delete(session)).on("error", () => {})));
  web.on("connection", (socket) => isCut && socket.destroy());
  const cut = (now) => {
    isCut = now;
    if (now) sessions.forEach((session) => session.destroy());
  };
  // The origin behind the edge.
  const origin = createProxy((request, answer) => page(site, request, answer));
  const [https, tunnels, plain] = await Promise.all([web, proxy, origin].map((server) => listen(t, server)));
  const ports = { https, proxy: tunnels, origin: plain };
  t.after(() => sessions.forEach((session) => session.destroy()));
  return { ports, publicKey: certificate.publicKey, setEdge: (address) => (edge = new URL(address)), cut };
}

async function listen(t, server) {
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    server.close();
    server.closeAllConnections?.();
  });
  return server.address().port;
}

/** A page of the site, or what the scenario has put at its path. */
async function page(site, request, answer) {
  const pieces = [];
  for await (const piece of request) pieces.push(piece);
  const path = request.url.split("?")[0];
  if (path === "/report") return answer.end(void site.reports.push(`${Buffer.concat(pieces)}`));
  const [type, text] = site.files[path] ?? ["text/html", site.page(request)];
  answer.writeHead(200, { "content-type": type, ...(type === "text/html" && site.headers) }).end(text);
}

/** What a web server does with a route: the same request, with the visitor's address. */
function handOver(agent, { hostname, port }, request, address, answer) {
  const ordinary = Object.entries(request.headers).filter(([name]) => !name.startsWith(":"));
  const headers = { ...Object.fromEntries(ordinary), "x-forwarded-for": address, "x-forwarded-proto": "https" };
  const handed = call({ agent, hostname, port, method: request.method, path: request.url, headers }, (reply) => {
    const kept = Object.entries(reply.headers).filter(([name]) => !OF_CONNECTIONS.includes(name));
    answer.writeHead(reply.statusCode, Object.fromEntries(kept));
    reply.pipe(answer);
  });
  handed.on("error", () => (answer.headersSent ? answer.destroy() : answer.writeHead(502).end()));
  request.on("close", () => request.complete || handed.destroy());
  answer.on("close", () => handed.destroy());
  request.pipe(handed);
}

/** A certificate for every host, and the digest of its key, which Chromium is told to believe. */
function certify(t) {
  const folder = mkdtempSync(join(tmpdir(), "usher-certificate-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const [key, cert] = ["key.pem", "cert.pem"].map((name) => join(folder, name));
  const names = PLAYED.map((host) => `DNS:${host}`).join();
  const parameters = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30"];
  parameters.push("-subj", "/CN=shop.test", "-addext", `subjectAltName=${names}`, "-keyout", key, "-out", cert);
  const made = spawnSync("openssl", parameters, { encoding: "utf8" });
  if (made.status !== 0) throw new Error(`openssl: ${made.stderr ?? made.error}`);
  const pem = readFileSync(key);
  const spki = createPublicKey(createPrivateKey(pem)).export({ type: "spki", format: "der" });
  return { key: pem, cert: readFileSync(cert), publicKey: createHash("sha256").update(spki).digest("base64") };
}
