//! The command line from outside: what a person types, and what comes back.

mod check;
mod codes;
mod ledger;
mod outbox;
mod snippet;
mod usage;
mod webhook;

use std::{
    path::Path,
    process::{Command, Output},
};
use tempfile::TempDir;

/// A folder of its own with a configuration file in it.
struct Place(TempDir);

/// One site, everything good, nothing to warn of.
const GOOD: &str = r#"[store]
url = "sqlite:usher.db"

[upstream]
api_key = { env = "UPSTREAM_KEY" }

[[site]]
name = "shop"
hosts = ["shop.example", "go.shop.example"]
program = "cm4ya9sik0009l9fbcvl9m05z"
names_secret = { env = "NAMES_SECRET" }
api_keys = [{ env = "SHOP_KEY" }]
"#;

impl Place {
    fn new(config: &str) -> Self {
        let place = Self(TempDir::new().expect("a folder"));
        place.write("usher.toml", config);
        place
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path().join(name), text).expect("written");
    }

    /// The binary in this folder, with the variables of [`GOOD`] and no others of ours.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_usher"));
        command.args(arguments).current_dir(self.path());
        command.env_remove("USHER_LOG").env_remove("RUST_LOG").env_remove("USHER_LOG_FORMAT");
        command
            .env("UPSTREAM_KEY", "sk_live_1")
            .env("NAMES_SECRET", "correct horse")
            .env("SHOP_KEY", "sk_shop_1");
        command
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        Ran::from(self.command(arguments).output().expect("the binary starts"))
    }
}

/// What a command did.
#[derive(Debug)]
struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
}

impl Ran {
    /// Standard output of a command that did what it should and had nothing else to say.
    fn done(self) -> String {
        assert_eq!((self.code, self.err.as_str()), (Some(0), ""), "{}", self.out);
        self.out
    }

    /// Standard error of a command that failed: plain lines, no dumps.
    fn failed(self) -> String {
        assert_eq!((self.code, self.out.as_str()), (Some(1), ""), "{}", self.err);
        for dump in ["panicked", "backtrace", "Error {", "Caused by"] {
            assert!(!self.err.contains(dump), "{}", self.err);
        }
        self.err
    }
}
