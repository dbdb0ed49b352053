//! Ten thousand requests at once to a server in a process of its own, which is well and drops all its
//! connections in bursts: no circuit opens, each burst closes the pool once, and every descriptor
//! comes back. Then the server is killed, and the circuit opens.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use executus_circuit::{CircuitKey, CircuitStore, MemoryCircuits, Policy, Snapshot, State};
use executus_http::{AddressSnapshot, Client, HttpError, Method, Profile, Request};
use tokio::runtime::Builder;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::{Asked, Report};

mod server;

use server::Server;
pub use server::{NAME as PROCESS, run as process};

/// How many requests are held at once, where descriptors allow it.
const AT_ONCE: usize = 10_000;
/// Descriptors that are for something else.
const SPARE: u64 = 200;
/// Behind the window of grace, which is 2 s.
const AFTER: Duration = Duration::from_millis(2_200);
/// So many connections are made at a time: the system keeps only so many that nobody has taken.
const WAVE: usize = 250;
/// What must be by then is not any more.
const LOST: Duration = Duration::from_secs(60);

/// So many bursts, one after the other.
#[must_use]
pub fn soak(asked: Asked) -> Report {
    match std::env::current_exe() {
        Ok(program) => watch(asked, &program, AT_ONCE),
        Err(error) => broken(error.to_string()),
    }
}

/// The same with so many requests at once, and a server that is this program, which must be `soak`.
#[must_use]
pub fn watch(asked: Asked, program: &Path, at_once: usize) -> Report {
    match Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime.block_on(watched(asked, program, at_once)).unwrap_or_else(broken),
        Err(error) => broken(error.to_string()),
    }
}

fn broken(what: String) -> Report {
    Report { done: "not done".into(), violations: vec![what] }
}

/// A client and what it does.
struct Scene {
    client: Client,
    circuits: Arc<MemoryCircuits>,
    server: Server,
    violations: Vec<String>,
}

async fn watched(asked: Asked, program: &Path, at_once: usize) -> Result<Report, String> {
    let descriptors = server::raise_descriptors()?;
    let room = usize::try_from(descriptors.saturating_sub(SPARE)).unwrap_or(usize::MAX);
    let at_once = at_once.min(room);
    let circuits = Arc::new(MemoryCircuits::default());
    let profile = Profile::DRIVER.max_connections(at_once.max(1)).timeout(Some(LOST));
    let client = Client::builder()
        .profile(profile)
        .circuits(circuits.clone(), Policy::default())
        .build()
        .map_err(|error| error.to_string())?;
    let server = Server::start(program).await?;
    let mut scene = Scene { client, circuits, server, violations: Vec::new() };
    // What the runtime itself opens is open by now.
    scene.ask("/").await.map_err(|error| error.to_string())?;
    scene.client.close(LOST).await;
    let at_start = server::open_descriptors()?;
    for burst in 1..=asked.count {
        scene.burst(burst, at_once).await?;
    }
    let dropped = asked.count * at_once as u64;
    let left = scene.client.close(LOST).await;
    let back = scene.descriptors_are_back(at_start).await?;
    if left > 0 || !back {
        let open = server::open_descriptors()?;
        let what = format!("{open} descriptors at the end, {at_start} at the start, {left} left");
        scene.violations.push(what);
    }
    let opened_in = scene.kill().await?;
    let done = format!(
        "descriptor limit {descriptors}; {} bursts of {at_once} requests at once, {dropped} \
         dropped, {at_start} descriptors at the start and at the end; killed, and open after \
         {:.1} s",
        asked.count,
        opened_in.as_secs_f64()
    );
    Ok(Report { done, violations: scene.violations })
}

impl Scene {
    /// Many requests that are held, and dropped all at once.
    async fn burst(&mut self, burst: u64, at_once: usize) -> Result<(), String> {
        let before = self.pool().map_or(0, |pool| pool.evictions);
        let mut held = JoinSet::new();
        while held.len() < at_once {
            for _ in 0..WAVE.min(at_once - held.len()) {
                let (client, url) = (self.client.clone(), self.server.url("/hold"));
                held.spawn(async move { ask(&client, &url).await });
            }
            self.server.holds(held.len(), LOST).await?;
        }
        self.server.drop_all().await?;
        let (mut dropped, mut others) = (0, Vec::new());
        let waiting = async {
            while let Some(asked) = held.join_next().await {
                match asked {
                    Ok(Err(error)) if error.is_dropped() => dropped += 1,
                    other => others.push(format!("{other:?}")),
                }
            }
        };
        timeout(LOST, waiting).await.map_err(|_| "a dropped request never ended".to_owned())?;
        if dropped != at_once {
            let one = others.first();
            self.violations.push(format!("burst {burst}: {dropped} of {at_once} dropped; {one:?}"));
        }
        let evictions = self.pool().map_or(0, |pool| pool.evictions) - before;
        if evictions != 1 {
            self.violations.push(format!("burst {burst}: {evictions} evictions"));
        }
        // The server is well: the next request says so, inside the window and behind it.
        for wait in [Duration::ZERO, AFTER] {
            sleep(wait).await;
            if let Err(error) = self.ask("/").await {
                self.violations.push(format!("burst {burst}: {error}"));
            }
        }
        let circuit = self.circuit().await?;
        if (circuit.state, circuit.failure_count) != (State::Closed, 0) {
            self.violations.push(format!("burst {burst}: the circuit is {circuit:?}"));
        }
        Ok(())
    }

    /// How long it takes after the server's death until its circuit is open.
    async fn kill(&mut self) -> Result<Duration, String> {
        self.ask("/").await.map_err(|error| error.to_string())?;
        self.server.kill().await?;
        let began = Instant::now();
        // The window of the connection that was dropped, three failures, and some time to make them.
        let late = Duration::from_secs(2 + 3);
        loop {
            if let Err(HttpError::CircuitOpen { .. }) = self.ask("/").await {
                break;
            }
            if began.elapsed() > late {
                self.violations.push(format!("a dead server, and no open circuit in {late:?}"));
                break;
            }
            sleep(Duration::from_millis(20)).await;
        }
        Ok(began.elapsed())
    }

    async fn ask(&self, path: &str) -> Result<(), HttpError> {
        ask(&self.client, &self.server.url(path)).await
    }

    fn pool(&self) -> Option<AddressSnapshot> {
        self.client.snapshot().into_iter().next()
    }

    async fn circuit(&self) -> Result<Snapshot, String> {
        let key = CircuitKey::transport(&self.server.base());
        self.circuits.snapshot(&key).await.map_err(|error| error.to_string())
    }

    /// Closing is the work of tasks that have been told to.
    async fn descriptors_are_back(&self, at_start: usize) -> Result<bool, String> {
        for _ in 0..200 {
            if server::open_descriptors()? <= at_start {
                return Ok(true);
            }
            sleep(Duration::from_millis(20)).await;
        }
        Ok(false)
    }
}

async fn ask(client: &Client, url: &str) -> Result<(), HttpError> {
    let response = client.send(Request::new(Method::Get, url)?).await?;
    response.bytes(1024).await?;
    Ok(())
}
