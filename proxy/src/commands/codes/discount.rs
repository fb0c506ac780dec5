//! What a shopper gets, as people write it and as it is kept.

use crate::cli;
use serde_json::{Map, Number, Value};
use usher_model::{Currency, Discount};

/// Reads `10%`, `5 EUR` or a JSON object.
///
/// # Errors
/// What is wrong with it, to be read after its name.
pub(super) fn read(written: &str) -> Result<Discount, String> {
    if written.starts_with('{') {
        return serde_json::from_str(written).map_err(|error| format!("is no JSON object: {error}"));
    }
    short(written).ok_or_else(|| format!("is {written:?}; write 10%, 5 EUR or a JSON object"))
}

fn short(written: &str) -> Option<Discount> {
    if let Some(number) = written.strip_suffix('%') {
        return cli::percent(number.trim_end()).ok().map(percentage);
    }
    let (number, currency) = written.split_once(' ')?;
    Some(fixed(cli::amount(number).ok()?, currency.trim_start().parse().ok()?))
}

/// So many per cent off.
pub(super) fn percentage(percent: Number) -> Discount {
    made_of([("amount", percent.into()), ("type", "percentage".into())])
}

/// So much off.
pub(super) fn fixed(amount: Number, currency: Currency) -> Discount {
    made_of([("amount", amount.into()), ("type", "fixed".into()), ("currency", currency.to_string().into())])
}

/// `10%` or `5 EUR` when that is all it says, else its JSON.
pub(super) fn show(discount: &Discount) -> String {
    let text = |name: &str| discount.get(name).and_then(|value| value.as_str());
    let amount = discount.get("amount").filter(|amount| amount.is_number());
    match (amount, text("type"), text("currency"), discount.len()) {
        (Some(amount), Some("percentage"), None, 2) => format!("{amount}%"),
        (Some(amount), Some("fixed"), Some(currency), 3) => format!("{amount} {currency}"),
        _ => serde_json::to_string(discount).unwrap_or_else(|_| unreachable!("its keys are texts")),
    }
}

fn made_of<const N: usize>(fields: [(&str, Value); N]) -> Map<String, Value> {
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_can_be_written() {
        for written in ["10%", "7.5%", "100%", "5 EUR", "0.5 USD", r#"{"amount":5,"type":"fixed"}"#] {
            assert_eq!(read(written).map(|discount| show(&discount)), Ok(written.to_owned()));
        }
        assert_eq!(read("10 %"), read("10%"));
        assert_eq!(read("5 eur"), read("5 EUR"));
    }

    #[test]
    fn what_is_no_discount_is_refused() {
        for written in
            ["10", "EUR", "5EUR", "0%", "101%", "-5 EUR", "0 EUR", "5 euros", "%", "ten%", "[1]", "{", "5 €"]
        {
            let says = read(written).expect_err(written);
            assert!(says.contains("JSON object"), "{written}: {says}");
        }
    }
}
