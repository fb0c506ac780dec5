//! The table of signals, rules and policies.

use super::*;
use usher_model::{AffiliateCode, ClickId, OrderBinding};

const NOW: UnixMs = UnixMs(1_700_000_000_000);

fn days_ago(days: i64) -> UnixMs {
    NOW.plus(-days * DAY_MS)
}

fn signal(by: By, what: &str, click: Option<&str>, affiliate: &str, at: Option<UnixMs>) -> Signal {
    let id = |text: &str| ClickId::new(text).expect("an id");
    let own = (by < By::Code).then_some(what);
    Signal {
        seen: Seen {
            by,
            what: what.to_owned(),
            click: click.map(id),
            affiliate: (!affiliate.is_empty()).then(|| AffiliateCode::new(affiliate).expect("a code")),
            at,
            doubt: None,
            why_not: None,
        },
        field: "",
        words: None,
        standing: own.or(click).map_or(Standing::None, |own| Standing::Usable(id(own))),
        bound: None,
        max_uses: None,
    }
}

fn click(by: By, id: &str, affiliate: &str, days: i64) -> Signal {
    signal(by, id, None, affiliate, Some(days_ago(days)))
}

fn foreign(id: &str) -> Signal {
    signal(By::Named, id, None, "", None)
}

fn code(affiliate: &str) -> Signal {
    signal(By::Code, "SPRING", None, affiliate, None)
}

fn order(affiliate: &str, bound_at: UnixMs, contested: bool) -> Signal {
    let bound = OrderBinding { click: ClickId::new("c-order").expect("an id"), at: bound_at, contested };
    let signal = signal(By::Order, "o1", Some("c-order"), affiliate, Some(days_ago(1)));
    Signal { bound: Some(bound), ..signal }
}

fn customer(affiliate: &str, days: i64) -> Signal {
    signal(By::Customer, "customer:cus_1", Some("c-customer"), affiliate, Some(days_ago(days)))
}

fn stranger() -> Signal {
    let mut signal = signal(By::Customer, "customer:cus_2", None, "", None);
    signal.seen.why_not = Some(WhyNot::Unknown);
    signal
}

/// What a row comes to: the rule, the affiliate, whether the code is counted.
fn told(mut signals: Vec<Signal>, attribution: Attribution, code_or_click: CodeOrClick) -> String {
    let rules = Rules { attribution, code_or_click, window_ms: 30 * DAY_MS };
    let choice = choose(&mut signals, rules, NOW);
    let winner = choice.winner.map(|at| &signals[at].seen);
    let affiliate = winner.and_then(|seen| seen.affiliate.as_ref()).map_or("-", AffiliateCode::as_str);
    let counted = if choice.code.is_some() { " counted" } else { "" };
    let policy = choice.policy.map(|policy| format!(" {policy:?}")).unwrap_or_default();
    format!("{:?} {affiliate}{counted}{policy}", choice.rule)
}

#[test]
fn the_table() {
    use Attribution::{FirstClick as First, LastClick as Last};
    use By::{Cookie, Named, Signed};
    use CodeOrClick::{Click, Code, Latest};
    let a = || click(Named, "c-a", "alice", 2);
    let fresh = || order("dora", NOW, false);
    for (signals, attribution, code_or_click, expected) in [
        // One signal.
        (vec![a()], Last, Code, "Named alice"),
        (vec![foreign("cmd1")], Last, Code, "Named -"),
        (vec![click(Signed, "c-s", "sam", 2)], Last, Code, "Signed sam"),
        (vec![click(Cookie, "c-c", "carol", 2)], Last, Code, "Cookie carol"),
        (vec![code("bob")], Last, Click, "Code bob counted"),
        (vec![fresh()], Last, Code, "Order dora"),
        (vec![customer("eve", 2)], Last, Code, "Customer eve"),
        (vec![stranger()], Last, Code, "Platform -"),
        (vec![], Last, Code, "Nobody -"),
        // Among clicks the strongest, whatever its age and place.
        (
            vec![click(Cookie, "c-c", "carol", 1), click(Signed, "c-s", "sam", 2), a()],
            Last,
            Code,
            "Named alice",
        ),
        (vec![click(Cookie, "c-c", "carol", 1), click(Signed, "c-s", "sam", 2)], Last, Code, "Signed sam"),
        // With the first click the oldest that is known and young.
        (vec![a(), click(Cookie, "c-c", "carol", 5)], First, Code, "Cookie carol FirstClick"),
        (vec![a(), click(Cookie, "c-c", "carol", 1)], First, Code, "Named alice"),
        (vec![a(), click(Cookie, "c-c", "carol", 31)], First, Code, "Named alice"),
        (vec![foreign("cmd1"), click(Cookie, "c-c", "carol", 5)], First, Code, "Named -"),
        (vec![a(), customer("eve", 9)], First, Code, "Customer eve FirstClick"),
        (vec![a(), customer("eve", 31)], First, Code, "Named alice"),
        (vec![a(), customer("eve", 9)], Last, Code, "Named alice"),
        (vec![fresh(), customer("eve", 9)], First, Code, "Customer eve FirstClick"),
        // Code or click.
        (vec![a(), code("bob")], Last, Code, "Code bob counted Code"),
        (vec![a(), code("bob")], Last, Latest, "Code bob counted Latest"),
        (vec![a(), code("bob")], Last, Click, "Named alice Click"),
        (vec![a(), code("alice")], Last, Code, "Named alice counted"),
        (vec![a(), code("alice")], Last, Click, "Named alice counted"),
        (vec![foreign("cmd1"), code("bob")], Last, Code, "Code bob counted Code"),
        (vec![a(), code("bob"), customer("eve", 9)], First, Click, "Customer eve Click"),
        // A code before orders and customers, with their click when it is its affiliate's.
        (vec![code("bob"), fresh(), customer("eve", 2)], Last, Click, "Code bob counted"),
        (vec![code("dora"), fresh()], Last, Code, "Code dora counted"),
        (vec![a(), code("eve"), customer("eve", 2)], Last, Code, "Code eve counted Code"),
        // Then the order, then the customer.
        (vec![fresh(), customer("eve", 2)], Last, Code, "Order dora"),
        (vec![order("dora", NOW, true), customer("eve", 2)], Last, Code, "Customer eve"),
        (vec![order("dora", days_ago(8), false), stranger()], Last, Code, "Platform -"),
        (vec![order("dora", days_ago(6), false)], Last, Code, "Order dora"),
        (vec![order("dora", NOW.plus(10 * 60_000), false)], Last, Code, "Nobody -"),
        (vec![order("dora", NOW.plus(4 * 60_000), false)], Last, Code, "Order dora"),
        // The window.
        (vec![click(Named, "c-a", "alice", 30)], Last, Code, "Named alice"),
        (vec![click(Named, "c-a", "alice", 31)], Last, Code, "Nobody -"),
        (vec![click(Named, "c-a", "alice", 31), code("bob")], Last, Click, "Code bob counted"),
        (vec![customer("eve", 400)], Last, Code, "Customer eve"),
    ] {
        assert_eq!(told(signals.clone(), attribution, code_or_click), expected, "{signals:?}");
    }
}

#[test]
fn each_signal_says_why_it_was_not_credited() {
    let mut signals = vec![
        click(By::Named, "c-a", "alice", 2),
        click(By::Signed, "c-s", "bob", 3),
        click(By::Cookie, "c-c", "carol", 31),
        code("bob"),
        order("dora", NOW, true),
        stranger(),
    ];
    let rules = Rules {
        attribution: Attribution::LastClick,
        code_or_click: CodeOrClick::Code,
        window_ms: 30 * DAY_MS,
    };
    let choice = choose(&mut signals, rules, NOW);
    assert_eq!((choice.winner, choice.code), (Some(1), Some(3)), "the click that is there already");
    let why: Vec<_> = signals.iter().map(|signal| signal.seen.why_not).collect();
    use WhyNot::{Contested, Outranked, TooOld, Unknown};
    assert_eq!(why, [Some(Outranked), None, Some(TooOld), None, Some(Contested), Some(Unknown)]);
    // The last use of the code went to another order.
    signals[3].seen.why_not = Some(WhyNot::UsedUp);
    let again = choose(&mut signals, rules, NOW);
    assert_eq!((again.rule, again.winner, again.code), (Rule::Named, Some(0), None));
    assert_eq!(signals[0].seen.why_not, None);
}
