//! Who may call the server-to-server API: a bearer key (RFC 6750 section 2.1), for Segment's libraries also the user name of
//! HTTP Basic (RFC 7617), and where the site asks for it a signature as the platform's SDK makes it (`X-Affonso-Timestamp`,
//! `X-Affonso-Signature`, <https://github.com/affonso-io/affonso-node>, `src/http.ts`).

use crate::fault::Fault;
use base64::{Engine, prelude::BASE64_STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, HeaderName, HeaderValue, header::AUTHORIZATION};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};
use usher_model::{Secret, UnixMs, limits::SIGNATURE_SKEW_S};

const TIMESTAMP: HeaderName = HeaderName::from_static("x-affonso-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("x-affonso-signature");

/// A site's keys and signing secrets, ready to be compared with.
pub(crate) struct Keys {
    hashes: Vec<[u8; 32]>,
    signers: Vec<Hmac<Sha256>>,
}

impl Keys {
    /// Takes the site's keys. An empty key admits nobody.
    pub(crate) fn new(api_keys: &[Secret], signing_secrets: &[Secret]) -> Self {
        let usable = api_keys.iter().filter(|key| !key.expose().is_empty());
        let signer = |secret: &Secret| {
            // The whole text is the key, with a `whsec_` that it may begin with.
            Hmac::new_from_slice(secret.expose()).expect("HMAC takes a key of any length")
        };
        Self {
            hashes: usable.map(|key| Sha256::digest(key.expose()).into()).collect(),
            signers: signing_secrets.iter().map(signer).collect(),
        }
    }

    /// Checks the bearer key.
    pub(crate) fn check_bearer(&self, headers: &HeaderMap) -> Result<(), Fault> {
        self.check(bearer(headers))
    }

    /// The same, or HTTP Basic with the key as user name and no password: all that Segment's libraries can send
    /// (<https://segment.com/docs/connections/sources/catalog/libraries/server/http-api/#authentication>).
    pub(crate) fn check_bearer_or_basic(&self, headers: &HeaderMap) -> Result<(), Fault> {
        match basic(headers) {
            Some(name) => self.check(Some(&name)),
            None => self.check_bearer(headers),
        }
    }

    /// All keys are compared, by their hashes, in a time that says nothing of any of them.
    fn check(&self, token: Option<&[u8]>) -> Result<(), Fault> {
        if self.hashes.is_empty() {
            return Err(Fault::Unauthorized(
                "the site has no api_keys, so nobody may call its server-to-server API",
            ));
        }
        let token = token.ok_or(Fault::Unauthorized("there is no bearer key"))?;
        let hash: [u8; 32] = Sha256::digest(token).into();
        let found = self.hashes.iter().fold(Choice::from(0), |found, key| found | key.ct_eq(&hash));
        if bool::from(found) { Ok(()) } else { Err(Fault::Unauthorized("the key is not one of the site's")) }
    }

    /// Checks the signature over the body as it came. A site without signing secrets asks for none.
    pub(crate) fn check_signature(&self, headers: &HeaderMap, body: &[u8], now: UnixMs) -> Result<(), Fault> {
        if self.signers.is_empty() {
            return Ok(());
        }
        let timestamp = only(headers, &TIMESTAMP).ok_or(Fault::Unauthorized("there is no timestamp"))?;
        let seconds =
            unix_seconds(timestamp).ok_or(Fault::Unauthorized("the timestamp is not in unix seconds"))?;
        if seconds.abs_diff(now.seconds()) > SIGNATURE_SKEW_S {
            return Err(Fault::Unauthorized("the timestamp is too far from our clock"));
        }
        let signature = only(headers, &SIGNATURE).and_then(lower_hex);
        let signature =
            signature.ok_or(Fault::Unauthorized("the signature is not 64 lower-case hex digits"))?;
        let valid = self.signers.iter().fold(false, |valid, signer| {
            let mac = signer.clone().chain_update(timestamp).chain_update(b".").chain_update(body);
            mac.verify_slice(&signature).is_ok() | valid
        });
        if valid { Ok(()) } else { Err(Fault::Unauthorized("the signature fits none of the site's secrets")) }
    }
}

fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    credentials(headers, b"bearer ")
}

/// The user name of `name:`; with a password it is no key of ours.
fn basic(headers: &HeaderMap) -> Option<Vec<u8>> {
    let mut name = BASE64_STANDARD.decode(credentials(headers, b"basic ")?).ok()?;
    (name.pop()? == b':' && !name.is_empty() && !name.contains(&b':')).then_some(name)
}

/// What follows the scheme.
fn credentials<'h>(headers: &'h HeaderMap, scheme: &[u8]) -> Option<&'h [u8]> {
    let (named, rest) = only(headers, &AUTHORIZATION)?.split_at_checked(scheme.len())?;
    let rest = rest.trim_ascii();
    (named.eq_ignore_ascii_case(scheme) && !rest.is_empty()).then_some(rest)
}

/// The value of a field that came exactly once.
fn only<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h [u8]> {
    let mut values = headers.get_all(name).iter();
    let value = values.next().map(HeaderValue::as_bytes)?;
    values.next().is_none().then_some(value)
}

fn unix_seconds(text: &[u8]) -> Option<i64> {
    let digits = (1..=12).contains(&text.len()) && text.iter().all(u8::is_ascii_digit);
    if digits { std::str::from_utf8(text).ok()?.parse().ok() } else { None }
}

fn lower_hex(text: &[u8]) -> Option<[u8; 32]> {
    let digit = |b: u8| match b {
        b'0'..=b'9' => Some(b - b'0'),
        b'a'..=b'f' => Some(b - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; 32];
    if text.len() != 64 {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Made with openssl: secret `whsec_test`, timestamp 1700000000, body `{"a":1}`.
    const VECTOR: &str = "38877139021993b830af32feea6e18a8da83eb2f6e49ee50bd9e4cf4ca4d3789";
    const BODY: &[u8] = br#"{"a":1}"#;

    fn keys() -> Keys {
        Keys::new(
            &[Secret::new("key-one"), Secret::new("key-two")],
            &[Secret::new("old"), Secret::new("whsec_test")],
        )
    }

    fn with(pairs: &[(&HeaderName, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_str(value).expect("a value"));
        }
        headers
    }

    #[test]
    fn each_key_of_the_site_admits() {
        for value in ["Bearer key-one", "bearer key-two", "BEARER  key-one "] {
            assert!(keys().check_bearer(&with(&[(&AUTHORIZATION, value)])).is_ok(), "{value}");
        }
        for value in [
            "",
            "Bearer",
            "Bearer ",
            "Bearer key-on",
            "Bearer key-onee",
            "Bearerkey-one",
            "Basic key-one",
            "key-one",
            "Bearer key-one,key-two",
        ] {
            assert!(keys().check_bearer(&with(&[(&AUTHORIZATION, value)])).is_err(), "{value}");
        }
        let twice = [(&AUTHORIZATION, "Bearer key-one"), (&AUTHORIZATION, "Bearer key-one")];
        assert!(keys().check_bearer(&with(&twice)).is_err());
        assert!(keys().check_bearer(&HeaderMap::new()).is_err());
        let empty = Keys::new(&[Secret::new("")], &[]);
        assert!(empty.check_bearer(&with(&[(&AUTHORIZATION, "Bearer ")])).is_err());
        assert!(Keys::new(&[], &[]).check_bearer(&with(&[(&AUTHORIZATION, "Bearer x")])).is_err());
    }

    #[test]
    fn a_key_may_come_as_a_user_name_without_a_password_where_that_is_taken() {
        let basic = |text: &str| format!("Basic {}", BASE64_STANDARD.encode(text));
        for value in [&basic("key-one:"), &basic("key-two:").replace('B', "b"), "Bearer key-one"] {
            assert!(keys().check_bearer_or_basic(&with(&[(&AUTHORIZATION, value)])).is_ok(), "{value}");
        }
        for value in ["key-one", ":key-one", "key-one:x", "key-one::", ":", "", "key-on:", "key-one:key-one"]
        {
            let value = basic(value);
            assert!(keys().check_bearer_or_basic(&with(&[(&AUTHORIZATION, &value)])).is_err(), "{value}");
        }
        for value in ["Basic", "Basic ", "Basic key-one:", "Basic ====", "Basic a2V5LW9uZTo=, x", "Bearer x"]
        {
            assert!(keys().check_bearer_or_basic(&with(&[(&AUTHORIZATION, value)])).is_err(), "{value}");
        }
        let plain = with(&[(&AUTHORIZATION, &basic("key-one:"))]);
        assert!(keys().check_bearer(&plain).is_err(), "nowhere else");
        assert!(Keys::new(&[], &[]).check_bearer_or_basic(&plain).is_err());
    }

    fn signed(timestamp: &str, signature: &str, body: &[u8], now_s: i64) -> bool {
        let headers = with(&[(&TIMESTAMP, timestamp), (&SIGNATURE, signature)]);
        keys().check_signature(&headers, body, UnixMs(now_s * 1000)).is_ok()
    }

    #[test]
    fn the_platforms_own_vector_is_accepted_and_nothing_else() {
        let at = 1_700_000_000;
        assert!(signed("1700000000", VECTOR, BODY, at));
        assert!(!signed("1700000001", VECTOR, BODY, at));
        assert!(!signed("1700000000", VECTOR, br#"{"a": 1}"#, at));
        assert!(!signed("01700000000", VECTOR, BODY, at));
        assert!(!signed("1700000000", &VECTOR.to_uppercase(), BODY, at));
        assert!(!signed("1700000000", &format!("sha256={VECTOR}"), BODY, at));
        assert!(!signed("1700000000", &VECTOR[..62], BODY, at));
        assert!(!signed("1700000000", "", BODY, at));
        assert!(!signed("", VECTOR, BODY, at));
        assert!(!signed("-1700000000", VECTOR, BODY, at));
        assert!(!signed("9999999999999999999999", VECTOR, BODY, at));
    }

    #[test]
    fn the_clock_may_differ_by_five_minutes() {
        for (skew, valid) in [(300, true), (-300, true), (301, false), (-301, false)] {
            assert_eq!(signed("1700000000", VECTOR, BODY, 1_700_000_000 + skew), valid, "{skew}");
        }
    }

    #[test]
    fn a_site_without_secrets_asks_for_no_signature() {
        let plain = Keys::new(&[Secret::new("k")], &[]);
        assert!(plain.check_signature(&HeaderMap::new(), BODY, UnixMs(0)).is_ok());
        assert!(keys().check_signature(&HeaderMap::new(), BODY, UnixMs(0)).is_err());
    }

    proptest! {
        #[test]
        fn an_altered_signature_or_body_is_refused(at in 0_usize..64, flip in 1_u8..16, place in 0_usize..7) {
            let mut signature = VECTOR.as_bytes().to_vec();
            let digit = (signature[at] as char).to_digit(16).expect("hex") as u8 ^ flip;
            signature[at] = char::from_digit(digit.into(), 16).expect("hex") as u8;
            prop_assert!(!signed("1700000000", std::str::from_utf8(&signature).expect("text"), BODY, 1_700_000_000));
            let mut body = BODY.to_vec();
            body[place] ^= flip;
            prop_assert!(!signed("1700000000", VECTOR, &body, 1_700_000_000));
        }
    }
}
