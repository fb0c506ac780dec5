//! wasm-bindgen as a library: one Cargo.lock then pins both of its halves, which must be of the same version.

use std::path::Path;

use anyhow::{Context, Result};
use wasm_bindgen_cli_support::Bindgen;

/// Writes `tracker.js` and `tracker_bg.wasm` into `out`.
pub(super) fn run(linked: &Path, out: &Path) -> Result<()> {
    let mut bindgen = Bindgen::new();
    bindgen.input_path(linked).out_name("tracker").typescript(true).web(true)?;
    bindgen.generate(out).with_context(|| format!("wasm-bindgen on {}", linked.display()))
}
