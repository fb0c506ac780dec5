//! The deliveries that an entry brings along, as the deliverer gets them, and the words that stand for their parts in a
//! store: the same for every make.

use rust_decimal::Decimal;
use usher_model::{
    Attempt, Click, Currency, Delivery, Entry, Job, Money, Needs, RecordId, RefundAmount, UnixMs,
};

/// Begins the lane of a payment that only the platform knows. No id of ours holds a colon.
const UPSTREAM: &str = "upstream:";

/// The delivery of a click that an entry mints.
pub(crate) fn of_click(click: &Click, body: &str) -> Delivery {
    Delivery {
        id: click.id.as_str().to_owned(),
        site: click.site.clone(),
        job: Job::Click,
        body: body.to_owned(),
        needs: None,
        refund: None,
        attempts: 0,
        log: Vec::new(),
        created_at: click.created_at,
    }
}

/// The delivery of the entry itself; for a refund, see [`in_lane`].
pub(crate) fn of_entry(entry: Entry) -> Delivery {
    Delivery {
        id: entry.id.as_str().to_owned(),
        site: entry.site,
        job: entry.job,
        body: entry.body,
        needs: entry.needs.filter(|_| entry.refund.is_none()).map(Needs::Click),
        refund: entry.refund.map(|refund| (refund.amount, refund.currency)),
        attempts: 0,
        log: Vec::new(),
        created_at: entry.now,
    }
}

/// The delivery of a refund that stands in that lane: the row of refunds of one payment, sent one after the other.
pub(crate) fn in_lane(delivery: Delivery, lane: &str) -> Delivery {
    Delivery { needs: needs_of_lane(lane), ..delivery }
}

/// The lane of a payment that only the platform knows. That of a payment of ours is its id.
pub(crate) fn upstream_lane(id: &str) -> String {
    format!("{UPSTREAM}{id}")
}

/// Whether the payment is one that only the platform knows.
pub(crate) fn is_upstream_lane(lane: &str) -> bool {
    lane.starts_with(UPSTREAM)
}

/// What a refund in that lane needs.
pub(crate) fn needs_of_lane(lane: &str) -> Option<Needs> {
    match lane.strip_prefix(UPSTREAM) {
        Some(id) => Some(Needs::Upstream(id.to_owned())),
        None => RecordId::new(lane).ok().map(Needs::Payment),
    }
}

/// The payment's name: our id of it, or what the platform calls it.
pub(crate) fn payment_of_lane(lane: &str) -> &str {
    lane.strip_prefix(UPSTREAM).unwrap_or(lane)
}

/// A log of attempts as JSON, one array a line: when the first was made, how many milliseconds later the last, how many,
/// what came of them. `None` when there was none.
pub(crate) fn log_words(log: &[Attempt]) -> Option<String> {
    let line = |line: &Attempt| (line.at, line.last.since(line.at), line.times, line.said.clone());
    let lines: Vec<_> = log.iter().map(line).collect();
    if lines.is_empty() { None } else { serde_json::to_string(&lines).ok() }
}

/// The reverse of [`log_words`].
pub(crate) fn log_of_words(words: &str) -> Option<Vec<Attempt>> {
    let lines: Vec<(UnixMs, i64, u32, String)> = serde_json::from_str(words).ok()?;
    let line = |(at, lasted, times, said): (UnixMs, i64, u32, String)| Attempt {
        at,
        last: at.plus(lasted),
        times,
        said,
    };
    Some(lines.into_iter().map(line).collect())
}

/// Names as a JSON array; `None` when there is none.
pub(crate) fn names_words(names: &[String]) -> Option<String> {
    if names.is_empty() { None } else { serde_json::to_string(names).ok() }
}

/// The reverse of [`names_words`].
pub(crate) fn names_of_words(words: &str) -> Option<Vec<String>> {
    serde_json::from_str(words).ok()
}

/// What was paid, from the exact text of its amount and its currency.
pub(crate) fn money_of_words(amount: &str, currency: &str) -> Option<Money> {
    Money::new(Decimal::from_str_exact(amount).ok()?, currency.parse().ok()?).ok()
}

/// What a refund asks for, from the word for its basis and the exact texts of its amount and currency.
pub(crate) fn refund_of_words(
    basis: &str,
    amount: Option<&str>,
    currency: Option<&str>,
) -> Option<(RefundAmount, Option<Currency>)> {
    let amount = amount.map(Decimal::from_str_exact).transpose().ok()?;
    let currency = currency.map(str::parse).transpose().ok()?;
    Some((RefundAmount::from_words(basis, amount)?, currency))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_as_they_were_written() {
        let line = |at, said: &str| Attempt {
            at: UnixMs(at),
            last: UnixMs(at + 1),
            times: 2,
            said: said.to_owned(),
        };
        let log = vec![line(1, "503"), line(9, "timed out \"again\" \u{1F49A}")];
        assert_eq!(log_of_words(&log_words(&log).expect("words")), Some(log));
        assert_eq!((log_words(&[]), names_words(&[])), (None, None));
        let names = vec!["pi_1".to_owned(), "a \"b\" [c]".to_owned()];
        assert_eq!(names_of_words(&names_words(&names).expect("words")), Some(names));

        for text in ["9.9e17", "1e-9", "99.90", "12345678901234567.891"] {
            let paid = Money::parse(text, "EUR".parse().expect("a currency")).expect(text);
            assert_eq!(money_of_words(&paid.amount().to_string(), "EUR"), Some(paid), "{text}");
        }
        assert_eq!((money_of_words("0", "EUR"), money_of_words("1", "E")), (None, None));
        let part = RefundAmount::Part(Decimal::new(5, 1));
        assert_eq!(refund_of_words("part", Some("0.5"), None), Some((part, None)));
        assert_eq!(refund_of_words("part", None, None), None);
    }

    #[test]
    fn a_lane_says_what_its_refunds_need() {
        let ours = RecordId::new("conv_1").expect("an id");
        assert_eq!(needs_of_lane("conv_1"), Some(Needs::Payment(ours)));
        let lane = upstream_lane("com:1");
        assert_eq!(needs_of_lane(&lane), Some(Needs::Upstream("com:1".to_owned())));
        assert_eq!((payment_of_lane(&lane), payment_of_lane("conv_1")), ("com:1", "conv_1"));
        assert!(is_upstream_lane(&lane) && !is_upstream_lane("conv_1"));
    }
}
