use super::*;
use crate::test_support::{Dice, delivery, site};

const LOOKED: What = What::Looked;
const FAILED: What = What::Failed(None);

fn heard(what: What) -> Heard {
    let answer = (!matches!(what, What::Failed(_))).then_some(None);
    Heard { what, answer }
}

fn of(site: &str, id: &str, job: Job) -> Delivery {
    Delivery { site: SiteName::new(site).expect("a name"), id: id.to_owned(), ..delivery(job) }
}

fn sale(site: &str) -> Delivery {
    of(site, "conv_1", Job::Conversion)
}

/// A gate, and a clock that ticks with each call, so that the pace is in nobody's way.
struct World {
    gate: Gate,
    now: Instant,
}

impl World {
    fn new() -> Self {
        Self { gate: Gate::new(), now: Instant::now() }
    }

    fn pass_ms(&mut self, ms: u64) {
        self.now += Duration::from_millis(ms);
    }

    fn start(&mut self, delivery: &Delivery) -> Call {
        self.pass_ms(130);
        self.gate.start(delivery, self.now).expect("it may begin")
    }

    fn end(&mut self, call: &Call, what: What) {
        self.gate.ended(call, heard(what), self.now, &Dice);
    }

    fn make(&mut self, delivery: &Delivery, what: What) {
        let call = self.start(delivery);
        self.end(&call, what);
    }

    fn rests(&mut self, delivery: &Delivery) -> Option<Rest> {
        self.gate.look(&delivery.site, delivery.job, self.now).err()
    }

    fn down(&mut self, site: &str) {
        for _ in 0..limits::DOWN_AFTER {
            self.make(&sale(site), FAILED);
        }
    }

    fn until_rested(&mut self) {
        self.pass_ms(limits::DOWN_LONGEST_MS);
    }
}

#[test]
fn an_outage_is_told_for_the_site_until_it_is_over() {
    let mut world = World::new();
    world.make(&sale("other"), LOOKED);
    assert!(world.gate.unanswered().is_empty());
    world.down("shop");
    let since = world.now;
    assert_eq!(world.gate.unanswered(), [(SiteName::new("shop").expect("a name"), since)]);
    for _ in 0..limits::UP_AFTER {
        world.until_rested();
        world.make(&sale("shop"), LOOKED);
    }
    assert!(world.gate.unanswered().is_empty());
}

#[test]
fn after_a_few_failures_everything_rests_until_one_call_has_tried() {
    let mut world = World::new();
    for _ in 1..limits::DOWN_AFTER {
        world.make(&sale("shop"), FAILED);
    }
    assert_eq!(world.rests(&sale("shop")), None);
    world.make(&sale("shop"), FAILED);
    assert!(world.gate.room(world.now).is_err() && world.rests(&sale("shop")).is_some());
    for _ in 0..10 {
        world.until_rested();
        assert_eq!(world.gate.room(world.now), Ok(1));
        let probe = world.start(&sale("shop"));
        assert_eq!(world.gate.room(world.now), Ok(0), "one at a time");
        assert!(world.rests(&sale("shop")).is_some());
        world.end(&probe, FAILED);
        assert!(world.gate.room(world.now).is_err());
    }
    world.until_rested();
    for n in 0..limits::UP_AFTER {
        assert!(!world.gate.take_back(), "{n}");
        world.make(&sale("shop"), LOOKED);
    }
    assert!(world.gate.take_back() && !world.gate.take_back(), "said once");
    assert_eq!(world.rests(&sale("shop")), None);
}

#[test]
fn a_failure_while_it_is_tried_makes_it_rest_again() {
    let mut world = World::new();
    world.down("shop");
    world.until_rested();
    for _ in 1..limits::UP_AFTER {
        world.make(&sale("shop"), LOOKED);
    }
    world.make(&sale("shop"), FAILED);
    assert!(world.gate.room(world.now).is_err() && !world.gate.take_back());
}

#[test]
fn the_first_answer_to_a_new_process_calls_for_what_an_earlier_one_put_off() {
    let mut world = World::new();
    world.make(&sale("shop"), FAILED);
    assert!(!world.gate.take_back());
    world.make(&sale("shop"), LOOKED);
    assert!(world.gate.take_back());
    world.make(&sale("other"), LOOKED);
    assert!(!world.gate.take_back(), "once");
}

#[test]
fn one_that_always_fails_holds_up_no_other() {
    let mut world = World::new();
    world.make(&sale("shop"), LOOKED);
    assert!(world.gate.take_back(), "the first answer");
    for _ in 0..50 {
        for _ in 1..limits::DOWN_AFTER {
            world.make(&of("shop", "poison", Job::Conversion), FAILED);
        }
        world.make(&sale("shop"), LOOKED);
        assert_eq!(world.rests(&sale("shop")), None);
    }
    assert!(!world.gate.take_back());
}

#[test]
fn a_site_whose_calls_fail_rests_alone_while_others_are_answered() {
    let mut world = World::new();
    world.make(&sale("well"), LOOKED);
    world.down("ill");
    assert_eq!(world.rests(&sale("well")), None);
    assert!(world.gate.room(world.now).is_ok(), "the others' work is claimed");
    let rest = world.rests(&sale("ill")).expect("a rest");
    assert_eq!(rest.cause, Cause::Site);
    // Each look at work that rests is a write: most of it waits until somebody knows better.
    let due = |world: &mut World| world.gate.due(rest, &sale("ill").site, Job::Conversion, world.now);
    let dues: Vec<_> = (0..100).map(|_| due(&mut world)).collect();
    let parked = world.now + Duration::from_millis(limits::PARKED_MS);
    assert_eq!(dues.iter().filter(|due| **due == rest.until).count(), 8);
    assert_eq!(dues.iter().filter(|due| **due == parked).count(), 92);
    world.make(&sale("well"), LOOKED);
    world.until_rested();
    world.make(&sale("well"), LOOKED);
    for _ in 0..limits::UP_AFTER {
        world.make(&sale("ill"), LOOKED);
    }
    assert!(world.gate.take_back());
}

#[test]
fn a_site_that_was_quiet_may_try_for_itself_while_another_is_down() {
    let mut world = World::new();
    world.make(&sale("quiet"), LOOKED);
    world.pass_ms(limits::UP_FOR_MS);
    world.down("ill");
    assert!(world.gate.room(world.now).is_err(), "nothing is claimed");
    assert_eq!(world.rests(&sale("ill")).expect("a rest").cause, Cause::Everything);
    let call = world.start(&sale("quiet"));
    assert!(world.rests(&sale("quiet")).is_some(), "one at a time");
    world.end(&call, LOOKED);
    assert!(world.gate.room(world.now).is_ok());
    assert_eq!(world.rests(&sale("ill")).expect("a rest").cause, Cause::Site);
}

#[test]
fn when_all_are_down_each_site_finds_out_with_one_call() {
    let mut world = World::new();
    world.down("first");
    world.make(&sale("second"), FAILED);
    assert_eq!(world.rests(&sale("second")).expect("a rest").cause, Cause::Everything);
    world.until_rested();
    assert_eq!(world.gate.room(world.now), Ok(1));
    for _ in 0..limits::UP_AFTER {
        world.make(&sale("first"), LOOKED);
    }
    assert_eq!(world.rests(&sale("second")), None, "it tries at once");
}

#[test]
fn a_platform_that_asks_for_time_gets_it() {
    let mut world = World::new();
    for _ in 0..limits::DOWN_AFTER {
        world.make(&sale("shop"), What::Failed(Some(300_000)));
    }
    let asked = world.now + Duration::from_millis(300_000);
    assert_eq!(world.rests(&sale("shop")).map(|rest| rest.until), Some(asked));
    let mut world = World::new();
    world.make(&sale("shop"), What::TooFast(Some(86_400_000)));
    let longest = world.now + Duration::from_millis(limits::RETRY_AFTER_LONGEST_MS.unsigned_abs());
    assert_eq!(world.rests(&sale("shop")).map(|rest| rest.until), Some(longest));
    assert_eq!(world.gate.room(world.now), Err(longest));
}

#[test]
fn a_refused_key_rests_everything_and_is_shown_until_it_is_taken() {
    let mut world = World::new();
    let [late, later] = [world.start(&sale("shop")), world.start(&sale("shop"))];
    world.make(&sale("shop"), What::KeyUnknown("401".to_owned()));
    world.end(&late, LOOKED);
    world.end(&later, FAILED);
    let rest = world.rests(&sale("other")).expect("what began before says nothing");
    assert_eq!(rest.until, world.now + Duration::from_millis(limits::PAUSE_MS.unsigned_abs()));
    world.pass_ms(limits::PAUSE_MS.unsigned_abs());
    assert_eq!(world.gate.room(world.now), Ok(1), "one call tries");
    world.make(&sale("shop"), FAILED);
    assert_eq!(
        world.gate.refused(),
        [(site().name, "401".to_owned())],
        "no answer says nothing about the key"
    );
    world.make(&sale("shop"), LOOKED);
    assert!(world.gate.refused().is_empty());
    assert_eq!(world.rests(&sale("shop")), None);
}

#[test]
fn what_is_forbidden_holds_up_nothing_else() {
    let mut world = World::new();
    let click = of("shop", "ush_1", Job::Click);
    world.make(&click, What::Forbidden("403".to_owned()));
    assert_eq!(world.rests(&click).expect("a rest").cause, Cause::Kind);
    assert_eq!((world.rests(&sale("shop")), world.rests(&of("other", "ush_2", Job::Click))), (None, None));
    assert!(world.gate.room(world.now).is_ok());
    world.make(&sale("shop"), LOOKED);
    assert_eq!(world.gate.refused().len(), 1, "other work proves nothing");
    world.pass_ms(limits::PAUSE_MS.unsigned_abs());
    world.make(&click, LOOKED);
    assert!(world.gate.refused().is_empty() && world.gate.take_back());
}

#[test]
fn one_that_is_forbidden_among_others_that_are_taken_is_itself_to_blame() {
    let mut world = World::new();
    let poison = of("shop", "poison", Job::Conversion);
    world.make(&poison, What::Forbidden("403".to_owned()));
    assert!(!world.gate.is_suspect("poison"));
    world.pass_ms(limits::PAUSE_MS.unsigned_abs());
    world.make(&sale("shop"), LOOKED);
    assert!(world.gate.is_suspect("poison") && !world.gate.is_suspect("conv_1"));
    world.make(&poison, What::Answered);
    assert_eq!(world.rests(&sale("shop")), None);
    world.make(&poison, LOOKED);
    assert!(!world.gate.is_suspect("poison"));
}

#[test]
fn no_site_takes_all_the_slots_while_there_are_others() {
    let mut world = World::new();
    world.make(&sale("other"), LOOKED);
    let calls: Vec<_> = (0..limits::SITE_CALLS).map(|_| world.start(&sale("busy"))).collect();
    assert_eq!(world.rests(&sale("busy")).expect("a rest").cause, Cause::Crowded);
    assert_eq!(world.rests(&sale("other")), None);
    world.end(&calls[0], LOOKED);
    assert_eq!(world.rests(&sale("busy")), None);
}

#[test]
fn a_call_that_did_not_begin_leaves_no_trace() {
    let mut world = World::new();
    world.down("shop");
    world.until_rested();
    let probe = world.start(&sale("shop"));
    world.gate.unstart(&probe);
    assert_eq!(world.gate.room(world.now), Ok(1));
    world.end(&probe, LOOKED);
    assert_eq!(world.gate.room(world.now), Ok(1), "nor does its end");
}
