//! A click that proves itself: what a visitor carries in the signed cookie, so that it is believed also while the store
//! does not know it yet, or cannot tell.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use usher_model::{AffiliateCode, Click, ClickId, Secret, Site, UnixMs, Upstream};

/// Bytes of the signature: HMAC-SHA256 cut to 128 bits, as RFC 2104 section 5 allows.
const TAG_BYTES: usize = 16;
/// Says what is signed, lest a signature made for something else passes for one of these.
const PURPOSE: &[u8] = b"usher click 1";

/// A click whose signature has been verified.
///
/// As text it is `id.affiliate.milliseconds.tag`: the click's id, the affiliate's code, when it was made (Unix time), and
/// in hexadecimal digits the tag over the site's name and all that stands before it. Neither ids nor codes hold a dot, and
/// nothing in it needs escaping in a cookie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedClick {
    id: ClickId,
    affiliate: AffiliateCode,
    created_at: UnixMs,
}

impl SignedClick {
    /// The text for `click`; `None` when the site has no key.
    #[must_use]
    pub fn sign(site: &Site, click: &Click) -> Option<String> {
        let said = format!("{}.{}.{}", click.id, click.affiliate, click.created_at.0);
        let tag = mac(site, site.click_signing_key.as_ref()?, &said).finalize().into_bytes();
        Some(format!("{said}.{}", hex(&tag[..TAG_BYTES])))
    }

    /// The click that `text` proves; `None` when it was not signed with the site's key.
    #[must_use]
    pub fn verify(site: &Site, text: &str) -> Option<Self> {
        let (said, tag) = text.rsplit_once('.')?;
        let tag = unhex(tag).filter(|tag| tag.len() == TAG_BYTES)?;
        mac(site, site.click_signing_key.as_ref()?, said).verify_truncated_left(&tag).ok()?;
        let mut parts = said.split('.');
        let (id, affiliate, at) = (parts.next()?, parts.next()?, parts.next()?);
        Some(Self {
            id: ClickId::new(id).ok()?,
            affiliate: AffiliateCode::new(affiliate).ok()?,
            created_at: UnixMs(at.parse().ok()?),
        })
    }

    /// The click's id.
    #[must_use]
    pub const fn id(&self) -> &ClickId {
        &self.id
    }

    /// When it was made.
    #[must_use]
    pub const fn created_at(&self) -> UnixMs {
        self.created_at
    }

    /// The click, for whoever finds none in the store. One that an edge minted has yet to be told to the platform, for all
    /// that is known here.
    pub(crate) fn click(&self, site: &Site) -> Click {
        Click {
            id: self.id.clone(),
            site: site.name.clone(),
            affiliate: self.affiliate.clone(),
            visitor: None,
            created_at: self.created_at,
            upstream: if self.id.is_minted() { Upstream::Pending } else { Upstream::Same },
        }
    }
}

fn mac(site: &Site, key: &Secret, said: &str) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.expose())
        .unwrap_or_else(|_| unreachable!("HMAC takes a key of any length (RFC 2104 section 2)"));
    for part in [PURPOSE, site.name.as_str().as_bytes(), said.as_bytes()] {
        mac.update(part);
        mac.update(&[0]);
    }
    mac
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)])).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pairs = text.as_bytes().chunks(2);
    pairs.map(|pair| Some(digit(pair.first()?)? << 4 | digit(pair.get(1)?)?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::site;
    use proptest::prelude::*;

    fn signing() -> Site {
        Site { click_signing_key: Some(Secret::new("k")), ..site() }
    }

    fn click() -> Click {
        Click {
            id: ClickId::new("ush_01arz3ndektsv4rrffq69g5fav").expect("an id"),
            site: site().name,
            affiliate: AffiliateCode::new("alice").expect("a code"),
            visitor: None,
            created_at: UnixMs(1_700_000_000_000),
            upstream: Upstream::Pending,
        }
    }

    #[test]
    fn what_was_signed_is_verified_and_carries_the_click() {
        let text = SignedClick::sign(&signing(), &click()).expect("a key");
        // As `openssl dgst -sha256 -hmac k` says of the same bytes.
        let tag = "4545314ca2531f174cca10f8fe154191";
        assert_eq!(text, format!("ush_01arz3ndektsv4rrffq69g5fav.alice.1700000000000.{tag}"));
        let verified = SignedClick::verify(&signing(), &text).expect("a signed click");
        assert_eq!(verified.click(&site()), click());
        assert_eq!(SignedClick::sign(&site(), &click()), None, "without a key");
    }

    #[test]
    fn what_was_changed_or_signed_for_another_is_not_believed() {
        let text = SignedClick::sign(&signing(), &click()).expect("a key");
        for changed in [
            text.replace("alice", "mallory"),
            text.replace("170", "190"),
            text.replace("01arz", "01arx"),
            text[..text.len() - 2].to_owned(),
            text.replace(".alice", ""),
            format!("{text}00"),
            String::new(),
        ] {
            assert_eq!(SignedClick::verify(&signing(), &changed), None, "{changed}");
        }
        let other_key = Site { click_signing_key: Some(Secret::new("l")), ..site() };
        let mut other_site = signing();
        other_site.name = usher_model::SiteName::new("other").expect("a name");
        for site in [other_key, other_site, site()] {
            assert_eq!(SignedClick::verify(&site, &text), None);
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,80}|[a-z0-9.é]{0,80}") {
            prop_assert_eq!(SignedClick::verify(&signing(), &text), None);
        }
    }
}
