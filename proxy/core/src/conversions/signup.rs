//! What a page says with `POST /signups`, and a server with `POST /v1/signups`: a lead.

use super::{
    fields::{Fields, Named, TEXT_LONGEST, identifier, object, settle_names, take_referral, text},
    sale::Sale,
};
use crate::{
    Refusal, Visitor,
    attribution::{By, Hints},
    signed_click::hex,
};
use sha2::{Digest, Sha256};
use usher_model::{Job, Source};

const LEAD_FIELDS: &[Named] = &[("external_user_id", "externalUserId")];
/// What is passed on of what a page says; a server's other fields go through as they came.
const PAGE_FIELDS: [&str; 3] = ["email", "external_user_id", "name"];

impl Sale {
    /// Reads a page's report. The click is the one that it names, else the visitor's cookie.
    ///
    /// # Errors
    /// [`Refusal::Invalid`] names the field and the mend.
    pub(super) fn of_page_signup(body: &[u8], visitor: &Visitor) -> Result<Self, Refusal> {
        let mut fields = object(body)?;
        let mut hints = click_of(&mut fields)?;
        if let Some(signed) = &visitor.signed {
            hints.clicks.push((By::Signed, "click_id", signed.id().clone()));
            hints.signed = Some(signed.clone());
        }
        let plain = visitor.cookie.iter().filter(|id| visitor.signed.as_ref().is_none_or(|s| s.id() != *id));
        hints.clicks.extend(plain.map(|id| (By::Cookie, "click_id", id.clone())));
        settle_names(&mut fields, LEAD_FIELDS)?;
        fields.retain(|name, _| PAGE_FIELDS.contains(&name.as_str()));
        // A form may hold anything; what is no address is none of the platform's.
        if text(&fields, "email", TEXT_LONGEST)?.is_some_and(|email| !email.contains('@')) {
            fields.remove("email");
        }
        Self::of_lead(Source::browser(), fields, hints)
    }

    /// Reads a server's report. The click has to be named.
    ///
    /// # Errors
    /// [`Refusal::Invalid`] names the field and the mend.
    pub(super) fn of_signup(body: &[u8]) -> Result<Self, Refusal> {
        let mut fields = object(body)?;
        let hints = click_of(&mut fields)?;
        settle_names(&mut fields, LEAD_FIELDS)?;
        if text(&fields, "email", TEXT_LONGEST)?.is_some_and(|email| !email.contains('@')) {
            return Err(Refusal::invalid("email", "email must be an e-mail address"));
        }
        Self::of_lead(Source::api(), fields, hints)
    }

    /// The idempotency key: the same person through the same click is the same lead.
    fn of_lead(source: Source, mut fields: Fields, hints: Hints) -> Result<Self, Refusal> {
        let click = hints.clicks.first().map(|(_, _, id)| id.clone()).ok_or_else(|| {
            Refusal::invalid("click_id", "click_id is required: this visitor has no referral")
        })?;
        let email = identifier(&mut fields, "email")?;
        let user = identifier(&mut fields, "external_user_id")?;
        identifier(&mut fields, "name")?;
        let Some(person) = user.as_deref().or(email.as_deref()).map(str::to_lowercase) else {
            return Err(Refusal::invalid("email", "email or external_user_id is required"));
        };
        let key = hex(&Sha256::digest(format!("{click}\n{person}")));
        Ok(Self {
            source,
            job: Job::Signup,
            fingerprint: Sha256::digest(&key).into(),
            key,
            hints,
            bind: user.map(|user| format!("user:{user}")).into_iter().collect(),
            paid: None,
            names: Vec::new(),
            fields,
            click_field: "click_id",
            made_at: None,
            as_it_came: None,
            close_unbrought: None,
            proof: None,
        })
    }
}

/// The click that a report names; `cid` is the pixel's name for it.
fn click_of(fields: &mut Fields) -> Result<Hints, Refusal> {
    settle_names(fields, &[("click_id", "cid")])?;
    let named = take_referral(fields)?.map(|(_, id)| (By::Named, "click_id", id));
    Ok(Hints { clicks: named.into_iter().collect(), ..Hints::default() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::visitor;
    use proptest::prelude::*;
    use usher_model::ClickId;

    fn read(body: &str, cookie: Option<&str>) -> Result<Sale, Refusal> {
        let cookie = cookie.map(|id| ClickId::new(id).expect("an id"));
        Sale::of_page_signup(body.as_bytes(), &Visitor { cookie, ..visitor() })
    }

    fn clicks(lead: Result<Sale, Refusal>) -> Vec<(By, String)> {
        let hints = lead.expect("a lead").hints;
        hints.clicks.into_iter().map(|(by, _, id)| (by, id.to_string())).collect()
    }

    #[test]
    fn the_cookie_stands_behind_a_click_that_is_named() {
        let cookie = (By::Cookie, "cmd1".to_owned());
        assert_eq!(clicks(read(r#"{"email":"a@b.example"}"#, Some("cmd1"))), std::slice::from_ref(&cookie));
        let both = read(r#"{"email":"a@b.example","cid":"cmd2"}"#, Some("cmd1"));
        assert_eq!(clicks(both), [(By::Named, "cmd2".to_owned()), cookie]);
        assert!(read(r#"{"email":"a@b.example"}"#, None).is_err());
        assert!(read(r#"{"email":"nobody"}"#, Some("cmd1")).is_err());
        assert!(Sale::of_signup(br#"{"email":"a@b.example"}"#).is_err());
    }

    #[test]
    fn the_same_person_through_the_same_click_is_the_same_lead() {
        let key = |body: &str| read(body, Some("cmd1")).expect(body).key;
        assert_eq!(key(r#"{"email":"A@b.example"}"#), key(r#"{"email":"a@b.example","name":"A"}"#));
        assert_ne!(key(r#"{"email":"a@b.example"}"#), key(r#"{"email":"c@b.example"}"#));
    }

    #[test]
    fn a_servers_other_fields_go_through_and_a_pages_do_not() {
        let body = r#"{"clickId":"cmd1","externalUserId":7,"metadata":{"a":1.0}}"#;
        let lead = Sale::of_signup(body.as_bytes()).expect("a lead");
        let sent: Vec<_> = lead.fields.iter().map(|(name, value)| (name.as_str(), value.get())).collect();
        assert_eq!(sent, [("external_user_id", "\"7\""), ("metadata", r#"{"a":1.0}"#)]);
        assert_eq!(lead.bind, ["user:7"]);
        assert!(!read(body, None).expect("a lead").fields.contains_key("metadata"));
    }

    proptest! {
        #[test]
        fn no_body_panics(body in proptest::collection::vec(any::<u8>(), 0..200), text in "\\PC{0,60}") {
            let _ = Sale::of_signup(&body);
            let _ = read(&format!(r#"{{"email":{text:?},{text}}}"#), Some("cmd1"));
        }
    }
}
