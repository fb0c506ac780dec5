//! The command line of `usher erase`.

use clap::Args;
use usher_model::ClickId;
use usher_store::Person;

/// `usher erase`
#[derive(Args, Debug)]
pub(crate) struct Erase {
    #[command(flatten)]
    pub(crate) who: Who,
    /// Only in this site; else in all of them
    #[arg(long, value_name = "NAME")]
    pub(crate) site: Option<String>,
    /// Discard what still waits for the platform, which is never told of it then
    #[arg(long)]
    pub(crate) now: bool,
    /// One JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// Whose data is to go.
#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
pub(crate) struct Who {
    /// Who came with this click (the cookie affonso_referral)
    #[arg(long, value_name = "ID", value_parser = click_id)]
    click: Option<ClickId>,
    /// Whose e-mail address it is
    #[arg(long, value_name = "ADDRESS", value_parser = email)]
    email: Option<String>,
    /// Whom the shop or its payment provider calls so
    #[arg(long, value_name = "ID", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    customer: Option<String>,
}

impl Who {
    /// The one of them that was given.
    pub(crate) fn person(&self) -> Option<Person> {
        let click = self.click.clone().map(Person::Click);
        click.or(self.email.clone().map(Person::Email)).or(self.customer.clone().map(Person::Customer))
    }
}

fn click_id(written: &str) -> Result<ClickId, String> {
    ClickId::new(written).map_err(|error| error.to_string())
}

fn email(written: &str) -> Result<String, String> {
    let inner = written.trim().split_once('@').filter(|(name, host)| !name.is_empty() && !host.is_empty());
    inner
        .map(|_| written.trim().to_owned())
        .ok_or_else(|| "write an address such as jane@people.example".to_owned())
}
