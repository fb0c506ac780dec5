// The processes that the browser tests need: the binary under test and a real Redis. All of them end with the test.
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const repository = fileURLToPath(new URL("../../", import.meta.url));
const PATIENCE_MS = 30_000;
const LINES_SHOWN = 40;
const running = new Set();

process.on("exit", () => running.forEach((child) => child.kill("SIGKILL")));

/** The binary under test: what USHER_BIN names (`cargo xtask test` sets it), else it is built here. */
export const usher = process.env.USHER_BIN ?? build();

function build() {
  const built = spawnSync("cargo", ["build", "--quiet", "--locked", "--package", "usher"], {
    cwd: repository,
    stdio: "inherit",
  });
  if (built.status !== 0) throw new Error("cargo build --package usher failed");
  return join(repository, process.env.CARGO_TARGET_DIR ?? "target", "debug/usher");
}

/** Starts a process and waits until each of `patterns` was found in what it says. Gives the matches and a way to end it. */
export async function start(t, program, parameters, patterns, options = {}) {
  const child = spawn(program, parameters, { stdio: ["ignore", "pipe", "pipe"], ...options });
  running.add(child);
  const gone = new Promise((resolve) => child.once("exit", resolve));
  const stop = async (signal = "SIGKILL") => {
    child.kill(signal);
    await gone;
    running.delete(child);
  };
  let said = "";
  t.after(async () => {
    if (t.passed === false) console.error(`--- the last lines of ${program} ${parameters.join(" ")} ---\n${tail(said)}`);
    await stop();
  });
  const matches = await new Promise((resolve, reject) => {
    const fail = (why) => reject(new Error(`${program} ${parameters.join(" ")}: ${why}\n${said}`));
    const timer = setTimeout(() => fail("said too little"), PATIENCE_MS);
    const listen = (piece) => {
      said += piece;
      const found = patterns.map((pattern) => pattern.exec(said));
      if (found.every(Boolean)) {
        clearTimeout(timer);
        resolve(found);
      }
    };
    child.stdout.setEncoding("utf8").on("data", listen);
    child.stderr.setEncoding("utf8").on("data", listen);
    child.once("error", (error) => fail(error.message));
    child.once("exit", (code) => fail(`ended with ${code}`));
  });
  return { matches, stop, signal: (name) => child.kill(name) };
}

const tail = (text) => text.split("\n").slice(-LINES_SHOWN).join("\n");

/** `usher demo` on free ports. */
export async function startDemo(t, ...parameters) {
  const address = (name) => new RegExp(`^\\s*${name}\\s+(http://[^\\s/]+)`, "m");
  const patterns = ["shop", "edge", "platform"].map(address);
  const { matches, stop } = await start(t, usher, ["demo", "--port", "0", ...parameters], patterns);
  const [shop, edge, platform] = matches.map((match) => match[1]);
  return { shop, edge, platform: standin(platform), stop };
}

/** An edge's configuration before its sites: behind this machine's own servers, with a store in `folder`. */
export const beforeSites = (folder, platform) => `
[server]
http = "127.0.0.1:0"
admin = "127.0.0.1:0"
trusted_proxies = ["127.0.0.0/8"]
[store]
url = "sqlite:${folder}/usher.db"
[upstream]
base_url = "${platform}/v1"
api_key = "sk_live_stand_in"
`;

/** The stand-in alone. */
export async function startStandin(t) {
  const parameters = ["demo", "--upstream-only", "--listen", "127.0.0.1:0"];
  const { matches } = await start(t, usher, parameters, [/http:\/\/[^\s/]+/]);
  return standin(matches[0][0]);
}

/** `usher serve` with this configuration, in a folder that goes with the test. */
export async function startEdge(t, toml) {
  const cwd = directory(t);
  const file = join(cwd, "usher.toml");
  writeFileSync(file, toml);
  const { matches } = await start(t, usher, ["serve", "--config", file], [/listening.*\bhttp="?(127\.0\.0\.1:\d+)/], { cwd });
  return `http://${matches[0][1]}`;
}

/** A real Redis. Gives its URL. */
export async function startRedis(t) {
  const port = await freePort();
  const parameters = ["--bind", "127.0.0.1", "--port", `${port}`, "--save", "", "--appendonly", "yes"];
  await start(t, "redis-server", parameters, [/Ready to accept connections/], { cwd: directory(t) });
  return `redis://127.0.0.1:${port}`;
}

/** Runs `redis-cli` as any other program that writes promo codes would. */
export function redisCli(url, ...parameters) {
  const ran = spawnSync("redis-cli", ["-e", "-u", url, ...parameters], { encoding: "utf8" });
  if (ran.status !== 0) throw new Error(`redis-cli ${parameters.join(" ")}: ${ran.stdout}${ran.stderr}`);
  return ran.stdout.trim();
}

/** A folder that goes with the test. */
function directory(t) {
  const folder = mkdtempSync(join(tmpdir(), "usher-browser-"));
  t.after(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }));
  return folder;
}

function standin(address) {
  return {
    address,
    received: async () => (await fetch(`${address}/_received`)).json(),
    behave: (fault) => fetch(`${address}/_behaviour`, { method: "POST", body: JSON.stringify(fault) }),
    behaveWell: () => fetch(`${address}/_behaviour`, { method: "DELETE" }),
  };
}

/** Redis cannot say which port the kernel gave it, so one that was free a moment ago is handed to it. */
function freePort() {
  return new Promise((resolve) => {
    const probe = createServer().listen(0, "127.0.0.1", () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}

/** Looks again and again until `look` finds something true, for 20 seconds at most: for what no event tells. */
export async function eventually(what, look) {
  const end = Date.now() + 20_000;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (Date.now() > end) throw new Error(`waited in vain for this: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
