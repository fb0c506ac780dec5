//! Histories: rows of things that happen to a store, chosen at random.

use crate::sample::{self, click, entry, promo};
use proptest::prelude::*;
use rust_decimal::Decimal;
use usher_model::{
    Click, CodeUse, Entry, Job, Money, PaymentRef, RecordId, Refund, RefundAmount, Send, Source, UnixMs,
};

pub(crate) const MINUTE: i64 = 60_000;
pub(crate) const CLICKS: usize = 4;
pub(crate) const NAMES: usize = 4;
pub(crate) const ORDERS: usize = 3;

/// One thing that happens. Numbers choose among what is there, modulo how many there are.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Accept(Report),
    Link { theirs: bool, name: usize, alias_of: usize },
    Bind { order: usize, click: usize },
    Record { click: usize, upstream: bool, body: bool, visitor: u8, age: i64 },
    Claim { lease: i64 },
    Settle { which: usize, how: u8 },
    SettleClick { click: usize, how: u8 },
    Hasten,
    Retry { which: usize },
    Discard { which: usize },
    Forget { age: i64 },
    Wait { minutes: i64 },
}

/// What somebody reports.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    key: u8,
    content: u8,
    theirs: bool,
    what: What,
    needs: Option<usize>,
    mint: bool,
    code: Option<(u8, Option<u64>)>,
    bind: Option<u8>,
    send: u8,
}

#[derive(Clone, Debug)]
enum What {
    Sale,
    Payment { names: Vec<usize> },
    Refund { of: Of, basis: u8, cents: i64 },
}

#[derive(Clone, Debug)]
enum Of {
    Record(usize),
    Upstream(usize),
    Names(Vec<usize>),
    Key(u8),
}

pub(crate) fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        10 => report().prop_map(Step::Accept),
        2 => (any::<bool>(), 0..NAMES, 0..NAMES)
            .prop_map(|(theirs, name, alias_of)| Step::Link { theirs, name, alias_of }),
        1 => (0..ORDERS, 0..CLICKS).prop_map(|(order, click)| Step::Bind { order, click }),
        2 => (0..CLICKS, any::<bool>(), any::<bool>(), 0..3_u8, 0..3_i64)
            .prop_map(|(click, upstream, body, visitor, age)| Step::Record { click, upstream, body, visitor, age }),
        3 => (0..3_i64).prop_map(|lease| Step::Claim { lease: lease * MINUTE }),
        10 => (0..16_usize, 0..8_u8).prop_map(|(which, how)| Step::Settle { which, how }),
        1 => (0..CLICKS, 0..8_u8).prop_map(|(click, how)| Step::SettleClick { click, how }),
        1 => Just(Step::Hasten),
        2 => any::<usize>().prop_map(|which| Step::Retry { which }),
        1 => any::<usize>().prop_map(|which| Step::Discard { which }),
        1 => (0..4_i64).prop_map(|age| Step::Forget { age }),
        2 => (1..3_i64).prop_map(|minutes| Step::Wait { minutes }),
    ]
}

fn report() -> impl Strategy<Value = Report> {
    let names = || proptest::collection::vec(0..NAMES, 0..3);
    let of = prop_oneof![
        2 => any::<usize>().prop_map(Of::Record),
        2 => any::<usize>().prop_map(Of::Upstream),
        4 => names().prop_map(Of::Names),
        2 => (0..12_u8).prop_map(Of::Key),
    ];
    let what = prop_oneof![
        2 => Just(What::Sale),
        3 => names().prop_map(|names| What::Payment { names }),
        4 => (of, 0..3_u8, 1..9_000_i64).prop_map(|(of, basis, cents)| What::Refund { of, basis, cents }),
    ];
    let code = proptest::option::of((0..2_u8, proptest::option::of(0..3_u64)));
    let needs = proptest::option::weighted(0.3, 0..CLICKS);
    let bind = proptest::option::of(0..3_u8);
    let who = (0..12_u8, 0..8_u8, any::<bool>());
    (who, what, needs, any::<bool>(), code, bind, 0..8_u8).prop_map(
        |((key, content, theirs), what, needs, mint, code, bind, send)| Report {
            key,
            content: u8::from(content == 0),
            theirs,
            what,
            needs,
            mint,
            code,
            bind,
            send,
        },
    )
}

/// Before `conv_…` in every order, as a click's delivery comes before what waits for it.
pub(crate) fn click_id(which: usize) -> String {
    format!("a{which}")
}

pub(crate) fn name(which: usize) -> String {
    format!("name-{which}")
}

pub(crate) fn order(which: usize) -> String {
    format!("order-{which}")
}

pub(crate) fn reporter(theirs: bool) -> Source {
    if theirs { sample::source("stripe") } else { Source::api() }
}

/// What the platform calls the record of that id.
pub(crate) fn upstream_id(id: &str) -> String {
    format!("com-{id}")
}

impl Report {
    /// The entry as the `count`th that is made, when `earlier` were.
    pub(crate) fn entry(&self, count: usize, earlier: &[String], now: UnixMs) -> Entry {
        let click_of = |which: usize| Click { created_at: now, ..click(&click_id(which)) };
        let mut entry = Entry {
            id: RecordId::new(format!("conv_{count:05}")).expect("an id"),
            source: reporter(self.theirs),
            fingerprint: [self.content; 32],
            needs: self.needs.map(|which| sample::click_id(&click_id(which))),
            click: self.needs.map(|which| sample::click_id(&click_id(which))),
            mint: self
                .needs
                .filter(|_| self.mint)
                .map(|which| (click_of(which), r#"{"minted":1}"#.to_owned())),
            code: self
                .code
                .map(|(name, max_uses)| CodeUse { code: promo(&format!("code-{name}")), max_uses }),
            bind: self.bind.map(|who| (sample::click_id(&format!("up-{count}")), vec![format!("cus-{who}")])),
            send: match self.send {
                0 => Send::Never("nobody brought it".to_owned()),
                1 => Send::From(now.plus(MINUTE)),
                _ => Send::Now,
            },
            now,
            ..entry(&self.key.to_string())
        };
        match &self.what {
            What::Sale => {}
            What::Payment { names } => {
                entry.paid = Money::new(Decimal::ONE_HUNDRED, "EUR".parse().expect("a currency")).ok();
                entry.names = names.iter().map(|&which| name(which)).collect();
            }
            What::Refund { of, basis, cents } => {
                entry.job = Job::Refund;
                entry.refund = Some(Refund {
                    of: of.reference(earlier),
                    amount: match basis {
                        0 => RefundAmount::Rest,
                        1 => RefundAmount::Part(sample::euros(*cents)),
                        _ => RefundAmount::Total(sample::euros(*cents)),
                    },
                    currency: entry.now.0.rem_euclid(2).eq(&0).then(|| "EUR".parse().expect("a currency")),
                });
            }
        }
        entry
    }
}

impl Of {
    fn reference(&self, earlier: &[String]) -> PaymentRef {
        let one =
            |which: usize| earlier.get(which % earlier.len().max(1)).cloned().unwrap_or("none".to_owned());
        match self {
            Self::Record(which) => PaymentRef::Record(RecordId::new(one(*which)).expect("an id")),
            Self::Upstream(which) => PaymentRef::Upstream(upstream_id(&one(*which))),
            Self::Names(names) => PaymentRef::Named(names.iter().map(|&which| name(which)).collect()),
            Self::Key(key) => PaymentRef::Named(vec![key.to_string()]),
        }
    }
}
