//! What developers run. `cargo xtask help` lists it.

use clap::{Parser, Subcommand};

mod snippet;

/// What developers run in this repository.
#[derive(Parser)]
#[command(name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Build what pages load (JavaScript, WebAssembly, types) into snippet/dist
    Snippet(snippet::Options),
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Command::Snippet(options) => snippet::run(&options),
    }
}
