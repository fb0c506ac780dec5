//! When a certificate is ordered anew.

use crate::certificate::{Certificate, Subject};
use instant_acme::{Account, CertificateIdentifier, RenewalInfo};
use rustls_pki_types::CertificateDer;
use usher_model::{Random, UnixMs, limits};

/// When one certificate of a directory is renewed.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// The certificate that it is about.
    pub(crate) certificate: CertificateDer<'static>,
    /// When it is ordered anew.
    pub(crate) due: UnixMs,
    /// When the directory is asked again.
    pub(crate) ask_at: UnixMs,
    /// The window that the directory gave, so that the moment in it is drawn once.
    window: Option<(UnixMs, UnixMs)>,
}

impl Plan {
    /// At two thirds of its life, until the directory says otherwise; it is asked at once.
    pub(crate) fn new(certificate: &Certificate, now: UnixMs) -> Option<Self> {
        let subject = &certificate.subject;
        let due = subject.not_before.plus(subject.life_ms() / 3 * 2);
        Some(Self { certificate: certificate.key.cert.first()?.clone(), due, ask_at: now, window: None })
    }

    /// Whether the directory has said something of it.
    pub(crate) fn is_told(&self) -> bool {
        self.window.is_some()
    }

    pub(crate) fn is_about(&self, certificate: &Certificate) -> bool {
        certificate.key.cert.first() == Some(&self.certificate)
    }

    /// Follows what the directory said: some moment of its window (RFC 9773 section 4.2), but in the certificate's life.
    pub(crate) fn follow(&mut self, answer: &Answer, subject: &Subject, now: UnixMs, random: &dyn Random) {
        self.ask_at = now.plus(answer.again_ms);
        let Some(window) = answer.window.filter(|window| self.window != Some(*window)) else { return };
        let (start, end) = window;
        let width = u64::try_from(end.since(start)).unwrap_or(0);
        let drawn = start.plus(i64::try_from(random.below(width + 1)).unwrap_or(0));
        (self.due, self.window) = (drawn.min(last_moment(subject)), Some(window));
    }
}

/// For a certificate that an operator put there: whoever renews it has nine tenths of its life to do it.
pub(crate) fn due_of_foreign(certificate: &Certificate) -> UnixMs {
    last_moment(&certificate.subject)
}

fn last_moment(subject: &Subject) -> UnixMs {
    subject.not_after.plus(-subject.life_ms() / 10)
}

/// What a directory says of a certificate's renewal.
#[derive(Debug)]
pub(crate) struct Answer {
    /// `None` when it says nothing.
    window: Option<(UnixMs, UnixMs)>,
    again_ms: i64,
}

impl Answer {
    /// Nothing was said.
    pub(crate) fn nothing() -> Self {
        Self { window: None, again_ms: limits::ACME_RENEWAL_INFO_MS }
    }
}

/// Asks the directory when `certificate` should be renewed (ARI, RFC 9773).
pub(crate) async fn ask(account: &Account, certificate: &CertificateDer<'static>) -> Answer {
    let nothing = |again_ms| Answer { window: None, again_ms };
    let Some(id) = id(certificate) else { return nothing(limits::ACME_LONGEST_MS) };
    match account.renewal_info(&id).await {
        Ok((RenewalInfo { suggested_window, .. }, wait)) => {
            let ms = |at: i128| UnixMs(i64::try_from(at / 1_000_000).unwrap_or(i64::MAX));
            let (start, end) = (suggested_window.start, suggested_window.end);
            let window = (ms(start.unix_timestamp_nanos()), ms(end.unix_timestamp_nanos()));
            let wait = i64::try_from(wait.as_millis()).unwrap_or(i64::MAX);
            // RFC 9773 section 4.3.2: a wait that is too short or too long is held in bounds.
            Answer { window: Some(window), again_ms: wait.clamp(60_000, limits::ACME_LONGEST_MS) }
        }
        Err(instant_acme::Error::Unsupported(_)) => nothing(limits::ACME_LONGEST_MS),
        Err(error) => {
            tracing::debug!(%error, "the directory does not say when to renew");
            Answer::nothing()
        }
    }
}

/// What a directory knows a certificate by (RFC 9773 section 4.1).
pub(crate) fn id(certificate: &CertificateDer<'static>) -> Option<CertificateIdentifier<'static>> {
    CertificateIdentifier::try_from(certificate).ok().map(CertificateIdentifier::into_owned)
}
