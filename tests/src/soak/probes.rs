//! A thousand callers in eight processes and one dead peer: what reaches the peer while its circuit
//! is open is one probe at a time, whatever becomes of it, and its place always comes back.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use executus_testkit::redis::{RedisServer, Settings};
use tokio::net::TcpListener;
use tokio::runtime::Builder;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::{Asked, Report};

mod fleet;
mod peer;
mod process;

use fleet::Fleet;
use peer::Peer;
pub use process::{NAME as PROCESS, run as process};

/// How many processes, and callers in each.
const PROCESSES: usize = 8;
const CALLERS: usize = 125;
/// How long a probe keeps its place: much longer than the peer takes.
const LEASE: Duration = Duration::from_secs(3);
/// The longest cooldown.
const COOLDOWN: Duration = Duration::from_millis(200);
/// A place that is not taken again for so long is lost. A loaded machine takes its time.
const LOST: Duration = Duration::from_secs(30);

/// So many probes reach the peer, one after the other. Each ends in one of the ways there are: its
/// process is killed, its call panics or is dropped, it is answered 4xx, or fails, or succeeds.
#[must_use]
pub fn soak(asked: Asked) -> Report {
    match std::env::current_exe() {
        Ok(program) => watch(asked, &program, PROCESSES, CALLERS),
        Err(error) => broken(error.to_string()),
    }
}

/// The same with so many processes of this program, which must be `soak`, and callers in each.
#[must_use]
pub fn watch(asked: Asked, program: &Path, processes: usize, callers: usize) -> Report {
    match Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => {
            runtime.block_on(watched(asked, program, (processes, callers))).unwrap_or_else(broken)
        }
        Err(error) => broken(error.to_string()),
    }
}

fn broken(what: String) -> Report {
    Report { done: "not done".into(), violations: vec![what] }
}

async fn watched(
    asked: Asked,
    program: &Path,
    (processes, callers): (usize, usize),
) -> Result<Report, String> {
    let server = RedisServer::start(Settings::default()).await?;
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(|error| error.to_string())?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    let mut fleet = Fleet::start(program, &server.url(), &address.to_string(), callers, processes)?;
    let (peer, mut to_kill) = Peer::new(asked.seed);
    let peer = Arc::new(peer);
    let mut calls = JoinSet::new();
    calls.spawn(peer::listen(listener, Arc::clone(&peer)));
    let mut killed = 0_u64;
    let mut violations = Vec::new();
    let mut seen = 0;
    while peer.probes() < asked.count {
        tokio::select! {
            process = to_kill.recv() => {
                let Some(process) = process else { break };
                fleet.kill(process)?;
                killed += 1;
            }
            moved = timeout(LOST, moves(&peer, seen)) => {
                if moved.is_err() {
                    violations.push(format!("after {seen} probes none passes for {LOST:?}"));
                    break;
                }
                seen = peer.probes();
            }
        }
        fleet.are_alive()?;
    }
    violations.extend(peer.violations());
    let done = format!(
        "{processes} processes of {callers} callers: {} probes, {} at most at once ({}), {killed} \
         processes killed, {} other calls while the circuit was closed",
        peer.probes(),
        peer.most(),
        peer.ends(),
        peer.others(),
    );
    calls.shutdown().await;
    drop(fleet);
    Ok(Report { done, violations })
}

/// Until there are more probes than were seen.
async fn moves(peer: &Peer, seen: u64) {
    while peer.probes() <= seen {
        sleep(Duration::from_millis(5)).await;
    }
}
