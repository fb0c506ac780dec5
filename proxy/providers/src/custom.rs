//! A provider that the merchant describes in the configuration (`provider = "custom"`): where the signature stands and over
//! what, which events count, and where in their JSON the payment lies.

use crate::{
    Context, Conversion, Extracted, Ignored, Outcome, Promo, Proof, Refund, Rejection, Request, Verdict,
    common::{
        self, Delivery, Stop,
        json::{Fault, Json},
        judge_json, money,
        referral::{click, ids},
        signature::{self, Encoding},
        standard_webhooks,
        timestamp::{self, Bound},
    },
};
use hmac::{EagerHash, Hmac, KeyInit, Mac};
use rust_decimal::Decimal;
use sha2::{Sha256, Sha512};
use usher_model::{Currency, Secret};

/// A described provider. Paths are such as `data.items.0.price`; where several are given, the first that holds something
/// counts.
#[derive(Clone, Debug)]
pub struct Custom {
    /// Who sent it.
    pub scheme: Scheme,
    /// Which events are tests: not counted, unless tests are forwarded.
    pub test: Vec<Condition>,
    /// Where the event's name stands, for whoever asks later.
    pub event: Option<String>,
    /// Which events are payments, and where theirs lies.
    pub payment: Option<Payment>,
    /// Which events are refunds, and where theirs lies.
    pub refund: Option<BackPayment>,
}

/// How a request shows who sent it.
#[derive(Clone, Debug)]
pub enum Scheme {
    /// An HMAC of the body, and of what else the message holds.
    Hmac(Signature),
    /// The secret itself stands in a header field. Nothing covers the body then.
    Token {
        /// The field's name.
        header: String,
        /// What stands before the secret, such as `Bearer `.
        prefix: String,
    },
    /// Standard Webhooks (<https://www.standardwebhooks.com/>).
    StandardWebhooks,
}

/// An HMAC in a header field.
#[derive(Clone, Debug)]
pub struct Signature {
    /// The field's name.
    pub header: String,
    /// What stands before the digest, such as `sha256=`.
    pub prefix: String,
    /// SHA-512 when true, else SHA-256.
    pub is_sha512: bool,
    /// Base64 when true, else lower-case hexadecimal.
    pub is_base64: bool,
    /// The field with the time, in Unix seconds: signed, and at most 300 s from now.
    pub timestamp: Option<String>,
    /// What is signed.
    pub message: Message,
}

/// What is signed: texts, the time and the body, in a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Timestamp,
    Body,
}

impl Message {
    /// Reads `{timestamp}.{body}` and the like.
    ///
    /// # Errors
    /// A sentence that says how to mend it.
    pub fn parse(template: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = template;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}').ok_or("close every {")?;
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            }
            parts.push(match name {
                "body" => Part::Body,
                "timestamp" => Part::Timestamp,
                _ => return Err("write {body} and {timestamp}, nothing else in braces".to_owned()),
            });
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        if parts.contains(&Part::Body) { Ok(Self(parts)) } else { Err("add {body}".to_owned()) }
    }

    /// Whether a time is part of it.
    #[must_use]
    pub fn has_timestamp(&self) -> bool {
        self.0.contains(&Part::Timestamp)
    }
}

/// A path that has to hold one of these texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// Where.
    pub path: String,
    /// What: texts, whole numbers, `true` or `false`.
    pub one_of: Vec<String>,
}

/// Where an amount stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Amount {
    /// Where.
    pub path: String,
    /// Whether it is in minor units (cents, by ISO 4217), else in major ones.
    pub is_minor: bool,
    /// Where its currency stands; `None` when it is always the same.
    pub currency: Option<String>,
    /// The currency that it is always in.
    pub always: Option<Currency>,
}

/// Which events are payments, and where theirs lies.
#[derive(Clone, Debug)]
pub struct Payment {
    /// All of these hold.
    pub when: Vec<Condition>,
    /// The payment's own id.
    pub id: String,
    /// Other ids that a refund may name it by.
    pub other_ids: Vec<String>,
    /// What was paid.
    pub amount: Amount,
    /// Where the click's id may stand.
    pub referral: Vec<String>,
    /// Where the provider's customer may stand.
    pub customer: Vec<String>,
    /// Where the promo code may stand.
    pub promo_code: Vec<String>,
    /// Where the order's id may stand.
    pub order: Vec<String>,
    /// Where a subscription's id stands, when one was paid.
    pub subscription: Vec<String>,
}

/// Which events are refunds, and where theirs lies.
#[derive(Clone, Debug)]
pub struct BackPayment {
    /// All of these hold.
    pub when: Vec<Condition>,
    /// The refund's own id.
    pub id: String,
    /// One of the payment's ids.
    pub payment: String,
    /// How much; `None` is all that is left.
    pub amount: Option<Amount>,
    /// Whether the amount is all that ever went back.
    pub is_total: bool,
}

impl Custom {
    /// What its scheme proves.
    #[must_use]
    pub const fn proof(&self) -> Proof {
        match self.scheme {
            Scheme::Token { .. } => Proof::Token,
            Scheme::Hmac(_) | Scheme::StandardWebhooks => Proof::Body,
        }
    }

    /// Says what a request means. Never panics, whatever the bytes.
    #[must_use]
    pub fn judge(&self, request: &Request<'_>, context: &Context<'_>) -> Outcome {
        judge_json(
            request,
            context,
            |request, context| self.verify(request, context),
            |delivery, found| self.translate(delivery, found),
        )
    }

    fn verify(&self, request: &Request<'_>, context: &Context<'_>) -> Result<Proof, Rejection> {
        match &self.scheme {
            Scheme::Hmac(signature) => signature.verify(request, context)?,
            Scheme::Token { header, prefix } => {
                let given = request.header(header).ok_or(Rejection::MissingHeader("of the token"))?;
                let given = given.strip_prefix(prefix.as_str()).ok_or(Rejection::BadSignature)?;
                let known = |secret: &Secret| signature::same(secret.expose(), given.as_bytes());
                if !context.secrets().any(known) {
                    return Err(Rejection::BadSignature);
                }
            }
            Scheme::StandardWebhooks => {
                let keys = |secret: &Secret| standard_webhooks::decoded_key(secret).into_iter().collect();
                standard_webhooks::verify(request, context, keys)?;
            }
        }
        Ok(self.proof())
    }

    fn translate(&self, delivery: &Delivery<'_>, found: &mut Extracted) -> Result<Verdict, Stop> {
        let event = delivery.event;
        found.event_type = self.event.as_ref().and_then(|path| event.text(path));
        let is_test = !self.test.is_empty() && all(&self.test, event);
        common::note_livemode((!self.test.is_empty()).then_some(!is_test), delivery.context, found)?;
        match (&self.payment, &self.refund) {
            (Some(payment), _) if all(&payment.when, event) => payment.translate(event, found),
            (_, Some(refund)) if all(&refund.when, event) => refund.translate(event, found),
            _ => Err(Ignored::NotCommercial.into()),
        }
    }
}

impl Signature {
    fn verify(&self, request: &Request<'_>, context: &Context<'_>) -> Result<(), Rejection> {
        let given = request.header(&self.header).ok_or(Rejection::MissingHeader("of the signature"))?;
        let given = given.strip_prefix(self.prefix.as_str()).ok_or(Rejection::BadSignature)?;
        let time = match &self.timestamp {
            None => "",
            Some(name) => request.header(name).ok_or(Rejection::MissingHeader("of the timestamp"))?,
        };
        let parts: Vec<&[u8]> = (self.message.0.iter())
            .map(|part| match part {
                Part::Text(text) => text.as_bytes(),
                Part::Timestamp => time.as_bytes(),
                Part::Body => request.body,
            })
            .collect();
        let encoding = if self.is_base64 { Encoding::Base64 } else { Encoding::Hex };
        let signed = context.secrets().any(|secret| {
            let digest = match self.is_sha512 {
                true => digest::<Sha512>(secret.expose(), &parts),
                false => digest::<Sha256>(secret.expose(), &parts),
            };
            signature::same(encoding.write(&digest).as_bytes(), given.as_bytes())
        });
        if !signed {
            return Err(Rejection::BadSignature);
        }
        match self.timestamp {
            None => Ok(()),
            Some(_) => {
                let at = timestamp::read(time).ok_or(Rejection::BadSignature)?;
                timestamp::check(at, context.now, Bound::Both)
            }
        }
    }
}

fn digest<H: EagerHash>(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut mac = Hmac::<H>::new_from_slice(key).expect("HMAC takes keys of any length");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().to_vec()
}

impl Payment {
    fn translate(&self, event: &Json, found: &mut Extracted) -> Result<Verdict, Stop> {
        let id = event.need(&self.id)?;
        let others = self.other_ids.iter().map(|path| event.text(path));
        found.payment_ids = ids(std::iter::once(Some(id.clone())).chain(others));
        found.promo = Promo::new(first(&self.promo_code, event), None, None);
        found.subscription_id = first(&self.subscription, event);
        let (amount, currency) = self.amount.read(event)?;
        let conversion = Conversion {
            referral_id: self.referral.iter().find_map(|path| click(event.get(path))),
            customer_id: first(&self.customer, event),
            provider_order_id: first(&self.order, event).unwrap_or_else(|| id.clone()),
            external_event_id: id,
            amount: money::paid(amount, currency)?,
            product_ids: Vec::new(),
            price_ids: Vec::new(),
            is_subscription: found.subscription_id.is_some(),
            interval: None,
        };
        Ok(common::conversion(conversion, found))
    }
}

impl BackPayment {
    fn translate(&self, event: &Json, found: &mut Extracted) -> Result<Verdict, Stop> {
        let amount = self.amount.as_ref().map(|amount| amount.read(event)).transpose()?;
        let id = event.need(&self.id)?;
        let refund = Refund {
            payment_id: event.need(&self.payment)?,
            // Of a total there may be several under one id.
            external_event_id: match amount {
                Some((amount, _)) if self.is_total => format!("{id}:{}", amount.normalize()),
                _ => id,
            },
            amount: amount.map(|(amount, _)| money::went_back(amount)).transpose()?,
            currency: amount.map(|(_, currency)| currency),
            full: false,
            reason: None,
            cumulative: self.is_total,
        };
        Ok(common::refund(refund, found))
    }
}

impl Amount {
    fn read(&self, event: &Json) -> Result<(Decimal, Currency), Fault> {
        let currency = match (&self.currency, self.always) {
            (Some(path), _) => money::currency(event, path)?,
            (None, Some(always)) => always,
            (None, None) => return Err(Fault::new("the currency", "is not configured")),
        };
        let amount = match self.is_minor {
            true => money::minor(event, &self.path, currency, &money::ISO_4217)?,
            false => money::major(event, &self.path)?,
        };
        Ok((amount, currency))
    }
}

fn all(conditions: &[Condition], event: &Json) -> bool {
    conditions.iter().all(|condition| {
        let held = match event.get(&condition.path) {
            Json::Bool(flag) => Some(flag.to_string()),
            value => value.as_text(),
        };
        held.is_some_and(|held| condition.one_of.contains(&held))
    })
}

fn first(paths: &[String], event: &Json) -> Option<String> {
    paths.iter().find_map(|path| event.text(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_read_or_said_how_to_mend() {
        let text = |text: &str| Part::Text(text.to_owned());
        for (template, parts) in [
            ("{body}", vec![Part::Body]),
            ("v0:{timestamp}:{body}", vec![text("v0:"), Part::Timestamp, text(":"), Part::Body]),
            ("{body}x", vec![Part::Body, text("x")]),
        ] {
            assert_eq!(Message::parse(template), Ok(Message(parts)), "{template}");
        }
        for wrong in ["", "body", "{timestamp}", "{body", "{header}{body}", "{}{body}"] {
            assert!(Message::parse(wrong).is_err(), "{wrong}");
        }
    }
}
