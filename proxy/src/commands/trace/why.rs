//! Why a record was credited as it was, out of the trace that was written with it.

use crate::commands::words::{plain, when};
use serde_json::Value;
use usher_core::attribution::{By, Doubt, Policy, Proved, Rule, Seen, Trace, WhyNot};

/// A trace as lines; one of a shape that is not known (of another version) is shown field by field.
pub(super) fn lines(trace: Option<&str>) -> Vec<String> {
    let Some(trace) = trace else { return Vec::new() };
    match (serde_json::from_str::<Trace>(trace), serde_json::from_str(trace)) {
        (Ok(known), _) => told(&known),
        (Err(_), Ok(unknown)) => fields(&unknown),
        (Err(_), Err(_)) => vec![plain(trace)],
    }
}

fn told(trace: &Trace) -> Vec<String> {
    let mut lines = vec![won(trace.rule).to_owned()];
    lines.extend(trace.policy.map(|policy| settled_by(policy).to_owned()));
    lines.extend(trace.paid_at.map(|at| format!("it was paid at {}, by its own word", when(at))));
    lines.extend(trace.proof.map(|proved| proved_by(proved).to_owned()));
    if !trace.seen.is_empty() {
        lines.push("seen, the strongest first:".to_owned());
        lines.extend(trace.seen.iter().map(|seen| format!("  {}", signal(seen, trace.rule))));
    }
    lines
}

const fn proved_by(proved: Proved) -> &'static str {
    match proved {
        Proved::Token => "its sender knew the token; nothing proves what the report says",
    }
}

const fn won(rule: Rule) -> &'static str {
    match rule {
        Rule::Named => "the affiliate of the click that the report names",
        Rule::Signed => "the affiliate of the click that the visitor's signed cookie names",
        Rule::Cookie => "the affiliate of the click that the visitor's cookie names",
        Rule::Code => "the affiliate whose promo code was used",
        Rule::Order => "the affiliate of the click that the order was tied to at the checkout",
        Rule::Customer => "the affiliate of the click that the customer came through before",
        Rule::Platform => "nobody here; the report names a customer whom the platform may know",
        Rule::Nobody => "nobody: nothing that was seen leads to an affiliate",
        Rule::Payment => "whoever is credited with its payment",
    }
}

const fn settled_by(policy: Policy) -> &'static str {
    match policy {
        Policy::Code => "a promo code wins over a click of another affiliate here (code_or_click = \"code\")",
        Policy::Click => {
            "a click wins over a promo code of another affiliate here (code_or_click = \"click\")"
        }
        Policy::Latest => "the later of click and promo code wins here (code_or_click = \"latest\")",
        Policy::FirstClick => "the visitor's first click wins here (attribution = \"first_click\")",
    }
}

fn signal(seen: &Seen, rule: Rule) -> String {
    let what = plain(&seen.what);
    let mut line = match seen.by {
        By::Named => format!("click {what}, named in the report"),
        By::Signed => format!("click {what}, in the signed cookie"),
        By::Cookie => format!("click {what}, in the cookie"),
        By::Code => format!("promo code {what}"),
        By::Order => format!("order {what}"),
        By::Customer => match what.split_once(':') {
            Some((kind, id)) => format!("{} {id}", if kind == "user" { "user" } else { "customer" }),
            None => format!("customer {what}"),
        },
    };
    if let Some(click) = &seen.click {
        line += &format!(", which leads to click {click}");
    }
    if let Some(affiliate) = &seen.affiliate {
        line += &format!(", of {affiliate}");
    }
    if let Some(at) = seen.at {
        line += &format!(", made at {}", when(at));
    }
    if let Some(doubt) = seen.doubt {
        line += match doubt {
            Doubt::Flood => " (odd: one of very many from its network)",
            Doubt::Hasty => " (odd: made only moments before the sale)",
        };
    }
    match seen.why_not {
        Some(why) => format!("{line}: did not count, {}", why_not(why, seen.by)),
        None if is_of(rule, seen.by) => format!("{line}: won"),
        None => format!("{line}: says the same"),
    }
}

const fn is_of(rule: Rule, by: By) -> bool {
    matches!(
        (rule, by),
        (Rule::Named, By::Named)
            | (Rule::Signed, By::Signed)
            | (Rule::Cookie, By::Cookie)
            | (Rule::Code, By::Code)
            | (Rule::Order, By::Order)
            | (Rule::Customer, By::Customer)
    )
}

const fn why_not(why: WhyNot, by: By) -> &'static str {
    match (why, by) {
        (WhyNot::Unknown, By::Code) => "for it is no affiliate's code",
        (WhyNot::Unknown, By::Order) => "for no page tied it to a click",
        (WhyNot::Unknown, By::Customer) => "for nobody of that name came through a click before",
        (WhyNot::Unknown, By::Named | By::Signed | By::Cookie) => "for it is no click of this site",
        (WhyNot::Refused, _) => "for the platform refused its click",
        (WhyNot::TooOld, _) => "for the click was older than the cookie lives (cookie_days)",
        (WhyNot::NotStarted, _) => "for its start lay ahead",
        (WhyNot::Expired, _) => "for it had expired",
        (WhyNot::UsedUp, _) => "for its uses were spent (max_uses)",
        (WhyNot::Contested, _) => "for two clicks claimed the order, and neither is believed",
        (WhyNot::BoundEarly, _) => "for it was tied too long before it was paid",
        (WhyNot::BoundLate, _) => "for it was tied only after it was paid",
        (WhyNot::Outranked, _) => "for something stronger spoke for another",
    }
}

/// Any JSON, one line a field, named by its path: `signals.click.id: ush_1`. What is null, false or empty is left out.
fn fields(value: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    walk("", value, &mut lines);
    lines
}

fn walk(path: &str, value: &Value, lines: &mut Vec<String>) {
    let under = |name: &str| if path.is_empty() { plain(name) } else { format!("{path}.{}", plain(name)) };
    match value {
        Value::Null | Value::Bool(false) => {}
        Value::Object(object) => object.iter().for_each(|(name, value)| walk(&under(name), value, lines)),
        Value::Array(list) => {
            list.iter().enumerate().for_each(|(at, value)| walk(&under(&(at + 1).to_string()), value, lines));
        }
        Value::Bool(true) => lines.push(path.to_owned()),
        Value::String(text) => lines.push(format!("{path}: {}", plain(text))),
        Value::Number(number) => lines.push(format!("{path}: {number}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_signal_says_whether_it_counted() {
        let trace = r#"{"rule":"code","policy":"code","paid_at":1700000000000,"seen":[
            {"by":"named","what":"cmd1","of":"alice","at":1700000000000,"not":"outranked"},
            {"by":"code","what":"SPRING","of":"bob"},
            {"by":"order","what":"1001","click":"ush_1","of":"bob"},
            {"by":"customer","what":"user:u:1\u001b","not":"unknown"}]}"#;
        assert_eq!(
            lines(Some(trace)),
            [
                "the affiliate whose promo code was used",
                "a promo code wins over a click of another affiliate here (code_or_click = \"code\")",
                "it was paid at 2023-11-14T22:13:20Z, by its own word",
                "seen, the strongest first:",
                "  click cmd1, named in the report, of alice, made at 2023-11-14T22:13:20Z: did not count, for something stronger \
                 spoke for another",
                "  promo code SPRING, of bob: won",
                "  order 1001, which leads to click ush_1, of bob: says the same",
                "  user u:1\u{fffd}: did not count, for nobody of that name came through a click before",
            ]
        );
        assert_eq!(lines(Some(r#"{"rule":"payment"}"#)), ["whoever is credited with its payment"]);
        assert_eq!(
            lines(Some(r#"{"rule":"payment","proof":"token"}"#))[1],
            "its sender knew the token; nothing proves what the report says"
        );
        assert_eq!(lines(Some(r#"{"rule":"of tomorrow"}"#)), ["rule: of tomorrow"]);
    }

    #[test]
    fn any_shape_is_told() {
        let old = r#"{"signals":{"click":null,"code":{"code":"SPRING10","affiliate":"alice"},"unknown_customer":false},"decision":{"rule":"code"}}"#;
        assert_eq!(
            lines(Some(old)),
            ["decision.rule: code", "signals.code.affiliate: alice", "signals.code.code: SPRING10"]
        );
        assert_eq!(lines(Some(r#"[true,"a\u001b",3]"#)), ["1", "2: a\u{fffd}", "3: 3"]);
        assert_eq!((lines(Some("what")), lines(None)), (vec!["what".to_owned()], vec![]));
    }
}
