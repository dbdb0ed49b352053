//! One process of the fleet: its callers ask their circuit without end, and call when they may.

use std::io::Read;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use executus_circuit::{Circuit, CircuitKey, CircuitStore, Permit, Policy};
use executus_circuit_redis::{Config, RedisCircuits};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Builder;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::{COOLDOWN, LEASE};

/// What `soak` is called by to be such a process.
pub const NAME: &str = "probes-process";

/// Longest pause between two tries of a caller.
const PAUSE: Duration = Duration::from_millis(100);

/// Runs a process until its input ends. Arguments: the server, the peer, how many callers, and
/// which process it is.
#[must_use]
pub fn run(args: &[String]) -> ExitCode {
    let [redis, peer, callers, process] = args else { return ExitCode::from(2) };
    let (Ok(callers), Ok(process)) = (callers.parse::<usize>(), process.parse::<u8>()) else {
        return ExitCode::from(2);
    };
    let (Some(circuit), Ok(runtime)) =
        (circuit(redis), Builder::new_current_thread().enable_all().build())
    else {
        return ExitCode::from(2);
    };
    let (end, ended) = oneshot::channel();
    thread::spawn(move || {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        let _ = end.send(());
    });
    runtime.block_on(async move {
        let mut tasks = JoinSet::new();
        for _ in 0..callers {
            tasks.spawn(call_without_end(circuit.clone(), peer.clone(), process));
        }
        let _ = ended.await;
    });
    ExitCode::SUCCESS
}

fn circuit(redis: &str) -> Option<Circuit> {
    let store: Arc<dyn CircuitStore> = Arc::new(RedisCircuits::new(&Config::new(redis).ok()?));
    let policy = Policy::builder()
        .cooldown(COOLDOWN / 4, COOLDOWN)
        .probe_lease(LEASE)
        .dormant(10_000, COOLDOWN)
        .build()
        .ok()?;
    let key = CircuitKey::transport("http://peer.example");
    // The server is not away here, however loaded the machine is.
    let limit = Duration::from_secs(60);
    Circuit::builder(store, key).policy(policy).store_limit(limit).build().ok()
}

async fn call_without_end(circuit: Circuit, peer: String, process: u8) {
    loop {
        match circuit.acquire().await {
            Ok(permit) => {
                let mut call = JoinSet::new();
                call.spawn(call_once(permit, peer.clone(), process));
                // One that panicked has ended, too.
                let _ = call.join_next().await;
            }
            Err(open) => sleep(open.retry_after.min(PAUSE).mul_f64(fastrand::f64())).await,
        }
    }
}

async fn call_once(permit: Permit, peer: String, process: u8) {
    match answer(permit.is_probe(), &peer, process).await {
        // Any answer, a refusal too, shows that the peer is there.
        Ok(b's' | b'4') => permit.success().await,
        Ok(b'd') => drop(permit),
        Ok(b'x') => {
            let _permit = permit;
            panic!("a call that panics")
        }
        Ok(_) | Err(_) => permit.failure().await,
    }
}

async fn answer(probe: bool, peer: &str, process: u8) -> std::io::Result<u8> {
    let mut call = TcpStream::connect(peer).await?;
    call.write_all(&[if probe { b'p' } else { b'c' }, process]).await?;
    call.read_u8().await
}
