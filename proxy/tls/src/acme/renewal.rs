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

#[cfg(test)]
mod tests {
    use super::super::scripted::{Always, DIRECTORY, End, Scripted, certificate};
    use super::*;
    use instant_acme::AccountCredentials;

    const DAY_S: i64 = 24 * 60 * 60;
    const NOW: UnixMs = UnixMs(DAY_S * 1000);

    fn at_s(seconds: i64) -> UnixMs {
        UnixMs(seconds * 1000)
    }

    fn told(start: UnixMs, end: UnixMs) -> Answer {
        Answer { window: Some((start, end)), again_ms: 1_000 }
    }

    #[test]
    fn at_two_thirds_until_the_directory_says_otherwise() {
        let folder = tempfile::tempdir().expect("a folder");
        let one = certificate(folder.path(), "shop.example", 0, 90 * DAY_S);
        let mut plan = Plan::new(&one, NOW).expect("a plan");
        assert_eq!((plan.due, plan.ask_at, plan.is_told()), (at_s(60 * DAY_S), NOW, false));

        plan.follow(&Answer::nothing(), &one.subject, NOW, &Always(End::Low));
        assert_eq!((plan.due, plan.is_told()), (at_s(60 * DAY_S), false));
        assert_eq!(plan.ask_at, NOW.plus(limits::ACME_RENEWAL_INFO_MS));

        let (start, end) = (at_s(50 * DAY_S), at_s(52 * DAY_S));
        plan.follow(&told(start, end), &one.subject, NOW, &Always(End::High));
        assert_eq!((plan.due, plan.ask_at), (end, NOW.plus(1_000)));
        plan.follow(&told(start, end), &one.subject, NOW, &Always(End::Low));
        assert_eq!(plan.due, end, "the moment in a window is drawn once");

        plan.follow(&told(UnixMs(0), UnixMs(1)), &one.subject, NOW, &Always(End::Low));
        assert!(plan.due < NOW, "a certificate that is to be revoked is renewed at once");
        plan.follow(&told(at_s(89 * DAY_S), at_s(400 * DAY_S)), &one.subject, NOW, &Always(End::High));
        assert_eq!(plan.due, at_s(81 * DAY_S), "never when it is too late to try again");
        plan.follow(&told(end, start), &one.subject, NOW, &Always(End::High));
        assert_eq!(plan.due, end, "a window that ends before it begins is its beginning");

        let next = certificate(folder.path(), "shop.example", 0, 90 * DAY_S);
        assert!(plan.is_about(&one) && !plan.is_about(&next));
        assert_eq!(due_of_foreign(&one), at_s(81 * DAY_S));
    }

    async fn account(http: Scripted) -> Account {
        // A key of this test alone.
        let (_, key) = instant_acme::Key::generate_pkcs8().expect("a key");
        let key = base64(key.secret_pkcs8_der());
        let text = format!(
            r#"{{"id":"https://ca.example/account/1","key_pkcs8":"{key}","directory":"https://ca.example/dir"}}"#
        );
        let credentials: AccountCredentials = serde_json::from_str(&text).expect("credentials");
        Account::builder_with_http(Box::new(http)).from_credentials(credentials).await.expect("an account")
    }

    /// RFC 4648 section 5, without padding.
    fn base64(bytes: &[u8]) -> String {
        const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let chunk = |chunk: &[u8]| {
            let word = chunk.iter().fold(0_u32, |word, byte| word << 8 | u32::from(*byte))
                << (8 * (3 - chunk.len()));
            (0..=chunk.len())
                .map(move |at| char::from(ALPHABET[(word >> (18 - 6 * at) & 63) as usize]))
                .collect::<String>()
        };
        bytes.chunks(3).map(chunk).collect()
    }

    #[tokio::test]
    async fn a_directory_is_asked_by_the_certificates_name() {
        let folder = tempfile::tempdir().expect("a folder");
        let one = certificate(folder.path(), "shop.example", 0, 90 * DAY_S);
        let der = one.key.cert.first().expect("a certificate");
        let window = r#"{"suggestedWindow":{"start":"1970-02-20T00:00:00Z","end":"1970-02-22T00:00:00Z"}}"#;
        let directory = || Scripted::default().then(200, &[], DIRECTORY);

        let answer =
            ask(&account(directory().then(200, &[("retry-after", "21600")], window)).await, der).await;
        assert_eq!(answer.window, Some((at_s(50 * DAY_S), at_s(52 * DAY_S))));
        assert!((21_590_000..=21_600_000).contains(&answer.again_ms), "{answer:?}");

        let answer = ask(&account(directory().then(200, &[("retry-after", "0")], window)).await, der).await;
        assert_eq!(answer.again_ms, 60_000, "it is not asked without a pause");

        let answer = ask(&account(directory().then(500, &[], "{}")).await, der).await;
        assert_eq!((answer.window, answer.again_ms), (None, limits::ACME_RENEWAL_INFO_MS));

        let without = DIRECTORY.replace("renewalInfo", "other");
        let answer = ask(&account(Scripted::default().then(200, &[], &without)).await, der).await;
        assert_eq!((answer.window, answer.again_ms), (None, limits::ACME_LONGEST_MS));
        assert!(id(der).is_some());
    }
}
