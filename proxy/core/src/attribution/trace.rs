//! Why a record was credited as it was: what is written down with it, and read again by people.

use serde::{Deserialize, Serialize};
use usher_model::{AffiliateCode, ClickId, UnixMs};

/// Why a record was credited as it was, as JSON beside it. Who is credited stands in the record itself (`click`).
///
/// A sale with a click of alice, a promo code of bob and a customer that nobody knew, on a site where codes win:
///
/// ```json
/// {"rule":"code","policy":"code","seen":[
///   {"by":"named","what":"cmd1","of":"alice","at":1700000000000,"not":"outranked"},
///   {"by":"code","what":"SPRING","of":"bob"},
///   {"by":"customer","what":"customer:cus_1","not":"unknown"}]}
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trace {
    /// The rule that won.
    pub rule: Rule,
    /// The site's setting that decided, where two signals spoke for different affiliates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<Policy>,
    /// When the sale was made by its own word, where that is not when it came in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paid_at: Option<UnixMs>,
    /// What the report proved, where that is less than all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<Proved>,
    /// Every signal, the strongest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub seen: Vec<Seen>,
}

/// What a payment provider's report proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Proved {
    /// That its sender knows a token. Nothing covers what it says.
    Token,
}

/// Whose word won.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// The click that the report names.
    Named,
    /// The click that the visitor's signed cookie names.
    Signed,
    /// The click that the visitor's plain cookie names.
    Cookie,
    /// The promo code: a click was minted for its affiliate, or one of the same affiliate was there already.
    Code,
    /// The click that the order was bound to.
    Order,
    /// The click that the customer came through before.
    Customer,
    /// Nothing of ours: the report names a customer whom the platform may know.
    Platform,
    /// Nothing at all: it was written down closed.
    Nobody,
    /// None: a refund goes where its payment went.
    Payment,
}

/// A site's setting that decided between signals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    /// `code_or_click = "code"`.
    Code,
    /// `code_or_click = "click"`.
    Click,
    /// `code_or_click = "latest"`.
    Latest,
    /// `attribution = "first_click"`.
    FirstClick,
}

/// A signal that was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// What kind.
    pub by: By,
    /// The click's id, the code as it is looked up, the order's id, or the customer's (`customer:…` or `user:…`).
    pub what: String,
    /// The click that an order or a customer led to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub click: Option<ClickId>,
    /// Whose it is, where we know.
    #[serde(default, rename = "of", skip_serializing_if = "Option::is_none")]
    pub affiliate: Option<AffiliateCode>,
    /// When the click was made, where we know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<UnixMs>,
    /// What is odd about its click. It counts all the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doubt: Option<Doubt>,
    /// Why it was not credited. Nothing on the one that was, nor on others that say the same.
    #[serde(default, rename = "not", skip_serializing_if = "Option::is_none")]
    pub why_not: Option<WhyNot>,
}

/// Kinds of signals, the strongest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// A click's id in the report.
    Named,
    /// A click's id with our signature.
    Signed,
    /// A click's id in the visitor's plain cookie.
    Cookie,
    /// A promo code.
    Code,
    /// An order that a page bound to a click.
    Order,
    /// A customer who came through a click before.
    Customer,
}

/// What is odd about a click.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Doubt {
    /// It was one of very many from its network.
    Flood,
    /// It was made only moments before the sale.
    Hasty,
}

/// Why a signal was not credited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhyNot {
    /// We know nothing of it: no click of this site, no affiliate's code, an order that nobody bound, a new customer.
    Unknown,
    /// The platform refused its click.
    Refused,
    /// The click was older than the cookie lives.
    TooOld,
    /// The code's start lay ahead.
    NotStarted,
    /// The code had expired.
    Expired,
    /// The code's uses were spent.
    UsedUp,
    /// Two clicks bound the order: neither is believed.
    Contested,
    /// The order was bound too long before it was paid.
    BoundEarly,
    /// The order was bound after it was paid.
    BoundLate,
    /// It counted, and something stronger spoke for another.
    Outranked,
}

impl Trace {
    /// A trace without signals.
    #[must_use]
    pub const fn of(rule: Rule) -> Self {
        Self { rule, policy: None, paid_at: None, proof: None, seen: Vec::new() }
    }

    /// As JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_else(|_| unreachable!("a trace has text keys only"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_short_and_is_read_again_as_it_was_written() {
        let seen = |by, what: &str, affiliate: Option<&str>, why_not| Seen {
            by,
            what: what.to_owned(),
            click: None,
            affiliate: affiliate.map(|code| AffiliateCode::new(code).expect("a code")),
            doubt: None,
            at: (by == By::Named).then_some(UnixMs(1_700_000_000_000)),
            why_not,
        };
        let trace = Trace {
            rule: Rule::Code,
            policy: Some(Policy::Code),
            paid_at: None,
            proof: None,
            seen: vec![
                seen(By::Named, "ush_01arz3ndektsv4rrffq69g5fav", Some("alice"), Some(WhyNot::Outranked)),
                seen(By::Code, "SPRING", Some("bob"), None),
                seen(By::Customer, "customer:cus_Pq1234567890", None, Some(WhyNot::Unknown)),
            ],
        };
        let json = trace.to_json();
        assert!(json.len() <= 300, "{} bytes: {json}", json.len());
        assert_eq!(serde_json::from_str::<Trace>(&json).expect("its own JSON"), trace);
        assert_eq!(Trace::of(Rule::Payment).to_json(), r#"{"rule":"payment"}"#);
        let doubtful = Trace { proof: Some(Proved::Token), ..Trace::of(Rule::Payment) };
        assert_eq!(doubtful.to_json(), r#"{"rule":"payment","proof":"token"}"#);
    }
}
