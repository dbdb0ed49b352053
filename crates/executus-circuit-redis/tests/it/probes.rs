//! One probe for the whole fleet, whatever becomes of it; one alert for the whole fleet.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use executus_circuit::{Alert, Circuit, CircuitStore, Jitter, OnAlert, Permit, Policy, State};
use executus_testkit::redis::RedisServer;
use tokio::task::JoinSet;

use crate::stage::{circuit, cool, key, open, policy, probe, seen, store, until};

/// The permits that a thousand callers of eight stores get at once.
async fn rush(circuits: &[Circuit]) -> Vec<Permit> {
    let mut callers = JoinSet::new();
    for caller in 0..1000 {
        let circuit = circuits[caller % circuits.len()].clone();
        callers.spawn(async move { circuit.acquire().await.ok() });
    }
    callers.join_all().await.into_iter().flatten().collect()
}

fn fleet(url: &str) -> Vec<Circuit> {
    let circuits = (0..8).map(|_| {
        let store: Arc<dyn CircuitStore> = store(url);
        // Under such a load an answer may take longer than a call should wait for it.
        let limit = Duration::from_secs(10);
        Circuit::builder(store, key()).policy(policy()).store_limit(limit).build().unwrap()
    });
    circuits.collect()
}

/// S3: of a thousand callers one probes. One that is dropped, panics or teaches nothing gives its
/// place to exactly one more; an answer of 4xx is an answer, and closes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_a_thousand_probes_and_gives_its_place_back() {
    let server = RedisServer::plain().await;
    let (circuits, store) = (fleet(&server.url()), store(&server.url()));
    open(&circuits[0]).await;
    for circuit in &circuits {
        circuit.snapshot().await;
    }
    cool(&store).await;
    for end in ["dropped", "panicked", "neutral", "aborted", "answered 4xx"] {
        let mut permits = rush(&circuits).await;
        assert_eq!(permits.len(), 1, "before one is {end}");
        let permit = permits.remove(0);
        assert!(permit.is_probe(), "{end}");
        assert!(rush(&circuits).await.is_empty(), "a second probe before one is {end}");
        match end {
            "dropped" => drop(permit),
            "panicked" => {
                let call = async move {
                    let _permit = permit;
                    panic!("a call that panics")
                };
                assert!(JoinSet::from_iter([call]).join_next().await.unwrap().is_err());
            }
            "aborted" => {
                let mut calls = JoinSet::new();
                calls.spawn(async move {
                    let _permit = permit;
                    std::future::pending::<()>().await;
                });
                calls.shutdown().await;
            }
            "neutral" => permit.neutral().await,
            _ => permit.success().await,
        }
        until(&store, |seen| !seen.probing).await;
    }
    assert_eq!(seen(&store).await.state, State::Closed);
    assert_eq!(rush(&circuits).await.len(), 1000);
}

/// S3: a process that is killed while it probes: the place is back when its lease is over.
#[tokio::test]
async fn a_killed_probe_leaves_its_place_to_the_next() {
    let server = RedisServer::plain().await;
    let store = store(&server.url());
    let one = circuit(&store);
    open(&one).await;
    cool(&store).await;
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "probes::probes_until_it_is_killed", "--ignored", "--nocapture"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut orders = child.stdin.take().unwrap();
    writeln!(orders, "{}", server.url()).unwrap();
    let mut said = String::new();
    BufReader::new(child.stderr.take().unwrap()).read_line(&mut said).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(said, "probing\n");
    assert!(one.acquire().await.unwrap_err().probing, "the place is free before its lease is over");
    probe(&one).await.success().await;
    assert_eq!(seen(&store).await.state, State::Closed);
}

/// The process that is killed.
#[tokio::test]
#[ignore = "a process of the test above"]
async fn probes_until_it_is_killed() {
    let mut url = String::new();
    std::io::stdin().read_line(&mut url).unwrap();
    let lease = Duration::from_secs(2);
    let policy = Policy::builder().jitter(Jitter::Off).probe_lease(lease).build().unwrap();
    let limit = Duration::from_secs(10);
    let store: Arc<dyn CircuitStore> = store(url.trim());
    let circuit = Circuit::builder(store, key()).policy(policy).store_limit(limit).build().unwrap();
    let permit = circuit.acquire().await.unwrap();
    assert!(permit.is_probe());
    eprintln!("probing");
    // Until it is killed, or whoever would do it is gone.
    std::io::stdin().read_line(&mut url).unwrap();
    drop(permit);
}

/// CB-15: the fleet finds its peer dead, and an operator is told once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_is_told_once_by_the_whole_fleet() {
    let server = RedisServer::plain().await;
    let alerts = Arc::new(AtomicUsize::new(0));
    let policy = Policy::builder().jitter(Jitter::Off).dormant(1, Duration::from_secs(60));
    let policy = policy.build().unwrap();
    let mut permits = Vec::new();
    for _ in 0..8 {
        let count = Arc::clone(&alerts);
        let hook: Arc<dyn OnAlert> = Arc::new(move |_: &Alert| {
            count.fetch_add(1, Ordering::SeqCst);
        });
        let store: Arc<dyn CircuitStore> = store(&server.url());
        let limit = Duration::from_secs(10);
        let circuit = Circuit::builder(store, key()).policy(policy.clone()).store_limit(limit);
        let circuit = circuit.on_alert(hook).build().unwrap();
        for _ in 0..20 {
            permits.push(circuit.acquire().await.unwrap());
        }
    }
    let calls: JoinSet<()> = permits.into_iter().map(Permit::failure).collect();
    calls.join_all().await;
    assert_eq!(alerts.load(Ordering::SeqCst), 1);
}
