//! One `[[site]]`.

use super::{
    advice, hosts, links, origin,
    reader::{Section, quoted},
    secrets::{Secrets, Use},
    webhook,
};
use referral::Parameters;
use usher_model::{Attribution, CodeOrClick, Consent, Site, SiteName, limits};
use usher_providers::Webhook;

/// `None` when something about it is wrong, which has then been reported.
pub(super) fn read(section: &Section<'_>, secrets: &Secrets<'_>) -> Option<(Site, Vec<Webhook>)> {
    let name = name(section);
    let hosts = hosts_of(section);
    let program = program(section);
    let prefix = section.text("prefix").map(|written| hosts::prefix(&written));
    let cookie_domain = match (section.text("cookie_domain"), &hosts) {
        (Some(written), Some(hosts)) => Some(hosts::cookie_domain(&written, hosts)),
        _ => None,
    };
    let names_secret = secrets.one(section, "names_secret", Use::Key);
    let api_keys = secrets.list(section, "api_keys", Use::Bearer);
    if section.get("api_keys").is_none() || section.is_empty_list("api_keys") {
        let mend = "add api_keys = [{ env = \"SHOP_API_KEY\" }]";
        section.place_of("api_keys").warn("is missing: nobody can report sales", mend);
    }
    let signing_secrets = secrets.list(section, "signing_secret", Use::Key);
    let parameters = parameters(section);
    let cookie_days = section.whole("cookie_days", 1..=limits::COOKIE_DAYS);
    let (attribution, code_or_click, consent) =
        (attribution(section), code_or_click(section), consent(section));
    let honour_gpc = section.flag("honour_gpc");
    let webhooks = webhook::read(section, secrets);
    let click_signing_key = secrets.one(section, "click_signing_key", Use::Key);
    let origin = origin::read(section);
    // What is said of links is checked also where the prefix is wrong.
    let known_prefix = prefix.clone().flatten().unwrap_or_else(|| "/r".to_owned());
    let links = links::read(section, hosts.as_deref().unwrap_or_default(), &known_prefix);
    let has_origin = section.get("origin").is_some();
    let go = links::go(section, has_origin || section.get("links").is_some(), &known_prefix);
    let tag = links::tag(section, has_origin);

    // What is not written is as it is without a word; what is written wrong has been reported.
    let silent = Site::new(name?, hosts?, program?);
    let (origin, origin_cookies) = origin?;
    let site = Site {
        origin,
        origin_cookies,
        tag,
        links: links?,
        go: go?,
        prefix: prefix.unwrap_or(Some(silent.prefix))?,
        cookie_domain: cookie_domain.unwrap_or(Some(silent.cookie_domain))?,
        parameters: parameters?,
        cookie_days: cookie_days.unwrap_or(silent.cookie_days),
        attribution: attribution.unwrap_or(silent.attribution),
        code_or_click: code_or_click.unwrap_or(silent.code_or_click),
        consent: consent.unwrap_or(silent.consent),
        honour_gpc: honour_gpc.unwrap_or(silent.honour_gpc),
        names_secret,
        api_keys,
        signing_secrets,
        click_signing_key,
        ..silent
    };
    advice::names(section, &site);
    Some((site, webhooks?))
}

fn name(section: &Section<'_>) -> Option<SiteName> {
    if section.get("name").is_none() {
        return section.missing("name", "add name = \"shop\"");
    }
    let written = section.text("name")?;
    match SiteName::new(written.text) {
        Ok(name) => Some(name),
        Err(error) => written.place.refuse(format!("is {}", quoted(written.text)), error.to_string()),
    }
}

fn hosts_of(section: &Section<'_>) -> Option<Vec<String>> {
    const MEND: &str = "add hosts = [\"shop.example\"]";
    if section.get("hosts").is_none() {
        return section.missing("hosts", MEND);
    }
    let mut hosts: Vec<String> = Vec::new();
    for written in section.texts("hosts")? {
        let Some(host) = hosts::host(&written) else { continue };
        if hosts.contains(&host) {
            written.place.refuse::<()>(format!("names {host:?} twice"), "keep one of them");
        }
        hosts.push(host);
    }
    if section.is_empty_list("hosts") {
        section.place_of("hosts").refuse("is empty", MEND)
    } else {
        Some(hosts)
    }
}

/// The platform's public id of the program. Its alphabet is checked, as it goes into pages and URLs.
fn program(section: &Section<'_>) -> Option<String> {
    const MEND: &str = "take it from data-affonso in the platform's tag (letters and digits)";
    if section.get("program").is_none() {
        return section.missing("program", MEND);
    }
    let written = section.text("program")?;
    if referral::is_code(written.text) {
        Some(written.text.to_owned())
    } else {
        written.place.refuse(format!("is {}", quoted(written.text)), MEND)
    }
}

fn parameters(section: &Section<'_>) -> Option<Parameters> {
    if section.get("parameters").is_none() {
        return Some(Parameters::default());
    }
    let written = section.texts("parameters")?;
    let place = section.place_of("parameters");
    match Parameters::new(written.iter().map(|name| name.text)) {
        Ok(parameters) => {
            advice::parameters(&place, &parameters);
            Some(parameters)
        }
        Err(_) if written.is_empty() && !section.is_empty_list("parameters") => None,
        Err(error) => place.refuse(format!("cannot be used: {error}"), "write names such as [\"via\"]"),
    }
}

fn attribution(section: &Section<'_>) -> Option<Attribution> {
    let words = [("last_click", Attribution::LastClick), ("first_click", Attribution::FirstClick)];
    section.choice("attribution", &words)
}

fn code_or_click(section: &Section<'_>) -> Option<CodeOrClick> {
    let words = [("code", CodeOrClick::Code), ("click", CodeOrClick::Click), ("latest", CodeOrClick::Latest)];
    section.choice("code_or_click", &words)
}

fn consent(section: &Section<'_>) -> Option<Consent> {
    let words = [("granted", Consent::Granted), ("required", Consent::Required)];
    section.choice("consent", &words)
}
