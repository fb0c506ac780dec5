//! Where the binary under test is.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The repository's root.
#[must_use]
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests stand in the repository")
}

/// The `usher` binary: what `USHER_BIN` names (`cargo xtask test` sets it), else it is built here, once.
///
/// # Panics
/// When it cannot be built.
#[must_use]
pub fn usher() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| std::env::var_os("USHER_BIN").map_or_else(build, PathBuf::from))
}

fn build() -> PathBuf {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .args(["build", "--quiet", "--locked", "--package", "usher"])
        .current_dir(repository())
        .status();
    assert!(built.is_ok_and(|status| status.success()), "cargo build --package usher failed");
    // A test's executable stands in target/PROFILE/deps.
    let own = std::env::current_exe().expect("a test knows its executable");
    let binary = own.ancestors().nth(2).expect("it stands in a target directory").join("usher");
    assert!(binary.is_file(), "{} is not there; set USHER_BIN", binary.display());
    binary
}
