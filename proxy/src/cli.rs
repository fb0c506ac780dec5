//! The command line.

mod erase;

pub(crate) use self::erase::Erase;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
};
use url::Url;
use usher_model::{State, UnixMs};

/// An edge tracking proxy and first-party referral capture service.
#[derive(Debug, Parser)]
#[command(name = "usher", version, arg_required_else_help = true)]
#[command(
    after_help = "To see it work: usher demo. To set it up: write usher.toml, then usher check, usher serve, usher snippet.\n\
                  When something is missing: usher trace ID, usher outbox list. Each command has its own --help.\n\
                  Exits with 0 when it is done, 1 when it failed, 2 when the command line is wrong."
)]
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
    #[command(
        after_help = "Stops on SIGTERM and SIGINT when the requests under way are answered. SIGHUP reads the configuration\n\
                      again; when anything is wrong with it the running one stays. SIGUSR2 lets the newest file of the\n\
                      program take over, without one lost request.\n\
                      Logs go to standard error: USHER_LOG=warn for less, USHER_LOG_FORMAT=json for machines.\n\
                      Example: usher serve --config usher.toml"
    )]
    Serve,
    /// Read the configuration as `serve` would and say what is wrong with it
    #[command(after_help = "Exits with 0 when `serve` would start, warnings or not, else with 1.\n\
                      Example: usher check --config usher.toml")]
    Check,
    /// Promo codes in the configured store
    #[command(after_help = "Example: usher codes --site shop list")]
    Codes(Codes),
    /// What waits for the platform, what failed for good, and sending it again
    #[command(after_help = "Works while the service runs, which sees what was changed within a second.\n\
                      Example: usher outbox list")]
    Outbox(Outbox),
    /// Why an order, click or sale was credited as it was, and what became of it
    #[command(
        after_help = "ID is an order's id, a click's id (the cookie affonso_referral), an event's id (external_event_id), a\n\
                      payment's id at its provider, our id of a sale, refund or lead, or what the platform calls a sale.\n\
                      It shows ids, amounts, affiliates, codes and the platform's words as they were reported, and no body:\n\
                      no address, no e-mail (unless somebody uses one as an id), no key. --json shows the reported fields too.\n\
                      Example: usher trace order-1001"
    )]
    Trace(Trace),
    /// Remove a person's data from the store
    #[command(
        after_help = "It looks through everything, works while the service runs, and prints how much it removed. Sales keep their\n\
                      amounts and ids; clicks, addresses, e-mail, names and customers' ids go, of what failed for good too, which\n\
                      is closed. What still waits for the platform keeps what it needs: run it again when that is sent, or --now.\n\
                      Exits with 1 when there was nothing of that person, or when something still waits.\n\
                      Example: usher erase --email jane@people.example"
    )]
    Erase(Erase),
    /// Look at a live set-up as a browser and a blocker would, and say what will not hold
    #[command(
        after_help = "Exits with 0 when nothing fails, 1 when something will not hold. Asks nothing that counts as a click, unless --click.\n\
                      The page's tag says where Usher answers; else --prefix or --config does. A configuration in the usual places is\n\
                      read when it has that host; its API key shows doctor which address the edge takes for the visitor's.\n\
                      Example: usher doctor https://shop.example\n\
                      Example: usher doctor https://www.shop.example --lists easyprivacy.txt --click alice --json\n\
                      Example: usher doctor https://shop.example:8443 --resolve shop.example:8443:127.0.0.1 --ca root.pem"
    )]
    Doctor(Box<Doctor>),
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
                      One without secrets is judged with those of the configuration; one without a time, by the clock.\n\
                      Example: usher webhook explain paid.json"
    )]
    Explain {
        /// The records, or - for standard input
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Send a recorded webhook to a running edge and print its answer
    #[command(
        after_help = "Exits with 0 when it was taken. A signature with a time counts for five minutes.\n\
                      Example: usher webhook send paid.json --to http://127.0.0.1:8080/r/hooks/stripe --host shop.example"
    )]
    Send {
        /// The record, or - for standard input
        file: PathBuf,
        /// The webhook's address
        #[arg(long, value_name = "URL")]
        to: String,
        /// The site's host, when the address has another
        #[arg(long, value_name = "HOST")]
        host: Option<String>,
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
        after_help = "The first row names the columns: code,affiliate,discount,starts_at,expires_at,max_uses,provider_ids\n\
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
    /// What a payment provider calls it, such as Stripe's promo_…; may be given several times
    #[arg(long, value_name = "ID")]
    pub(crate) provider_id: Vec<String>,
}

/// `usher outbox`
#[derive(Args, Debug)]
pub(crate) struct Outbox {
    /// Only this site; else all of them
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) site: Option<String>,
    /// JSON, one line each
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// What to do with it.
    #[command(subcommand)]
    pub(crate) action: OutboxAction,
}

/// What to do with the outbox.
#[derive(Debug, Subcommand)]
pub(crate) enum OutboxAction {
    /// What needs somebody (dead), then what waits, the oldest first
    #[command(after_help = "`usher outbox show ID` says more of each, and what to do.\n\
                      Example: usher outbox list --state dead --json")]
    List {
        /// Only those that stand so; else the dead, then the waiting
        #[arg(long, value_name = "STATE")]
        state: Option<Standing>,
        /// At most so many
        #[arg(long, value_name = "N")]
        limit: Option<usize>,
    },
    /// One of them whole: what is sent, every attempt, the platform's words, and what to do
    #[command(
        after_help = "It shows the body that is sent as it was reported, with whatever it holds of a customer.\n\
                            Example: usher outbox show conv_01kaqbg8f5yz1q4s8w2t6r9x3e"
    )]
    Show {
        /// Its id as `list` shows it; another id of it will do when it is the only one
        id: String,
    },
    /// Send again what failed for good, with as many attempts as a new one
    #[command(
        override_usage = "usher outbox retry [OPTIONS] <ID>\n       usher outbox retry [OPTIONS] --all"
    )]
    #[command(after_help = "What was taken before is not taken twice: everything keeps its key.\n\
                      Example: usher outbox retry conv_01kaqbg8f5yz1q4s8w2t6r9x3e\n\
                      Example: usher outbox retry --all --site shop")]
    Retry {
        /// Its id as `list` shows it; another id of it will do when it is the only one
        #[arg(required_unless_present = "all")]
        id: Option<String>,
        /// Everything that failed for good
        #[arg(long, conflicts_with = "id")]
        all: bool,
    },
    /// Never send it: close what is dead, waits, or lost its payment; the refunds of a sale are closed with it
    #[command(
        after_help = "It stays written down, with the reason, until it is past its retention; `trace` shows it.\n\
                            Example: usher outbox discard conv_01kaqbg8f5yz1q4s8w2t6r9x3e --reason \"a test order\""
    )]
    Discard {
        /// Its id as `list` shows it; another id of it will do when it is the only one
        id: String,
        /// Why, for whoever asks later
        #[arg(long, value_name = "TEXT", default_value = "discarded by an operator")]
        reason: String,
    },
}

/// How a delivery stands, in an operator's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Standing {
    /// It failed for good and is kept for a person to decide
    Dead,
    /// It is sent when its time comes, or when what it needs is there
    Waiting,
    /// A refund of a payment that nobody has reported
    Orphan,
    /// There was nothing to send, or somebody discarded it
    Closed,
    /// The platform has it
    Delivered,
    /// All of these
    All,
}

impl Standing {
    /// The ledger's states that it means.
    pub(crate) const fn states(self) -> &'static [State] {
        match self {
            Self::Dead => &[State::Dead],
            Self::Waiting => &[State::Due, State::Blocked],
            Self::Orphan => &[State::Orphan],
            Self::Closed => &[State::Closed],
            Self::Delivered => &[State::Delivered],
            Self::All => &State::ALL,
        }
    }
}

/// `usher trace`
#[derive(Args, Debug)]
pub(crate) struct Trace {
    /// Any id that it goes by
    pub(crate) id: String,
    /// Only this site; else all of them
    #[arg(long, value_name = "NAME")]
    pub(crate) site: Option<String>,
    /// One JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// `usher doctor`
#[derive(Args, Debug)]
pub(crate) struct Doctor {
    /// A page of the shop, or the address where Usher answers (https://go.shop.example/r)
    #[arg(value_name = "URL", value_parser = web_address)]
    pub(crate) url: Url,
    /// A page of the shop, when URL is where Usher answers
    #[arg(long, value_name = "URL", value_parser = web_address)]
    pub(crate) page: Option<Url>,
    /// Where Usher's paths begin on URL's host, when no tag on the page says it
    #[arg(long, value_name = "PATH", value_parser = path_prefix)]
    pub(crate) prefix: Option<String>,
    /// Filter lists that blockers load, such as easyprivacy.txt
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub(crate) lists: Vec<PathBuf>,
    /// Make one click for this affiliate, which the platform hears of, and judge its cookies
    #[arg(long, value_name = "AFFILIATE")]
    pub(crate) click: Option<String>,
    /// The environment variable that holds the site's API key, when no configuration does
    #[arg(long, value_name = "NAME")]
    pub(crate) api_key_env: Option<String>,
    /// Connect to this address for that host and port, as curl does; may be given several times
    #[arg(long, value_name = "HOST:PORT:ADDRESS", value_parser = place)]
    pub(crate) resolve: Vec<Place>,
    /// The DNS server to ask; else those of the system
    #[arg(long, visible_alias = "resolver", value_name = "ADDRESS:PORT")]
    pub(crate) dns: Option<SocketAddr>,
    /// Trust the certificates in this PEM file too
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
    /// Send the API key and the click although a certificate is wrong
    #[arg(long)]
    pub(crate) insecure: bool,
    /// JSON, one line each
    #[arg(long)]
    pub(crate) json: bool,
}

/// Where a host is to be looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// In lower case, without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) address: IpAddr,
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

/// An http or https URL; without a scheme it is https.
pub(crate) fn web_address(written: &str) -> Result<Url, String> {
    let whole = if written.contains("://") { written.to_owned() } else { format!("https://{written}") };
    let url = Url::parse(&whole).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    let url = url.filter(|url| url.username().is_empty() && url.password().is_none());
    url.ok_or_else(|| "write an address such as https://shop.example".to_owned())
}

/// A path that begins with a slash and ends without one.
pub(crate) fn path_prefix(written: &str) -> Result<String, String> {
    let path = written.trim_end_matches('/');
    let known = path.len() > 1
        && path.starts_with('/')
        && path.bytes().all(|b| b.is_ascii_alphanumeric() || b"/._~-".contains(&b));
    if known { Ok(path.to_owned()) } else { Err("write a path such as /r".to_owned()) }
}

/// `HOST:PORT:ADDRESS`; IPv6 with or without brackets.
pub(crate) fn place(written: &str) -> Result<Place, String> {
    let bare = |text: &str| text.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
    let (host, rest) = match written.strip_prefix('[').and_then(|rest| rest.split_once("]:")) {
        Some(parts) => Some(parts),
        None => written.split_once(':'),
    }
    .ok_or("write HOST:PORT:ADDRESS")?;
    let (port, address) = rest.split_once(':').ok_or("write HOST:PORT:ADDRESS")?;
    let place = |port, address| Place { host: bare(host), port, address };
    match (port.parse(), bare(address).parse()) {
        (Ok(port), Ok(address)) => Ok(place(port, address)),
        _ => Err("write HOST:PORT:ADDRESS, such as shop.example:443:127.0.0.1".to_owned()),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_people_write_them() {
        for (written, read) in [
            ("https://shop.example", Some("https://shop.example/")),
            ("http://shop.example:8080/r", Some("http://shop.example:8080/r")),
            ("shop.example", Some("https://shop.example/")),
            ("shop.example:8443/x", Some("https://shop.example:8443/x")),
            ("Shop.Example", Some("https://shop.example/")),
            ("ftp://shop.example", None),
            ("https://user:key@shop.example", None),
            ("https://", None),
            ("", None),
        ] {
            assert_eq!(web_address(written).ok().map(String::from).as_deref(), read, "{written}");
        }
        for (written, read) in [
            ("/r", Some("/r")),
            ("/r/", Some("/r")),
            ("/a/b", Some("/a/b")),
            ("/", None),
            ("r", None),
            ("/r?x", None),
        ] {
            let found = path_prefix(written).ok().filter(|path| !path.is_empty());
            assert_eq!(found.as_deref(), read, "{written}");
        }
    }

    #[test]
    fn places_are_read_as_curl_reads_them() {
        for (written, read) in [
            ("shop.example:443:127.0.0.1", Some(("shop.example", 443, "127.0.0.1"))),
            ("SHOP.example:8443:::1", Some(("shop.example", 8443, "::1"))),
            ("shop.example:443:[2001:db8::1]", Some(("shop.example", 443, "2001:db8::1"))),
            ("[::1]:443:127.0.0.1", Some(("::1", 443, "127.0.0.1"))),
            ("shop.example:443", None),
            ("shop.example:443:localhost", None),
            ("shop.example:x:127.0.0.1", None),
        ] {
            let found = place(written).ok();
            let found =
                found.as_ref().map(|place| (place.host.as_str(), place.port, place.address.to_string()));
            assert_eq!(
                found,
                read.map(|(host, port, address)| (host, port, address.to_owned())),
                "{written}"
            );
        }
    }
}
