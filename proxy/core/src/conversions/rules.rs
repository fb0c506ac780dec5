//! Who is credited with a sale: a pure function over the signals that were seen.

use serde::Serialize;
use usher_model::{AffiliateCode, ClickId, CodeOrClick, PromoCode};

/// What was seen of an order before a rule was chosen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Signals {
    /// The referral that the caller named. The affiliate is known when the click is ours.
    pub(super) click: Option<SeenClick>,
    /// The promo code, when it is an affiliate's and counts now.
    pub(super) code: Option<SeenCode>,
    /// Customers that an earlier sale or lead bound to a click which counts.
    pub(super) customers: Vec<BoundCustomer>,
    /// Whether the caller named a customer or user that we do not know; the platform may.
    pub(super) unknown_customer: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct SeenClick {
    pub(super) id: ClickId,
    pub(super) affiliate: Option<AffiliateCode>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct SeenCode {
    pub(super) code: PromoCode,
    pub(super) affiliate: AffiliateCode,
    pub(super) max_uses: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct BoundCustomer {
    /// The field that names the customer.
    pub(super) field: &'static str,
    pub(super) click: ClickId,
}

/// The rule that won.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "rule")]
pub(super) enum Rule {
    /// The click that the caller named.
    Click {
        /// Which.
        id: ClickId,
    },
    /// The promo code: a click is minted for its affiliate.
    Code {
        /// Whose.
        affiliate: AffiliateCode,
    },
    /// The customer was seen before, and this was their click.
    Customer {
        /// Which.
        id: ClickId,
    },
    /// Nothing of ours; the platform knows the customer, or does not.
    PlatformKnowsCustomer,
    /// Nothing at all.
    Nobody,
}

/// The promo code that the sale is credited for: one that won, and one of the affiliate whose click won. Whoever applies a
/// code at the shop has a click of its affiliate by the time they pay.
pub(super) fn credited_code<'a>(signals: &'a Signals, rule: &Rule) -> Option<&'a SeenCode> {
    let code = signals.code.as_ref()?;
    let of_code =
        || signals.click.as_ref().is_some_and(|click| click.affiliate.as_ref() == Some(&code.affiliate));
    match rule {
        Rule::Code { .. } => Some(code),
        Rule::Click { .. } => of_code().then_some(code),
        Rule::Customer { .. } | Rule::PlatformKnowsCustomer | Rule::Nobody => None,
    }
}

/// Chooses. A click and a code of the same affiliate are one thing: the click, since it is there already.
pub(super) fn choose(signals: &Signals, policy: CodeOrClick) -> Rule {
    let same_affiliate =
        |click: &SeenClick, code: &SeenCode| click.affiliate.as_ref() == Some(&code.affiliate);
    match (&signals.click, &signals.code) {
        (Some(click), Some(code)) if same_affiliate(click, code) => Rule::Click { id: click.id.clone() },
        (Some(click), Some(code)) => match policy {
            CodeOrClick::Click => Rule::Click { id: click.id.clone() },
            CodeOrClick::Code | CodeOrClick::Latest => Rule::Code { affiliate: code.affiliate.clone() },
        },
        (Some(click), None) => Rule::Click { id: click.id.clone() },
        (None, Some(code)) => Rule::Code { affiliate: code.affiliate.clone() },
        (None, None) => match (signals.customers.first(), signals.unknown_customer) {
            (Some(customer), _) => Rule::Customer { id: customer.click.clone() },
            (None, true) => Rule::PlatformKnowsCustomer,
            (None, false) => Rule::Nobody,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> ClickId {
        ClickId::new(text).expect("an id")
    }

    fn of(text: &str) -> AffiliateCode {
        AffiliateCode::new(text).expect("a code")
    }

    fn click(affiliate: Option<&str>) -> Option<SeenClick> {
        Some(SeenClick { id: id("click"), affiliate: affiliate.map(of) })
    }

    fn code(affiliate: &str) -> Option<SeenCode> {
        let code = PromoCode::fold("spring").expect("a code");
        Some(SeenCode { code, affiliate: of(affiliate), max_uses: None })
    }

    #[test]
    fn the_table() {
        use CodeOrClick::{Click, Code, Latest};
        let the_click = Rule::Click { id: id("click") };
        let the_code = Rule::Code { affiliate: of("bob") };
        let the_customer = Rule::Customer { id: id("before") };
        let signals = |click, code, customer: Option<&str>, unknown_customer| Signals {
            click,
            code,
            customers: customer
                .map(|click| BoundCustomer { field: "customer_id", click: id(click) })
                .into_iter()
                .collect(),
            unknown_customer,
        };
        for (seen, policy, expected) in [
            (signals(click(Some("alice")), None, None, false), Code, &the_click),
            (signals(click(None), None, Some("before"), false), Code, &the_click),
            (signals(click(Some("alice")), code("bob"), None, false), Code, &the_code),
            (signals(click(Some("alice")), code("bob"), None, false), Latest, &the_code),
            (signals(click(Some("alice")), code("bob"), None, false), Click, &the_click),
            (signals(click(Some("bob")), code("bob"), None, false), Code, &the_click),
            (signals(click(None), code("bob"), None, false), Code, &the_code),
            (signals(None, code("bob"), Some("before"), false), Click, &the_code),
            (signals(None, None, Some("before"), true), Code, &the_customer),
            (signals(None, None, None, true), Code, &Rule::PlatformKnowsCustomer),
            (signals(None, None, None, false), Code, &Rule::Nobody),
        ] {
            assert_eq!(choose(&seen, policy), *expected, "{seen:?} {policy:?}");
        }
    }
}
