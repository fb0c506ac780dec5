//! `cargo xtask snippet`: builds what pages load into `snippet/dist`, or checks what is committed there.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};

mod bindgen;
mod compiler;
mod debian;
mod manifest;
mod recipe;
mod shell;

pub(crate) use compiler::NoCompiler;
use manifest::Manifest;
use shell::say;

/// Options of `cargo xtask snippet`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Build apart and compare: the same bytes with the compiler that the manifest names; with another one, both builds
    /// must pass the tests
    #[arg(long)]
    check: bool,
}

/// Builds, runs what was built, and writes or compares.
pub(crate) fn run(options: &Options) -> Result<()> {
    let workspace = workspace()?;
    let compiler = compiler::find()?;
    let rustc = shell::lines(shell::command(&compiler).arg("-vV"))?;
    say(&format!("compiler: {} ({})", rustc.first().map_or("", String::as_str), compiler.display()));

    let built = workspace.join("target/snippet/dist");
    recipe::build(&workspace, &compiler, &built)?;
    let manifest = Manifest::of(&workspace, &built, rustc)?;
    manifest.write(&built)?;
    recipe::test(&workspace, &built)?;

    let committed = workspace.join("snippet/dist");
    if options.check { check(&workspace, &manifest, &committed) } else { install(&built, &committed) }
}

fn check(workspace: &Path, built: &Manifest, dist: &Path) -> Result<()> {
    let committed = Manifest::read(dist)?;
    ensure!(
        committed.inputs == built.inputs,
        "snippet/dist is stale in {:?}: run `cargo xtask snippet` and commit what it writes",
        committed.changed_inputs(built)
    );
    ensure!(
        committed.outputs == manifest::outputs(dist)?,
        "snippet/dist was edited by hand: run `cargo xtask snippet`"
    );
    if committed.rustc == built.rustc {
        ensure!(
            committed.outputs == built.outputs,
            "the same compiler gives other bytes than those in snippet/dist"
        );
        say("snippet/dist is what this compiler makes, byte for byte");
    } else {
        let script = "pixel.js";
        ensure!(
            committed.outputs.get(script) == built.outputs.get(script),
            "snippet/dist/{script} is not what its sources make"
        );
        recipe::test(workspace, dist)?;
        say(&format!(
            "built with another compiler ({}): both builds pass the tests",
            committed.rustc.join(", ")
        ));
    }
    Ok(())
}

fn install(built: &Path, dist: &Path) -> Result<()> {
    fs::create_dir_all(dist)?;
    for name in manifest::OUTPUTS.into_iter().chain([manifest::FILE]) {
        fs::copy(built.join(name), dist.join(name)).with_context(|| format!("copy {name}"))?;
    }
    say("wrote snippet/dist");
    Ok(())
}

fn workspace() -> Result<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    Ok(here.parent().context("xtask lies in the workspace")?.to_owned())
}
