//! Random schedules against a slow reference that remembers all it was told.

use std::time::Duration;

use executus_circuit::{Admission, Breaker, Jitter, Outcome, Owner, Policy, State, Ticket};
use executus_core::Timestamp;
use proptest::prelude::*;

const SECOND: i64 = 1_000_000;
const LEASE: i64 = 20 * SECOND;

/// The rules as the page has them, over lists.
struct Reference {
    state: State,
    /// Counts states and probes.
    era: u32,
    /// All samples of this state with their second, the newest last.
    samples: Vec<(i64, bool)>,
    failures: u32,
    since_opening: u32,
    forced: bool,
    until: i64,
    probe: Option<(u32, i64)>,
}

impl Reference {
    const fn new() -> Self {
        Self {
            state: State::Closed,
            era: 0,
            samples: Vec::new(),
            failures: 0,
            since_opening: 0,
            forced: false,
            until: 0,
            probe: None,
        }
    }

    fn go(&mut self, state: State, until: i64) {
        let (failures, since_opening) = (self.failures, self.since_opening);
        *self = Self { state, until, failures, since_opening, era: self.era + 1, ..Self::new() };
    }

    /// The era of the admission and whether it is the probe; `None` when it is refused.
    fn ask(&mut self, now: i64) -> Option<(u32, bool)> {
        if self.state == State::Closed {
            return Some((self.era, false));
        }
        if now < self.until || self.probe.is_some_and(|(_, until)| now < until) {
            return None;
        }
        self.era += 1;
        self.probe = Some((self.era, now + LEASE));
        Some((self.era, true))
    }

    fn fail(&mut self, now: i64) {
        self.failures += 1;
        self.since_opening += 1;
        if self.state == State::Dormant || self.since_opening >= 10 {
            self.go(State::Dormant, now + 3600 * SECOND);
        } else {
            let mut cooldown = 30;
            for _ in 1..self.since_opening {
                cooldown = (cooldown * 2).min(300);
            }
            self.go(State::Open, now + cooldown * SECOND);
        }
    }

    fn say(&mut self, now: i64, (era, probe): (u32, bool), outcome: Outcome, times: u32) -> bool {
        if probe {
            if self.probe.is_none_or(|(place, _)| place != era) {
                return false;
            }
            self.probe = None;
            match outcome {
                Outcome::Neutral => {}
                Outcome::Failure => self.fail(now),
                Outcome::Success => {
                    (self.failures, self.since_opening) = (0, 0);
                    self.go(State::Closed, 0);
                }
            }
            return true;
        }
        if self.state != State::Closed || era != self.era {
            return false;
        }
        for _ in 0..times {
            match outcome {
                Outcome::Neutral => {}
                Outcome::Success => {
                    self.failures = 0;
                    self.samples.push((now, true));
                }
                Outcome::Failure => {
                    self.samples.push((now, false));
                    let recent = |at: i64| at / SECOND > now / SECOND - 30;
                    let recent: Vec<bool> =
                        self.samples.iter().filter(|(at, _)| recent(*at)).map(|s| s.1).collect();
                    let bad = recent.iter().filter(|good| !**good).count();
                    if self.failures + 1 == 3 || (recent.len() >= 20 && bad * 2 >= recent.len()) {
                        self.since_opening = 0;
                        self.fail(now);
                        break;
                    }
                    self.failures += 1;
                }
            }
        }
        true
    }
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Wait(i64),
    Ask(u8),
    Say { which: usize, outcome: Outcome, times: u32 },
    Force,
}

fn step() -> impl Strategy<Value = Step> {
    let outcome = prop_oneof![
        3 => Just(Outcome::Success),
        4 => Just(Outcome::Failure),
        1 => Just(Outcome::Neutral),
    ];
    let wait = prop_oneof![
        6 => 0..SECOND,
        3 => 0..10 * SECOND,
        3 => Just(30 * SECOND),
        2 => Just(300 * SECOND),
        1 => Just(3600 * SECOND),
        1 => Just(LEASE),
        1 => Just(LEASE - 1),
    ];
    let say = (any::<usize>(), outcome, prop_oneof![9 => Just(1_u32), 1 => 0..5_u32]);
    prop_oneof![
        10 => (0..3_u8).prop_map(Step::Ask),
        10 => say.prop_map(|(which, outcome, times)| Step::Say { which, outcome, times }),
        5 => wait.prop_map(Step::Wait),
        1 => Just(Step::Force),
    ]
}

fn check(schedule: &[Step]) -> Result<(), TestCaseError> {
    let policy = Policy::builder().jitter(Jitter::Off).build().unwrap();
    let owners = ["one", "two", "three"].map(Owner::new);
    let (mut breaker, mut reference) = (Breaker::default(), Reference::new());
    let mut open: Vec<(Ticket, (u32, bool))> = Vec::new();
    let mut micros = 7 * SECOND;
    for &step in schedule {
        let now = Timestamp::from_micros(micros);
        match step {
            Step::Wait(time) => micros += time,
            Step::Ask(who) => {
                let lease = Duration::from_micros(LEASE.unsigned_abs());
                let admission = breaker.admit(now, &owners[usize::from(who)], lease);
                match (admission, reference.ask(micros)) {
                    (Admission::Admitted { ticket, .. }, Some(era)) => {
                        prop_assert_eq!(ticket.is_probe(), era.1);
                        open.push((ticket, era));
                    }
                    (Admission::Refused { retry_after, .. }, None) => {
                        prop_assert!(retry_after > Duration::ZERO);
                    }
                    (admission, era) => {
                        return Err(TestCaseError::fail(format!("{admission:?}, not {era:?}")));
                    }
                }
            }
            Step::Say { which, outcome, times } if !open.is_empty() => {
                let (ticket, era) = open.swap_remove(which % open.len());
                let before = breaker.clone();
                let change = breaker.record(now, &policy, &ticket, outcome, times, 0.0);
                let applied = times > 0 && reference.say(micros, era, outcome, times);
                prop_assert_eq!(change.applied, applied);
                prop_assert!(applied || before == breaker, "what is late changes nothing");
            }
            Step::Say { .. } => {}
            Step::Force => {
                breaker.force_dormant(now, &policy);
                let same = reference.state == State::Dormant && reference.forced;
                if !same || micros >= reference.until {
                    reference.go(State::Dormant, micros + 300 * SECOND);
                    reference.forced = true;
                }
            }
        }
        let seen = breaker.snapshot(Timestamp::from_micros(micros));
        prop_assert_eq!((seen.state, seen.failure_count), (reference.state, reference.failures));
        let left = if seen.state == State::Closed { 0 } else { (reference.until - micros).max(0) };
        prop_assert_eq!(seen.next_probe, Duration::from_micros(left.unsigned_abs()));
        prop_assert_eq!(seen.probing, reference.probe.is_some_and(|(_, until)| micros < until));
        // What is stored is all there is.
        let text = serde_json::to_string(&breaker).unwrap();
        prop_assert_eq!(&serde_json::from_str::<Breaker>(&text).unwrap(), &breaker);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 300,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// CB-11, CB-12: whatever the schedule, state, count, cooldown and place are the reference's.
    #[test]
    fn it_does_what_the_reference_does(schedule in prop::collection::vec(step(), 1..200)) {
        check(&schedule)?;
    }
}

/// The same with the probes of a peer that is dead for long, which random schedules seldom reach.
#[test]
fn a_dead_peer_with_random_disturbances() {
    for seed in 0..200 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut schedule = Vec::new();
        for _ in 0..100 {
            schedule.push(Step::Ask(0));
            let outcome = if random.u8(..20) == 0 { Outcome::Neutral } else { Outcome::Failure };
            schedule.push(Step::Say { which: random.usize(..), outcome, times: 1 });
            schedule.push(Step::Wait(random.i64(0..300) * SECOND));
            if random.u8(..40) == 0 {
                schedule.push(Step::Force);
            }
        }
        check(&schedule).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    }
}
