//! `[[site.webhook]]`: which payment providers report to a site, and how they prove it.

use super::{
    described, keys,
    reader::{Place, Section, quoted},
    secrets::{Secrets, Use},
};
use std::collections::BTreeMap;
use toml::{Spanned, de::DeValue};
use usher_model::{Secret, Source};
use usher_providers::{Credential, Kind, PROVIDERS, Provider, TestMode, Webhook};

/// PEM of the certificates that PayPal's must chain to, when they are not the public ones.
const ANCHOR: &str = "trust_anchor";
/// The word that stands for a provider that the merchant describes.
const CUSTOM: &str = "custom";

/// The webhooks of a site; `None` when something about one is wrong, which has then been reported.
pub(super) fn read(site: &Section<'_>, secrets: &Secrets<'_>) -> Option<Vec<Webhook>> {
    let sections = site.sections("webhook", keys::WEBHOOK);
    let read: Vec<Option<Webhook>> = sections.iter().map(|section| one(section, secrets)).collect();
    for (at, later) in read.iter().enumerate() {
        let Some(later) = later else { continue };
        if read[..at].iter().flatten().any(|earlier| earlier.name == later.name) {
            sections[at].place_of("name").refuse::<()>(
                format!("is {:?}, as an earlier webhook's is", later.name.as_str()),
                format!("give each its own, such as name = \"{}-eu\"", later.name),
            );
        }
    }
    read.into_iter().collect()
}

fn one(section: &Section<'_>, secrets: &Secrets<'_>) -> Option<Webhook> {
    let kind = kind(section);
    let name = name(section);
    let modes = [("ignore", TestMode::Ignore), ("forward", TestMode::Forward)];
    let test_mode = match section.get("test_mode") {
        None => Some(TestMode::Ignore),
        Some(_) => section.choice("test_mode", &modes),
    };
    let credentials = credentials(section, kind.as_ref()?, secrets);
    let webhook = Webhook { name: name?, kind: kind?, credentials: credentials?, test_mode: test_mode? };
    if let Some(shape) = webhook.misshapen_secret() {
        section.place().warn(
            format!("has a secret that no request of {} is signed with", webhook.provider()),
            format!("write {shape}"),
        );
    }
    if webhook.may_prove_a_token_alone() {
        section.place().warn(
            format!(
                "is of a provider whose requests prove that they know a token, not what they say ({})",
                webhook.provider()
            ),
            "keep the address and the token to yourselves; compare amounts with the provider's own reports",
        );
    }
    Some(webhook)
}

fn kind(section: &Section<'_>) -> Option<Kind> {
    if section.get("provider").is_none() {
        return section.missing("provider", "add provider = \"stripe\"");
    }
    let written = section.text("provider")?;
    if written.text == CUSTOM {
        return described::read(section).map(|custom| Kind::Custom(Box::new(custom)));
    }
    for key in described::KEYS {
        if section.get(key).is_some() {
            section.place_of(key).refuse::<()>(
                "describes a provider that is known",
                "remove it, or write provider = \"custom\"",
            );
        }
    }
    Provider::find(written.text).map(Kind::Known).or_else(|| {
        let names: Vec<&str> = PROVIDERS.iter().map(|provider| provider.name).chain([CUSTOM]).collect();
        written.place.refuse(format!("is {}", quoted(written.text)), keys::meant(written.text, &names))
    })
}

/// What stands in the address: the provider's name when the file does not say.
fn name(section: &Section<'_>) -> Option<Source> {
    let key = if section.get("name").is_some() { "name" } else { "provider" };
    let written = section.text(key)?;
    // What the merchant's own servers, pages and Segment report goes under these names.
    if ["api", "browser", "segment", "affonso"].contains(&written.text) {
        return written
            .place
            .refuse(format!("is {}, which is taken", quoted(written.text)), "choose another");
    }
    match Source::new(written.text) {
        Ok(name) => Some(name),
        Err(error) => written.place.refuse(format!("is {}", quoted(written.text)), error.to_string()),
    }
}

/// The keys that a provider's credentials are made of, beside `secret`.
fn parts(provider: &str) -> &'static [&'static [&'static str]] {
    match provider {
        "paypal" => &[&["webhook_id"]],
        "paytm" => &[&["mid", "merchant_key"]],
        "chargebee" => &[&["username", "password"]],
        "phonepe" => &[&["username", "password"], &["hmac_key_id", "hmac_secret"]],
        "gumroad" => &[&["url_token", "seller_id"]],
        _ => &[],
    }
}

/// The credentials: those beside each other in the section itself, and those in the list `secret`.
fn credentials(section: &Section<'_>, kind: &Kind, secrets: &Secrets<'_>) -> Option<Vec<Credential>> {
    let provider = match kind {
        Kind::Known(provider) => provider.name,
        Kind::Custom(_) => CUSTOM,
    };
    let own = parts(provider).concat();
    for key in keys::CREDENTIAL.iter().filter(|key| section.get(key).is_some() && !own.contains(*key)) {
        if *key != ANCHOR || provider != "paypal" {
            section.place_of(key).refuse::<()>(format!("is nothing of {provider}'s"), mend(provider));
        }
    }
    let is_apart = own.iter().any(|key| section.get(key).is_some());
    if !is_apart && (section.get("secret").is_none() || section.is_empty_list("secret")) {
        return section.missing("secret", &mend(provider));
    }
    let mut found: Vec<Credential> = together(section, provider, secrets).into_iter().collect();
    if let Some((place, value)) = section.get("secret") {
        let items: Vec<_> = match value.get_ref() {
            DeValue::Array(list) => list.iter().collect(),
            _ => vec![value],
        };
        found.extend(
            items.into_iter().filter_map(|item| listed(&place.at(item.span()), item, provider, secrets)),
        );
    }
    Some(found)
}

fn mend(provider: &str) -> String {
    match parts(provider).first() {
        None => format!("add secret = [{{ env = \"{}_WEBHOOK_SECRET\" }}]", provider.to_uppercase()),
        Some(keys) => {
            let keys: Vec<String> = keys
                .iter()
                .map(|key| {
                    format!("{key} = {{ env = \"{}_{}\" }}", provider.to_uppercase(), key.to_uppercase())
                })
                .collect();
            format!("add {}", keys.join(" and "))
        }
    }
}

/// One credential of the keys that stand side by side in `section`.
fn together(section: &Section<'_>, provider: &str, secrets: &Secrets<'_>) -> Option<Credential> {
    let keys = parts(provider).iter().find(|keys| keys.iter().any(|key| section.get(key).is_some()))?;
    let mut values = BTreeMap::new();
    for key in *keys {
        if section.get(key).is_none() {
            return section.missing(key, &mend(provider));
        }
        // Ids are no secrets: they may stand in clear without a word.
        let is_hidden = matches!(*key, "password" | "hmac_secret" | "merchant_key" | "url_token");
        let value = if is_hidden { secrets.one(section, key, Use::Key) } else { secrets.open(section, key) };
        values.insert(*key, value?);
    }
    made(&values, secrets.open(section, ANCHOR))
}

/// One item of the list `secret`: a text, wherever it is kept, or a table of the provider's keys.
fn listed<'a>(
    place: &Place<'a>,
    item: &'a Spanned<DeValue<'a>>,
    provider: &str,
    secrets: &Secrets<'_>,
) -> Option<Credential> {
    if let DeValue::Table(table) = item.get_ref()
        && !table.contains_key("env")
        && !table.contains_key("file")
        && !parts(provider).is_empty()
    {
        return together(&Section::new(place.clone(), table, keys::CREDENTIAL), provider, secrets);
    }
    let secret = Secret::new(secrets.written(place, item)?);
    // One text where a provider needs several is the pair as it is written in addresses and on command lines.
    let Some(keys) = parts(provider).first() else { return Some(Credential::Text(secret)) };
    let text = String::from_utf8_lossy(secret.expose()).into_owned();
    let values = match (keys, text.split_once(':')) {
        ([only], _) => BTreeMap::from([(*only, secret)]),
        ([first, second], Some((one, other))) => {
            BTreeMap::from([(*first, Secret::new(one)), (*second, Secret::new(other))])
        }
        _ => return place.refuse("is one text where two are needed", mend(provider)),
    };
    made(&values, None)
}

fn made(values: &BTreeMap<&str, Secret>, anchors: Option<Secret>) -> Option<Credential> {
    let hidden = |key: &str| values.get(key).cloned();
    let text = |key: &str| hidden(key).map(|secret| String::from_utf8_lossy(secret.expose()).into_owned());
    if let (Some(username), Some(password)) = (text("username"), hidden("password")) {
        return Some(Credential::Login { username, password });
    }
    if let (Some(key_id), Some(key)) = (text("hmac_key_id"), hidden("hmac_secret")) {
        return Some(Credential::Named { key_id, key });
    }
    if let (Some(mid), Some(merchant_key)) = (text("mid"), hidden("merchant_key")) {
        return Some(Credential::Paytm { mid, merchant_key });
    }
    if let (Some(url_token), Some(seller_id)) = (hidden("url_token"), text("seller_id")) {
        return Some(Credential::Gumroad { url_token, seller_id });
    }
    let trust_anchors_pem =
        anchors.map(|pem| String::from_utf8_lossy(pem.expose()).into_owned()).unwrap_or_default();
    Some(Credential::PayPal {
        webhook_id: text("webhook_id")?,
        trust_anchors_pem,
        certificates: BTreeMap::new(),
    })
}
