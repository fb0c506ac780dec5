//! Certificates and keys as text (RFC 7468).

use rustls_pki_types::{
    CertificateDer, PrivateKeyDer,
    pem::{PemObject, SectionKind},
};

/// What one file holds.
#[derive(Default)]
pub(crate) struct Pem {
    /// In the order of the file.
    pub(crate) certificates: Vec<CertificateDer<'static>>,
    /// The first, when there is one.
    pub(crate) key: Option<PrivateKeyDer<'static>>,
}

/// Reads all sections.
///
/// # Errors
/// What is wrong, as the end of a sentence that begins with the file, and the mend. The text itself is never part of it.
pub(crate) fn parse(text: &[u8]) -> Result<Pem, (&'static str, &'static str)> {
    if is_encrypted(text) {
        return Err((
            "holds an encrypted key",
            "write it without its passphrase: openssl pkey -in OLD -out NEW",
        ));
    }
    let mut pem = Pem::default();
    for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(text) {
        let Ok((kind, der)) = section else {
            return Err(("is cut off or no PEM", "write it anew; a whole section ends with -----END"));
        };
        if kind == SectionKind::Certificate {
            pem.certificates.push(der.into());
        } else if pem.key.is_none() {
            pem.key = PrivateKeyDer::from_pem(kind, der);
        }
    }
    Ok(pem)
}

/// The certificates in `text`, which are to be trusted.
#[must_use]
pub fn authorities(text: &str) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(text.as_bytes()).flatten().collect()
}

/// RFC 7468 section 11, and RFC 1421's way, which OpenSSL wrote for long.
fn is_encrypted(text: &[u8]) -> bool {
    let has = |mark: &[u8]| text.windows(mark.len()).any(|window| window == mark);
    has(b"-----BEGIN ENCRYPTED PRIVATE KEY-----") || has(b"Proc-Type: 4,ENCRYPTED")
}
