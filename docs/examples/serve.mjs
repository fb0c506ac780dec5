// Serves a folder on this machine, as a shop's own server would: node serve.mjs FOLDER [PORT]
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join } from "node:path";

const [folder, port = "3000"] = process.argv.slice(2);
const types = { ".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8" };

const server = createServer(async (request, answer) => {
  // URL takes every "..", so nothing outside of the folder can be named.
  const { pathname } = new URL(request.url, "http://localhost");
  const file = pathname === "/" ? "/index.html" : pathname;
  const type = types[extname(file)];
  const body = type && (await readFile(join(folder, file)).catch(() => undefined));
  answer.writeHead(body ? 200 : 404, { "content-type": type ?? "text/plain" }).end(body ?? "not found");
});
server.listen(port, "127.0.0.1", () => console.log(`${folder} on http://127.0.0.1:${server.address().port}`));
