//! Very many invocations, 64 at once, whose callers drop them at any poll: each that began has one
//! record, and what is left of the budget is exact.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use executus_capability::budget::SessionBudget;
use executus_capability::driver::StreamingDriver;
use executus_capability::kernel::Invocation;
use executus_capability::record::{ActionLog, ActionLogError, ActionQuery, ActionRecord};
use executus_capability::route::Router;
use executus_capability::token::{Grant, TokenAuthority};
use executus_capability::{
    Capability, CapabilityId, Driver, DriverError, DriverRequest, Kernel, Mode, Principal,
    Registry, Safety, Token,
};
use executus_core::Clock;
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::stage::quiet;
use super::{Asked, Report};

/// How many are under way at once.
const CALLERS: u64 = 64;
/// What one of them reserves.
const RESERVED: i64 = 100;

/// The output function of SplitMix64 (Steele, Lea, Flood 2014): different numbers, different bits.
const fn mix(seed: u64, number: u64) -> u64 {
    let mut bits = seed.wrapping_add(number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// Keeps what must add up: the cost of each record, if it was served.
#[derive(Default)]
struct Tally {
    records: Mutex<HashMap<String, Option<u64>>>,
    twice: AtomicU64,
}

#[async_trait]
impl ActionLog for Tally {
    async fn record(&self, record: &ActionRecord) -> Result<(), ActionLogError> {
        // Sometimes the writing takes a turn, so that callers drop it in the middle.
        if record.action_id.bytes().next_back().is_some_and(|byte| byte % 2 == 0) {
            tokio::task::yield_now().await;
        }
        let served = record.error.is_none().then_some(record.counts.cost_tokens);
        if self.records.lock().insert(record.action_id.clone(), served).is_some() {
            self.twice.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    async fn get(&self, _: &str) -> Result<Option<ActionRecord>, ActionLogError> {
        Ok(None)
    }

    async fn query(&self, _: &ActionQuery) -> Result<Vec<ActionRecord>, ActionLogError> {
        Ok(Vec::new())
    }
}

/// Takes some turns, then answers, fails or panics, as its number says.
struct Moody {
    id: &'static str,
    seed: u64,
    calls: AtomicU64,
    alive: AtomicU64,
}

struct Alive<'a>(&'a AtomicU64);

impl Drop for Alive<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[async_trait]
impl Driver for Moody {
    fn id(&self) -> &str {
        self.id
    }

    async fn execute(&self, _: &DriverRequest) -> Result<Value, DriverError> {
        let bits = mix(self.seed, self.calls.fetch_add(1, Ordering::Relaxed));
        self.alive.fetch_add(1, Ordering::Relaxed);
        let _alive = Alive(&self.alive);
        for _ in 0..bits % 6 {
            tokio::task::yield_now().await;
        }
        match (bits >> 8) % 8 {
            0 => Err(DriverError::failed("as planned")),
            1 => panic!("planned panic: the driver's"),
            rows => Ok((0..rows).map(|row| json!({"id": row, "state": "open"})).collect()),
        }
    }

    fn streaming(&self) -> Option<&dyn StreamingDriver> {
        None
    }
}

/// Drops a future when it was polled so often.
struct Polls<F> {
    inner: Option<Pin<Box<F>>>,
    left: u64,
}

impl<F: Future> Future for Polls<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let polled = self.inner.as_mut().map(|inner| inner.as_mut().poll(cx));
        self.left = self.left.saturating_sub(1);
        match polled {
            Some(Poll::Ready(output)) => Poll::Ready(Some(output)),
            Some(Poll::Pending) if self.left > 0 => Poll::Pending,
            Some(Poll::Pending) | None => {
                self.inner = None;
                Poll::Ready(None)
            }
        }
    }
}

struct Scene {
    kernel: Kernel,
    tally: Arc<Tally>,
    budget: SessionBudget,
    drivers: [Arc<Moody>; 2],
    token: Arc<Token>,
    principal: Arc<Principal>,
}

fn scene(seed: u64) -> Result<Scene, String> {
    let id = CapabilityId::new("tickets.list").map_err(told)?;
    let capability = Capability::new(id.clone(), Safety::Read, "Lists tickets.");
    let registry = Registry::builder().register(capability).map_err(told)?.build();
    let clock = Clock::system();
    let authority = TokenAuthority::random(clock).map_err(told)?;
    let principal = Arc::new(Principal::user("root").role("admin"));
    let token = authority.issue(Grant::new(&principal, &id)).map_err(told)?;
    let moody =
        |id, seed| Arc::new(Moody { id, seed, calls: AtomicU64::new(0), alive: AtomicU64::new(0) });
    let drivers = [moody("a", seed), moody("b", !seed)];
    let budget = SessionBudget::new(SessionBudget::MOST, RESERVED).map_err(told)?;
    let tally = Arc::new(Tally::default());
    let kernel = Kernel::builder(registry, Arc::new(authority))
        .clock(clock)
        .router(Router::new().route(id, ["a", "b"]).map_err(told)?)
        .driver(Arc::<Moody>::clone(&drivers[0]))
        .driver(Arc::<Moody>::clone(&drivers[1]))
        .budget(budget.clone())
        .log(Arc::<Tally>::clone(&tally))
        .build()
        .map_err(told)?;
    Ok(Scene { kernel, tally, budget, drivers, token: Arc::new(token), principal })
}

#[expect(clippy::needless_pass_by_value, reason = "a shape for map_err")]
fn told(error: impl ToString) -> String {
    error.to_string()
}

/// What came of all of them.
#[derive(Debug, Clone, Copy, Default)]
pub struct Figures {
    /// Invocations whose caller waited.
    pub waited: u64,
    /// Invocations that their caller dropped.
    pub dropped: u64,
    /// Invocations that were served.
    pub served: u64,
}

/// Performs so many invocations, 64 at once. Returns what came of them and what broke a rule.
///
/// # Errors
/// What kept it from starting.
pub fn invoke(seed: u64, count: u64) -> Result<(Figures, Vec<String>), String> {
    quiet();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_time().build().map_err(told)?;
    runtime.block_on(async {
        let scene = Arc::new(scene(seed)?);
        let mut callers = tokio::task::JoinSet::new();
        for caller in 0..CALLERS {
            callers.spawn(call(
                Arc::clone(&scene),
                seed,
                (caller..count).step_by(CALLERS as usize),
            ));
        }
        let mut figures = Figures::default();
        while let Some(ended) = callers.join_next().await {
            let (waited, dropped) = ended.map_err(told)?;
            figures.waited += waited;
            figures.dropped += dropped;
        }
        let closed = scene.kernel.close(Duration::from_secs(60)).await;
        let mut broken = Vec::new();
        if (closed.cancelled, closed.left) != (0, 0) {
            broken.push(format!("the kernel closed as {closed:?}"));
        }
        figures.served = judge(&scene, &figures, &mut broken);
        Ok((figures, broken))
    })
}

async fn call(
    scene: Arc<Scene>,
    seed: u64,
    numbers: impl Iterator<Item = u64> + Send,
) -> (u64, u64) {
    let (mut waited, mut dropped) = (0, 0);
    for number in numbers {
        let bits = mix(seed, number);
        let mode = match bits % 4 {
            0 => Mode::HandleOnly,
            1 => Mode::Summary,
            2 => Mode::Table,
            _ => Mode::Raw,
        };
        let invocation = Invocation::new(Arc::clone(&scene.token), Arc::clone(&scene.principal));
        let work = scene.kernel.invoke(invocation.mode(mode));
        // Half of the callers drop theirs at one of the first polls, if it is not over by then.
        let left = if bits & 16 == 0 { 1 + (bits >> 8) % 10 } else { u64::MAX };
        match (Polls { inner: Some(Box::pin(work)), left }).await {
            Some(_) => waited += 1,
            None => dropped += 1,
        }
    }
    (waited, dropped)
}

/// Returns how many were served.
fn judge(scene: &Scene, figures: &Figures, broken: &mut Vec<String>) -> u64 {
    let mut check = |holds: bool, what: String| {
        if !holds {
            broken.push(what);
        }
    };
    let records = scene.tally.records.lock();
    let began = figures.waited + figures.dropped;
    check(records.len() as u64 == began, format!("{began} began, {} recorded", records.len()));
    let twice = scene.tally.twice.load(Ordering::Relaxed);
    check(twice == 0, format!("{twice} were recorded twice"));
    let cost: u64 = records.values().flatten().sum();
    let served = records.values().flatten().count() as u64;
    let state = scene.budget.state();
    let exact = state.used == cost && state.remaining == state.total - cost && state.reserved == 0;
    check(exact, format!("{cost} tokens are recorded, the budget is {state:?}"));
    let ends = (state.settled, state.settled + state.released);
    check(ends == (served, state.reservations), format!("{served} were served, {state:?}"));
    let stats = scene.kernel.stats();
    let counted = stats.invocations_ok + stats.invocations_failed + stats.invocations_cancelled;
    check(counted == began && stats.unrecorded == 0, format!("{began} began, {stats:?}"));
    for driver in &scene.drivers {
        let alive = driver.alive.load(Ordering::Relaxed);
        check(alive == 0, format!("{alive} attempts of `{}` are under way", driver.id));
    }
    served
}

pub(super) fn soak(asked: Asked) -> Report {
    match invoke(asked.seed, asked.count) {
        Ok((figures, violations)) => {
            let Figures { waited, dropped, served } = figures;
            let done =
                format!("{waited} invocations waited for, {dropped} dropped, {served} served");
            Report { done, violations }
        }
        Err(error) => Report { done: "nothing".into(), violations: vec![error] },
    }
}
