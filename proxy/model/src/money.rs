//! Money: an exact decimal number of major units in a named currency. Never a float.

use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer, Serialize, Serializer, ser::Error as _};
use serde_json::value::RawValue;
use std::{fmt, str::FromStr};

/// Why a text is no amount or no currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// Not a decimal number, or with more digits than can be kept exactly.
    #[error("must be a decimal number in major units with at most 20 digits, such as 99 or 99.90")]
    NotDecimal,
    /// Zero or less.
    #[error("must be greater than 0")]
    NotPositive,
    /// Less or more than anything is sold for.
    #[error("must be at least 0.000000001 and below 1000000000000000000")]
    OutOfRange,
    /// Not three letters.
    #[error("must be three letters (ISO 4217), such as USD")]
    NotCurrency,
}

/// A currency's three letters, in upper case (ISO 4217). Unknown triples are let through: the list grows.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Currency([u8; 3]);

impl FromStr for Currency {
    type Err = MoneyError;

    fn from_str(text: &str) -> Result<Self, MoneyError> {
        let letters: [u8; 3] = text.trim().as_bytes().try_into().map_err(|_| MoneyError::NotCurrency)?;
        if letters.iter().all(u8::is_ascii_alphabetic) {
            Ok(Self(letters.map(|letter| letter.to_ascii_uppercase())))
        } else {
            Err(MoneyError::NotCurrency)
        }
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.0).unwrap_or("XXX"))
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An amount greater than zero, in major units (`99.9` is 99 dollars 90), exactly as it was said: trailing zeros are
/// dropped, nothing is rounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Money {
    amount: Decimal,
    currency: Currency,
}

/// More digits than any price has, and far from where [`Decimal`] starts to round.
const DIGITS_MAX: usize = 20;
/// The text of one, with room for zeros that say nothing.
const TEXT_MAX_BYTES: usize = 64;
/// A billionth.
const LEAST: Decimal = Decimal::from_parts(1, 0, 0, false, 9);
/// 10^18.
const TOO_MUCH: Decimal = Decimal::from_parts(0xA764_0000, 0x0DE0_B6B3, 0, false, 0);

impl Money {
    /// That many major units.
    ///
    /// # Errors
    /// [`MoneyError::NotPositive`] when that is zero or less, [`MoneyError::OutOfRange`] when it is no price.
    pub fn new(amount: Decimal, currency: Currency) -> Result<Self, MoneyError> {
        if amount <= Decimal::ZERO {
            return Err(MoneyError::NotPositive);
        }
        if amount < LEAST || amount >= TOO_MUCH {
            return Err(MoneyError::OutOfRange);
        }
        Ok(Self { amount: amount.normalize(), currency })
    }

    /// Reads an amount as it stands in JSON: a number (`99`, `99.90`, `1e3`), or the same as a string.
    ///
    /// # Errors
    /// [`MoneyError`] when it is no decimal number, is not above zero or no price, or has more than 20 digits.
    pub fn from_json(raw: &RawValue, currency: Currency) -> Result<Self, MoneyError> {
        let text = raw.get();
        let text = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text);
        Self::parse(text, currency)
    }

    /// Reads a decimal text (RFC 8259 section 6 grammar of numbers, signs and exponents included).
    ///
    /// # Errors
    /// As [`Money::from_json`].
    pub fn parse(text: &str, currency: Currency) -> Result<Self, MoneyError> {
        let mantissa = text.split(['e', 'E']).next().unwrap_or_default();
        let is_digit = |byte: &u8| byte.is_ascii_digit();
        let digits = mantissa.bytes().filter(is_digit).skip_while(|digit| *digit == b'0').count();
        let plain = text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'+' | b'e' | b'E'));
        let is_number = plain && mantissa.bytes().any(|byte| is_digit(&byte)) && !text.starts_with('+');
        if !is_number || digits > DIGITS_MAX || text.len() > TEXT_MAX_BYTES {
            return Err(MoneyError::NotDecimal);
        }
        let amount = match text.contains(['e', 'E']) {
            true => Decimal::from_scientific(text),
            false => Decimal::from_str_exact(text),
        };
        Self::new(amount.map_err(|_| MoneyError::NotDecimal)?, currency)
    }

    /// Major units.
    #[must_use]
    pub const fn amount(&self) -> Decimal {
        self.amount
    }

    /// The currency.
    #[must_use]
    pub const fn currency(&self) -> Currency {
        self.currency
    }

    /// The amount as a JSON number: what goes over the wire, digit for digit.
    #[must_use]
    pub fn json_number(&self) -> Box<RawValue> {
        RawValue::from_string(self.amount.to_string())
            .unwrap_or_else(|_| unreachable!("a decimal's text is a JSON number"))
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.amount, self.currency)
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(std::str::from_utf8(&self.0).map_err(S::Error::custom)?)
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn usd() -> Currency {
        "usd".parse().expect("a currency")
    }

    #[test]
    fn amounts_keep_every_digit() {
        for (text, wire) in [
            ("99", "99"),
            ("99.90", "99.9"),
            ("0.30000000000000004", "0.30000000000000004"),
            ("1e3", "1000"),
            ("1.5E-3", "0.0015"),
            ("0.00012345678901234567", "0.00012345678901234567"),
            ("1.2345678901234567e-09", "0.0000000012345678901234567"),
            ("0.000000001", "0.000000001"),
            ("9.999999999999999e+17", "999999999999999900"),
            ("12345678901234567.891", "12345678901234567.891"),
        ] {
            assert_eq!(Money::parse(text, usd()).expect(text).json_number().get(), wire);
        }
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        for (text, why) in [
            ("0", MoneyError::NotPositive),
            ("-1", MoneyError::NotPositive),
            ("0.000", MoneyError::NotPositive),
            ("", MoneyError::NotDecimal),
            ("abc", MoneyError::NotDecimal),
            ("1,5", MoneyError::NotDecimal),
            ("NaN", MoneyError::NotDecimal),
            ("1e400", MoneyError::NotDecimal),
            ("1e-400", MoneyError::NotDecimal),
            ("5e-324", MoneyError::NotDecimal),
            ("9.999999999999999e-10", MoneyError::OutOfRange),
            ("1e18", MoneyError::OutOfRange),
            ("1000000000000000000", MoneyError::OutOfRange),
            ("e5", MoneyError::NotDecimal),
            (".", MoneyError::NotDecimal),
            ("123456789012345678901", MoneyError::NotDecimal),
            ("١٢", MoneyError::NotDecimal),
        ] {
            assert_eq!(Money::parse(text, usd()), Err(why), "{text}");
        }
        assert!("US".parse::<Currency>().is_err() && "U$D".parse::<Currency>().is_err());
    }

    proptest! {
        #[test]
        fn minor_units_survive_the_way_through_text(minor in 1_u64..10_u64.pow(15), scale in 0_u32..4) {
            let amount = Decimal::new(i64::try_from(minor).expect("fits"), scale);
            let money = Money::parse(&amount.to_string(), usd()).expect("an amount");
            prop_assert_eq!(money.amount(), amount);
            let again = Money::from_json(&money.json_number(), usd()).expect("its own text");
            prop_assert_eq!(again, money);
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,40}|[0-9eE.+-]{0,30}") {
            let _ = Money::parse(&text, usd());
            let _ = text.parse::<Currency>();
        }
    }
}
