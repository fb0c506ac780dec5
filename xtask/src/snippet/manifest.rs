//! What the files in `dist` were made from. The test of the crate `snippet` includes this file: it needs no other.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::Command,
};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The manifest's own name.
pub(crate) const FILE: &str = "MANIFEST";
/// The files that are made.
pub(crate) const OUTPUTS: [&str; 5] = ["more.js", "names.rs", "pixel.js", "tracker.wasm", "worker.js"];
/// Files and folders that they are made from. What `referral` and `tracker-wasm` depend on is in `cargo tree`.
const INPUTS: [&str; 10] = [
    "referral/src",
    "tracker-wasm/Cargo.toml",
    "tracker-wasm/src",
    "snippet/package.json",
    "snippet/package-lock.json",
    "snippet/tsconfig.json",
    "snippet/ts",
    "snippet/usher.d.ts",
    "xtask/src/snippet/bindgen.rs",
    "xtask/src/snippet/recipe.rs",
];

/// Hashes are SHA-256 in lower-case hexadecimal.
#[derive(Serialize, Deserialize)]
pub(crate) struct Manifest {
    /// `rustc -vV` of the compiler of the WebAssembly.
    pub(crate) rustc: Vec<String>,
    /// Versions of the other tools.
    pub(crate) tools: BTreeMap<String, String>,
    /// By path; text is hashed with `\n` at the end of its lines.
    pub(crate) inputs: BTreeMap<String, String>,
    /// By file name.
    pub(crate) outputs: BTreeMap<String, String>,
}

impl Manifest {
    /// The manifest of `dist`, just built from the workspace.
    #[allow(dead_code, reason = "the test reads manifests and makes none")]
    pub(crate) fn of(workspace: &Path, dist: &Path, rustc: Vec<String>) -> Result<Self> {
        let (inputs, outputs) = (inputs(workspace)?, outputs(dist)?);
        Ok(Self { rustc, tools: tools(workspace)?, inputs, outputs })
    }

    /// Reads it from `dist`.
    pub(crate) fn read(dist: &Path) -> Result<Self> {
        let text = fs::read(dist.join(FILE)).context("snippet/dist has no MANIFEST")?;
        serde_json::from_slice(&text).context("snippet/dist/MANIFEST")
    }

    /// Writes it to `dist`.
    #[allow(dead_code, reason = "the test reads manifests and writes none")]
    pub(crate) fn write(&self, dist: &Path) -> Result<()> {
        Ok(fs::write(dist.join(FILE), serde_json::to_string_pretty(self)? + "\n")?)
    }

    /// The inputs that are not the same in both.
    pub(crate) fn changed_inputs(&self, other: &Self) -> Vec<String> {
        let paths: BTreeSet<_> = self.inputs.keys().chain(other.inputs.keys()).collect();
        paths.into_iter().filter(|path| self.inputs.get(*path) != other.inputs.get(*path)).cloned().collect()
    }
}

/// SHA-256 in lower-case hexadecimal.
pub(crate) fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The hashes of the files in `dist`.
pub(crate) fn outputs(dist: &Path) -> Result<BTreeMap<String, String>> {
    let read = |name: &str| fs::read(dist.join(name)).with_context(|| format!("read {name}"));
    OUTPUTS.into_iter().map(|name| Ok((name.to_owned(), hash(&read(name)?)))).collect()
}

/// The hashes of all that the files in `dist` are made from.
pub(crate) fn inputs(workspace: &Path) -> Result<BTreeMap<String, String>> {
    let mut hashes = BTreeMap::new();
    for path in INPUTS {
        add_files(workspace, path, &mut hashes)?;
    }
    let manifest = fs::read_to_string(workspace.join("Cargo.toml"))?;
    for profile in ["[profile.release]", "[profile.wasm]"] {
        hashes.insert(format!("Cargo.toml {profile}"), hash(section(&manifest, profile).as_bytes()));
    }
    hashes.insert("cargo tree".to_owned(), hash(crates(workspace)?.join("\n").as_bytes()));
    Ok(hashes)
}

fn add_files(workspace: &Path, path: &str, hashes: &mut BTreeMap<String, String>) -> Result<()> {
    let file = workspace.join(path);
    if !file.is_dir() {
        let text = fs::read_to_string(&file).with_context(|| format!("read {path}"))?;
        hashes.insert(path.to_owned(), hash(text.replace("\r\n", "\n").as_bytes()));
        return Ok(());
    }
    for entry in fs::read_dir(file)? {
        let name = entry?.file_name();
        let name = name.to_str().context("a file's name is not UTF-8")?;
        if !name.starts_with('.') {
            add_files(workspace, &format!("{path}/{name}"), hashes)?;
        }
    }
    Ok(())
}

/// The lines of a TOML table, without comments, blank lines and indentation.
fn section(toml: &str, header: &str) -> String {
    let lines = toml.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    let body = lines.skip_while(|line| *line != header).skip(1).take_while(|line| !line.starts_with('['));
    body.filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
}

/// The crates that go into the WebAssembly, with their versions. Other members' dependencies are not among them, and it
/// works without a compiler for the target.
fn crates(workspace: &Path) -> Result<Vec<String>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut tree = Command::new(cargo);
    tree.args([
        "tree",
        "--locked",
        "--quiet",
        "--package",
        "tracker-wasm",
        "--target",
        "wasm32-unknown-unknown",
    ]);
    let output =
        tree.args(["--edges", "normal,build", "--prefix", "none"]).current_dir(workspace).output()?;
    ensure!(output.status.success(), "cargo tree: {}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout)?;
    // `name v1.2.3 (proc-macro)`, `name v1.2.3 (/path/of/this/machine) (*)`
    let names: BTreeSet<_> =
        lines.lines().filter_map(|line| line.split(" (").next()).map(str::trim).collect();
    Ok(names.into_iter().filter(|name| !name.is_empty()).map(str::to_owned).collect())
}

fn tools(workspace: &Path) -> Result<BTreeMap<String, String>> {
    let package: serde_json::Value =
        serde_json::from_slice(&fs::read(workspace.join("snippet/package.json"))?)?;
    let npm = package["devDependencies"].as_object().context("package.json names no tools")?;
    let mut tools: BTreeMap<String, String> =
        npm.iter().filter_map(|(name, version)| Some((name.clone(), version.as_str()?.to_owned()))).collect();
    let crates = crates(workspace)?;
    let bindgen = crates.iter().find_map(|line| line.strip_prefix("wasm-bindgen v"));
    tools.insert("wasm-bindgen".to_owned(), bindgen.context("tracker-wasm has no wasm-bindgen")?.to_owned());
    Ok(tools)
}
