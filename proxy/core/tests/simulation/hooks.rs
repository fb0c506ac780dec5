//! Payment providers: what they send of payments, refunds and second names, signed as they sign it. Even payments are
//! Stripe's, which tells of each refund by itself and of a payment's second name in an event of its own; odd ones are Lemon
//! Squeezy's, which tells of all that ever went back.

use super::{
    callers::{Caller, Request},
    orders::currency,
    world::World,
};
use async_trait::async_trait;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use std::{fmt::Write as _, time::Duration};
use usher_core::{Certificates, FetchError, Keyring, conversions::Heard};
use usher_model::{Clock as _, Job, Secret, Source};
use usher_providers::{Credential, Kind, Provider, TestMode, Webhook};

const SECRET: &str = "whsec_simulation";

/// A provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sender {
    Stripe,
    LemonSqueezy,
}

impl Sender {
    /// Whose payment that is.
    pub(crate) const fn of(payment: u16) -> Self {
        if payment.is_multiple_of(2) { Self::Stripe } else { Self::LemonSqueezy }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Stripe => "stripe",
            Self::LemonSqueezy => "lemonsqueezy",
        }
    }

    fn webhook(self) -> Webhook {
        let provider = Provider::find(self.name()).expect("a provider");
        Webhook {
            name: Source::new(self.name()).expect("a source"),
            kind: Kind::Known(provider),
            credentials: vec![Credential::Text(Secret::new(SECRET))],
            test_mode: TestMode::Ignore,
        }
    }
}

/// The key under which a provider's payment is known.
pub(crate) fn payment_key(payment: u16) -> String {
    match Sender::of(payment) {
        Sender::Stripe => format!("in_{payment}"),
        Sender::LemonSqueezy => format!("order:{payment}"),
    }
}

/// A payment, brought by whoever holds that cookie.
pub(crate) fn paid(payment: u16, click: Option<String>, cents: u32) -> (String, Request) {
    let (sender, currency) = (Sender::of(payment), currency(payment));
    let mut metadata = json!({});
    if let Some(click) = &click {
        metadata["affonso_referral"] = click.as_str().into();
    }
    let body = match sender {
        Sender::Stripe => json!({
            "id": format!("evt_paid_{payment}"), "type": "invoice.paid", "livemode": true,
            "data": {"object": {
                "id": format!("in_{payment}"), "amount_paid": cents, "currency": currency.to_lowercase(),
                "metadata": metadata,
            }},
        }),
        Sender::LemonSqueezy => json!({
            "meta": {"event_name": "order_created", "test_mode": false, "custom_data": metadata},
            "data": {"id": payment.to_string(), "attributes": {
                "status": "paid", "currency": currency, "total": cents,
            }},
        }),
    };
    (payment_key(payment), Request::Hook { sender, click, body: body.to_string() })
}

/// Money that went back: so much by itself, or altogether. `paid` is what the payment was, where it is known.
pub(crate) fn paid_back(refund: u16, payment: u16, cents: u32, paid: Option<u32>) -> (String, Request) {
    let (sender, currency) = (Sender::of(payment), currency(payment));
    let (key, body) = match sender {
        Sender::Stripe => {
            let body = json!({
                "id": format!("evt_back_{refund}"), "type": "refund.created", "livemode": true,
                "data": {"object": {
                    "id": format!("re_{refund}"), "status": "succeeded", "amount": cents,
                    "currency": currency.to_lowercase(), "payment_intent": format!("pi_{payment}"),
                }},
            });
            (format!("re_{refund}"), body)
        }
        Sender::LemonSqueezy => {
            let total = paid.map_or(cents, |paid| cents.min(paid));
            let mut body = json!({
                "meta": {"event_name": "order_refunded", "test_mode": false},
                "data": {"id": payment.to_string(), "attributes": {
                    "status": "partial_refund", "currency": currency, "refunded_amount": total,
                }},
            });
            if let Some(paid) = paid {
                body["data"]["attributes"]["total"] = paid.into();
            }
            (format!("order:{payment}:refund:{total}"), body)
        }
    };
    (key, Request::Hook { sender, click: None, body: body.to_string() })
}

/// Which payment a provider's refund is of.
pub(crate) fn payment_of(sender: Sender, refund: &str) -> Option<u16> {
    let body: Value = serde_json::from_str(refund).expect("JSON");
    match sender {
        Sender::Stripe => {
            body.pointer("/data/object/payment_intent")?.as_str()?.strip_prefix("pi_")?.parse().ok()
        }
        Sender::LemonSqueezy => body.pointer("/data/id")?.as_str()?.parse().ok(),
    }
}

/// How the history calls that link.
pub(crate) fn link_key(payment: u16) -> String {
    format!("links pi_{payment}")
}

/// Stripe says that a payment intent paid an invoice.
pub(crate) fn link(payment: u16) -> Request {
    let body = json!({
        "id": format!("evt_link_{payment}"), "type": "invoice_payment.paid", "livemode": true,
        "data": {"object": {
            "invoice": format!("in_{payment}"),
            "payment": {"type": "payment_intent", "payment_intent": format!("pi_{payment}")},
        }},
    });
    Request::Hook { sender: Sender::Stripe, click: None, body: body.to_string() }
}

/// What a provider says was paid or went back, in minor units.
pub(crate) fn cents(body: &str) -> Option<u64> {
    let body: Value = serde_json::from_str(body).expect("JSON");
    let paths = [
        "/data/object/amount_paid",
        "/data/object/amount",
        "/data/attributes/refunded_amount",
        "/data/attributes/total",
    ];
    paths.iter().find_map(|path| body.pointer(path)?.as_u64())
}

/// What was paid, if the provider has told of that payment.
pub(crate) fn told_paid(callers: &[Caller], payment: u16) -> Option<u32> {
    let key = payment_key(payment);
    let paid = callers.iter().find(|of| of.job == Some(Job::Conversion) && of.key == key)?;
    u32::try_from(cents(&paid.body())?).ok()
}

/// Sends it.
pub(crate) async fn send(
    world: &World,
    conversions: &usher_core::conversions::Conversions,
    sender: Sender,
    body: &str,
) -> Result<Heard, usher_core::Refusal> {
    let seconds = world.time.now().seconds();
    let (header, value) = match sender {
        Sender::Stripe => {
            ("stripe-signature", format!("t={seconds},v1={}", mac(format!("{seconds}.{body}").as_bytes())))
        }
        Sender::LemonSqueezy => ("x-signature", mac(body.as_bytes())),
    };
    let headers = [(header, value.as_bytes())];
    let url = format!("/r/hooks/{}", sender.name());
    let request =
        usher_providers::Request { method: "POST", url: &url, headers: &headers, body: body.as_bytes() };
    conversions.hear(&world.site, &sender.webhook(), &request, &Keyring::new(Nowhere)).await
}

fn mac(bytes: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).expect("any key");
    mac.update(bytes);
    mac.finalize().into_bytes().iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").expect("a string takes all");
        hex
    })
}

/// Neither provider has certificates.
struct Nowhere;

#[async_trait]
impl Certificates for Nowhere {
    async fn fetch(&self, address: &str, _: Duration) -> Result<String, FetchError> {
        Err(FetchError(format!("nothing is at {address}")))
    }
}
