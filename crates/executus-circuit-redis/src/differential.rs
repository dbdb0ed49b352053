//! The scripts do what `Breaker` does: random commands to both, on one clock, with one draw.

use std::time::Duration;

use executus_circuit::{
    Absence, Admission, Aged, Breaker, Change, CircuitKey, CircuitStore, Jitter, Outcome, Owner,
    Policy, Snapshot, State, Ticket,
};
use executus_core::{RunId, Timestamp};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::circuits::RedisCircuits;
use crate::skewed::Skewed;

const SECOND: i64 = 1_000_000;
/// A time of this century: numbers are as long as they are in use.
const START: i64 = 1_790_000_000 * SECOND + 123_457;

#[derive(Debug, Clone)]
enum Step {
    Wait(i64),
    Admit { owner: usize, lease: Duration },
    Record { ticket: usize, outcome: Outcome, times: u32 },
    Observe(Outcome),
    Force,
    Reset,
    Merge(Box<Absence>),
}

fn owner(which: usize) -> Owner {
    Owner::new(["one", "two \"\\/\n", "drei: ä"][which % 3])
}

fn outcomes() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        3 => Just(Outcome::Success),
        5 => Just(Outcome::Failure),
        1 => Just(Outcome::Neutral),
    ]
}

fn absences() -> impl Strategy<Value = Absence> {
    let aged = (0_u64..40_000_000, 0_u32..4, 0_u32..4).prop_map(|(age, successes, failures)| {
        Aged { age: Duration::from_micros(age), successes, failures }
    });
    let standing = (0_u32..3, 0_u32..14, 0_u32..12, 0_u64..400_000_000);
    let standing = standing.prop_map(|(state, failure_count, probe_count, next)| Snapshot {
        state: [State::Closed, State::Open, State::Dormant][state as usize],
        failure_count,
        probe_count,
        next_probe: Duration::from_micros(next),
        ..Snapshot::default()
    });
    // Few ids: some are told again, and more than a record remembers.
    let id = (1_u64 << 53) - 24..1 << 53;
    let samples = prop::collection::vec(aged, 0..4);
    let parts = (id, 0_usize..3, samples, any::<bool>(), 0_u32..4, standing);
    parts.prop_map(|(id, who, samples, answered, trailing, standing)| Absence {
        id,
        owner: owner(who),
        samples,
        answered,
        trailing,
        standing,
    })
}

fn steps() -> impl Strategy<Value = Step> {
    let wait = prop_oneof![
        6 => 0..SECOND,
        3 => 0..20 * SECOND,
        3 => Just(30 * SECOND),
        2 => Just(300 * SECOND),
        1 => Just(3600 * SECOND),
        1 => -40 * SECOND..0,
    ];
    let lease = prop_oneof![Just(20_000_000_u64), 0_u64..5_000_001];
    let times = prop_oneof![9 => Just(1_u32), 1 => 0..6_u32];
    prop_oneof![
        10 => (any::<usize>(), lease).prop_map(|(owner, lease)| {
            Step::Admit { owner, lease: Duration::from_micros(lease) }
        }),
        14 => (any::<usize>(), outcomes(), times)
            .prop_map(|(ticket, outcome, times)| Step::Record { ticket, outcome, times }),
        6 => wait.prop_map(Step::Wait),
        2 => outcomes().prop_map(Step::Observe),
        1 => Just(Step::Force),
        1 => Just(Step::Reset),
        2 => absences().prop_map(|absence| Step::Merge(Box::new(absence))),
    ]
}

fn policies() -> Vec<Policy> {
    let minute = Duration::from_secs(60);
    let build = |policy: executus_circuit::PolicyBuilder| policy.build().unwrap();
    vec![
        Policy::default(),
        Policy::dispatch(),
        build(Policy::builder().consecutive(50).error_rate(minute / 6, 5, 1.0 / 3.0)),
        build(
            Policy::builder()
                .consecutive(1)
                .cooldown(Duration::from_millis(7), minute)
                .dormant(3, minute)
                .forced_dormant(minute / 7)
                .error_rate(Duration::from_millis(1), 1, 0.5),
        ),
        build(Policy::builder().jitter(Jitter::Off).dormant(1, minute)),
        // Seldom opens, so that windows and absences gather.
        build(Policy::builder().consecutive(10_000).error_rate(minute / 2, 12, 0.9)),
    ]
}

/// The store and the record side by side.
struct Both<'a> {
    clock: &'a Skewed,
    store: &'a RedisCircuits,
    key: CircuitKey,
    policy: &'a Policy,
    /// `None`: without a record.
    breaker: Option<Breaker>,
    now: i64,
    tickets: Vec<Ticket>,
}

impl Both<'_> {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.now)
    }

    /// The record, which begins where there is none.
    fn breaker(&mut self) -> &mut Breaker {
        let first = self.now.unsigned_abs();
        self.breaker.get_or_insert_with(|| Breaker::starting_at(first))
    }

    async fn step(&mut self, step: &Step, draw: f64) -> Result<(), TestCaseError> {
        let (now, policy) = (self.now(), self.policy);
        let (store, key) = (self.store, self.key.clone());
        match step {
            Step::Wait(time) => {
                self.now += time;
                self.clock.set(self.now()).await;
            }
            Step::Admit { owner: who, lease } => {
                let owner = owner(*who);
                let expected = self.breaker().admit(now, &owner, *lease);
                let admission = store.admit(&key, policy, &owner, *lease).await.unwrap();
                prop_assert_eq!(&admission, &expected);
                if let Admission::Admitted { ticket, .. } = admission {
                    self.tickets.push(ticket);
                }
            }
            Step::Record { ticket, outcome, times } if !self.tickets.is_empty() => {
                // The newest are the likely ones; the old ones are late.
                let place = self.tickets.len() - 1 - ticket % self.tickets.len().min(4);
                let ticket = self.tickets[place].clone();
                let expected = match &mut self.breaker {
                    Some(breaker) => breaker.record(now, policy, &ticket, *outcome, *times, draw),
                    None => late(),
                };
                let said = (*outcome, *times);
                let change = store.record_with(&key, policy, &ticket, said, draw).await.unwrap();
                prop_assert_eq!(change, expected);
            }
            Step::Record { .. } => {}
            Step::Observe(outcome) => {
                let expected = match (&self.breaker, outcome) {
                    (None, Outcome::Neutral) => late(),
                    _ => self.breaker().observe(now, policy, *outcome, draw),
                };
                let change = store.observe_with(&key, policy, *outcome, draw).await.unwrap();
                prop_assert_eq!(change, expected);
            }
            Step::Force => {
                let expected = self.breaker().force_dormant(now, policy);
                let change = store.force_dormant(&key, policy).await.unwrap();
                prop_assert_eq!(change, expected);
            }
            Step::Reset => {
                self.breaker = None;
                store.reset(&key).await.unwrap();
            }
            Step::Merge(absence) => {
                let expected = self.breaker().merge(now, policy, absence, draw);
                let change = store.merge_with(&key, policy, absence, draw).await.unwrap();
                prop_assert_eq!(change, expected);
            }
        }
        self.agree().await
    }

    async fn agree(&self) -> Result<(), TestCaseError> {
        let stored = self.store.stored(&self.key).await.unwrap();
        prop_assert_eq!(&stored, &self.breaker);
        let expected = self.breaker.as_ref().map(|it| it.snapshot(self.now())).unwrap_or_default();
        prop_assert_eq!(self.store.snapshot(&self.key).await.unwrap(), expected);
        Ok(())
    }
}

/// What a result does to a circuit without a record.
fn late() -> Change {
    let (from, seen) = (State::Closed, Snapshot::default());
    Change { applied: false, from, seen, became_dormant: false }
}

async fn follow(
    clock: &Skewed,
    store: &RedisCircuits,
    policy: &Policy,
    steps: &[(Step, f64)],
) -> Result<(), TestCaseError> {
    let key = CircuitKey::new(format!("a}}b{{:{}", RunId::random().as_str()));
    let (breaker, tickets) = (None, Vec::new());
    let mut both = Both { clock, store, key, policy, breaker, now: START, tickets };
    clock.set(both.now()).await;
    for (step, draw) in steps {
        both.step(step, *draw).await?;
    }
    Ok(())
}

/// S1 S2 S4 S6: state, answers and every byte of the record are those of `Breaker`.
#[test]
fn the_scripts_do_what_the_breaker_does() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let clock = runtime.block_on(Skewed::start());
    let store = clock.circuits();
    let policies = policies();
    let config = Config { cases: 120, failure_persistence: None, ..Config::default() };
    let schedules = (0..policies.len(), prop::collection::vec((steps(), 0.0..1.0_f64), 1..120));
    let run = TestRunner::new(config).run(&schedules, |(policy, steps)| {
        runtime.block_on(follow(&clock, &store, &policies[policy], &steps))
    });
    run.unwrap_or_else(|error| panic!("{error}"));
}

/// S1: a peer that is dead for long, which random commands seldom reach.
#[test]
fn they_do_with_a_dead_peer() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let clock = runtime.block_on(Skewed::start());
    let store = clock.circuits();
    for (seed, policy) in policies().iter().cycle().take(15).enumerate() {
        let mut random = fastrand::Rng::with_seed(seed as u64);
        let mut steps = Vec::new();
        for _ in 0..60 {
            let lease = Duration::from_secs(20);
            steps.push((Step::Admit { owner: 0, lease }, 0.0));
            let outcome = if random.u8(..20) == 0 { Outcome::Neutral } else { Outcome::Failure };
            steps.push((Step::Record { ticket: 0, outcome, times: 1 }, random.f64()));
            steps.push((Step::Wait(random.i64(0..300) * SECOND), 0.0));
        }
        let followed = runtime.block_on(follow(&clock, &store, policy, &steps));
        followed.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    }
}

/// S1 S6: many absences with samples from the edge of the window, on a clock that goes to and fro.
#[test]
fn they_do_with_absences_and_a_clock_that_goes_back() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let clock = runtime.block_on(Skewed::start());
    let store = clock.circuits();
    let policies = policies();
    let gathering = [&policies[2], &policies[5]];
    for (seed, policy) in gathering.iter().cycle().take(24).enumerate() {
        let mut random = fastrand::Rng::with_seed(seed as u64);
        let edge = policy.window().unwrap().as_micros() as u64;
        let mut steps = Vec::new();
        for n in 0..40 {
            let age = Duration::from_micros(random.u64(edge * 14 / 15..edge * 16 / 15));
            let (successes, failures) = (random.u32(..3), random.u32(..3));
            // Each third one is told again, much later.
            let id = if n % 3 == 2 { n / 2 } else { n };
            let absence = Absence {
                id,
                owner: owner(0),
                samples: vec![Aged { age, successes, failures }],
                answered: random.bool(),
                trailing: random.u32(..2),
                standing: Snapshot::default(),
            };
            steps.push((Step::Merge(Box::new(absence)), random.f64()));
            let lease = Duration::from_secs(20);
            steps.push((Step::Admit { owner: 0, lease }, 0.0));
            let outcome = if random.u8(..3) == 0 { Outcome::Success } else { Outcome::Failure };
            steps.push((Step::Record { ticket: 0, outcome, times: 1 }, random.f64()));
            let width = (edge / 30).cast_signed();
            steps.push((Step::Wait(random.i64(-width * 5 / 4..width * 3 / 2)), 0.0));
            if random.u8(..12) == 0 {
                steps.push((Step::Observe(Outcome::Success), 0.0));
            }
        }
        let followed = runtime.block_on(follow(&clock, &store, policy, &steps));
        followed.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    }
}
