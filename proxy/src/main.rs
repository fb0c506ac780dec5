//! The `usher` binary: command line, configuration, wiring and the demo.

mod certificates;
mod cli;
mod commands;
mod config;
mod demo;
mod descriptors;
mod directory;
mod serve;
mod system;

use clap::Parser;
use std::process::ExitCode;
use tracing_subscriber::{EnvFilter, fmt};

fn main() -> ExitCode {
    // Wrong usage ends here with 2, `--help` with 0.
    let cli = cli::Cli::parse();
    log_to_stderr();
    match commands::run(cli) {
        Ok(code) => code,
        Err(error) if commands::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            commands::complain(&format!("usher: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Standard output is for results. `USHER_LOG` chooses what is logged as `RUST_LOG` does, and comes first.
fn log_to_stderr() {
    let filter = ["USHER_LOG", "RUST_LOG"]
        .into_iter()
        .find_map(|name| EnvFilter::try_from_env(name).ok())
        .unwrap_or_else(|| EnvFilter::new("info"));
    let log = fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if std::env::var_os("USHER_LOG_FORMAT").is_some_and(|format| format == "json") {
        log.json().init();
    } else {
        log.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).init();
    }
}
