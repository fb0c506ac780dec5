//! The calls that most tests make.

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::edge::{Edge, KEY, PROGRAM};
use crate::http::{Answer, Request};

/// What a visitor's browser says of itself unless a test says otherwise.
const BROWSER: &str =
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36";

impl Edge {
    /// The snippet's call for a visitor with a browser who came through `?via=`.
    pub fn track_call(&self, affiliate: &str) -> Request {
        let body =
            json!({"programId": PROGRAM, "trackingId": affiliate, "userAgent": BROWSER, "referrer": ""});
        self.post("/r/track")
            .header("user-agent", BROWSER)
            .header("origin", "http://shop.example")
            .visitor("198.51.100.7")
            .json(&body)
    }

    /// The same, sent. The answer must be a good one.
    ///
    /// # Panics
    /// When it is not.
    pub async fn track(&self, affiliate: &str) -> Answer {
        self.track_call(affiliate).send().await.expect(200)
    }

    /// Asks for a promo code as a shopper's browser does.
    pub fn code_call(&self, code: &str) -> Request {
        let code: String = code.bytes().map(|byte| format!("%{byte:02X}")).collect();
        self.get(&format!("/r/codes/{code}")).header("user-agent", BROWSER).visitor("198.51.100.7")
    }

    /// A call of the merchant's backend, to a path below `/r/v1/`.
    pub fn server_call(&self, path: &str, body: &Value) -> Request {
        self.post(&format!("/r/v1/{path}")).bearer(KEY).json(body)
    }

    /// A visitor's page ties an order to the click in its cookie.
    pub fn bind_call(&self, click: &str, order: &str) -> Request {
        self.post("/r/bind")
            .header("user-agent", BROWSER)
            .header("origin", "http://shop.example")
            .header("cookie", &format!("affonso_referral={click}"))
            .visitor("198.51.100.7")
            .json(&json!({"order_id": order}))
    }

    /// The merchant's backend's call for a sale.
    pub fn sale_call(&self, sale: &Sale) -> Request {
        self.post("/r/v1/conversions").bearer(KEY).body("application/json", sale.json())
    }

    /// The same, sent. The answer must be a good one: the platform's own, or `202`.
    ///
    /// # Panics
    /// When it is not.
    pub async fn sell(&self, sale: &Sale) -> Answer {
        let answer = self.sale_call(sale).send().await;
        assert!(matches!(answer.status, 200..=202), "{}: {}", answer.status, answer.text());
        answer
    }
}

/// A sale as a merchant's backend reports it.
#[must_use]
#[derive(Clone, Debug)]
pub struct Sale {
    fields: Vec<(String, String)>,
}

impl Sale {
    /// A sale of this many major units, as the text that goes over the wire, in US dollars.
    pub fn new(event: &str, amount: &str) -> Self {
        Self { fields: Vec::new() }
            .text("external_event_id", event)
            .raw("sale_amount", amount)
            .text("sale_amount_currency", "USD")
    }

    /// A field with a text.
    pub fn text(self, name: &str, value: &str) -> Self {
        self.raw(name, &serde_json::Value::from(value).to_string())
    }

    /// A field with any JSON, byte for byte; in place of an earlier one of that name.
    pub fn raw(mut self, name: &str, json: &str) -> Self {
        self.fields.retain(|(field, _)| field != name);
        self.fields.push((name.to_owned(), json.to_owned()));
        self
    }

    /// The referral that it belongs to.
    pub fn referral(self, id: &str) -> Self {
        self.text("referral_id", id)
    }

    /// The promo code that was used.
    pub fn promo_code(self, code: &str) -> Self {
        self.text("promo_code", code)
    }

    /// Who bought.
    pub fn customer(self, id: &str) -> Self {
        self.text("customer_id", id)
    }

    /// The body that is sent.
    #[must_use]
    pub fn json(&self) -> String {
        let fields: Vec<String> = self.fields.iter().map(|(name, json)| format!("{name:?}:{json}")).collect();
        format!("{{{}}}", fields.join(","))
    }
}

/// Lower-case hex of HMAC-SHA256 over `timestamp.body`: the platform's request signature.
#[must_use]
pub fn hmac_hex(secret: &str, timestamp: &str, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes keys of every length");
    mac.update(format!("{timestamp}.{body}").as_bytes());
    mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}
