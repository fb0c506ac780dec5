//! `provider = "custom"`: a payment provider that the merchant describes.

use super::{
    keys,
    reader::{Section, kind, quoted, text},
};
use toml::de::DeValue;
use usher_model::{Currency, MoneyError};
use usher_providers::custom::{Amount, BackPayment, Condition, Custom, Message, Payment, Scheme, Signature};

/// The keys of a webhook that describe its provider.
pub(super) const KEYS: [&str; 5] = ["signature", "event", "test", "payment", "refund"];

/// `None` when something about it is wrong, which has then been reported.
pub(super) fn read(webhook: &Section<'_>) -> Option<Custom> {
    let scheme = match webhook.section("signature", keys::SIGNATURE) {
        Some(section) => scheme(&section),
        None if webhook.get("signature").is_some() => None,
        None => webhook.missing(
            "signature",
            "add [site.webhook.signature] with header, hash and encoding as the provider documents them",
        ),
    };
    let payment = webhook.section("payment", keys::PAYMENT).map(|section| payment(&section));
    let refund = webhook.section("refund", keys::REFUND).map(|section| refund(&section));
    if webhook.get("payment").is_none() && webhook.get("refund").is_none() {
        webhook
            .missing::<()>("payment", "add [site.webhook.payment] with when, id, amount, unit and currency");
        return None;
    }
    let event = path(webhook, "event");
    let test = conditions(webhook, "test");
    Some(Custom {
        scheme: scheme?,
        test: test?,
        event: event?,
        payment: payment.map_or(Some(None), |read| read.map(Some))?,
        refund: refund.map_or(Some(None), |read| read.map(Some))?,
    })
}

#[derive(Clone, Copy)]
enum Make {
    Hmac,
    Token,
    StandardWebhooks,
}

fn scheme(section: &Section<'_>) -> Option<Scheme> {
    let makes = [("hmac", Make::Hmac), ("token", Make::Token), ("standard-webhooks", Make::StandardWebhooks)];
    let make = match section.get("scheme") {
        None => Make::Hmac,
        Some(_) => section.choice("scheme", &makes)?,
    };
    if let Make::StandardWebhooks = make {
        return Some(Scheme::StandardWebhooks);
    }
    let header = field_name(section, "header");
    if section.get("header").is_none() {
        return section.missing("header", "add header = \"x-signature\", the field that proves who sent it");
    }
    let prefix = section.text("prefix").map(|written| written.text.to_owned()).unwrap_or_default();
    match make {
        Make::Token => Some(Scheme::Token { header: header?, prefix }),
        _ => signature(section, header?, prefix).map(Scheme::Hmac),
    }
}

fn signature(section: &Section<'_>, header: String, prefix: String) -> Option<Signature> {
    let is_sha512 = choice_or(section, "hash", &[("sha256", false), ("sha512", true)])?;
    let is_base64 = choice_or(section, "encoding", &[("hex", false), ("base64", true)])?;
    let timestamp = match section.get("timestamp_header") {
        None => None,
        Some(_) => Some(field_name(section, "timestamp_header")?),
    };
    let template = section.text("message");
    let message = match Message::parse(template.as_ref().map_or("{body}", |written| written.text)) {
        Ok(message) => message,
        Err(mend) => return section.place_of("message").refuse("cannot be used", mend),
    };
    if message.has_timestamp() != timestamp.is_some() {
        return section.place_of("message").refuse(
            "and timestamp_header do not go together",
            "a signed time needs both {timestamp} in message and timestamp_header",
        );
    }
    Some(Signature { header, prefix, is_sha512, is_base64, timestamp, message })
}

fn payment(section: &Section<'_>) -> Option<Payment> {
    let when = when(section);
    let (id, amount) = (needed(section, "id"), amount(section));
    if section.get("amount").is_none() {
        section.missing::<()>("amount", "add amount = \"data.amount\"");
    }
    let lists = ["other_ids", "referral", "customer", "promo_code", "order", "subscription"]
        .map(|key| paths(section, key));
    let [other_ids, referral, customer, promo_code, order, subscription] = lists;
    Some(Payment {
        when: when?,
        id: id?,
        amount: amount??,
        other_ids: other_ids?,
        referral: referral?,
        customer: customer?,
        promo_code: promo_code?,
        order: order?,
        subscription: subscription?,
    })
}

fn refund(section: &Section<'_>) -> Option<BackPayment> {
    let when = when(section);
    let (id, payment, amount) = (needed(section, "id"), needed(section, "payment"), amount(section));
    let is_total = section.get("is_total").map_or(Some(false), |_| section.flag("is_total"));
    Some(BackPayment { when: when?, id: id?, payment: payment?, amount: amount?, is_total: is_total? })
}

/// The amount, when there is one.
fn amount(section: &Section<'_>) -> Option<Option<Amount>> {
    if section.get("amount").is_none() {
        return Some(None);
    }
    let path = path(section, "amount");
    if section.get("unit").is_none() {
        return section.missing("unit", "add unit = \"minor\" (cents) or unit = \"major\"");
    }
    let is_minor = section.choice("unit", &[("minor", true), ("major", false)]);
    let currency = self::path(section, "currency");
    let always = section.text("always_currency").map(|written| {
        let read: Result<Currency, MoneyError> = written.text.parse();
        read.map_or_else(
            |why| written.place.refuse(format!("is {}", quoted(written.text)), why.to_string()),
            Some,
        )
    });
    if section.get("currency").is_none() == section.get("always_currency").is_none() {
        return section.place_of("currency").refuse(
            "has to be told once",
            "add currency = \"data.currency\", where it stands, or always_currency = \"EUR\"",
        );
    }
    let always = always.map_or(Some(None), |read| read.map(Some))?;
    Some(Some(Amount { path: path??, is_minor: is_minor?, currency: currency?, always }))
}

fn when(section: &Section<'_>) -> Option<Vec<Condition>> {
    if section.get("when").is_none() {
        return section
            .missing("when", "add when = { \"event\" = [\"charge.success\"] }: which events it is about");
    }
    conditions(section, "when").filter(|conditions| {
        if conditions.is_empty() {
            section
                .place_of("when")
                .refuse::<()>("is empty", "name at least one path and what it has to hold");
        }
        !conditions.is_empty()
    })
}

/// A table of paths, each with the text or the texts that it may hold.
fn conditions(section: &Section<'_>, key: &str) -> Option<Vec<Condition>> {
    const MEND: &str = "write { \"data.status\" = [\"success\"] }";
    let Some((place, value)) = section.get(key) else { return Some(Vec::new()) };
    let DeValue::Table(table) = value.get_ref() else {
        return place.refuse(format!("is {}", kind(value.get_ref())), MEND);
    };
    let mut read = Vec::new();
    for (path, held) in table {
        let items: Vec<_> = match held.get_ref() {
            DeValue::Array(list) => list.iter().collect(),
            _ => vec![held],
        };
        let one_of: Option<Vec<String>> = (items.into_iter())
            .map(|item| match item.get_ref() {
                DeValue::Boolean(flag) => Some(flag.to_string()),
                DeValue::Integer(number) => Some(number.as_str().to_owned()),
                _ => text(&place.at(item.span()), item).map(|text| text.text.to_owned()),
            })
            .collect();
        let path: &str = path.get_ref();
        if !is_path(path) {
            return place.refuse(format!("names {}, which is no path", quoted(path)), MEND);
        }
        read.push(Condition { path: path.to_owned(), one_of: one_of? });
    }
    Some(read)
}

fn choice_or(section: &Section<'_>, key: &str, words: &[(&str, bool)]) -> Option<bool> {
    if section.get(key).is_none() { Some(false) } else { section.choice(key, words) }
}

fn needed(section: &Section<'_>, key: &str) -> Option<String> {
    if section.get(key).is_none() {
        return section.missing(key, &format!("add {key} = \"data.id\": where it stands in the body"));
    }
    path(section, key)?
}

/// A path, when there is one.
fn path(section: &Section<'_>, key: &str) -> Option<Option<String>> {
    if section.get(key).is_none() {
        return Some(None);
    }
    paths(section, key)?.into_iter().next().map(Some)
}

fn paths(section: &Section<'_>, key: &str) -> Option<Vec<String>> {
    if section.get(key).is_none() {
        return Some(Vec::new());
    }
    let mut read = Vec::new();
    for written in section.texts(key)? {
        if !is_path(written.text) {
            return written
                .place
                .refuse(format!("is {}", quoted(written.text)), "write a path such as data.items.0.id");
        }
        read.push(written.text.to_owned());
    }
    Some(read)
}

fn is_path(text: &str) -> bool {
    !text.is_empty() && text.split('.').all(|step| !step.trim().is_empty())
}

fn field_name(section: &Section<'_>, key: &str) -> Option<String> {
    let written = section.text(key)?;
    let is_token = !written.text.is_empty()
        && written.text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    if is_token {
        Some(written.text.to_owned())
    } else {
        written
            .place
            .refuse(format!("is {}", quoted(written.text)), "write a header's name such as x-signature")
    }
}
