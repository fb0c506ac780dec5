//! A person asks to be forgotten.

use crate::{
    bed::{self, Bed, accepted, paid, state},
    sample::{NOW, click, click_id, delivered, euros, named, part, payment, pending, refund, site},
};
use std::time::Duration;
use usher_model::{
    Acceptance, Answer, Attempt, Click, Entry, RecordId, Settlement, State, Upstream, VisitorKey,
};
use usher_store::{Erased, PendingClick, Person, Store, Waiting, erase};

/// Somebody, whose texts are found nowhere else.
struct Somebody(&'static str);

impl Somebody {
    fn click(&self) -> String {
        format!("ush_01kclickof{}", self.0)
    }

    fn email(&self) -> String {
        format!("{}@people.example", self.0)
    }

    fn customer(&self) -> String {
        format!("cus_{}", self.0)
    }

    fn address(&self) -> String {
        format!("203.0.113.{}", self.0.len())
    }

    /// All that must not be found.
    fn texts(&self) -> Vec<String> {
        vec![
            self.click(),
            self.email(),
            self.customer(),
            self.address(),
            format!("Agent/{}", self.0),
            format!("up-of-{}", self.0),
        ]
    }

    /// Somebody came, bound an order, bought, and got something back.
    async fn lives(&self, store: &dyn Store) {
        let id = self.click();
        let visitor = Some(VisitorKey(u128::from_be_bytes(*b"visitor of them!") ^ self.0.len() as u128));
        let body = format!(r#"{{"ip":"{}","userAgent":"Agent/{}"}}"#, self.address(), self.0);
        let of_click = PendingClick { body, due_at: NOW };
        let came = Click { visitor, ..click(&id) };
        store.record_clicks(vec![(came, Some(of_click))]).await.expect("written");
        store.bind_order(&site(), &format!("order-{}", self.0), &click_id(&id), NOW).await.expect("bound");
        let held = store.claim(NOW, 1, 99).await.expect("a claim");
        for delivery in held.iter().filter(|delivery| delivery.id == id) {
            let up = format!("up-of-{}", self.0);
            store.settle(delivery, delivered(Some(&up)), NOW).await.expect("settled");
        }
        let mut held = accepted(store, self.sale()).await.remove(0);
        held.log =
            vec![Attempt { at: NOW, last: NOW, times: 1, said: format!("422 {} is known", self.email()) }];
        let body =
            format!(r#"{{"success":true,"data":{{"id":"com_{}","email":"{}"}}}}"#, self.0, self.email());
        let answer = Answer { status: 201, body };
        let upstream_id = Some(format!("com_{}", self.0));
        store
            .settle(&held, Settlement::Delivered { answer, upstream_id, refunded: None }, NOW)
            .await
            .expect("settled");
        let back = part(self.0, named(&[&format!("pi_{}", self.0)]), 1_000);
        let back =
            Entry { body: format!(r#"{{"reason":"asked by {}"}}"#, self.email().to_uppercase()), ..back };
        let held = accepted(store, back).await.remove(0);
        store.settle(&held, crate::sample::gave_back(1_000), NOW).await.expect("settled");
    }

    fn sale(&self) -> Entry {
        let (click, customer) = (self.click(), self.customer());
        Entry {
            body: format!(
                r#"{{"sale_amount":100.00,"email":"{}","customer_id":"{customer}","metadata":{{"ip":"{}"}}}}"#,
                self.email().replace('@', "\\u0040"),
                self.address(),
            ),
            trace: format!(
                r#"{{"rule":"named","seen":[{{"by":"named","what":"{click}","of":"alice"}},{{"by":"customer","what":"customer:{customer}"}}]}}"#
            ),
            click: Some(click_id(&click)),
            bind: Some((click_id(&click), vec![format!("customer:{customer}")])),
            ..payment(self.0, &[&format!("pi_{}", self.0)])
        }
    }
}

/// Others who come before and after, so that pages are split and rows are moved.
async fn a_crowd(store: &dyn Store, name: &str) {
    for number in 0..60 {
        let name = format!("{name}{number}");
        let id = format!("ush_01kother{name}");
        let other = Click { upstream: Upstream::Same, visitor: Some(VisitorKey(number)), ..click(&id) };
        store.record_clicks(vec![(other, None)]).await.expect("written");
        let body =
            format!(r#"{{"email":"{name}@people.example","note":"{}"}}"#, "x".repeat(40 * number as usize));
        let sale = Entry { click: Some(click_id(&id)), body, ..payment(&name, &[&format!("pi_{name}")]) };
        paid(store, sale, &format!("com_{name}")).await;
    }
}

async fn holds(bed: &Bed, text: &str) -> bool {
    let (bytes, text) = (bed.bytes().await, text.as_bytes());
    bytes.windows(text.len()).any(|window| window.eq_ignore_ascii_case(text))
}

async fn erased(store: &dyn Store, person: &Person, waiting: Waiting) -> Erased {
    erase(store, &site(), person, waiting, NOW.plus(9)).await.expect("erased")
}

pub(crate) async fn nothing_is_left_of_a_person_who_is_erased(bed: Bed) {
    let store = &*bed.store;
    let people = [Somebody("anna"), Somebody("berta"), Somebody("cecilia")];
    for somebody in &people {
        a_crowd(store, &format!("before{}", somebody.0)).await;
        somebody.lives(store).await;
    }
    a_crowd(store, "after").await;
    let stays = Somebody("dorothea");
    stays.lives(store).await;

    let tool = bed.other().await;
    let [anna, berta, cecilia] = &people;
    for (somebody, person) in [
        (anna, Person::Click(click_id(&anna.click()))),
        (berta, Person::Email("Berta@People.Example".to_owned())),
        (cecilia, Person::Customer(cecilia.customer())),
    ] {
        for text in somebody.texts() {
            assert!(holds(&bed, &text).await, "{text} is there before");
        }
        let gone = erased(&*tool, &person, Waiting::Stays).await;
        let expected = Erased { clicks: 1, orders: 1, customers: 1, records: 2, waiting: Vec::new() };
        assert_eq!(gone, expected, "{person:?}");
        for text in somebody.texts() {
            assert!(!holds(&bed, &text).await, "{text} is left");
        }
        assert!(erased(&*tool, &person, Waiting::Stays).await.is_nothing(), "{person:?}");
        what_the_ledger_promised_stays(store, somebody).await;
    }
    for text in stays.texts() {
        assert!(holds(&bed, &text).await, "{text} is somebody else's");
    }
    assert!(holds(&bed, "before").await);
}

async fn what_the_ledger_promised_stays(store: &dyn Store, somebody: &Somebody) {
    assert!(bed::click(store, &site(), &somebody.click()).await.is_none());
    let sale = bed::record(store, &format!("conv_{}", somebody.0)).await;
    assert_eq!((sale.state, sale.paid), (State::Delivered, payment("x", &[]).paid));
    assert_eq!(sale.body, r#"{"sale_amount":100.0}"#);
    assert_eq!((sale.click, sale.needs, sale.log), (None, None, Vec::new()));
    assert_eq!(sale.upstream_id, Some(format!("com_{}", somebody.0)));
    let Acceptance::Same(known) = store.accept(somebody.sale()).await.expect("an answer") else {
        panic!("the same report is not known any more")
    };
    let body = known.answer.expect("what the platform said").body;
    assert_eq!(body, format!(r#"{{"data":{{"id":"com_{}"}},"success":true}}"#, somebody.0));
    let of = named(&[&format!("pi_{}", somebody.0)]);
    let payment =
        store.payment(&site(), &usher_model::Source::api(), &of).await.expect("a look").expect("it");
    assert_eq!(payment.left(), euros(9_000), "what went back is known");
}

pub(crate) async fn what_waits_keeps_what_it_needs_until_it_is_sent(bed: Bed) {
    let (store, somebody) = (&*bed.store, Somebody("anna"));
    somebody.lives(store).await;
    let id = RecordId::new("conv_renewal").expect("an id");
    let renewal = Entry { id, key: "renewal".to_owned(), names: Vec::new(), ..somebody.sale() };
    let held = accepted(store, renewal.clone()).await.remove(0);
    let lost = refund("lost", named(&["pi_none"]));
    bed::waits(store, Entry { body: format!(r#"{{"reason":"{}"}}"#, somebody.email()), ..lost }).await;

    let person = Person::Email(somebody.email());
    let gone = erased(store, &person, Waiting::Stays).await;
    assert_eq!(gone.waiting, ["conv_renewal", "refund_lost"]);
    assert_eq!((gone.records, gone.clicks), (2, 0), "its click is needed");
    assert_eq!(bed::record(store, "conv_renewal").await.body, renewal.body);
    assert!(bed::click(store, &site(), &somebody.click()).await.is_some());

    store.settle(&held, delivered(Some("com_2")), NOW).await.expect("settled");
    let gone = erased(store, &person, Waiting::Stays).await;
    assert_eq!((gone.waiting, gone.records, gone.clicks), (vec!["refund_lost".to_owned()], 1, 1));
    assert_eq!(bed::record(store, "conv_renewal").await.body, r#"{"sale_amount":100.0}"#);
}

pub(crate) async fn what_waits_may_be_discarded(bed: Bed) {
    let (store, somebody) = (&*bed.store, Somebody("anna"));
    let id = somebody.click();
    store.record_clicks(vec![(click(&id), Some(pending()))]).await.expect("written");
    bed::waits(store, Entry { needs: Some(click_id(&id)), ..somebody.sale() }).await;
    let gone = erased(store, &Person::Click(click_id(&id)), Waiting::Stays).await;
    assert_eq!((gone.waiting.len(), gone.clicks + gone.records), (2, 0), "the click and the sale");
    let gone = erased(store, &Person::Click(click_id(&id)), Waiting::Discarded).await;
    assert_eq!((gone.clicks, gone.records, gone.waiting), (1, 1, Vec::new()));
    assert_eq!(state(store, "conv_anna").await, State::Closed);
    assert!(store.claim(NOW.plus(99), 9, 9).await.expect("a claim").is_empty());
    for text in [id, somebody.email(), somebody.customer()] {
        assert!(!holds(&bed, &text).await, "{text} is left");
    }
}

pub(crate) async fn an_erasure_is_told_to_every_opener(bed: Bed) {
    let other = bed.other().await;
    // A shared store tells of changes that may have been missed while it connected.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let (mut here, mut there) = (bed.store.erasures(), other.erasures());
    let codes = bed.store.code_changes();
    here.mark_unchanged();
    there.mark_unchanged();
    let seen = *codes.borrow();
    other.wipe().await.expect("told");
    let both = async { tokio::join!(here.changed(), there.changed()) };
    let (one, two) = tokio::time::timeout(Duration::from_secs(5), both).await.expect("within 5 s");
    assert!(one.is_ok() && two.is_ok());
    assert_eq!(*codes.borrow(), seen, "no code has changed");
}
