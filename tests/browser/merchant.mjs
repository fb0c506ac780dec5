// A merchant's site on real host names, written by hand: a page with the tag, a button that buys, a backend that reports the
// sale. Everything below /k3 is handed to one edge after the other, and so are the backend's reports.
import { createServer, request as call } from "node:http";

export const PROGRAM = "cm4ya9sik0009l9fbcvl9m05z";
export const KEY = "key-of-the-shop";
export const HOSTS = ["www.shop.test", "pay.shop.test"];

const tag = `<script async src="/k3/pixel.js" data-affonso="${PROGRAM}" data-cookie_duration="30" data-api-base="/k3"></script>`;
const manager = `
  const tag = document.createElement("script");
  for (const [name, value] of Object.entries({
    src: "/k3/pixel.js", "data-affonso": "${PROGRAM}", "data-cookie_duration": "30", "data-api-base": "/k3",
  })) tag.setAttribute(name, value);
  document.head.append(tag);`;
const script = `
  const show = () => { document.querySelector("#referral").textContent = window.affonso_referral || ""; };
  addEventListener("affonso_referral_ready", show);
  show();
  document.querySelector("button").addEventListener("click", async () => {
    const order = { referral: window.affonso_referral || "", code: document.querySelector("input").value };
    const answer = await fetch("/buy", { method: "POST", body: JSON.stringify(order) });
    document.querySelector("#order").textContent = await answer.text();
  });`;
const page = (head) => `<!doctype html><title>shop</title><link rel="icon" href="/icon.svg">${head}
  <p id="referral"></p><input><button>Buy</button><p id="order"></p><script src="/shop.js"></script>`;

/** Starts the site before these edges. `policy` is its Content-Security-Policy, `managed` whether a tag manager makes the tag. */
export async function merchant(t, edges, { policy, managed } = {}) {
  let turn = 0;
  let orders = 0;
  const served = edges.map(() => 0);
  const next = () => {
    const which = turn++ % edges.length;
    served[which]++;
    return edges[which];
  };
  const files = {
    "/shop.js": ["text/javascript", script],
    "/manager.js": ["text/javascript", manager],
    "/icon.svg": ["image/svg+xml", '<svg xmlns="http://www.w3.org/2000/svg"/>'],
  };
  const server = createServer(async (request, answer) => {
    const body = await read(request);
    if (request.url.startsWith("/k3/")) return handOver(next(), request, body, answer);
    if (request.url === "/buy") return answer.end(await report(next(), ++orders, JSON.parse(body)));
    const html = page(managed ? '<script async src="/manager.js"></script>' : tag);
    const [type, text] = files[request.url] ?? ["text/html", html];
    answer.writeHead(200, { "content-type": type, ...(policy && { "content-security-policy": policy }) }).end(text);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return { port: server.address().port, served };
}

async function read(stream) {
  const pieces = [];
  for await (const piece of stream) pieces.push(piece);
  return Buffer.concat(pieces);
}

/** What a web server does with a route: the same request, with the visitor's address. */
function handOver(edge, request, body, answer) {
  const { hostname, port } = new URL(edge);
  const headers = { ...request.headers, "x-forwarded-for": "203.0.113.7", connection: "close" };
  const { method, url: path } = request;
  const handed = call({ hostname, port, method, path, headers }, (reply) => {
    answer.writeHead(reply.statusCode, reply.headers);
    reply.pipe(answer);
  });
  handed.on("error", () => answer.destroy());
  handed.end(body);
}

/** What the backend does after a checkout. Gives the answer's status. */
function report(edge, number, { referral, code }) {
  const { hostname, port } = new URL(edge);
  const headers = { host: HOSTS[0], authorization: `Bearer ${KEY}`, "content-type": "application/json" };
  const sale = {
    external_event_id: `pay_${number}`,
    sale_amount: 99.9,
    sale_amount_currency: "USD",
    referral_id: referral,
    promo_code: code,
  };
  return new Promise((resolve, reject) => {
    const path = "/k3/v1/conversions";
    const reported = call({ hostname, port, path, method: "POST", headers }, async (reply) => {
      await read(reply);
      resolve(`${reply.statusCode}`);
    });
    reported.on("error", reject);
    reported.end(JSON.stringify(sale));
  });
}
