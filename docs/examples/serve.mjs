// Serves a folder's pages and scripts on this machine, as a shop's own server would: node serve.mjs FOLDER [PORT]
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { join } from "node:path";

const [folder, port = "3000"] = process.argv.slice(2);
const types = { html: "text/html; charset=utf-8", js: "text/javascript; charset=utf-8" };

const server = createServer(async (request, answer) => {
  const path = request.url.split("?")[0];
  // Names without a slash: nothing outside of the folder can be asked for.
  const name = /^\/([\w-]+\.(?:html|js))$/.exec(path === "/" ? "/index.html" : path)?.[1];
  const body = name && (await readFile(join(folder, name)).catch(() => undefined));
  answer.writeHead(body ? 200 : 404, { "content-type": body ? types[name.split(".")[1]] : "text/plain" });
  answer.end(body || "not found");
});
server.listen(port, "127.0.0.1", () => console.log(`${folder} on http://127.0.0.1:${server.address().port}`));
