//! Amounts of money as the wire writes them: JSON numbers in major units, kept exact.

/// An amount above zero, in billionths of the currency's major unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Amount(i128);

const BILLION: i128 = 1_000_000_000;

impl Amount {
    /// Nothing.
    pub(super) const ZERO: Self = Self(0);

    /// Reads the text of a JSON number. `None` unless it is above zero, without an exponent, and has at most 18 digits before
    /// the point. Less than a billionth is cut off: the parts of an amount never come to more than the whole by that.
    pub(super) fn parse(number: &str) -> Option<Self> {
        let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
        let digits = |part: &str, most: usize| {
            (1..=most).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
        };
        if !digits(whole, 18) || !digits(fraction, 28) {
            return None;
        }
        let whole: i128 = whole.parse().ok()?;
        let fraction: i128 = format!("{fraction:0<9}").get(..9)?.parse().ok()?;
        Some(Self(whole * BILLION + fraction)).filter(|amount| amount.0 > 0)
    }

    /// The shortest JSON number for it.
    pub(super) fn text(self) -> String {
        let (whole, fraction) = (self.0 / BILLION, self.0 % BILLION);
        if fraction == 0 {
            return whole.to_string();
        }
        format!("{whole}.{}", format!("{fraction:09}").trim_end_matches('0'))
    }

    /// A fifth of it, rounded down to a billionth: the stand-in's commission.
    pub(super) fn fifth(self) -> Self {
        Self(self.0 / 5)
    }

    /// The sum.
    pub(super) fn plus(self, other: Self) -> Self {
        // 18 digits before the point leave room for 10^11 such sums.
        Self(self.0.saturating_add(other.0))
    }

    /// What is left after taking `other` away; `None` when `other` is more.
    pub(super) fn minus(self, other: Self) -> Option<Self> {
        Some(Self(self.0 - other.0)).filter(|left| left.0 >= 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_money_looks_like_and_nothing_else() {
        for (text, shortest) in [
            ("99", "99"),
            ("99.00", "99"),
            ("0.1", "0.1"),
            ("1.005", "1.005"),
            ("0.000000001", "0.000000001"),
            ("0.30000000000000004", "0.3"),
        ] {
            assert_eq!(Amount::parse(text).map(Amount::text).as_deref(), Some(shortest), "{text}");
        }
        for text in ["0", "0.00", "-1", "1e3", "1.", ".5", "", "\"5\"", "0.0000000001", "1000000000000000000"]
        {
            assert_eq!(Amount::parse(text), None, "{text}");
        }
    }

    #[test]
    fn every_two_digit_amount_survives_the_round_trip_and_the_arithmetic() {
        for minor in 1..20_000_u32 {
            let text = format!("{}.{:02}", minor / 100, minor % 100);
            let amount = Amount::parse(&text).unwrap();
            assert_eq!(Amount::parse(&amount.text()), Some(amount));
            let part = Amount::parse("0.01").unwrap();
            assert_eq!(amount.minus(part).map(|left| left.plus(part)), Some(amount));
        }
    }
}
