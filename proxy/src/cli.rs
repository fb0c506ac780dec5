//! The command line.

use clap::{Args, Parser, Subcommand};
use std::{net::SocketAddr, path::PathBuf};
use usher_model::UnixMs;

/// An edge tracking proxy and first-party referral capture service.
#[derive(Debug, Parser)]
#[command(name = "usher", version, arg_required_else_help = true)]
pub(crate) struct Cli {
    /// The configuration file; else ./usher.toml, then /etc/usher/usher.toml
    #[arg(long, short, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Everything on one machine with nothing installed: a shop, a stand-in for the platform, the edge
    #[command(after_help = "Example: usher demo")]
    Demo(Demo),
    /// The service
    #[command(after_help = "Stops on SIGTERM and SIGINT when the requests under way are answered.\n\
                      Logs go to standard error: USHER_LOG=warn for less, USHER_LOG_FORMAT=json for machines.\n\
                      Example: usher serve --config usher.toml")]
    Serve,
    /// Read the configuration as `serve` would and say what is wrong with it
    #[command(after_help = "Exits with 0 when `serve` would start, warnings or not, else with 1.\n\
                      Example: usher check --config usher.toml")]
    Check,
    /// Promo codes in the configured store
    #[command(after_help = "Example: usher codes --site shop list")]
    Codes(Codes),
    /// Print the tag to paste
    #[command(after_help = "Example: usher snippet --site shop")]
    Snippet(Snippet),
    /// Payment providers' webhooks
    #[command(subcommand)]
    Webhook(Webhook),
}

/// `usher webhook`
#[derive(Debug, Subcommand)]
pub(crate) enum Webhook {
    /// What a recorded webhook would do, one JSON line each
    #[command(
        after_help = "A record is a JSON object with provider, secrets, now (Unix seconds), method, url, headers and body.\n\
                      Example: usher webhook explain paid.json"
    )]
    Explain {
        /// The records, or - for standard input
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
}

/// `usher demo`
#[derive(Args, Debug)]
pub(crate) struct Demo {
    /// Only the stand-in for the platform
    #[arg(long)]
    pub(crate) upstream_only: bool,
    /// Where the stand-in listens
    #[arg(long, value_name = "ADDR", requires = "upstream_only", default_value = "127.0.0.1:0")]
    pub(crate) listen: SocketAddr,
    /// The demo's port on this machine, where the shop is
    #[arg(long, value_name = "PORT", conflicts_with = "upstream_only")]
    pub(crate) port: Option<u16>,
    /// A store to use instead of the embedded one
    #[arg(long, value_name = "URL", conflicts_with = "upstream_only")]
    pub(crate) store: Option<String>,
}

/// `usher codes`
#[derive(Args, Debug)]
pub(crate) struct Codes {
    /// The site, when there is more than one
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) site: Option<String>,
    /// JSON, one line each
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// What to do with them.
    #[command(subcommand)]
    pub(crate) action: CodesAction,
}

/// What to do with promo codes.
#[derive(Debug, Subcommand)]
pub(crate) enum CodesAction {
    /// All codes, with their uses and whether they count now
    #[command(after_help = "Example: usher codes list --json")]
    List,
    /// Write one code; one that is there is replaced and keeps its count of uses
    #[command(
        after_help = "Example: usher codes add SPRING10 --affiliate alice --percent 10 --expires-at 2027-06-01"
    )]
    Add(Box<AddCode>),
    /// Remove one code and its count of uses
    #[command(after_help = "Example: usher codes remove SPRING10")]
    Remove {
        /// The code, in upper or lower case
        code: String,
    },
    /// Write all codes of a CSV file, or none when a row is wrong
    #[command(
        after_help = "The first row names the columns: code,affiliate,discount,starts_at,expires_at,max_uses\n\
                      All but the first two may be left out. A discount is 10%, 5 EUR or a JSON object.\n\
                      Example: usher codes import codes.csv"
    )]
    Import {
        /// The file, or - for standard input
        file: PathBuf,
    },
    /// Print all codes as CSV that `import` takes
    #[command(after_help = "Example: usher codes export > codes.csv")]
    Export,
}

/// `usher codes add`
#[derive(Args, Debug)]
pub(crate) struct AddCode {
    /// The code, in upper or lower case
    pub(crate) code: String,
    /// Whose sale it is
    #[arg(long)]
    pub(crate) affiliate: String,
    /// What the shopper gets: 10%, "5 EUR" or a JSON object
    #[arg(long, value_name = "DISCOUNT", conflicts_with_all = ["percent", "amount"])]
    pub(crate) discount: Option<String>,
    /// The shopper gets so many per cent off
    #[arg(long, value_name = "N", value_parser = percent, conflicts_with = "amount")]
    pub(crate) percent: Option<serde_json::Number>,
    /// The shopper gets so much off, in the currency's main unit
    #[arg(long, value_name = "N", value_parser = amount, requires = "currency")]
    pub(crate) amount: Option<serde_json::Number>,
    /// The amount's currency (ISO 4217)
    #[arg(long, value_name = "CODE", requires = "amount")]
    pub(crate) currency: Option<usher_model::Currency>,
    /// It counts from this moment on (2027-06-01T00:00:00Z or 2027-06-01)
    #[arg(long, value_name = "WHEN", value_parser = moment)]
    pub(crate) starts_at: Option<UnixMs>,
    /// It counts until just before this moment
    #[arg(long, value_name = "WHEN", value_parser = moment)]
    pub(crate) expires_at: Option<UnixMs>,
    /// How many conversions it may be credited for
    #[arg(long, value_name = "N")]
    pub(crate) max_uses: Option<u64>,
}

/// `usher snippet`
#[derive(Args, Debug)]
pub(crate) struct Snippet {
    /// The site, when there is more than one
    #[arg(long, value_name = "NAME")]
    pub(crate) site: Option<String>,
    /// The host that the tag loads from, when pages lie on another one
    #[arg(long, value_name = "HOST")]
    pub(crate) host: Option<String>,
}

/// A moment as codes have it: RFC 3339, a date, or Unix seconds.
pub(crate) fn moment(written: &str) -> Result<UnixMs, String> {
    let seconds = || written.parse::<i64>().ok().map(|seconds| UnixMs(seconds.saturating_mul(1000)));
    UnixMs::parse(written)
        .or_else(seconds)
        .ok_or_else(|| "write 2027-06-01T00:00:00Z, 2027-06-01 or Unix seconds".to_owned())
}

/// More than nothing and at most everything.
pub(crate) fn percent(written: &str) -> Result<serde_json::Number, String> {
    let number = amount(written)?;
    let all = number.as_f64().is_some_and(|number| number <= 100.0);
    if all { Ok(number) } else { Err("write a number from 0 to 100".to_owned()) }
}

/// A plain decimal, kept as it was written.
pub(crate) fn amount(written: &str) -> Result<serde_json::Number, String> {
    let number: serde_json::Number =
        written.parse().map_err(|_| "write a number such as 10 or 7.5".to_owned())?;
    let some = number.as_f64().is_some_and(|number| number > 0.0);
    if some { Ok(number) } else { Err("write a number above 0".to_owned()) }
}
