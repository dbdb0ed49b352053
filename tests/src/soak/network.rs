//! A client and a server on a simulated network: connections drop in bursts, the network stalls, the
//! server restarts, dies or is cut off, callers give up. A seed is a schedule of that.
//!
//! What must hold for each: every call ends, with a typed error or an answer, within its limit. A
//! healthy server never has its circuit opened, however its connections drop, and a burst of drops
//! closes the pool once at most. One that is gone is found out, and one that is back is found out
//! too. In the end no connection and no place is left, and nobody is taken for a probe.

mod server;
mod wire;

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use executus_circuit::{CircuitKey, CircuitStore, Jitter, MemoryCircuits, Policy, State};
use executus_core::Clock;
use executus_http::{Client, HttpError, Method, Profile, Request};
use tokio::time::{Instant, sleep, timeout};

use super::{Asked, Report};
use wire::Simulated;

const PORT: u16 = 80;
const BASE: &str = "http://server:80";
/// How long the callers go on.
const RUN: Duration = Duration::from_secs(12);
/// How long with a server that drops everything: it is given ten seconds.
const LONG_RUN: Duration = Duration::from_secs(18);
/// How long with a server that comes back: its circuit opens, and cools down twice.
const BACK_RUN: Duration = Duration::from_secs(24);
const AWAY: Duration = Duration::from_secs(7);
const COOLDOWN: Duration = Duration::from_secs(4);
/// By when the server is gone, if it goes: late enough for some answers before, and early enough to
/// be found out.
const GONE_FROM: Duration = Duration::from_millis(1500);
const GONE_TO: Duration = Duration::from_secs(3);
/// How long a call may take as a whole.
const LIMIT: Duration = Duration::from_secs(2);
const CONNECT: Duration = Duration::from_millis(700);
/// A step of the simulated time.
const TICK: Duration = Duration::from_millis(5);
const CALLERS: usize = 6;

/// A rule that was broken.
#[derive(Debug)]
pub struct Violation {
    seed: u64,
    what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seed {}: {}", self.seed, self.what)
    }
}

/// What becomes of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It drops connections in bursts.
    Bursts,
    /// It drops them and is away for a moment.
    Restarts,
    /// It dies.
    Dies,
    /// They are dropped, and at times nothing moves for a moment.
    Stalls,
    /// Nothing reaches it any more.
    CutOff,
    /// Nothing reaches it for some time.
    Returns,
    /// It drops every request, and never answers again.
    DropsAll,
}

/// What a run saw.
#[derive(Debug, Default, Clone, Copy)]
struct Seen {
    calls: u64,
    answers: u64,
    drops: u64,
    refused: u64,
    given_up: u64,
    evictions: u64,
    bursts: u64,
}

/// So many seeds from the first.
pub fn soak(asked: Asked) -> Report {
    let mut report = Report::default();
    let mut all = Seen::default();
    for seed in asked.seed..asked.seed.saturating_add(asked.count) {
        match seen(seed) {
            Ok(seen) => {
                all.calls += seen.calls;
                all.answers += seen.answers;
                all.drops += seen.drops;
                all.refused += seen.refused;
                all.given_up += seen.given_up;
                all.evictions += seen.evictions;
                all.bursts += seen.bursts;
            }
            Err(violation) => report.violations.push(violation.to_string()),
        }
    }
    report.done = format!(
        "{} seeds, {} calls: {} answered, {} dropped, {} refused by a circuit, {} given up; \
         {} bursts of drops, {} evictions",
        asked.count,
        all.calls,
        all.answers,
        all.drops,
        all.refused,
        all.given_up,
        all.bursts,
        all.evictions,
    );
    report
}

/// One schedule.
///
/// # Errors
/// The rule that was broken.
pub fn run(seed: u64) -> Result<(), Violation> {
    seen(seed).map(drop)
}

fn seen(seed: u64) -> Result<Seen, Violation> {
    let violation = |what: String| Violation { seed, what };
    let mut rng = fastrand::Rng::with_seed(seed);
    let fate = match rng.u8(0..8) {
        0 | 1 => Fate::Bursts,
        2 => Fate::Restarts,
        3 => Fate::Stalls,
        4 => Fate::Dies,
        5 => Fate::CutOff,
        6 => Fate::Returns,
        _ => Fate::DropsAll,
    };
    let gone_at = millis(&mut rng, GONE_FROM, GONE_TO);
    let mut builder = turmoil::Builder::new();
    builder
        .rng_seed(seed)
        .tick_duration(TICK)
        .min_message_latency(Duration::from_millis(1))
        .max_message_latency(Duration::from_millis(rng.u64(2..40)))
        .simulation_duration(Duration::from_secs(60));
    let mut sim = builder.build();
    let plan = server::Plan::new(fate, gone_at, &mut rng);
    let bursts = plan.bursts();
    let mut network = Network::new(fate, gone_at, &mut rng);
    sim.host("server", move || server::serve(plan.clone()));
    let outcome = Rc::new(RefCell::new(Ok(Seen::default())));
    let callers = {
        let (outcome, rng) = (Rc::clone(&outcome), rng.fork());
        async move {
            let found = watch(fate, gone_at, bursts, rng).await;
            *outcome.borrow_mut() = found;
            Ok(())
        }
    };
    sim.client("client", callers);
    loop {
        for deed in network.due(sim.elapsed()) {
            match deed {
                Deed::Cut => sim.partition("client", "server"),
                Deed::Mend => sim.repair("client", "server"),
                Deed::Hold => sim.hold("client", "server"),
                Deed::Release => sim.release("client", "server"),
            }
        }
        match sim.step() {
            Ok(true) => break,
            Ok(false) => {}
            Err(error) => return Err(violation(format!("{fate:?}: {error}"))),
        }
    }
    drop(sim);
    let found = outcome.replace(Ok(Seen::default()));
    let found = found.map_err(|what| violation(format!("{fate:?}: {what}")))?;
    Ok(Seen { bursts, ..found })
}

/// What happens between client and server.
#[derive(Debug, Clone, Copy)]
enum Deed {
    Cut,
    Mend,
    Hold,
    Release,
}

/// What is still to happen, the last first.
struct Network(Vec<(Duration, Deed)>);

impl Network {
    fn new(fate: Fate, gone_at: Duration, rng: &mut fastrand::Rng) -> Self {
        let mut deeds = Vec::new();
        match fate {
            Fate::CutOff => deeds.push((gone_at, Deed::Cut)),
            Fate::Returns => {
                deeds.extend([(gone_at, Deed::Cut), (gone_at + AWAY, Deed::Mend)]);
            }
            Fate::Stalls => {
                let mut at = Duration::from_millis(rng.u64(300..1500));
                while at < RUN {
                    // Shorter than any limit of the client.
                    let end = at + Duration::from_millis(rng.u64(50..400));
                    deeds.extend([(at, Deed::Hold), (end, Deed::Release)]);
                    at = end + Duration::from_millis(rng.u64(300..2000));
                }
            }
            Fate::Bursts | Fate::Restarts | Fate::Dies | Fate::DropsAll => {}
        }
        deeds.reverse();
        Self(deeds)
    }

    fn due(&mut self, now: Duration) -> impl Iterator<Item = Deed> {
        std::iter::from_fn(move || self.0.pop_if(|(at, _)| *at <= now).map(|(_, deed)| deed))
    }
}

/// A time between two others.
fn millis(rng: &mut fastrand::Rng, from: Duration, to: Duration) -> Duration {
    let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(rng.u64(millis(from)..millis(to)))
}

/// The callers and what they must see.
async fn watch(
    fate: Fate,
    gone_at: Duration,
    bursts: u64,
    mut rng: fastrand::Rng,
) -> Result<Seen, String> {
    let circuits = Arc::new(MemoryCircuits::new(Clock::system()));
    let network = Arc::new(Simulated::default());
    let mut policy = Policy::builder().jitter(Jitter::Off);
    if fate == Fate::Returns {
        policy = policy.cooldown(COOLDOWN, COOLDOWN * 2);
    }
    let policy = policy.build().map_err(|error| error.to_string())?;
    let client = Client::builder()
        .circuits(circuits.clone(), policy)
        .transport(network.clone())
        .resolver(network.clone())
        .profile(Profile::PEER.max_connections(4).timeout(Some(LIMIT)))
        .pool_timeout(Duration::from_millis(900))
        .connect_timeout(CONNECT)
        .headers_timeout(Duration::from_millis(1200))
        .idle_timeout(Duration::from_millis(800))
        .build()
        .map_err(|error| error.to_string())?;
    let run = match fate {
        Fate::DropsAll => LONG_RUN,
        Fate::Returns => BACK_RUN,
        _ => RUN,
    };
    let calls: Vec<_> = (0..CALLERS)
        .map(|_| tokio::task::spawn_local(caller(client.clone(), run, rng.fork())))
        .collect();
    let began = Instant::now();
    let mut opened = None;
    let mut last = State::Closed;
    while began.elapsed() < run {
        sleep(Duration::from_millis(50)).await;
        last = state(&circuits).await?;
        if opened.is_none() && last != State::Closed {
            opened = Some(began.elapsed());
        }
    }
    let mut all = Seen::default();
    for call in calls {
        let seen = call.await.map_err(|error| error.to_string())??;
        all.calls += seen.calls;
        all.answers += seen.answers;
        all.drops += seen.drops;
        all.refused += seen.refused;
        all.given_up += seen.given_up;
    }
    all.evictions = client.snapshot().iter().map(|pool| pool.evictions).sum();
    let found_out_by = match fate {
        Fate::Bursts | Fate::Restarts | Fate::Stalls => None,
        // The window, the limits of connections, and three of them.
        Fate::Dies | Fate::CutOff | Fate::Returns => Some(gone_at + Duration::from_secs(6)),
        // Ten seconds without an answer, and three drops.
        Fate::DropsAll => Some(gone_at + Duration::from_secs(14)),
    };
    match (opened, found_out_by) {
        (Some(at), None) => {
            return Err(format!("the circuit of a healthy server opened at {at:?}"));
        }
        (Some(at), Some(_)) if at < gone_at => {
            return Err(format!("the circuit opened at {at:?}, the server left at {gone_at:?}"));
        }
        (opened, Some(by)) if opened.is_none_or(|at| at > by) => {
            return Err(format!(
                "gone at {gone_at:?}, the circuit opened {opened:?}, not by {by:?}"
            ));
        }
        _ => {}
    }
    if found_out_by.is_none() && all.evictions > bursts {
        return Err(format!("{} evictions for {bursts} bursts of drops", all.evictions));
    }
    if fate == Fate::Returns && last != State::Closed {
        return Err(format!("the server is back, and its circuit is {last}"));
    }
    if all.answers == 0 {
        return Err("no call was answered".to_owned());
    }
    let left = client.close(Duration::from_secs(5)).await;
    if left > 0 {
        return Err(format!("{left} requests and connections are left"));
    }
    let circuit = circuits.snapshot(&CircuitKey::transport(BASE)).await;
    if circuit.map_err(|error| error.to_string())?.probing {
        return Err("a probe's place was not given back".to_owned());
    }
    match network.open() {
        0 => Ok(all),
        left => Err(format!("{left} connections are left on the network")),
    }
}

async fn state(circuits: &MemoryCircuits) -> Result<State, String> {
    let circuit = circuits.snapshot(&CircuitKey::transport(BASE)).await;
    Ok(circuit.map_err(|error| error.to_string())?.state)
}

/// One call after the other.
async fn caller(client: Client, run: Duration, mut rng: fastrand::Rng) -> Result<Seen, String> {
    let mut seen = Seen::default();
    let began = Instant::now();
    while began.elapsed() < run {
        sleep(Duration::from_millis(rng.u64(1..150))).await;
        let called = Instant::now();
        let call = call(&client, &mut rng);
        let patience = if gives_up(seen.calls) { Duration::from_millis(60) } else { LIMIT * 2 };
        let outcome = timeout(patience, call).await;
        seen.calls += 1;
        let took = called.elapsed();
        if took > LIMIT + TICK * 4 {
            return Err(format!("a call took {took:?}: {outcome:?}"));
        }
        match outcome {
            Err(_) => seen.given_up += 1,
            Ok(Ok(true)) => seen.answers += 1,
            Ok(Ok(false)) => return Err("an answer that nobody sent".to_owned()),
            Ok(Err(HttpError::CircuitOpen { .. })) => seen.refused += 1,
            Ok(Err(HttpError::Dropped { .. })) => seen.drops += 1,
            Ok(Err(HttpError::Connect { .. } | HttpError::Timeout { .. })) => {}
            Ok(Err(error)) => return Err(format!("{error:?}")),
        }
    }
    Ok(seen)
}

/// Every ninth call is given up by its caller.
const fn gives_up(call: u64) -> bool {
    call % 9 == 8
}

/// Whether the answer is the one that was sent.
async fn call(client: &Client, rng: &mut fastrand::Rng) -> Result<bool, HttpError> {
    let size = rng.usize(0..3000);
    let response = client.send(Request::new(Method::Get, &format!("{BASE}/{size}"))?).await?;
    let body = response.bytes(4096).await?;
    Ok(body.len() == size && body.iter().all(|byte| *byte == b'x'))
}
