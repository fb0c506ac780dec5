// An origin on Node's own HTTP server: one line of JSON for each request that it took for a whole one, and for each that it
// could not read.
import { appendFileSync } from "node:fs";
import { createServer } from "node:http";

const file = process.argv[2];
const tell = (told) => appendFileSync(file, `${JSON.stringify(told)}\n`);

const server = createServer({ maxHeaderSize: 256 * 1024 }, (request, response) => {
  const parts = [];
  request.on("data", (part) => parts.push(part));
  request.on("end", () => {
    const { method, url, headers } = request;
    tell({ method, target: url, case: headers["x-case"] ?? "", body: Buffer.concat(parts).toString("latin1") });
    response.end("ok");
  });
});
server.on("clientError", (error, socket) => {
  // A request that was broken off is none.
  if (error.code !== "ECONNRESET" && error.code !== "HPE_INVALID_EOF_STATE") {
    tell({ malformed: `${error.code} ${error.rawPacket?.toString("latin1") ?? ""}` });
  }
  socket.destroy();
});
server.listen(0, "127.0.0.1", () => console.log(`port ${server.address().port}`));
process.on("SIGTERM", () => server.close());
