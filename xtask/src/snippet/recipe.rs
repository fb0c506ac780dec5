//! How the files in `dist` are made. The manifest counts this file among their inputs.

use std::{fs, path::Path};

use anyhow::{Context, Result};

use super::{
    bindgen,
    compiler::TARGET,
    manifest::hash,
    shell::{command, output, run, say},
};

/// Browsers of 2020 and later; WebAssembly with reference types needs those of 2022, and the page does without.
const JS_TARGET: &str = "--target=es2020";

/// Whatever a page has done to the browser, nothing is thrown into it. A tag that nobody waits for keeps what a later task would not
/// find any more, and lets the page have its turn.
const BEFORE: &str = "--banner:js=try{let current=document.currentScript,asked=location.href,pause=e=>new Promise(t=>setTimeout(t,e)),\
    gone=new Promise(e=>addEventListener('pagehide',()=>e())).catch(()=>{}),firstOf=(...e)=>Promise.race([...e,gone]),run=()=>{try{";
const AFTER: &str = "--footer:js=}catch{}};current?.async?firstOf(pause()).then(run):run()}catch{}";

/// Builds everything into `out`.
pub(super) fn build(workspace: &Path, rustc: &Path, out: &Path) -> Result<()> {
    let snippet = workspace.join("snippet");
    if out.exists() {
        fs::remove_dir_all(out)?;
    }
    fs::create_dir_all(out)?;
    // Install scripts of packages are not run: none of these needs them.
    say("tools from npm");
    run(command("npm")
        .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"])
        .current_dir(&snippet))?;
    say("WebAssembly");
    let glue = workspace.join("target/snippet/glue");
    link(workspace, rustc)?;
    bindgen::run(&workspace.join("target/wasm").join(TARGET).join("wasm/tracker_wasm.wasm"), &glue)?;
    optimise(&snippet, &glue, &out.join("tracker.wasm"))?;
    say("JavaScript");
    run(tool(&snippet, "typescript/bin/tsc").args(["--project", "tsconfig.json"]))?;
    let wasm_name = format!("{}.wasm", short_hash(&out.join("tracker.wasm"))?);
    let name = format!("--define:WASM_NAME=\"{wasm_name}\"");
    bundle(&snippet, "ts/worker.ts", &out.join("worker.js"), &["--format=esm", &name])?;
    bundle(&snippet, "ts/more.ts", &out.join("more.js"), &["--format=esm"])?;
    bundle(&snippet, "ts/main.ts", &out.join("pixel.js"), &["--format=iife", BEFORE, AFTER])?;
    let worker_name = format!("{}.js", short_hash(&out.join("worker.js"))?);
    let more_name = format!("{}.js", short_hash(&out.join("more.js"))?);
    fs::write(out.join("names.rs"), names(&wasm_name, &worker_name, &more_name))?;
    Ok(())
}

/// Runs what was built: the worker with the WebAssembly against the vectors of `referral`, and the snippet in stand-ins of
/// pages.
pub(super) fn test(workspace: &Path, dist: &Path) -> Result<()> {
    say(&format!("tests of {}", dist.strip_prefix(workspace).unwrap_or(dist).display()));
    let snippet = workspace.join("snippet");
    let files = ["test/vectors.test.mjs", "test/pixel.test.mjs", "test/consent.test.mjs"];
    run(command("node")
        .args(["--test", "--test-reporter=dot"])
        .args(files)
        .current_dir(snippet)
        .env("SNIPPET_DIST", dist))
}

/// The linker's output. No path of this machine goes into it, and its folder is its own: an outer cargo holds the lock of
/// the usual one.
fn link(workspace: &Path, rustc: &Path) -> Result<()> {
    let cargo_home = std::env::var_os("CARGO_HOME").map(Into::into);
    let cargo_home =
        cargo_home.or_else(|| Some(std::path::PathBuf::from(std::env::var_os("HOME")?).join(".cargo")));
    let cargo_home = cargo_home.context("neither CARGO_HOME nor HOME is set")?;
    let remap = [(cargo_home.as_path(), "/cargo"), (workspace, "/usher")]
        .map(|(from, to)| format!("--remap-path-prefix={}={to}", from.display()));
    let mut cargo = command("cargo");
    cargo.args([
        "build",
        "--quiet",
        "--locked",
        "--target",
        TARGET,
        "--profile",
        "wasm",
        "--package",
        "tracker-wasm",
    ]);
    cargo.current_dir(workspace).env("RUSTC", rustc).env("CARGO_TARGET_DIR", workspace.join("target/wasm"));
    run(cargo.env("CARGO_INCREMENTAL", "0").env("CARGO_ENCODED_RUSTFLAGS", remap.join("\u{1f}")))
}

/// What the worker calls. Everything that serves only wasm-bindgen's own glue is left out.
const CALLED: &str = r#"[
    {"name": "worker", "root": true, "reaches": ["memory", "parse", "malloc"]},
    {"name": "memory", "export": "memory"},
    {"name": "parse", "export": "parse"},
    {"name": "malloc", "export": "__wbindgen_malloc"}
]"#;

fn optimise(snippet: &Path, glue: &Path, out: &Path) -> Result<()> {
    let (graph, called) = (glue.join("called.json"), glue.join("called.wasm"));
    fs::write(&graph, CALLED)?;
    let mut keep = tool(snippet, "binaryen/bin/wasm-metadce");
    keep.arg("--all-features").arg(glue.join("tracker_bg.wasm")).arg("--graph-file").arg(&graph);
    // It tells what it left out.
    output(keep.arg("-o").arg(&called))?;
    let strip = ["--strip-debug", "--strip-producers", "--strip-target-features"];
    let mut shrink = tool(snippet, "binaryen/bin/wasm-opt");
    // Laid flat and built up anew it is two hundredths smaller.
    let passes = ["-Oz", "--flatten", "--rereloop", "-Oz", "-Oz", "--converge"];
    run(shrink.args(passes).args(strip).arg(called).arg("-o").arg(out))
}

fn bundle(snippet: &Path, entry: &str, out: &Path, more: &[&str]) -> Result<()> {
    let mut esbuild = tool(snippet, "esbuild/bin/esbuild");
    esbuild.args([entry, "--bundle", "--minify", "--charset=utf8", "--legal-comments=none", JS_TARGET]);
    run(esbuild.args(["--log-level=warning"]).args(more).arg(format!("--outfile={}", out.display())))?;
    // The bundler leaves a twentieth on the table.
    let mut terser = tool(snippet, "terser/bin/terser");
    terser.arg(out).args(["--ecma", "2020", "--compress", "passes=4,toplevel", "--mangle", "toplevel"]);
    if more.contains(&"--format=esm") {
        terser.arg("--module");
    }
    run(terser.arg("--output").arg(out))
}

fn tool(snippet: &Path, script: &str) -> std::process::Command {
    let mut node = command("node");
    node.arg(snippet.join("node_modules").join(script)).current_dir(snippet);
    node
}

fn short_hash(file: &Path) -> Result<String> {
    Ok(hash(&fs::read(file)?).chars().take(16).collect())
}

fn names(wasm: &str, worker: &str, more: &str) -> String {
    format!(
        "/// The file name of [`WASM`], from its content: it can be cached for ever.\n\
         pub const WASM_NAME: &str = \"{wasm}\";\n\
         /// The file name of [`WORKER_JS`], from its content: it can be cached for ever.\n\
         pub const WORKER_NAME: &str = \"{worker}\";\n\
         /// The file name of [`MORE_JS`], from its content: it can be cached for ever.\n\
         pub const MORE_NAME: &str = \"{more}\";\n"
    )
}
