//! The promise, looked at when everything has come to rest.

use super::{
    books::{Books, Sale},
    callers::{Caller, Reply, Request},
    credit, hooks,
    plan::What,
    platform::Counted,
    refunds,
    world::{Facts, World},
};
use rust_decimal::Decimal;
use serde_json::{Value, value::RawValue};
use std::collections::{BTreeMap, BTreeSet};
use usher_model::{ClickId, Job, Listing, Record, State, Upstream, limits};
use usher_store::Store as _;

/// Milliseconds after which the ledger may have forgotten what was settled.
const KEPT_MS: i64 = limits::KEYS_KEPT_MS;

/// What is wrong with a history.
pub(crate) struct Findings(Vec<String>);

impl Findings {
    pub(crate) fn add(&mut self, what: impl Into<String>) {
        self.0.push(what.into());
    }
}

/// Everything that the checks look at.
pub(crate) struct Seen<'a> {
    pub(crate) world: &'a World,
    pub(crate) facts: &'a Facts,
    pub(crate) books: &'a Books,
    /// What the ledger holds, by what it is and its natural key; a click's delivery by the click's id.
    pub(crate) records: BTreeMap<(&'static str, String), Record>,
}

impl Seen<'_> {
    /// What the ledger holds of that key. One that came to nothing may have been reported again with other content: then it is
    /// what stands beside it, under the key with a `#` and a number.
    pub(crate) fn record(&self, job: Job, key: &str) -> Option<&Record> {
        let mut all = self.all(job, key);
        let last = all.iter().rposition(|record| record.state != State::Closed).unwrap_or_default();
        (!all.is_empty()).then(|| all.swap_remove(last))
    }

    /// What has that key, and then what stands beside it.
    fn all(&self, job: Job, key: &str) -> Vec<&Record> {
        let keys = || std::iter::once(key.to_owned()).chain((2..9).map(|number| format!("{key}#{number}")));
        let find =
            |job: Job| -> Vec<_> { keys().filter_map(|key| self.records.get(&(job.word(), key))).collect() };
        let found = find(job);
        // What Segment says is sent as an event where we know the click.
        if found.is_empty() && job == Job::Segment { find(Job::Event) } else { found }
    }

    /// Whether the ledger may have forgotten.
    pub(crate) fn long(&self) -> bool {
        self.facts.skipped >= KEPT_MS
    }
}

/// Looks at everything; what is wrong.
pub(crate) async fn check(world: &World) -> Vec<String> {
    let records = records(world).await;
    let clicks = clicks(world).await;
    let facts = world.facts();
    world.platform.look(|books, counted| {
        let mut findings = Findings(facts.wrong.clone());
        let seen = Seen { world, facts: &facts, books, records };
        faults(&seen, &mut findings);
        for ((job, key), callers) in asked(&facts) {
            acknowledged(&seen, job, key, &callers, &mut findings);
            refused(&seen, job, key, &callers, &mut findings);
        }
        unasked(&seen, &mut findings);
        explained(&seen, counted, &mut findings);
        resolved(&seen, &clicks, &mut findings);
        told_once(&seen, counted, &mut findings);
        paced(&seen, counted, &mut findings);
        credit::check(&seen, &mut findings);
        refunds::check(&seen, &mut findings);
        findings.0
    })
}

async fn records(world: &World) -> BTreeMap<(&'static str, String), Record> {
    let listing = Listing { site: None, states: State::ALL.to_vec(), after: None, limit: 1_000 };
    let listed = world.store.list(&listing).await.expect("a list");
    let name = |record: &Record| record.key.clone().unwrap_or_else(|| record.id.clone());
    listed.into_iter().map(|record| ((record.job.word(), name(&record)), record)).collect()
}

/// The clicks that visitors' cookies name, as they stand.
async fn clicks(world: &World) -> BTreeMap<String, Option<Upstream>> {
    let names: Vec<String> = world.facts().clicks.keys().cloned().collect();
    let mut clicks = BTreeMap::new();
    for name in names {
        let id = ClickId::new(&*name).expect("an id");
        let click = world.store.click(&world.site.name, &id).await.expect("a read");
        clicks.insert(name, click.map(|click| click.upstream));
    }
    clicks
}

/// Callers by what they asked for.
fn asked(facts: &Facts) -> BTreeMap<(Job, &str), Vec<&Caller>> {
    let mut asked: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for caller in &facts.callers {
        if let Some(job) = caller.job {
            asked.entry((job, &*caller.key)).or_default().push(caller);
        }
    }
    asked
}

/// The platform never sees what no client that keeps its promises asks for.
fn faults(seen: &Seen<'_>, findings: &mut Findings) {
    if !seen.long() {
        let too_much =
            seen.books.too_much.iter().filter(|(of, _)| !was_given_up(seen, of)).map(|(_, fault)| fault);
        seen.books.faults.iter().chain(too_much).for_each(|fault| findings.add(format!("platform: {fault}")));
    }
}

/// Whether somebody gave up on a sale, be it while it was on its way. Then the ledger does not know what the platform calls
/// it, so that a refund of it under that name is the platform's to weigh.
pub(crate) fn was_given_up(seen: &Seen<'_>, sale: &str) -> bool {
    let record = seen.record(Job::Conversion, sale);
    record.is_some_and(|of| of.state == State::Closed && seen.facts.discarded.contains(&of.id))
}

/// What was acknowledged is at the platform, or the history says why not.
fn acknowledged(seen: &Seen<'_>, job: Job, key: &str, callers: &[&Caller], findings: &mut Findings) {
    let bodies: BTreeSet<_> =
        callers.iter().filter(|of| of.acknowledged().is_some()).map(|of| of.body()).collect();
    if bodies.len() > seen.all(job, key).len().max(1) && !seen.long() {
        findings.add(format!("{key}: two contents were acknowledged under it"));
    }
    if bodies.is_empty() {
        return;
    }
    let Some(record) = seen.record(job, key) else {
        if !seen.long() && job != Job::Signup {
            findings.add(format!("{} {key} was acknowledged and is not in the ledger", job.word()));
        }
        return;
    };
    match record.state {
        State::Delivered if !is_held(seen.books, job, record) => {
            findings.add(format!("{} {key} is said to be delivered and is not: {record:?}", job.word()));
        }
        State::Delivered if job == Job::Conversion => {
            same_sale(&seen.books.sales[key], key, &bodies, findings);
        }
        State::Delivered => {}
        State::Closed | State::Dead if excused(seen, record) => {}
        State::Orphan if refunds::has_no_payment(seen, key) => {}
        State::Blocked if refunds::waits_for_a_person(seen, record) => {}
        state => {
            findings.add(format!(
                "{} {key} was acknowledged and is {}: {record:?}",
                job.word(),
                state.word()
            ));
        }
    }
}

/// The key under which the platform is told of it. What stands beside a key goes under the key itself.
pub(crate) fn sent_as(record: &Record) -> Option<&str> {
    record.key.as_deref()?.split('#').next()
}

fn is_held(books: &Books, job: Job, record: &Record) -> bool {
    let key = sent_as(record).unwrap_or_default();
    match job {
        Job::Click => true,
        Job::Signup => {
            books.leads.keys().any(|click| record.answer.as_ref().is_some_and(|of| of.body.contains(click)))
        }
        Job::Conversion => books.sales.contains_key(key),
        Job::Refund => books.refunds.iter().any(|held| held.key.as_deref() == Some(key)),
        Job::Event | Job::Segment => books.events.contains_key(key),
    }
}

/// The platform holds the sale that was acknowledged, to the cent.
fn same_sale(sale: &Sale, key: &str, bodies: &BTreeSet<String>, findings: &mut Findings) {
    if !bodies.iter().any(|body| is_of(sale, body)) {
        findings.add(format!("{key}: {bodies:?} arrived as {} {}", sale.amount, sale.currency));
    }
}

fn is_of(sale: &Sale, body: &str) -> bool {
    let fields: BTreeMap<String, Box<RawValue>> = serde_json::from_str(body).expect("an object");
    let amount: Decimal = match fields.get("sale_amount") {
        Some(amount) => amount.get().parse().expect("an amount"),
        None => Decimal::new(hooks::cents(body).expect("minor units").cast_signed(), 2),
    };
    let currency = body.contains(&sale.currency) || body.contains(&sale.currency.to_lowercase());
    sale.amount == amount && currency
}

/// Whether the history says why that was not delivered.
fn excused(seen: &Seen<'_>, record: &Record) -> bool {
    let why = record.error.as_deref().unwrap_or_default();
    if seen.facts.discarded.contains(&record.id) || why == "nobody wants it" || why.contains("corrected") {
        return true;
    }
    if why.starts_with("given up after 7 days") {
        return seen.facts.skipped + seen.world.time.passed() > limits::RETRY_FOR_MS || seen.facts.jumped;
    }
    match record.job {
        Job::Refund => refunds::excused(seen, record, why),
        _ => credit::excused(seen, record, why),
    }
}

/// What was refused to everybody who asked for it is nowhere.
fn refused(seen: &Seen<'_>, job: Job, key: &str, callers: &[&Caller], findings: &mut Findings) {
    if !callers.iter().all(|caller| caller.refused_throughout()) {
        return;
    }
    if let Some(record) = seen.record(job, key) {
        findings.add(format!("{} {key} was refused and is in the ledger: {record:?}", job.word()));
    }
    if seen.books.sales.contains_key(key) || seen.books.events.contains_key(key) {
        findings.add(format!("{} {key} was refused and is at the platform", job.word()));
    }
}

/// Nothing is at the platform that nobody asked for.
fn unasked(seen: &Seen<'_>, findings: &mut Findings) {
    let asked = asked(seen.facts);
    let mut expect = |jobs: &[Job], key: &str| {
        if !jobs.iter().any(|job| asked.contains_key(&(*job, key))) {
            findings.add(format!("{key} is at the platform and nobody asked for it"));
        }
    };
    seen.books.sales.keys().for_each(|key| expect(&[Job::Conversion], key));
    seen.books.events.keys().for_each(|key| expect(&[Job::Event, Job::Segment], key));
    for held in &seen.books.refunds {
        expect(&[Job::Refund], held.key.as_deref().unwrap_or("a refund without a key"));
    }
}

/// Every record says why it was attributed as it was, and what came of each attempt.
fn explained(seen: &Seen<'_>, counted: &Counted, findings: &mut Findings) {
    for ((job, name), record) in &seen.records {
        if *job != Job::Click.word() && record.trace.as_deref().unwrap_or_default().is_empty() {
            findings.add(format!("{name} has no trace"));
        }
        let logged: u32 = record.log.iter().map(|attempt| attempt.times).sum();
        if record.state == State::Delivered && record.source.is_some() && logged == 0 {
            findings.add(format!("{name} was delivered and its log is empty: {record:?}"));
        }
        let key = sent_as(record).unwrap_or(name);
        let asked = counted.calls.get(&format!("{job} {key}")).copied().unwrap_or_default();
        if logged > asked && *job != Job::Click.word() && *job != Job::Signup.word() {
            findings.add(format!("{name} was sent {asked} times and its log tells of {logged}"));
        }
    }
}

/// The platform has told what it calls every click, or refused it.
fn resolved(seen: &Seen<'_>, clicks: &BTreeMap<String, Option<Upstream>>, findings: &mut Findings) {
    let restarts = seen.world.plan.steps.iter().any(|step| step.what == What::Restart);
    for (id, upstream) in clicks {
        match upstream {
            Some(Upstream::Pending) => findings.add(format!("the click {id} still waits for its id")),
            Some(Upstream::Known(known)) => {
                let (of, there) = (seen.facts.clicks[id], seen.books.clicks.get(known.as_str()));
                if there.map(String::as_str) != Some(of) {
                    findings.add(format!("the click {id} of {of} became {known} of {there:?}"));
                }
            }
            Some(Upstream::Refused(why)) if !credit::is_refused_rightly(seen, id, why) => {
                findings.add(format!("the click {id} is refused: {why}"));
            }
            // A process that ends takes the clicks along that it could not write yet: the page goes first.
            None if seen.facts.deaths == 0
                && !restarts
                && !seen.long()
                && seen.world.plan.retention_days > 1 =>
            {
                findings.add(format!("the click {id} is not known, though nothing died"));
            }
            _ => {}
        }
    }
}

/// A click has no key at the platform: it is told of once, but for answers that were lost or could not be written down.
fn told_once(seen: &Seen<'_>, counted: &Counted, findings: &mut Findings) {
    let own = seen.records.values().filter(|record| record.job == Job::Click).count();
    let most = counted.tracked + own + counted.unheard_clicks + seen.world.faulty.unwritten_clicks();
    if seen.books.clicks.len() > most && !seen.long() && seen.world.plan.retention_days > 1 {
        findings.add(format!(
            "the platform holds {} clicks, {most} at most were told of",
            seen.books.clicks.len()
        ));
    }
}

/// The platform is not asked more often than it allows, but for calls that were under way when it said so.
fn paced(seen: &Seen<'_>, counted: &Counted, findings: &mut Findings) {
    let most = 2 * u32::try_from(limits::UPSTREAM_CALLS).expect("few");
    for (minute, (_, refused)) in &counted.minutes {
        if *refused > most {
            findings.add(format!("{refused} calls too many in minute {minute}"));
        }
    }
    let days = u32::try_from(seen.world.time.passed() / 86_400_000).expect("days");
    for (name, calls) in &counted.calls {
        if *calls > 60 + days * 30 {
            findings.add(format!("{name} was sent {calls} times in {days} days"));
        }
    }
}

impl Caller {
    /// The body of the request, as text.
    pub(crate) fn body(&self) -> String {
        match &self.request {
            Request::Sale { body }
            | Request::Refund { body, .. }
            | Request::Event { body }
            | Request::Segment { body }
            | Request::Lead { body, .. }
            | Request::Track { body, .. }
            | Request::Hook { body, .. }
            | Request::Bind { body, .. } => body.clone(),
            Request::Apply { .. } => String::new(),
        }
    }

    /// A field of it.
    pub(crate) fn field(&self, name: &str) -> Option<String> {
        let body: Value = serde_json::from_str(&self.body()).ok()?;
        body[name].as_str().map(str::to_owned)
    }

    /// Whether it may have been written down, as far as they can tell.
    pub(crate) fn may_have_been_written(&self) -> bool {
        self.heard.iter().any(|(_, heard)| !matches!(heard, Reply::Refused(_)))
    }
}
