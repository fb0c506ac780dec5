//! Any history ends the same in both stores: what one of them answers the other answers too.

use crate::{
    bed,
    redis_server::RedisServer,
    sample::{self, NOW, click, code, delivered, delivery_of, entry, pending, promo, site, sites},
};
use proptest::prelude::*;
use std::sync::Arc;
use usher_model::{Click, CodeUse, Delivery, Entry, RecordId, Settlement, UnixMs, Upstream, VisitorKey};
use usher_store::{PendingClick, Role, Store};

const MINUTE: i64 = 60_000;
const CLICKS: usize = 4;

#[derive(Clone, Debug)]
enum Step {
    Accept {
        key: u8,
        content: u8,
        needs: Option<usize>,
        mint: bool,
        code: Option<(u8, Option<u64>)>,
        bind: Option<u8>,
    },
    Record {
        click: usize,
        upstream: bool,
        body: bool,
        visitor: u8,
        age: i64,
    },
    Claim {
        lease: i64,
    },
    Settle {
        which: usize,
        how: u8,
    },
    SettleClick {
        click: usize,
        how: u8,
    },
    Forget {
        age: i64,
    },
    Wait {
        minutes: i64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let code = proptest::option::of((0..2_u8, proptest::option::of(0..3_u64)));
    let needs = proptest::option::of(0..CLICKS);
    prop_oneof![
        6 => (0..12_u8, 0..8_u8, needs, any::<bool>(), code, proptest::option::of(0..3_u8))
            .prop_map(|(key, content, needs, mint, code, bind)| Step::Accept { key, content: u8::from(content == 0), needs, mint, code, bind }),
        3 => (0..CLICKS, any::<bool>(), any::<bool>(), 0..3_u8, 0..3_i64)
            .prop_map(|(click, upstream, body, visitor, age)| Step::Record { click, upstream, body, visitor, age }),
        3 => (0..3_i64).prop_map(|lease| Step::Claim { lease: lease * MINUTE }),
        5 => (0..16_usize, 0..5_u8).prop_map(|(which, how)| Step::Settle { which, how }),
        1 => (0..CLICKS, 0..5_u8).prop_map(|(click, how)| Step::SettleClick { click, how }),
        1 => (0..4_i64).prop_map(|age| Step::Forget { age }),
        2 => (1..3_i64).prop_map(|minutes| Step::Wait { minutes }),
    ]
}

/// The two stores, and what a caller knows: the time, and what it was handed.
struct Pair {
    stores: [Arc<dyn Store>; 2],
    now: UnixMs,
    steps: usize,
    handed: Vec<Delivery>,
}

impl Pair {
    async fn take(&mut self, step: &Step) -> Result<(), TestCaseError> {
        self.now = self.now.plus(1);
        self.steps += 1;
        let now = self.now;
        let [one, other] = self.stores.clone();
        match step {
            Step::Accept { .. } => {
                let entry = self.entry(step);
                let (a, b) = (one.accept(entry.clone()).await, other.accept(entry).await);
                let (a, b) = (a.expect("accepted"), b.expect("accepted"));
                prop_assert_eq!(&a, &b);
                if let usher_model::Acceptance::New(deliveries) = a {
                    self.handed.extend(deliveries);
                }
            }
            Step::Record { click: which, upstream, body, visitor, age } => {
                let click = Click {
                    created_at: now.plus(-age * MINUTE),
                    upstream: if *upstream { Upstream::Same } else { Upstream::Pending },
                    visitor: (*visitor > 0).then_some(VisitorKey(u128::from(*visitor))),
                    ..click(&id(*which))
                };
                let body = body.then(|| PendingClick { due_at: now, ..pending() });
                for store in [one, other] {
                    store.record_clicks(vec![(click.clone(), body.clone())]).await.expect("written");
                }
            }
            Step::Claim { lease } => {
                let mut claims = Vec::new();
                for store in [one, other] {
                    let mut claimed = store.claim(now, *lease, 99).await.expect("a claim");
                    // After a lease the shared store counts from its end: the order is each store's own.
                    claimed.sort_by(|a, b| a.id.cmp(&b.id));
                    claims.push(claimed);
                }
                prop_assert_eq!(&claims[0], &claims[1]);
                self.handed.extend(claims.remove(0));
            }
            Step::Settle { which, how } => {
                if let Some(delivery) = self.handed.get(which % self.handed.len().max(1)).cloned() {
                    self.settle(&delivery, *how).await;
                }
            }
            Step::SettleClick { click: which, how } => {
                self.settle(&delivery_of(&click(&id(*which))), *how).await;
            }
            Step::Forget { age } => {
                let before = now.plus(-age * MINUTE);
                let (a, b) = (one.forget(before).await, other.forget(before).await);
                prop_assert_eq!(a.expect("forgotten"), b.expect("forgotten"));
            }
            Step::Wait { minutes } => self.now = now.plus(minutes * MINUTE),
        }
        self.compare().await
    }

    fn entry(&self, step: &Step) -> Entry {
        let Step::Accept { key, content, needs, mint, code, bind } = step else { panic!("{step:?}") };
        let click_of = |which: usize| Click { created_at: self.now, ..click(&id(which)) };
        Entry {
            id: RecordId::new(format!("conv_{:05}", self.steps)).expect("an id"),
            fingerprint: [*content; 32],
            needs: needs.map(|which| sample::click_id(&id(which))),
            mint: needs.filter(|_| *mint).map(|which| (click_of(which), r#"{"minted":1}"#.to_owned())),
            code: code.map(|(name, max_uses)| CodeUse { code: promo(&format!("code-{name}")), max_uses }),
            bind: bind
                .map(|who| (sample::click_id(&format!("up-{}", self.steps)), vec![format!("cus-{who}")])),
            now: self.now,
            ..entry(&key.to_string())
        }
    }

    async fn settle(&self, delivery: &Delivery, how: u8) {
        let settlement = match how {
            0 | 1 => delivered(Some("up-1")),
            2 => sample::dead("no"),
            3 => Settlement::Retry { due_at: self.now.plus(MINUTE), error: "503".to_owned() },
            _ => Settlement::Release { due_at: self.now.plus(5) },
        };
        for store in &self.stores {
            store.settle(delivery, settlement.clone(), self.now).await.expect("settled");
        }
    }

    async fn compare(&self) -> Result<(), TestCaseError> {
        let [one, other] = &self.stores;
        prop_assert_eq!(one.backlog().await.expect("a backlog"), other.backlog().await.expect("a backlog"));
        let site = site();
        for which in 0..CLICKS {
            let (a, b) =
                (bed::click(&**one, &site, &id(which)).await, bed::click(&**other, &site, &id(which)).await);
            prop_assert_eq!(a, b);
        }
        for who in 0..3_u8 {
            let visitor = u128::from(who);
            let since = self.now.plus(-2 * MINUTE);
            let (a, b) =
                (bed::newest(&**one, &site, visitor, since), bed::newest(&**other, &site, visitor, since));
            prop_assert_eq!(a.await, b.await);
            let customer = format!("cus-{who}");
            let (a, b) = (bed::bound(&**one, &site, &customer), bed::bound(&**other, &site, &customer));
            prop_assert_eq!(a.await, b.await);
        }
        let mut codes = [one.codes(&site).await.expect("codes"), other.codes(&site).await.expect("codes")];
        codes.iter_mut().for_each(|codes| codes.sort_by(|a, b| a.0.cmp(&b.0)));
        prop_assert_eq!(&codes[0], &codes[1]);
        Ok(())
    }
}

/// Before `conv_…` in every order, as a click's delivery comes before what waits for it.
fn id(click: usize) -> String {
    format!("a{click}")
}

async fn run(server: &RedisServer, steps: &[Step]) -> Result<(), TestCaseError> {
    server.command(&["FLUSHALL"]).await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = format!("sqlite:{}", folder.path().join("usher.db").display());
    let embedded = usher_store::open(&file, &sites(), Role::Service).await.expect("a store");
    let shared = usher_store::open(&server.url(), &sites(), Role::Service).await.expect("a store");
    let mut pair = Pair { stores: [embedded, shared], now: NOW, steps: 0, handed: Vec::new() };
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

#[test]
fn both_stores_tell_the_same_story() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let server = runtime.block_on(RedisServer::start(&["--appendonly", "no"]));
    let settings = ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(settings, |(steps in proptest::collection::vec(step(), 1..60))| {
        runtime.block_on(run(&server, &steps))?;
    });
}
