// docs/openapi.json against a running edge: schemathesis makes requests from it, right and wrong ones, and checks each answer.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { KEY, setUp } from "./set-up.mjs";

const here = fileURLToPath(new URL(".", import.meta.url));
const document = fileURLToPath(new URL("../../docs/openapi.json", import.meta.url));
const program =
  process.env.SCHEMATHESIS ?? fileURLToPath(new URL("../../target/schemathesis/bin/schemathesis", import.meta.url));

test("the document says what the edge does", { timeout: 300_000 }, async (t) => {
  const { api } = await setUp(t);
  // What it keeps for its next run goes with this one.
  const cwd = mkdtempSync(join(tmpdir(), "usher-api-"));
  t.after(() => rmSync(cwd, { recursive: true, force: true }));
  const parameters = ["--no-color", "--config-file", join(here, "schemathesis.toml"), "run", document, "--url", api];
  const child = spawn(program, [...parameters, "--header", `Authorization: Bearer ${KEY}`], {
    cwd,
    env: { ...process.env, SCHEMATHESIS_HOOKS: "hooks", PYTHONPATH: here, PYTHONDONTWRITEBYTECODE: "1" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  t.after(() => child.kill("SIGKILL"));
  let said = "";
  for (const pipe of [child.stdout, child.stderr]) pipe.setEncoding("utf8").on("data", (piece) => (said += piece));
  const code = await new Promise((resolve, reject) => child.once("error", reject).once("close", resolve));
  assert.equal(code, 0, said);
  console.log(said.slice(said.lastIndexOf("SUMMARY")));
});
