//! A site: one program of one merchant, as the configuration describes it, validated.

use crate::{
    id::{AffiliateCode, SiteName},
    secret::Secret,
};
use referral::Parameters;
use std::fmt;

/// Which of two clicks of one visitor counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attribution {
    /// The one that came last.
    LastClick,
    /// The one that came first, while its cookie lives.
    FirstClick,
}

/// Who wins an order that carries both a promo code and a click of another affiliate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodeOrClick {
    /// The code.
    Code,
    /// The click.
    Click,
    /// Whichever came later; a code is applied at the checkout, after every click.
    Latest,
}

/// What may be stored of a visitor who has not been asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consent {
    /// Taken as given.
    Granted,
    /// Nothing, until it is granted.
    Required,
}

/// Where the click cookie is valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CookieDomain {
    /// The registrable domain of the request's host by the public suffix list.
    Registrable,
    /// The request's host alone.
    Host,
    /// This domain.
    Named(String),
}

/// Where a site's own server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OriginAddress {
    /// Whether it is spoken to by TLS.
    pub https: bool,
    /// Its name or address; IPv6 without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
}

impl fmt::Display for OriginAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.https { "https" } else { "http" };
        if self.host.contains(':') {
            write!(f, "{scheme}://[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{scheme}://{}:{}", self.host, self.port)
        }
    }
}

/// A short link of the site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its path, as requests name it: a slash first, what is not ASCII percent-encoded.
    pub path: String,
    /// Whose link it is.
    pub affiliate: AffiliateCode,
    /// Where it leads: a whole http or https URL.
    pub to: String,
}

/// A site's settings.
#[derive(Clone, Debug)]
pub struct Site {
    /// Its name in the configuration.
    pub name: SiteName,
    /// Host names it answers to: lower case, without port.
    pub hosts: Vec<String>,
    /// The platform's public id of its program.
    pub program: String,
    /// Where Usher's paths begin, such as `/r`: a leading slash, none at the end.
    pub prefix: String,
    /// Neutral path names are derived from it.
    pub names_secret: Option<Secret>,
    /// What serves everything outside of the prefix.
    pub origin: Option<OriginAddress>,
    /// Whether that server sees our cookies.
    pub origin_cookies: bool,
    /// Whether the tag goes into that server's pages.
    pub tag: bool,
    /// Short links; no two have the same path.
    pub links: Vec<Link>,
    /// Where affiliates' own links begin, such as `/go` in `/go/alice/some/page`: a leading slash, none at the end.
    pub go: Option<String>,
    /// URL parameters that name an affiliate.
    pub parameters: Parameters,
    /// Life of the click cookie, 1 to 400 days.
    pub cookie_days: u16,
    /// Where the click cookie is valid.
    pub cookie_domain: CookieDomain,
    /// First or last click.
    pub attribution: Attribution,
    /// Code or click.
    pub code_or_click: CodeOrClick,
    /// What may be stored before consent.
    pub consent: Consent,
    /// Whether `Sec-GPC: 1` is a refusal.
    pub honour_gpc: bool,
    /// Who may call the server-to-server API.
    pub api_keys: Vec<Secret>,
    /// When not empty, those calls must be signed with one of these.
    pub signing_secrets: Vec<Secret>,
    /// Signs clicks that visitors carry, so that they are believed also while the store cannot tell of them.
    pub click_signing_key: Option<Secret>,
}

impl Site {
    /// A site with everything else as it is when the configuration does not say: prefix `/r`, the platform's parameters, a
    /// cookie of 30 days on the registrable domain, last click, codes before clicks, consent taken as given.
    #[must_use]
    pub fn new(name: SiteName, hosts: Vec<String>, program: String) -> Self {
        Self {
            name,
            hosts,
            program,
            prefix: "/r".to_owned(),
            names_secret: None,
            origin: None,
            origin_cookies: false,
            tag: true,
            links: Vec::new(),
            go: None,
            parameters: Parameters::default(),
            cookie_days: 30,
            cookie_domain: CookieDomain::Registrable,
            attribution: Attribution::LastClick,
            code_or_click: CodeOrClick::Code,
            consent: Consent::Granted,
            honour_gpc: true,
            api_keys: Vec::new(),
            signing_secrets: Vec::new(),
            click_signing_key: None,
        }
    }
}
