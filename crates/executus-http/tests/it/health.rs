//! The health of peers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use executus_circuit::{
    Circuit, CircuitStore, Lease, LeaseStore, MemoryCircuits, MemoryLeases, Owner, State,
};
use executus_core::Clock;
use executus_http::health::{
    ApplicationFacts, HealthAlert, HealthHistory, HealthMonitor, HealthRow, HealthStatus,
    HealthTarget, HistoryError, Inspect, MemoryHistory, OnHealthAlert, ProcessFacts, ProcessState,
};
use executus_http::{Client, HttpError};
use executus_testkit::hostile::{HostileServer, Reply};
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::still::{Setup, Still, Wire, key, ms, pass, policy};

struct Scene {
    circuits: Arc<MemoryCircuits>,
    leases: Arc<MemoryLeases>,
    history: MemoryHistory,
    alerts: Arc<Alerts>,
    wire: Arc<Wire>,
    monitor: HealthMonitor,
    lease: Lease,
}

#[derive(Default)]
struct Alerts(Mutex<Vec<HealthAlert>>);

impl OnHealthAlert for Alerts {
    fn alert(&self, alert: &HealthAlert) {
        self.0.lock().push(alert.clone());
        assert!(alert.verdict.reason != "panic", "an alert that panics");
    }
}

impl Scene {
    async fn new(inspect: Option<Arc<dyn Inspect>>) -> Self {
        let circuits = Arc::new(MemoryCircuits::new(Clock::system()));
        let leases = Arc::new(MemoryLeases::new(Clock::system()));
        let (history, alerts) = (MemoryHistory::new(100), Arc::new(Alerts::default()));
        let wire = Arc::new(Wire::default());
        let client = Client::builder().transport(wire.clone()).connect_timeout(ms(500));
        let client = client.headers_timeout(ms(500)).build().unwrap();
        let mut monitor =
            HealthMonitor::builder(client, circuits.clone(), policy(), leases.clone())
                .history(Arc::new(history.clone()))
                .on_alert(alerts.clone())
                .limit(ms(1000));
        if let Some(inspect) = inspect {
            monitor = monitor.inspect(inspect);
        }
        let owner = Owner::new("a");
        let lease = leases.acquire("test", &owner, Duration::from_secs(1)).await.unwrap().unwrap();
        Self { circuits, leases, history, alerts, wire, monitor: monitor.build(), lease }
    }

    async fn look(&self, target: &HealthTarget) -> HealthRow {
        let mut rows = self.monitor.look(std::slice::from_ref(target), &self.lease).await;
        assert_eq!(rows.len(), 1);
        rows.remove(0)
    }

    async fn failures(&self, server: &HostileServer) -> u32 {
        self.circuits.snapshot(&key(server.address())).await.unwrap().failure_count
    }

    fn circuit(&self, server: &HostileServer) -> Circuit {
        Circuit::new(self.circuits.clone(), key(server.address()), policy())
    }
}

fn target(server: &HostileServer) -> HealthTarget {
    HealthTarget { id: "peer".into(), base: server.url("").trim_end_matches('/').into() }
}

/// HM-01
#[tokio::test(start_paused = true)]
async fn any_answer_is_one() {
    let _still = Still::new();
    let scene = Scene::new(None).await;
    for status in [200, 204, 302, 404, 429, 500, 503, 599] {
        let server = HostileServer::always(Reply::status(status, &[], ""));
        scene.circuit(&server).acquire().await.unwrap().failure().await;
        assert_eq!(scene.failures(&server).await, 1);
        let row = scene.look(&target(&server)).await;
        let network = row.facts.network.unwrap();
        assert!(network.reachable && network.status == Some(status), "{network:?}");
        let latency = network.latency_ms.unwrap();
        assert_eq!((latency * 100.0).round() / 100.0, latency);
        assert_eq!(scene.failures(&server).await, 0, "a success was recorded");
        let well = if status < 500 { HealthStatus::Healthy } else { HealthStatus::Unhealthy };
        assert_eq!(row.verdict.status, well);
        assert_eq!(server.requests()[0].path, "/health");
    }
}

/// HM-02
#[tokio::test(start_paused = true)]
async fn a_refused_connection_has_one_text() {
    let _still = Still::new();
    let scene = Scene::new(None).await;
    let server = HostileServer::always(Reply::ok(""));
    for (n, cut) in [Wire::refuses as fn(&Wire), Wire::hangs].into_iter().enumerate() {
        cut(&scene.wire);
        let target = target(&server);
        let time = async {
            loop {
                pass(ms(100)).await;
            }
        };
        let row = tokio::select! { row = scene.look(&target) => row, () = time => unreachable!() };
        let network = row.facts.network.unwrap();
        assert_eq!(network.error.as_deref(), Some("Connection refused"));
        assert!(!network.reachable && network.status.is_none());
        assert_eq!(scene.failures(&server).await, u32::try_from(n).unwrap() + 1);
    }
}

/// HM-03, HM-04
#[tokio::test(start_paused = true)]
async fn a_reset_says_nothing_and_a_broken_answer_counts() {
    let _still = Still::new();
    for (reply, text, failures) in [
        (Reply::new().reset(), "Connection dropped: connection reset", 0),
        (Reply::new().close(), "HTTP transport error on /health: closed", 1),
        (Reply::raw("HTTP/1.1 200").close(), "HTTP transport error on /health: closed", 1),
        (Reply::raw("nonsense\r\n\r\n"), "HTTP transport error on /health: protocol", 1),
    ] {
        let scene = Scene::new(None).await;
        let server = HostileServer::always(reply);
        let row = scene.look(&target(&server)).await;
        assert_eq!(row.facts.network.unwrap().error.as_deref(), Some(text));
        assert_eq!(row.verdict.status, HealthStatus::Unhealthy);
        assert_eq!(scene.failures(&server).await, failures, "{text}");
    }
}

/// HM-05
#[tokio::test(start_paused = true)]
async fn a_timeout_counts() {
    let _still = Still::new();
    let scene = Scene::new(None).await;
    let server = HostileServer::always(Reply::new().stall());
    let target = target(&server);
    let waiting = async {
        server.until(|counts| counts.requests == 1).await;
        pass(ms(1000)).await;
    };
    let (row, ()) = tokio::join!(scene.look(&target), waiting);
    assert_eq!(row.facts.network.unwrap().error.as_deref(), Some("HTTP timeout"));
    assert_eq!(scene.failures(&server).await, 1);
}

/// HM-06
#[tokio::test(start_paused = true)]
async fn what_is_unexpected_is_told_in_short_and_not_recorded() {
    let _still = Still::new();
    let scene = Scene::new(None).await;
    let base = format!("http://{}.invalid host", "x".repeat(400));
    let row = scene.look(&HealthTarget { id: "peer".into(), base: base.as_str().into() }).await;
    let network = row.facts.network.unwrap();
    assert!(!network.reachable);
    assert!(network.error.unwrap().chars().count() <= 200);
    assert_eq!(row.verdict.status, HealthStatus::Unhealthy);
    assert!(scene.circuits.is_empty());
}

/// HM-07
#[tokio::test(start_paused = true)]
async fn a_look_that_is_given_up_records_nothing() {
    let _still = Still::new();
    let scene = Scene::new(None).await;
    let server = HostileServer::always(Reply::new().stall());
    let target = target(&server);
    tokio::select! {
        _ = scene.look(&target) => panic!("it hangs"),
        _ = server.until(|counts| counts.requests == 1) => {}
    }
    server.until(|counts| counts.open == 0).await;
    assert!(scene.circuits.is_empty());
    assert!(scene.history.rows().is_empty() && scene.alerts.0.lock().is_empty());
}

/// HM-08: an ordinary request is refused in the window and does not count; the look does.
#[tokio::test(start_paused = true)]
async fn a_look_knows_no_window_of_grace() {
    let _still = Still::new();
    let setup = Setup::new(policy());
    let server = HostileServer::always(Reply::new().reset());
    setup.get(&server).await.unwrap_err();
    setup.wire.refuses();
    let error: HttpError = setup.get(&server).await.unwrap_err();
    assert!(error.is_dropped(), "{error:?}");
    assert_eq!(setup.counted(server.address()).await, 0);
    let leases = Arc::new(MemoryLeases::new(Clock::system()));
    let owner = Owner::new("a");
    let lease = leases.acquire("test", &owner, Duration::from_secs(1)).await.unwrap().unwrap();
    let circuits = setup.circuits.clone();
    let client = setup.client.clone();
    let monitor = HealthMonitor::builder(client, circuits, policy(), leases).build();
    let row = monitor.look(&[target(&server)], &lease).await.remove(0);
    assert_eq!(row.facts.network.unwrap().error.as_deref(), Some("Connection refused"));
    assert_eq!(setup.counted(server.address()).await, 1);
}

/// HM-09
#[tokio::test(start_paused = true)]
async fn an_open_circuit_is_looked_at_and_a_dormant_one_is_not() {
    let _still = Still::new();
    let scene = Scene::new(None).await;
    let server = HostileServer::always(Reply::ok(""));
    let target = target(&server);
    scene.wire.refuses();
    for _ in 0..3 {
        scene.look(&target).await;
    }
    assert_eq!(scene.circuit(&server).snapshot().await.state, State::Open);
    assert!(scene.circuit(&server).acquire().await.is_err(), "others are refused");
    for _ in 0..9 {
        scene.look(&target).await;
    }
    assert_eq!(scene.circuit(&server).snapshot().await.state, State::Dormant);
    assert_eq!(scene.history.rows().len(), 12);
    scene.wire.connects();
    for wait in [0, 3700] {
        pass(Duration::from_secs(wait)).await;
        let row = scene.look(&target).await;
        assert_eq!(row.verdict.status, HealthStatus::Unhealthy);
        assert!(row.verdict.reason.contains("dormant") && row.facts.network.is_none());
    }
    assert_eq!(server.counts().accepted, 0);
    assert_eq!(scene.history.rows().len(), 12, "nothing is stored of it");
    // An operator's word, and it is looked at again; an open one is found to be back.
    scene.circuit(&server).reset().await.unwrap();
    for _ in 0..3 {
        scene.circuit(&server).acquire().await.unwrap().failure().await;
    }
    let row = scene.look(&target).await;
    assert_eq!(row.verdict.status, HealthStatus::Healthy);
    assert_eq!(scene.circuit(&server).snapshot().await.state, State::Closed);
}

/// Says what it is told of every peer, and panics for one.
struct Inspected {
    at_once: AtomicUsize,
    most: AtomicUsize,
}

#[async_trait]
impl Inspect for Inspected {
    async fn process(&self, target: &HealthTarget) -> Option<ProcessFacts> {
        let now = self.at_once.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
        self.at_once.fetch_sub(1, Ordering::SeqCst);
        assert!(&*target.id != "peer 7", "{}", "the machine of peer 7 is on fire ".repeat(20));
        Some(ProcessFacts::new(ProcessState::Running))
    }

    async fn application(
        &self,
        target: &HealthTarget,
        said: Option<&Value>,
    ) -> Option<ApplicationFacts> {
        let said = said?;
        assert_eq!(said["name"], "server");
        Some(ApplicationFacts::new(&*target.id != "peer 3"))
    }
}

/// HM-10, HM-12
#[tokio::test(start_paused = true)]
async fn ten_at_once_and_one_that_crashes_is_unknown() {
    let _still = Still::new();
    let inspected = Arc::new(Inspected { at_once: AtomicUsize::new(0), most: AtomicUsize::new(0) });
    let scene = Scene::new(Some(inspected.clone())).await;
    let server = HostileServer::always(Reply::json(&json!({"name": "server"})));
    let targets: Vec<_> = (0..40)
        .map(|n| HealthTarget { id: format!("peer {n}").into(), ..target(&server) })
        .collect();
    let rows = scene.monitor.look(&targets, &scene.lease).await;
    assert_eq!(rows.len(), 40);
    for (n, row) in rows.iter().enumerate() {
        assert_eq!(*row.target, *targets[n].id);
        let expected = match n {
            3 => HealthStatus::Unhealthy,
            7 => HealthStatus::Unknown,
            _ => HealthStatus::Healthy,
        };
        assert_eq!(row.verdict.status, expected, "{row:?}");
    }
    let reason = &rows[7].verdict.reason;
    assert!(reason.contains("on fire") && reason.chars().count() <= 100, "{reason}");
    assert!((2..=10).contains(&inspected.most.load(Ordering::SeqCst)));
    assert_eq!(scene.history.rows().len(), 40);
}

/// Alerts have a quiet time each, and one that panics disturbs nothing.
#[tokio::test(start_paused = true)]
async fn an_alert_is_not_repeated_at_once() {
    let _still = Still::new();
    let scene = Scene::new(None).await;
    let server = HostileServer::always(Reply::status(500, &[], ""));
    let target = target(&server);
    for (wait, alerts) in [(0, 1), (599, 1), (1, 2), (60, 2)] {
        pass(Duration::from_secs(wait)).await;
        scene.look(&target).await;
        assert_eq!(scene.alerts.0.lock().len(), alerts, "after {wait}");
    }
    assert_eq!(scene.alerts.0.lock()[0].verdict.status, HealthStatus::Unhealthy);
}

/// Rows that cannot be kept are lost, and that is all.
struct Full;

#[async_trait]
impl HealthHistory for Full {
    async fn keep(&self, row: &HealthRow) -> Result<(), HistoryError> {
        assert!(&*row.target != "peer", "a history that panics");
        Err(HistoryError { message: "full".to_owned() })
    }
}

#[tokio::test(start_paused = true)]
async fn a_broken_history_harms_nothing() {
    let _still = Still::new();
    let scene = Scene::new(None).await;
    let server = HostileServer::always(Reply::ok(""));
    let client = Client::builder().build().unwrap();
    let circuits: Arc<dyn CircuitStore> = scene.circuits.clone();
    let monitor = HealthMonitor::builder(client, circuits, policy(), scene.leases.clone())
        .history(Arc::new(Full))
        .build();
    let other = HealthTarget { id: "other".into(), ..target(&server) };
    let rows = monitor.look(&[target(&server), other], &scene.lease).await;
    assert!(rows.iter().all(|row| row.verdict.status == HealthStatus::Healthy));
}

/// Of two monitors one looks; when it is gone, the other does after the lease.
#[tokio::test(start_paused = true)]
async fn one_of_all_monitors_looks() {
    let _still = Still::new();
    let leases = Arc::new(MemoryLeases::new(Clock::system()));
    let server = HostileServer::always(Reply::ok(""));
    let monitor = |history: &MemoryHistory| {
        let circuits = Arc::new(MemoryCircuits::new(Clock::system()));
        let client = Client::builder().build().unwrap();
        HealthMonitor::builder(client, circuits, policy(), leases.clone())
            .history(Arc::new(history.clone()))
            .build()
    };
    let (first, second) = (MemoryHistory::new(9), MemoryHistory::new(9));
    let targets = [target(&server)];
    let every = Duration::from_secs(30);
    let (one, other) = (monitor(&first), monitor(&second));
    {
        let looks = async {
            tokio::join!(one.watch(&targets, every), other.watch(&targets, every));
        };
        let both = async {
            server.until(|counts| counts.answered == 1).await;
            pass(every).await;
            server.until(|counts| counts.answered == 2).await;
        };
        tokio::select! { () = looks => {}, () = both => {} }
    }
    let (leading, other_rows, waiting) = match (first.rows().len(), second.rows().len()) {
        (_, 0) => (&first, &second, &other),
        (0, _) => (&second, &first, &one),
        both => panic!("both looked: {both:?}"),
    };
    assert!(!leading.rows().is_empty());
    // The one that looked is gone. The other takes over when the lease is over, in a later term.
    let looks = waiting.watch(&targets, every);
    let over = async {
        while server.counts().answered < 3 {
            pass(every).await;
        }
        while other_rows.rows().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! { () = looks => {}, () = over => {} }
    assert!(other_rows.rows()[0].term > leading.rows()[0].term);
}
