//! What a page says with `POST /signups`: a lead.

use super::request::{object, text};
use crate::{Refusal, Visitor};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use usher_model::ClickId;

/// A lead, checked.
#[derive(Debug)]
pub(super) struct SignupRequest {
    /// The click that it came from.
    pub(super) click: ClickId,
    /// Customers that it names, in keys of our own.
    pub(super) customers: Vec<String>,
    /// What goes to the platform, without `click_id`.
    pub(super) fields: Map<String, Value>,
    /// The idempotency key: the same person through the same click is the same lead.
    pub(super) key: String,
    /// SHA-256 of the content.
    pub(super) fingerprint: [u8; 32],
}

impl SignupRequest {
    /// Reads a body. The click is the one that it names, else the visitor's cookie.
    ///
    /// # Errors
    /// [`Refusal::Invalid`] names the field and the mend.
    pub(super) fn read(body: &[u8], visitor: &Visitor) -> Result<Self, Refusal> {
        let sent = object(body)?;
        let first =
            |names: &[&'static str]| names.iter().find_map(|name| text(&sent, name).transpose()).transpose();
        let click = first(&["click_id", "clickId", "cid", "referral_id", "referralId", "affonso_referral"])?;
        let click = match click {
            Some(id) => ClickId::new(id)
                .map_err(|error| Refusal::invalid("click_id", format!("click_id: {error}")))?,
            None => visitor.cookie.clone().ok_or_else(|| {
                Refusal::invalid("click_id", "click_id is required: this visitor has no referral")
            })?,
        };
        let email = first(&["email"])?.filter(|email| email.contains('@'));
        let user = first(&["external_user_id", "externalUserId"])?;
        if email.is_none() && user.is_none() {
            return Err(Refusal::invalid("email", "email or external_user_id is required"));
        }
        let mut fields = Map::new();
        for (name, value) in [("email", &email), ("external_user_id", &user), ("name", &first(&["name"])?)] {
            if let Some(value) = value {
                fields.insert(name.to_owned(), value.as_str().into());
            }
        }
        let person = user.as_deref().or(email.as_deref()).unwrap_or_default().to_lowercase();
        let key = hex(&Sha256::digest(format!("{click}\n{person}")));
        let fingerprint = Sha256::digest(&key).into();
        let customers = user.map(|user| format!("user:{user}")).into_iter().collect();
        Ok(Self { click, customers, fields, key, fingerprint })
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::visitor;

    fn read(body: &str, cookie: Option<&str>) -> Result<SignupRequest, Refusal> {
        let cookie = cookie.map(|id| ClickId::new(id).expect("an id"));
        SignupRequest::read(body.as_bytes(), &Visitor { cookie, ..visitor() })
    }

    #[test]
    fn the_cookie_stands_in_for_a_click_that_is_not_named() {
        assert_eq!(read(r#"{"email":"a@b.example"}"#, Some("cmd1")).expect("a lead").click.as_str(), "cmd1");
        assert_eq!(
            read(r#"{"email":"a@b.example","cid":"cmd2"}"#, Some("cmd1")).expect("a lead").click.as_str(),
            "cmd2"
        );
        assert!(read(r#"{"email":"a@b.example"}"#, None).is_err());
        assert!(read(r#"{"email":"nobody"}"#, Some("cmd1")).is_err());
    }

    #[test]
    fn the_same_person_through_the_same_click_is_the_same_lead() {
        let key = |body: &str| read(body, Some("cmd1")).expect(body).key;
        assert_eq!(key(r#"{"email":"A@b.example"}"#), key(r#"{"email":"a@b.example","name":"A"}"#));
        assert_ne!(key(r#"{"email":"a@b.example"}"#), key(r#"{"email":"c@b.example"}"#));
    }
}
