//! What happens in a history: drawn from its seed before anything runs, so that a step can be left out and the rest be
//! played again.

use super::{dice::Dice, faulty, life::Death, network, platform::Rate};
use usher_model::{Job, limits};

/// Sites, visitors, codes, customers and orders of every history are numbered; a handful of each, so that they meet.
pub(crate) const VISITORS: u8 = 5;
/// Affiliates by number; the last is unknown to the platform.
pub(crate) const AFFILIATES: [&str; 5] = ["alice", "bob", "carol", "dave", "mallory"];
/// Promo codes: name, affiliate, and how often each may be used.
pub(crate) const CODES: [(&str, &str, Option<u64>); 5] = [
    ("SPRING", "alice", None),
    ("BOBS", "bob", None),
    ("FEW", "carol", Some(2)),
    ("MALLORY", "mallory", None),
    ("PAST", "dave", None),
];

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;

/// A history.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) rate: Rate,
    /// Whether the site keeps the first click, and whether a click beats a code.
    pub(crate) first_click: bool,
    pub(crate) click_wins: bool,
    pub(crate) retention_days: u16,
    /// When the first process dies, whatever the steps say.
    pub(crate) death: Option<Death>,
    pub(crate) steps: Vec<Step>,
}

/// Something that happens a while after what happened before it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    pub(crate) pause_ms: u64,
    pub(crate) what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// A visitor comes through an affiliate's link.
    Visit {
        visitor: u8,
        affiliate: u8,
    },
    /// A visitor types a code.
    Apply {
        visitor: u8,
        code: u8,
    },
    /// A visitor signs up.
    Lead {
        visitor: u8,
        user: u8,
    },
    /// A visitor's page ties an order to their click.
    Bind {
        visitor: u8,
        order: u8,
    },
    /// The shop reports a sale.
    Sale(Sale),
    /// It reports the same sale again, as it was or with another amount.
    Again {
        payment: u16,
        changed: bool,
        patient: bool,
    },
    /// The shop reports a refund.
    Refund(Refund),
    /// It reports the same refund again.
    RefundAgain {
        refund: u16,
    },
    /// It reports the same event again.
    EventAgain {
        event: u16,
    },
    /// A payment provider reports a payment.
    Paid {
        payment: u16,
        visitor: u8,
        cents: u32,
    },
    /// A payment provider reports money that went back; it may come before the payment.
    PaidBack {
        refund: u16,
        payment: u16,
        cents: u32,
    },
    /// A payment provider sends again what it sent before.
    HookAgain {
        nth: u16,
    },
    /// A payment provider says that a second name of a payment means it.
    Link {
        payment: u16,
    },
    /// The shop reports an event.
    Event {
        event: u16,
        visitor: u8,
        patient: bool,
    },
    /// Segment reports an event.
    Segment {
        event: u16,
        user: u8,
        patient: bool,
    },
    Platform(network::Mood),
    Store(faulty::Mood),
    Die(Death),
    /// The process is stopped in order and started again.
    Restart,
    /// Somebody sets the machine's clock.
    Jump(i64),
    /// Nothing happens for a long time.
    Skip(i64),
    /// Somebody sends again what is dead.
    RetryDead,
    /// Somebody gives up on what waits, all of it.
    DiscardWaiting,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sale {
    pub(crate) payment: u16,
    /// Whose cookie it carries.
    pub(crate) visitor: Option<u8>,
    pub(crate) code: Option<u8>,
    pub(crate) customer: Option<u8>,
    pub(crate) order: Option<u8>,
    pub(crate) cents: u32,
    /// Whether the shop asks again until it is told yes or no.
    pub(crate) patient: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refund {
    pub(crate) refund: u16,
    pub(crate) payment: u16,
    /// `None` is all that is left.
    pub(crate) cents: Option<u32>,
    pub(crate) patient: bool,
}

/// What may go wrong in a history. Not everything does in each: what is rare alone is met only without the rest.
struct Themes {
    platform: bool,
    store: bool,
    deaths: bool,
    clock: bool,
    long: bool,
    people: bool,
}

impl Plan {
    /// The same with that one death, and none of its own.
    pub(crate) fn with_death(mut self, death: Death) -> Self {
        self.steps.retain(|step| !matches!(step.what, What::Die(_) | What::Restart));
        Self { death: Some(death), ..self }
    }

    /// The history of a seed.
    pub(crate) fn of(seed: u64) -> Self {
        let dice = Dice::new(seed, 1);
        let themes = Themes {
            platform: dice.percent(65),
            store: dice.percent(50),
            deaths: dice.percent(50),
            clock: dice.percent(25),
            long: dice.percent(20),
            people: dice.percent(15),
        };
        let rate = match dice.next() % 6 {
            0 => Rate { per_minute: 12, per_second: 3 },
            1 => Rate { per_minute: 300, per_second: 10 },
            _ => Rate { per_minute: 3_000, per_second: 100 },
        };
        let mut draw = Draw {
            dice: &dice,
            themes,
            payments: 0,
            sold: Vec::new(),
            paid: Vec::new(),
            refunds: 0,
            events: 0,
            trouble: false,
        };
        let count = draw.dice.between(6, 45);
        // A shop with visitors has more to tell.
        let visits = (0..dice.between(0, 3)).map(|_| draw.visit()).collect::<Vec<_>>();
        let steps = visits.into_iter().chain((0..count).map(|_| draw.step())).collect();
        Self {
            seed,
            rate,
            first_click: dice.percent(30),
            click_wins: dice.percent(30),
            retention_days: dice.pick(&[1, 40, 395]),
            death: None,
            steps,
        }
    }
}

struct Draw<'a> {
    dice: &'a Dice,
    themes: Themes,
    payments: u16,
    /// Those of them that the shop reports, and those that a provider reports.
    sold: Vec<u16>,
    paid: Vec<u16>,
    refunds: u16,
    events: u16,
    /// Whether something is wrong at the moment.
    trouble: bool,
}

impl Draw<'_> {
    fn step(&mut self) -> Step {
        let pause_ms = match self.dice.next() % 10 {
            0..=3 => 0,
            4..=6 => self.dice.between(1, 60),
            7..=8 => self.dice.between(60, 2_000),
            _ => self.dice.between(2_000, 12_000),
        };
        let what = if self.dice.percent(25) { self.trouble() } else { None };
        Step { pause_ms, what: what.unwrap_or_else(|| self.business()) }
    }

    fn visit(&self) -> Step {
        let what = What::Visit { visitor: self.visitor(), affiliate: self.affiliate() };
        Step { pause_ms: self.dice.between(0, 200), what }
    }

    fn visitor(&self) -> u8 {
        self.few(VISITORS)
    }

    fn few(&self, of: u8) -> u8 {
        u8::try_from(self.dice.next() % u64::from(of)).expect("few")
    }

    fn maybe(&self, percent: u64, of: u8) -> Option<u8> {
        self.dice.percent(percent).then(|| self.few(of))
    }

    fn cents(&self) -> u32 {
        u32::try_from(self.dice.between(1, 30_000)).expect("a price")
    }

    /// A payment of that kind from before, or now and then any, also one that is still to come.
    fn known_payment(&self, by_provider: bool) -> u16 {
        let of_kind = if by_provider { &self.paid } else { &self.sold };
        if of_kind.is_empty() || self.dice.percent(15) {
            return u16::try_from(self.dice.next() % u64::from(self.payments + 1)).expect("few");
        }
        self.dice.pick(of_kind)
    }

    fn payment(&mut self, by_provider: bool) -> u16 {
        let of_kind = if by_provider { &mut self.paid } else { &mut self.sold };
        of_kind.push(self.payments);
        self.payments += 1;
        self.payments - 1
    }

    fn patient(&self) -> bool {
        self.dice.percent(70)
    }

    fn business(&mut self) -> What {
        match self.dice.next() % 100 {
            0..=16 => What::Visit { visitor: self.visitor(), affiliate: self.affiliate() },
            17..=20 => What::Apply { visitor: self.visitor(), code: self.few(5) },
            21..=23 => What::Lead { visitor: self.visitor(), user: self.few(3) },
            24..=26 => What::Bind { visitor: self.visitor(), order: self.few(3) },
            27..=48 => What::Sale(self.sale()),
            49..=54 => {
                let changed = self.dice.percent(15);
                What::Again { payment: self.known_payment(false), changed, patient: self.patient() }
            }
            55..=72 => What::Refund(self.refund()),
            73..=75 => What::RefundAgain { refund: self.refunds.saturating_sub(1) },
            76..=81 => {
                What::Paid { payment: self.payment(true), visitor: self.visitor(), cents: self.cents() }
            }
            82..=88 => {
                self.refunds += 1;
                let payment = self.known_payment(true);
                What::PaidBack { refund: self.refunds - 1, payment, cents: self.cents() }
            }
            89..=90 => What::Link { payment: self.known_payment(true) },
            91..=93 => {
                let nth = u16::try_from(self.dice.between(0, 50)).expect("few");
                What::HookAgain { nth }
            }
            94 => What::EventAgain { event: self.events.saturating_sub(1) },
            95..=97 => {
                self.events += 1;
                What::Event { event: self.events - 1, visitor: self.visitor(), patient: self.patient() }
            }
            _ => {
                self.events += 1;
                What::Segment { event: self.events - 1, user: self.few(3), patient: self.patient() }
            }
        }
    }

    fn affiliate(&self) -> u8 {
        if self.dice.percent(8) { 4 } else { self.few(4) }
    }

    fn sale(&mut self) -> Sale {
        let names_nothing = self.dice.percent(3);
        Sale {
            payment: self.payment(false),
            visitor: self.maybe(70, VISITORS).filter(|_| !names_nothing),
            code: self.maybe(30, 5).filter(|_| !names_nothing),
            customer: self.maybe(35, 3).filter(|_| !names_nothing),
            order: self.maybe(20, 3),
            cents: self.cents(),
            patient: self.patient(),
        }
    }

    fn refund(&mut self) -> Refund {
        self.refunds += 1;
        let cents = self.dice.percent(65).then(|| self.cents());
        let payment = self.known_payment(false);
        Refund { refund: self.refunds - 1, payment, cents, patient: self.patient() }
    }

    fn trouble(&mut self) -> Option<What> {
        let what = match self.dice.next() % 10 {
            0..=3 if self.themes.platform => What::Platform(self.platform_mood()),
            4..=5 if self.themes.store => What::Store(self.store_mood()),
            6..=7 if self.themes.deaths => self.death(),
            8 if self.themes.clock => What::Jump(self.jump()),
            9 if self.themes.long => What::Skip(self.skip()),
            9 if self.themes.people => match self.dice.percent(70) {
                true => What::RetryDead,
                false => What::DiscardWaiting,
            },
            _ => return None,
        };
        self.trouble = !self.trouble;
        Some(what)
    }

    /// Trouble ends as often as it begins.
    fn platform_mood(&self) -> network::Mood {
        use network::Mood;
        if self.dice.percent(40) {
            return Mood::Well;
        }
        let percent = u8::try_from(self.dice.between(5, 80)).expect("a percentage");
        match self.dice.next() % 12 {
            0 => Mood::Down,
            1 => Mood::Silent,
            2 => Mood::Failing,
            3 => Mood::Slow,
            4 => Mood::Drops,
            5 => Mood::KeyUnknown,
            6 => Mood::Forbids(self.dice.pick(&Job::ALL)),
            7 => Mood::Rubbish,
            _ => Mood::Flaky(percent),
        }
    }

    fn store_mood(&self) -> faulty::Mood {
        use faulty::Mood;
        let percent = u8::try_from(self.dice.between(2, 60)).expect("a percentage");
        match self.dice.next() % 10 {
            0..=3 => Mood::Well,
            4 => Mood::Slow,
            5 => Mood::Away,
            6 => Mood::Full,
            _ => Mood::Flaky(percent),
        }
    }

    fn death(&self) -> What {
        if self.dice.percent(15) {
            return What::Restart;
        }
        let calls = if self.dice.percent(70) { self.dice.between(1, 12) } else { self.dice.between(1, 80) };
        What::Die(Death { calls, done: self.dice.percent(60) })
    }

    fn jump(&self) -> i64 {
        let most = self.dice.pick(&[limits::LEASE_MS + 1, 5 * MINUTE_MS, HOUR_MS, DAY_MS]);
        let ms = i64::try_from(self.dice.next() % most.unsigned_abs()).expect("a day");
        if self.dice.percent(50) { ms } else { -ms }
    }

    fn skip(&self) -> i64 {
        self.dice.pick(&[MINUTE_MS, 10 * MINUTE_MS, HOUR_MS, HOUR_MS, DAY_MS, 3 * DAY_MS, 40 * DAY_MS])
    }
}
