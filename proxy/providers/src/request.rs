//! What goes into a judgement: the request as it came, and what the merchant configured.

use std::collections::BTreeMap;
use usher_model::{Secret, UnixMs};

/// A webhook as it came over the wire. The body is the raw bytes: signatures cover those, not what they parse to.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The method, in upper case.
    pub method: &'a str,
    /// Path and query, or the whole address.
    pub url: &'a str,
    /// Header fields in any case and order.
    pub headers: &'a [(&'a str, &'a [u8])],
    /// The body, byte for byte.
    pub body: &'a [u8],
}

impl<'a> Request<'a> {
    /// The first field of this name that holds more than white space. A value that is no UTF-8 counts as absent.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&'a str> {
        self.headers
            .iter()
            .filter(|(field, _)| field.eq_ignore_ascii_case(name))
            .filter_map(|(_, value)| std::str::from_utf8(value).ok())
            .map(str::trim)
            .find(|value| !value.is_empty())
    }
}

/// What the merchant configured for one webhook, and the time.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// Any of them may verify: two are live while one replaces the other.
    pub credentials: &'a [Credential],
    /// Now.
    pub now: UnixMs,
    /// What becomes of payments that the provider marks as tests.
    pub test_mode: TestMode,
}

impl<'a> Context<'a> {
    /// The configured texts. Empty ones are left out: anybody can sign with an empty key.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = &'a Secret> + use<'a> {
        self.credentials.iter().filter_map(|credential| match credential {
            Credential::Text(secret) if !secret.expose().is_empty() => Some(secret),
            _ => None,
        })
    }
}

/// What becomes of payments that the provider marks as tests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TestMode {
    /// They are told apart and not counted.
    #[default]
    Ignore,
    /// They count; [`crate::Extracted::livemode`] says that they are tests.
    Forward,
}

/// One secret of a webhook, in the form that its provider's scheme needs.
#[derive(Clone, Debug)]
pub enum Credential {
    /// A signing secret or a static token: most providers.
    Text(Secret),
    /// A user's name and password (Chargebee; `PhonePe`, SHA type).
    Login {
        /// The name.
        username: String,
        /// The password.
        password: Secret,
    },
    /// A key with a name of its own (`PhonePe`, HMAC type).
    Named {
        /// The key's name.
        key_id: String,
        /// The key.
        key: Secret,
    },
    /// Paytm's merchant id and merchant key.
    Paytm {
        /// The merchant's id (MID).
        mid: String,
        /// The merchant's key: 16 bytes.
        merchant_key: Secret,
    },
    /// Gumroad signs nothing: an unguessable part of the URL, and whose pings they must be.
    Gumroad {
        /// The value of `token` in the URL.
        url_token: Secret,
        /// The seller's id.
        seller_id: String,
    },
    /// `PayPal` signs with a certificate that the request names.
    PayPal {
        /// The id of the registered webhook.
        webhook_id: String,
        /// Certificates that the signer's must chain to, as PEM; the public ones when empty.
        trust_anchors_pem: String,
        /// Certificates that were fetched already: address to PEM.
        certificates: BTreeMap<String, String>,
    },
}
