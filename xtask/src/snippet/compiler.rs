//! Which compiler builds the WebAssembly: the first that has a standard library for it.

use std::{env, fmt, fs, path::Path, path::PathBuf};

use anyhow::{Result, bail};

use super::{debian, shell};

/// The target.
pub(super) const TARGET: &str = "wasm32-unknown-unknown";

/// No compiler here can build WebAssembly.
#[derive(Debug)]
pub(crate) struct NoCompiler(String);

impl fmt::Display for NoCompiler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "no compiler for {TARGET} ({}). One of: `rustup target add {TARGET}`; Debian 12 with bookworm-security \
             (packages rustc-web, libstd-rust-web-dev, rust-web-src, lld); WASM_RUSTC=<a rustc that has it>",
            self.0
        )
    }
}

impl std::error::Error for NoCompiler {}

/// `$WASM_RUSTC`, else `rustc` of the path, else Debian's packages unpacked in a cache. Never changes a toolchain.
pub(super) fn find() -> Result<PathBuf> {
    if let Some(given) = env::var_os("WASM_RUSTC") {
        let given = PathBuf::from(given);
        if !has_std(&given) {
            bail!(NoCompiler(format!("WASM_RUSTC={} has no std for it", given.display())));
        }
        return Ok(given);
    }
    let on_path = PathBuf::from("rustc");
    if env::var_os("WASM_FORCE_DEBIAN").is_none() && has_std(&on_path) {
        return Ok(on_path);
    }
    debian::toolchain()
        .map_err(|why| NoCompiler(format!("rustc on the path has no std for it; {why:#}")).into())
}

/// Whether `rustc` has a standard library for the target.
pub(super) fn has_std(rustc: &Path) -> bool {
    let print = ["--print", "target-libdir", "--target", TARGET];
    let Ok(dir) = shell::output(shell::command(rustc).args(print)) else { return false };
    let Ok(files) = fs::read_dir(dir.trim()) else { return false };
    files.flatten().any(|file| {
        let name = file.file_name();
        let name = name.to_string_lossy();
        name.starts_with("libcore-") && name.ends_with(".rlib")
    })
}
