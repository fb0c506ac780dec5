//! The files in `dist` are those that the sources make. `cargo xtask snippet --check` also rebuilds them.

use std::path::Path;

// One implementation, and no dependency on the builder's tools.
#[path = "../../xtask/src/snippet/manifest.rs"]
mod manifest;

use manifest::{Manifest, hash, inputs, outputs};

fn dist() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/dist"))
}

#[test]
fn sources_have_not_changed_since_the_build() {
    let committed = Manifest::read(dist()).unwrap();
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let now =
        Manifest { rustc: vec![], tools: [].into(), inputs: inputs(workspace).unwrap(), outputs: [].into() };
    let changed = committed.changed_inputs(&now);
    assert!(
        changed.is_empty(),
        "snippet/dist is stale in {changed:?}: run `cargo xtask snippet` and commit what it writes"
    );
}

#[test]
fn built_files_were_not_edited() {
    let committed = Manifest::read(dist()).unwrap();
    assert_eq!(outputs(dist()).unwrap(), committed.outputs, "run `cargo xtask snippet`");
}

#[test]
fn names_are_those_of_the_contents() {
    let short = |bytes: &[u8]| hash(bytes)[..16].to_owned();
    assert_eq!(snippet::WASM_NAME, format!("{}.wasm", short(snippet::WASM)));
    assert_eq!(snippet::WORKER_NAME, format!("{}.js", short(snippet::WORKER_JS.as_bytes())));
    assert!(snippet::WORKER_JS.contains(snippet::WASM_NAME));
}
