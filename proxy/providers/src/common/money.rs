//! Amounts: minor units by the currency's exponent, or major units, both exactly.

use super::{
    Stop,
    json::{Fault, Json},
};
use crate::Ignored;
use rust_decimal::Decimal;
use usher_model::{Currency, Money, MoneyError};

/// How many decimals a provider's minor units stand for: two, but for these.
pub(crate) struct Exponents {
    pub(crate) zero: &'static [&'static str],
    pub(crate) three: &'static [&'static str],
}

/// As ISO 4217 has them (<https://www.six-group.com/en/products-services/financial-information/data-standards.html>),
/// for providers that say no more than "the smallest unit".
pub(crate) const ISO_4217: Exponents = Exponents {
    zero: &[
        "BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND", "VUV", "XAF",
        "XOF", "XPF",
    ],
    three: &["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"],
};

impl Exponents {
    fn of(&self, currency: Currency) -> u32 {
        let letters = currency.to_string();
        match letters.as_str() {
            zero if self.zero.contains(&zero) => 0,
            three if self.three.contains(&three) => 3,
            _ => 2,
        }
    }
}

/// More digits than any price has, and far from where [`Decimal`] starts to round.
const DIGITS: usize = 20;

/// The currency at `path`.
pub(crate) fn currency(event: &Json, path: &str) -> Result<Currency, Fault> {
    event.need(path)?.parse().map_err(|_| Fault::new(path, "is no currency"))
}

/// The currency at `path`, where the provider does not always tell it.
pub(crate) fn optional_currency(event: &Json, path: &str) -> Result<Option<Currency>, Fault> {
    if event.get(path).is_null() { Ok(None) } else { currency(event, path).map(Some) }
}

/// The decimal number at `path`, a JSON number or a text; zero and below included.
pub(crate) fn major(event: &Json, path: &str) -> Result<Decimal, Fault> {
    match event.get(path) {
        Json::Number(text) | Json::Text(text) => {
            decimal(text.trim()).ok_or_else(|| Fault::new(path, "is no decimal number"))
        }
        Json::Null => Err(Fault::new(path, "is missing")),
        _ => Err(Fault::new(path, "is no decimal number")),
    }
}

/// The whole number of minor units at `path`, in major units; zero and below included.
pub(crate) fn minor(
    event: &Json,
    path: &str,
    currency: Currency,
    exponents: &Exponents,
) -> Result<Decimal, Fault> {
    let units = major(event, path)?;
    if !units.is_integer() {
        return Err(Fault::new(path, "is no whole number of minor units"));
    }
    // At most 20 digits and one factor of a power of ten: exact.
    Ok((units * Decimal::new(1, exponents.of(currency))).normalize())
}

/// An amount that was really paid. One that nothing can cost is a fault: it is not to be taken for nothing.
pub(crate) fn paid(amount: Decimal, currency: Currency) -> Result<Money, Stop> {
    Money::parse(&amount.to_string(), currency).map_err(|error| match error {
        MoneyError::NotPositive => Ignored::ZeroAmount.into(),
        _ => Fault::new("the amount", "is beyond anything that is sold").into(),
    })
}

/// An amount that really went back.
pub(crate) fn went_back(amount: Decimal) -> Result<Decimal, Stop> {
    if amount > Decimal::ZERO { Ok(amount.normalize()) } else { Err(Ignored::ZeroAmount.into()) }
}

fn decimal(text: &str) -> Option<Decimal> {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let plain = text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'+' | b'e' | b'E'));
    if digits == 0 || digits > DIGITS || !plain || text.starts_with('+') {
        return None;
    }
    match text.contains(['e', 'E']) {
        true => Decimal::from_scientific(text).ok().filter(|amount| amount.abs() < Decimal::from(u64::MAX)),
        false => Decimal::from_str_exact(text).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(amount: &str, code: &str) -> Result<String, Fault> {
        let event = Json::parse(format!(r#"{{"a":{amount},"c":"{code}"}}"#).as_bytes())?;
        let currency = currency(&event, "c")?;
        minor(&event, "a", currency, &ISO_4217).map(|amount| amount.to_string())
    }

    #[test]
    fn minor_units_by_currency() {
        for (amount, code, major) in [
            ("12900", "eur", "129"),
            ("\"4999\"", "USD", "49.99"),
            ("9800", "jpy", "9800"),
            ("12750", "KWD", "12.75"),
            ("1", "kwd", "0.001"),
            ("0", "usd", "0"),
            ("-2450", "eur", "-24.5"),
            ("1290.0", "eur", "12.9"),
            ("9007199254740993", "usd", "90071992547409.93"),
        ] {
            assert_eq!(read(amount, code).as_deref(), Ok(major), "{amount} {code}");
        }
    }

    #[test]
    fn what_is_no_amount_is_named() {
        for (amount, code, fault) in [
            ("null", "eur", "a is missing"),
            ("true", "eur", "a is no decimal number"),
            ("\"12,90\"", "eur", "a is no decimal number"),
            ("\"NaN\"", "eur", "a is no decimal number"),
            ("12.5", "eur", "a is no whole number of minor units"),
            ("123456789012345678901", "eur", "a is no decimal number"),
            ("1e28", "eur", "a is no decimal number"),
            ("1", "eu", "c is no currency"),
        ] {
            assert_eq!(read(amount, code).expect_err(amount).to_string(), fault);
        }
    }

    #[test]
    fn nothing_paid_is_told_apart() {
        let eur = "EUR".parse().expect("a currency");
        assert!(matches!(paid(Decimal::ZERO, eur), Err(Stop::Ignored(Ignored::ZeroAmount))));
        assert!(matches!(paid(Decimal::NEGATIVE_ONE, eur), Err(Stop::Ignored(Ignored::ZeroAmount))));
        for no_price in [Decimal::from(u64::MAX), Decimal::new(1, 12)] {
            assert!(matches!(paid(no_price, eur), Err(Stop::Unreadable(_))), "{no_price}");
        }
    }

    proptest! {
        #[test]
        fn minor_units_are_exact(units in 0_i64..10_i64.pow(17), code in "(USD|JPY|KWD|EUR|ISK|TND)") {
            let exponent = ISO_4217.of(code.parse().expect("a currency"));
            let expected = Decimal::new(units, exponent).normalize().to_string();
            prop_assert_eq!(read(&units.to_string(), &code), Ok(expected));
        }

        #[test]
        fn no_text_panics(text in "[0-9eE.+ -]{0,40}|\\PC{0,20}") {
            let _ = decimal(&text).map(|amount| (amount * Decimal::new(1, 3)).normalize());
        }
    }
}
