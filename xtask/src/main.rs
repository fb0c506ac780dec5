//! What developers run. `cargo xtask help` lists it.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod bench;
mod prove;
mod snippet;
mod test;

/// What developers run in this repository.
#[derive(Parser)]
#[command(name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Compare the speed with nginx and a bare hyper, side by side
    Bench(bench::Options),
    /// Try to break each promise of the README at its full size, and print the numbers
    Prove(prove::Options),
    /// Build what pages load (JavaScript, WebAssembly) into snippet/dist
    Snippet(snippet::Options),
    /// Run everything that has to hold: lints, tests, proofs, real browsers
    Test(test::Options),
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Bench(options) => bench::run(&options),
        Command::Prove(options) => prove::run(&options),
        Command::Snippet(options) => snippet::run(&options),
        Command::Test(options) => test::run(&options),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::from(if error.is::<snippet::NoCompiler>() { 3 } else { 1 })
        }
    }
}
