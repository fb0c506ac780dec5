//! x
mod bindgen;
#[derive(clap::Args)]
pub(crate) struct Options { a: std::path::PathBuf, b: std::path::PathBuf }
pub(crate) fn run(o: &Options) -> anyhow::Result<()> { bindgen::run(&o.a, &o.b) }
