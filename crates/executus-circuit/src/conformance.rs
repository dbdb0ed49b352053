//! The guarantees of the stores, as checks that any implementation can run.
//!
//! Each function panics with the id of the first guarantee that is violated. Every check makes
//! circuits and leases of its own, so that a kit can be run against a store in use. Run it on a
//! runtime with timers: short times are waited for on tokio's clock, paused for what lives in
//! memory, real for what has a clock of its own.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use executus_core::RunId;

use crate::breaker::{Absence, Admission, Change, Outcome, Ticket};
use crate::key::{CircuitKey, Owner};
use crate::lease::LeaseStore;
use crate::policy::{Jitter, Policy};
use crate::snapshot::{Snapshot, State};
use crate::store::CircuitStore;

mod leases;

pub use leases::leases;

const SHORT: Duration = Duration::from_millis(200);
/// What a real clock and a loaded machine are given.
const SLACK: Duration = Duration::from_millis(100);
const LEASE: Duration = Duration::from_secs(30);

/// Panics with the id of a guarantee unless it holds.
macro_rules! guarantee {
    ($id:literal, $holds:expr, $($what:tt)+) => {
        assert!($holds, "{} is violated: {}", $id, format_args!($($what)+))
    };
}
use guarantee;

/// The value, or a panic with the id of the guarantee that needs it.
fn given<T, E: Display>(id: &str, answer: Result<T, E>) -> T {
    match answer {
        Ok(value) => value,
        Err(error) => panic!("{id} cannot be shown: {error}"),
    }
}

fn fresh_key() -> CircuitKey {
    CircuitKey::new(format!("conformance:{}", RunId::random().as_str()))
}

/// A policy whose cooldowns are short and exact.
fn policy(dormant_after: u32) -> Policy {
    let policy = Policy::builder().cooldown(SHORT, 2 * SHORT).jitter(Jitter::Off);
    given("S1", policy.dormant(dormant_after, 4 * SHORT).forced_dormant(2 * SHORT).build())
}

/// One circuit of the store under test.
struct Subject<'a> {
    store: &'a Arc<dyn CircuitStore>,
    key: CircuitKey,
    policy: Policy,
}

impl<'a> Subject<'a> {
    fn new(store: &'a Arc<dyn CircuitStore>, dormant_after: u32) -> Self {
        Self { store, key: fresh_key(), policy: policy(dormant_after) }
    }

    async fn admit(&self, owner: &Owner, lease: Duration) -> Result<Ticket, Snapshot> {
        let admission = self.store.admit(&self.key, &self.policy, owner, lease).await;
        match given("S1", admission) {
            Admission::Admitted { ticket, .. } => Ok(ticket),
            Admission::Refused { seen, .. } => Err(seen),
        }
    }

    async fn ticket(&self) -> Ticket {
        match self.admit(&Owner::random(), LEASE).await {
            Ok(ticket) => ticket,
            Err(seen) => panic!("S1 is violated: {seen:?} refuses a call that may pass"),
        }
    }

    async fn record(&self, ticket: &Ticket, outcome: Outcome, times: u32) -> Change {
        given("S1", self.store.record(&self.key, &self.policy, ticket, outcome, times).await)
    }

    async fn seen(&self) -> Snapshot {
        given("S1", self.store.snapshot(&self.key).await)
    }

    async fn open(&self) {
        let ticket = self.ticket().await;
        self.record(&ticket, Outcome::Failure, 3).await;
    }

    /// Waits until a probe may pass.
    async fn cool(&self) {
        tokio::time::sleep(self.seen().await.next_probe + SLACK).await;
    }
}

/// Runs the kit for circuits.
///
/// # Panics
/// With the id of the first guarantee that is violated.
pub async fn circuits(store: &Arc<dyn CircuitStore>) {
    follows_the_breaker(store).await;
    one_probes(store).await;
    ignores_what_is_late(store).await;
    tells_one_of_dormancy(store).await;
    merges_once(store).await;
    hears_operators_and_observers(store).await;
}

/// S1, S2
async fn follows_the_breaker(store: &Arc<dyn CircuitStore>) {
    let it = Subject::new(store, 3);
    guarantee!("S1", it.seen().await == Snapshot::default(), "a new circuit is not closed");
    let ticket = it.ticket().await;
    it.record(&ticket, Outcome::Failure, 2).await;
    let seen = it.seen().await;
    guarantee!("S1", (seen.state, seen.failure_count) == (State::Closed, 2), "{seen:?}");
    it.record(&ticket, Outcome::Success, 1).await;
    guarantee!("S1", it.seen().await.failure_count == 0, "a success does not forget");
    let change = it.record(&ticket, Outcome::Failure, 3).await;
    guarantee!("S1", change.moved() == Some((State::Closed, State::Open)), "{change:?}");
    let left = it.seen().await.cooldown_remaining;
    guarantee!("S2", left > Duration::ZERO && left <= SHORT, "a cooldown of {left:?}");
    for expected in [2 * SHORT, 4 * SHORT] {
        guarantee!("S1", it.admit(&Owner::random(), LEASE).await.is_err(), "open, but passes");
        it.cool().await;
        let probe = it.ticket().await;
        guarantee!("S1", probe.is_probe(), "passes an open circuit, but is no probe");
        it.record(&probe, Outcome::Failure, 1).await;
        let left = it.seen().await.next_probe;
        guarantee!("S2", left > SHORT && left <= expected, "a wait of {left:?}, not {expected:?}");
    }
    guarantee!("S1", it.seen().await.state == State::Dormant, "not dormant");
    it.cool().await;
    let probe = it.ticket().await;
    it.record(&probe, Outcome::Success, 1).await;
    guarantee!("S1", it.seen().await == Snapshot::default(), "a probe's success does not close");
    // Two of three fail, for ever.
    for call in 1..20 {
        let ticket = it.ticket().await;
        let outcome = if call % 3 == 0 { Outcome::Success } else { Outcome::Failure };
        it.record(&ticket, outcome, 1).await;
    }
    let ticket = it.ticket().await;
    it.record(&ticket, Outcome::Failure, 1).await;
    guarantee!("S1", it.seen().await.state == State::Open, "an error rate does not open");
}

/// S3
async fn one_probes(store: &Arc<dyn CircuitStore>) {
    let it = Subject::new(store, 10);
    it.open().await;
    it.cool().await;
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..200 {
        let (store, key, policy) = (store.clone(), it.key.clone(), it.policy.clone());
        callers.spawn(async move { store.admit(&key, &policy, &Owner::random(), LEASE).await });
    }
    let answers = callers.join_all().await.into_iter().map(|answer| given("S3", answer));
    let admitted = answers.filter_map(|answer| match answer {
        Admission::Admitted { ticket, .. } => Some(ticket),
        Admission::Refused { .. } => None,
    });
    let mut probes: Vec<Ticket> = admitted.collect();
    guarantee!("S3", probes.len() == 1, "{} of 200 probe", probes.len());
    // Given back without waiting, by a store that may take a moment for it.
    if let Some(probe) = probes.pop() {
        store.give_back(&it.key, &it.policy, probe);
    }
    let owner = Owner::random();
    let mut next = None;
    for _ in 0..100 {
        next = it.admit(&owner, SHORT).await.ok();
        if next.is_some() {
            break;
        }
        tokio::time::sleep(SLACK / 10).await;
    }
    let Some(first) = next else { panic!("S3 is violated: a place given back is not free") };
    // And one that is never given back is free when its lease is over.
    guarantee!("S3", it.admit(&owner, LEASE).await.is_err(), "two probes of one owner");
    tokio::time::sleep(SHORT + SLACK).await;
    let second = it.ticket().await;
    let change = it.record(&first, Outcome::Success, 1).await;
    guarantee!("S4", !change.applied, "a probe whose place was taken closes");
    let change = it.record(&second, Outcome::Neutral, 1).await;
    guarantee!("S3", change.applied && !it.seen().await.probing, "a neutral probe stays");
}

/// S4
async fn ignores_what_is_late(store: &Arc<dyn CircuitStore>) {
    let it = Subject::new(store, 10);
    let late = it.ticket().await;
    it.open().await;
    let before = it.seen().await.failure_count;
    for outcome in [Outcome::Success, Outcome::Failure] {
        let change = it.record(&late, outcome, 3).await;
        guarantee!("S4", !change.applied, "a {outcome:?} from before the opening");
    }
    guarantee!("S4", it.seen().await.failure_count == before, "what is late is counted");
    given("S4", store.reset(&it.key).await);
    let change = it.record(&late, Outcome::Failure, 3).await;
    guarantee!("S4", !change.applied, "a failure from before a reset");
    guarantee!("S4", it.seen().await == Snapshot::default(), "a reset circuit has a record");
    it.open().await;
    guarantee!("S4", it.seen().await.state == State::Open, "a reset circuit does not count");
}

/// S5
async fn tells_one_of_dormancy(store: &Arc<dyn CircuitStore>) {
    let it = Subject::new(store, 1);
    let ticket = it.ticket().await;
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let (store, key) = (store.clone(), it.key.clone());
        let (policy, ticket) = (it.policy.clone(), ticket.clone());
        callers.spawn(async move {
            given("S5", store.record(&key, &policy, &ticket, Outcome::Failure, 1).await)
        });
    }
    let changes = callers.join_all().await;
    let told = changes.iter().filter(|change| change.became_dormant).count();
    guarantee!("S5", told == 1, "{told} of 50 are told of one dormancy");
    let applied = changes.iter().filter(|change| change.applied).count();
    guarantee!("S1", applied == 3, "{applied} failures were counted, not three");
}

/// S6
async fn merges_once(store: &Arc<dyn CircuitStore>) {
    let it = Subject::new(store, 10);
    let mut absence = Absence {
        id: fastrand::u64(..1 << 53),
        owner: Owner::random(),
        samples: Vec::new(),
        answered: false,
        trailing: 2,
        standing: Snapshot::default(),
    };
    for _ in 0..3 {
        given("S6", store.merge(&it.key, &it.policy, &absence).await);
        guarantee!("S6", it.seen().await.failure_count == 2, "{:?}", it.seen().await);
    }
    absence.id = fastrand::u64(..1 << 53);
    absence.trailing = 1;
    let change = given("S6", store.merge(&it.key, &it.policy, &absence).await);
    guarantee!(
        "S6",
        change.seen.state == State::Open,
        "three failures of two absences: {change:?}"
    );
}

/// S1: an operator's word, and an observer's.
async fn hears_operators_and_observers(store: &Arc<dyn CircuitStore>) {
    let it = Subject::new(store, 10);
    let first = given("S1", store.force_dormant(&it.key, &it.policy).await);
    guarantee!("S1", first.applied && first.seen.state == State::Dormant, "{first:?}");
    let again = given("S1", store.force_dormant(&it.key, &it.policy).await);
    guarantee!("S1", !again.applied && !again.became_dormant, "forced twice: {again:?}");
    let left = it.seen().await;
    guarantee!("S2", left.next_probe <= 2 * SHORT, "{left:?}");
    guarantee!("S1", left.cooldown_remaining.is_zero(), "a dormant circuit shows a cooldown");
    given("S1", store.observe(&it.key, &it.policy, Outcome::Success).await);
    guarantee!("S1", it.seen().await.state == State::Dormant, "an observer wakes a dormant one");
    given("S1", store.reset(&it.key).await);
    it.open().await;
    given("S1", store.observe(&it.key, &it.policy, Outcome::Failure).await);
    guarantee!("S1", it.seen().await.probe_count == 1, "an observed failure does not count");
    given("S1", store.observe(&it.key, &it.policy, Outcome::Success).await);
    guarantee!("S1", it.seen().await == Snapshot::default(), "an observed success does not close");
}
