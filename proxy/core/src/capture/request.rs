//! What a page says with `POST /track`.

use crate::Refusal;
use serde_json::{Map, Value};
use usher_model::{AffiliateCode, ClickId, Site, limits};

/// A page's report of a visit, checked field by field.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct TrackRequest {
    /// Who sent the visitor.
    pub(super) affiliate: Option<AffiliateCode>,
    /// A click that another page or domain handed over, or that was recorded before consent.
    pub(super) earlier: Option<ClickId>,
    /// Whether the visitor consented; `None` when the page does not say.
    pub(super) consent: Option<bool>,
    /// The page's own word for the user agent, for requests that carry none.
    pub(super) user_agent: String,
    /// Campaign fields, advertising ids and referrer, under the platform's names.
    pub(super) details: Map<String, Value>,
}

/// Fields passed on as they are, cut to the platform's limits, and how many characters each may have
/// (<https://docs.affonso.io/api-reference/endpoint/clicks/create>).
const DETAILS: [(&str, usize); 29] = [
    ("sub1", 255),
    ("sub2", 255),
    ("sub3", 255),
    ("sub4", 255),
    ("sub5", 255),
    ("referrer", limits::REFERRER_BYTES),
    ("utmSource", 255),
    ("utmMedium", 255),
    ("utmCampaign", 255),
    ("utmTerm", 255),
    ("utmContent", 255),
    ("gclid", 255),
    ("gbraid", 255),
    ("wbraid", 255),
    ("gadSource", 255),
    ("gadCampaignid", 255),
    ("utmAgid", 255),
    ("utmAdid", 255),
    ("fbclid", 255),
    ("fbadid", 255),
    ("fbgid", 255),
    ("igshid", 255),
    ("msclkid", 255),
    ("ttclid", 255),
    ("li_fat_id", 255),
    ("twclid", 255),
    ("epik", 255),
    ("ScCid", 255),
    ("rdt_cid", 255),
];

impl TrackRequest {
    /// Reads a body. What is not text where text belongs, or outside its grammar, is left out: a page must not fail
    /// over a stray parameter. `url` is read by the same rules as the browser's WebAssembly; explicit fields win over it.
    ///
    /// # Errors
    /// [`Refusal::Invalid`] when it is no JSON object or speaks for another program.
    pub(super) fn read(site: &Site, body: &[u8]) -> Result<Self, Refusal> {
        let Ok(Value::Object(sent)) = serde_json::from_slice(body) else {
            let message = "the body must be a JSON object".to_owned();
            return Err(Refusal::Invalid { field: None, message });
        };
        let text = |field: &str| sent.get(field).and_then(Value::as_str).filter(|text| !text.is_empty());
        if text("programId").is_some_and(|program| program != site.program) {
            return Err(Refusal::invalid(
                "programId",
                "is not the program of this site; see data-affonso in the tag",
            ));
        }
        let mut read = Self {
            consent: sent.get("hasConsent").and_then(Value::as_bool),
            user_agent: cut(text("userAgent").unwrap_or_default(), limits::USER_AGENT_BYTES),
            ..Self::default()
        };
        if let Some(url) = text("url") {
            for (field, value) in referral::track_fields(url, site.parameters.names()) {
                read.take(field, &value);
            }
        }
        for (field, value) in &sent {
            if let Value::String(value) = value {
                read.take(field, value);
            }
        }
        Ok(read)
    }

    /// What an address says, and nothing else.
    pub(super) fn of_address(site: &Site, address: &str) -> Self {
        let mut read = Self::default();
        for (field, value) in referral::track_fields(address, site.parameters.names()) {
            read.take(field, &value);
        }
        read
    }

    /// Which page the visitor comes from.
    pub(super) fn referred_by(&mut self, referrer: &str) {
        self.take("referrer", referrer);
    }

    fn take(&mut self, field: &str, value: &str) {
        match field {
            // The vendor's own tag sends whatever stands behind the parameter.
            "trackingId" if referral::is_internal(value.trim()) => {}
            "trackingId" => self.affiliate = AffiliateCode::new(value.trim()).ok().or(self.affiliate.take()),
            "affonsoId" | "upgradeClickId" => self.earlier = ClickId::new(value).ok().or(self.earlier.take()),
            _ => {
                let known = DETAILS.iter().find(|(name, _)| *name == field);
                if let (Some((name, longest)), false) = (known, value.is_empty()) {
                    self.details.insert((*name).to_owned(), cut(value, *longest).into());
                }
            }
        }
    }
}

/// The first `longest` characters.
pub(super) fn cut(text: &str, longest: usize) -> String {
    text.chars().take(longest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::site;

    fn read(body: &str) -> TrackRequest {
        TrackRequest::read(&site(), body.as_bytes()).expect("a request")
    }

    #[test]
    fn an_address_and_its_parsed_fields_say_the_same() {
        let by_url =
            read(r#"{"programId":"prog","url":"https://s.example/?via=alice&sub1=a&utm_source=b&gclid=c"}"#);
        let by_fields =
            read(r#"{"programId":"prog","trackingId":"alice","sub1":"a","utmSource":"b","gclid":"c"}"#);
        assert_eq!(by_url, by_fields);
        assert_eq!(by_url.affiliate.expect("an affiliate").as_str(), "alice");
    }

    #[test]
    fn a_sites_own_links_name_no_affiliate() {
        for body in [
            r#"{"url":"https://s.example/?ref=nav-footer"}"#,
            r#"{"trackingId":"nav-footer"}"#,
            r#"{"url":"https://s.example/?ref=nav-a","trackingId":" NAV-a"}"#,
        ] {
            assert_eq!(read(body).affiliate, None, "{body}");
        }
        assert_eq!(read(r#"{"trackingId":"alice "}"#).affiliate.expect("an affiliate").as_str(), "alice");
    }

    #[test]
    fn what_is_outside_its_grammar_is_left_out() {
        let read = read(
            r#"{"trackingId":"al ice","upgradeClickId":7,"sub1":"","sub2":null,"other":"x","hasConsent":"yes"}"#,
        );
        assert_eq!(read, TrackRequest::default());
    }

    #[test]
    fn a_body_that_is_no_object_or_anothers_is_refused() {
        for body in ["", "[]", "7", "{", "\u{0}", r#"{"programId":"other"}"#] {
            assert!(TrackRequest::read(&site(), body.as_bytes()).is_err(), "{body}");
        }
    }
}
