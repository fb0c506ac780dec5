//! Any history ends the same in both stores: what one of them answers the other answers too, and neither ever breaks what
//! is true of every ledger.

use crate::{
    bed,
    history::{CLICKS, MINUTE, NAMES, ORDERS, Step, click_id, name, order, reporter, step, upstream_id},
    invariants,
    redis_server::RedisServer,
    sample::{self, NOW, click, code, delivery_of, pending, promo, site, sites},
};
use proptest::prelude::*;
use std::{collections::HashMap, sync::Arc};
use usher_model::{
    Acceptance, Click, Delivery, Entry, Job, Listing, Needs, PaymentRef, Record, Settlement, Source, State,
    UnixMs, Upstream, VisitorKey, delivery::note,
};
use usher_store::{PendingClick, Role, Store};

/// The two stores, and what a caller knows: the time, what it reported, and what it was handed.
struct Pair {
    stores: [Arc<dyn Store>; 2],
    now: UnixMs,
    steps: usize,
    entries: HashMap<String, Entry>,
    made: Vec<String>,
    handed: Vec<Delivery>,
}

/// Asks both stores, and gives the answer when it is the same.
macro_rules! both {
    ($pair:expr, $store:ident => $ask:expr) => {{
        let mut answers = Vec::with_capacity(2);
        for $store in &$pair.stores {
            answers.push($ask.await.expect("an answer"));
        }
        prop_assert_eq!(&answers[0], &answers[1]);
        answers.remove(0)
    }};
}

impl Pair {
    async fn take(&mut self, step: &Step) -> Result<(), TestCaseError> {
        self.now = self.now.plus(1);
        self.steps += 1;
        let (now, site) = (self.now, site());
        match step {
            Step::Accept(report) => {
                let entry = report.entry(self.steps, &self.made, now);
                let accepted = both!(self, store => store.accept(entry.clone()));
                if let Acceptance::New(deliveries) = &accepted {
                    self.handed.extend(deliveries.clone());
                }
                if matches!(accepted, Acceptance::New(_) | Acceptance::Waiting) {
                    self.made.push(entry.id.as_str().to_owned());
                    self.entries.insert(entry.id.as_str().to_owned(), entry);
                }
            }
            Step::Link { theirs, name: one, alias_of } => {
                let (source, one, other) = (reporter(*theirs), name(*one), name(*alias_of));
                both!(self, store => store.link(&site, &source, &one, &other, now));
            }
            Step::Bind { order: which, click } => {
                let (order, click) = (order(*which), sample::click_id(&click_id(*click)));
                both!(self, store => store.bind_order(&site, &order, &click, now));
            }
            Step::Record { .. } => self.record(step).await,
            Step::Claim { lease } => self.claim(*lease).await?,
            Step::Settle { which, how } => {
                if let Some(delivery) = self.handed.get(which % self.handed.len().max(1)).cloned() {
                    self.settle(delivery, *how).await?;
                }
            }
            Step::SettleClick { click: which, how } => {
                self.settle(delivery_of(&click(&click_id(*which))), *how).await?;
            }
            Step::Hasten => {
                both!(self, store => store.hasten(now));
            }
            Step::Retry { which } => {
                let id = self.one(*which);
                both!(self, store => store.retry(&site, &id, now));
            }
            Step::Discard { which } => {
                let id = self.one(*which);
                both!(self, store => store.discard(&site, &id, "not ours", now));
            }
            Step::Forget { age } => {
                both!(self, store => store.forget(now.plus(-age * MINUTE)));
            }
            Step::Wait { minutes } => self.now = now.plus(minutes * MINUTE),
        }
        let records = self.compare().await?;
        invariants::check(&*self.stores[0], &records, &self.entries).await
    }

    /// Some record or click.
    fn one(&self, which: usize) -> String {
        let which = which % (self.made.len() + CLICKS);
        self.made.get(which).cloned().unwrap_or_else(|| click_id(which - self.made.len()))
    }

    async fn record(&self, step: &Step) {
        let Step::Record { click: which, upstream, body, visitor, age } = step else { panic!("{step:?}") };
        let click = Click {
            created_at: self.now.plus(-age * MINUTE),
            upstream: if *upstream { Upstream::Same } else { Upstream::Pending },
            visitor: (*visitor > 0).then_some(VisitorKey(u128::from(*visitor))),
            ..click(&click_id(*which))
        };
        let body = body.then(|| PendingClick { due_at: self.now.plus(5), ..pending() });
        for store in &self.stores {
            store.record_clicks(vec![(click.clone(), body.clone())]).await.expect("written");
        }
    }

    async fn claim(&mut self, lease: i64) -> Result<(), TestCaseError> {
        let mut claims = Vec::new();
        for store in &self.stores {
            let mut claimed = store.claim(self.now, lease, 99).await.expect("a claim");
            // After a lease the shared store counts from its end: the order is each store's own.
            claimed.sort_by(|a, b| a.id.cmp(&b.id));
            claims.push(claimed);
        }
        prop_assert_eq!(&claims[0], &claims[1]);
        self.handed.extend(claims.remove(0));
        Ok(())
    }

    async fn settle(&self, mut delivery: Delivery, how: u8) -> Result<(), TestCaseError> {
        note(&mut delivery.log, self.now, &how.to_string());
        let settlement = match how {
            0..=3 => self.sent(&delivery).await?,
            4 => sample::dead("no"),
            5 => sample::closed("nobody to credit"),
            6 => Settlement::Retry { due_at: self.now.plus(MINUTE), error: "503".to_owned() },
            _ => Settlement::Release { due_at: self.now.plus(5) },
        };
        for store in &self.stores {
            store.settle(&delivery, settlement.clone(), self.now).await.expect("settled");
        }
        Ok(())
    }

    /// What comes of sending it, as a deliverer would that asks how much is left.
    async fn sent(&self, delivery: &Delivery) -> Result<Settlement, TestCaseError> {
        let upstream_id = match delivery.job {
            Job::Click => "up-1".to_owned(),
            _ => upstream_id(&delivery.id),
        };
        let mut refunded = None;
        if let (Some((amount, _)), Some(Needs::Payment(id))) = (delivery.refund, &delivery.needs) {
            let of = PaymentRef::Record(id.clone());
            let payment = both!(self, store => store.payment(&delivery.site, &Source::api(), &of));
            let Some(comes_to) = payment.and_then(|payment| payment.comes_to(amount)) else {
                return Ok(sample::closed("nothing is left"));
            };
            refunded = Some(comes_to);
        }
        Ok(Settlement::Delivered { answer: sample::answer(), upstream_id: Some(upstream_id), refunded })
    }

    async fn compare(&self) -> Result<Vec<Record>, TestCaseError> {
        let site = site();
        both!(self, store => store.backlog());
        for which in 0..CLICKS {
            let [one, other] = &self.stores;
            let id = click_id(which);
            prop_assert_eq!(bed::click(&**one, &site, &id).await, bed::click(&**other, &site, &id).await);
        }
        for who in 0..3_u8 {
            let [one, other] = &self.stores;
            let (visitor, since) = (u128::from(who), self.now.plus(-2 * MINUTE));
            let newest = bed::newest(&**one, &site, visitor, since).await;
            prop_assert_eq!(newest, bed::newest(&**other, &site, visitor, since).await);
            let customer = format!("cus-{who}");
            let bound = bed::bound(&**one, &site, &customer).await;
            prop_assert_eq!(bound, bed::bound(&**other, &site, &customer).await);
        }
        for which in 0..NAMES {
            both!(self, store => store.find(&site, &name(which)));
        }
        for which in 0..ORDERS {
            let order = order(which);
            both!(self, store => store.order(&site, &order));
        }
        let mut codes = Vec::new();
        for store in &self.stores {
            let mut all = store.codes(&site).await.expect("codes");
            all.sort_by(|a, b| a.0.cmp(&b.0));
            codes.push(all);
        }
        prop_assert_eq!(&codes[0], &codes[1]);
        let all = Listing { site: Some(site), states: State::ALL.to_vec(), after: None, limit: 999 };
        Ok(both!(self, store => store.list(&all)))
    }
}

async fn run(server: &RedisServer, steps: &[Step]) -> Result<(), TestCaseError> {
    server.command(&["FLUSHALL"]).await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = format!("sqlite:{}", folder.path().join("usher.db").display());
    let embedded = usher_store::open(&file, &sites(), Role::Service).await.expect("a store");
    let shared = usher_store::open(&server.url(), &sites(), Role::Service).await.expect("a store");
    let mut pair = Pair {
        stores: [embedded, shared],
        now: NOW,
        steps: 0,
        entries: HashMap::new(),
        made: Vec::new(),
        handed: Vec::new(),
    };
    for store in &pair.stores {
        let value = code(r#"{"affiliate":"alice","max_uses":2}"#);
        let codes = vec![(promo("code-0"), value.clone()), (promo("code-1"), value)];
        store.put_codes(&site(), codes).await.expect("put");
    }
    for step in steps {
        pair.take(step).await?;
    }
    Ok(())
}

/// `USHER_HISTORIES` histories, or 48.
#[test]
fn both_stores_tell_the_same_story() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let server = runtime.block_on(RedisServer::start(&["--appendonly", "no"]));
    let cases = std::env::var("USHER_HISTORIES").ok().and_then(|count| count.parse().ok()).unwrap_or(48);
    let settings = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(settings, |(steps in proptest::collection::vec(step(), 1..60))| {
        runtime.block_on(run(&server, &steps))?;
    });
}
