//! Certificates (X.509, RFC 5280): is this one to be trusted now, and did its key sign this text?

use crate::Rejection;
use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime, pem::PemObject};
use std::time::Duration;
use usher_model::UnixMs;
use webpki::{
    ALL_VERIFICATION_ALGS, EndEntityCert, KeyUsage, anchor_from_trusted_cert,
    ring::RSA_PKCS1_2048_8192_SHA256,
};

/// Certificates read from one address: a chain is three or four long.
const CERTIFICATES: usize = 10;

/// A text, and who must have signed it.
pub(crate) struct Signed<'a> {
    /// The signer's certificate first, then those that vouch for it, as PEM.
    pub(crate) chain_pem: &'a str,
    /// What the chain must end in, as PEM; the roots that browsers trust when blank.
    pub(crate) anchors_pem: &'a str,
    /// The signer's certificate must be for this domain or one below it.
    pub(crate) domain: &'a str,
    /// What was signed.
    pub(crate) text: &'a [u8],
    /// RSA PKCS#1 v1.5 with SHA-256 (RFC 8017 section 8.2).
    pub(crate) signature: &'a [u8],
}

/// Builds the chain up to a trust anchor as of `now`, then checks the signature.
pub(crate) fn verify(signed: &Signed<'_>, now: UnixMs) -> Result<(), Rejection> {
    let chain = read(signed.chain_pem).ok_or(Rejection::BadCertificate)?;
    let (signer, vouching) = chain.split_first().ok_or(Rejection::BadCertificate)?;
    let signer = EndEntityCert::try_from(signer).map_err(|_| Rejection::BadCertificate)?;
    let roots = read(signed.anchors_pem).ok_or(Rejection::BadCertificate)?;
    let anchors = anchors(&roots).ok_or(Rejection::BadCertificate)?;
    let at = UnixTime::since_unix_epoch(Duration::from_secs(now.seconds().try_into().unwrap_or(0)));
    // Servers' usage passes when a certificate names no usage at all, too.
    let usage = KeyUsage::server_auth();
    signer
        .verify_for_usage(ALL_VERIFICATION_ALGS, &anchors, vouching, at, usage, None, None)
        .map_err(|_| Rejection::BadCertificate)?;
    if !signer.valid_dns_names().any(|name| within(name, signed.domain)) {
        return Err(Rejection::BadCertificate);
    }
    signer
        .verify_signature(RSA_PKCS1_2048_8192_SHA256, signed.text, signed.signature)
        .map_err(|_| Rejection::BadSignature)
}

fn read(pem: &str) -> Option<Vec<CertificateDer<'static>>> {
    CertificateDer::pem_slice_iter(pem.as_bytes()).take(CERTIFICATES).collect::<Result<_, _>>().ok()
}

fn anchors<'a>(roots: &'a [CertificateDer<'static>]) -> Option<Vec<TrustAnchor<'a>>> {
    if roots.is_empty() {
        return Some(webpki_roots::TLS_SERVER_ROOTS.to_vec());
    }
    roots.iter().map(|root| anchor_from_trusted_cert(root).ok()).collect()
}

/// Whether a name is `domain` or lies below it.
fn within(name: &str, domain: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    macro_rules! file {
        ($include:ident, $name:literal) => {
            $include!(concat!("../../tests/certificates/", $name))
        };
    }

    const ROOT: &str = file!(include_str, "root.pem");
    const LEAF: &str = file!(include_str, "leaf.pem");
    const CHAIN: &str = file!(include_str, "chain.pem");
    const SIGNATURE: &[u8] = file!(include_bytes, "signature.bin");
    /// The certificates of the folder are of 2026, and good for a century.
    const NOW: UnixMs = UnixMs(1_900_000_000_000);

    fn signed<'a>(chain_pem: &'a str, anchors_pem: &'a str, signature: &'a [u8]) -> Signed<'a> {
        Signed { chain_pem, anchors_pem, domain: "paypal.com", text: b"signed", signature }
    }

    #[test]
    fn a_chain_to_the_anchor_passes() {
        let both = format!("{}{ROOT}", file!(include_str, "other-root.pem"));
        for (chain, anchors) in
            [(LEAF, ROOT), (CHAIN, ROOT), (file!(include_str, "server.pem"), ROOT), (LEAF, &both)]
        {
            assert_eq!(verify(&signed(chain, anchors, SIGNATURE), NOW), Ok(()), "{chain}");
        }
    }

    #[test]
    fn any_other_certificate_does_not() {
        for (why, chain, anchors) in [
            ("another root of the same name", LEAF, file!(include_str, "other-root.pem")),
            ("the roots that browsers trust", LEAF, ""),
            ("self-signed", ROOT, ROOT),
            ("an authority's own", file!(include_str, "ca.pem"), ROOT),
            ("for another domain", file!(include_str, "foreign.pem"), ROOT),
            ("named in the subject only", file!(include_str, "nameless.pem"), ROOT),
            ("for signing code", file!(include_str, "code.pem"), ROOT),
            ("without the one between", file!(include_str, "gap.pem"), ROOT),
            ("issued by one that is no authority", file!(include_str, "unfit-chain.pem"), ROOT),
            ("none", "", ROOT),
            ("none, and an unreadable anchor", LEAF, "-----BEGIN CERTIFICATE-----"),
            ("cut off", &LEAF[..LEAF.len() - 60], ROOT),
            ("no certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", ROOT),
        ] {
            assert_eq!(
                verify(&signed(chain, anchors, SIGNATURE), NOW),
                Err(Rejection::BadCertificate),
                "{why}"
            );
        }
    }

    #[test]
    fn dates_are_checked() {
        for (at, passes) in [
            (NOW, true),
            (UnixMs(1_700_000_000_000), false),
            (UnixMs(5_000_000_000_000), false),
            (UnixMs(0), false),
            (UnixMs(-1), false),
            (UnixMs(i64::MAX), false),
        ] {
            assert_eq!(verify(&signed(LEAF, ROOT, SIGNATURE), at).is_ok(), passes, "{at:?}");
        }
    }

    #[test]
    fn only_pkcs1_with_sha_256_of_this_text_passes() {
        let mut other = signed(LEAF, ROOT, SIGNATURE);
        other.text = b"signed ";
        let forms: [&[u8]; 4] =
            [file!(include_bytes, "sha1.bin"), file!(include_bytes, "pss.bin"), b"", &SIGNATURE[1..]];
        for wrong in forms.map(|form| signed(LEAF, ROOT, form)).iter().chain([&other]) {
            assert_eq!(verify(wrong, NOW), Err(Rejection::BadSignature));
        }
    }

    #[test]
    fn a_look_alike_is_not_within() {
        for (name, yes) in [
            ("paypal.com", true),
            ("messages.PayPal.com", true),
            ("notpaypal.com", false),
            ("paypal.com.example", false),
            ("", false),
        ] {
            assert_eq!(within(name, "paypal.com"), yes, "{name}");
        }
    }
}
