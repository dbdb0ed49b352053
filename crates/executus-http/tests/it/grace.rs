//! What fails in the wake of a dropped connection.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use executus_circuit::{MemoryCircuits, State};
use executus_core::Clock;
use executus_http::{Client, HttpError, Method, Phase, Profile, Request};
use executus_testkit::hostile::{Greeting, HostileServer};
use parking_lot::Mutex;
use tokio::task::JoinSet;

use crate::still::{
    Setup, Still, again, all_closed, get, ms, pass, patient, plan, policy, server, start,
};

/// DG-01
#[tokio::test(start_paused = true)]
async fn a_request_on_a_connection_that_breaks() {
    let _still = Still::new();
    let server = server();
    for path in ["/drop", "/reset", "/noise", "/half"] {
        let setup = Setup::new(policy());
        // A pooled client, with a connection that is kept.
        assert_eq!(setup.get(&server).await.unwrap(), "hello");
        assert_eq!(setup.pool(server.address()).idle, 1);
        let error = setup.get_at(&server.url(path)).await.unwrap_err();
        assert!(error.is_dropped(), "{path}: {error:?}");
        let circuit = setup.circuit(server.address()).await;
        assert_eq!((circuit.state, circuit.failure_count), (State::Closed, 0), "{path}");
        let pool = setup.pool(server.address());
        assert_eq!((pool.evictions, pool.idle, pool.in_grace), (1, 0, true), "{path}");
    }
}

/// DG-01: the server is gone while the request is written.
#[tokio::test(start_paused = true)]
async fn a_request_that_cannot_be_written() {
    let _still = Still::new();
    for greeting in [Greeting::Close, Greeting::Reset] {
        let server = HostileServer::greeting(move |_| greeting, plan);
        let setup = Setup::new(policy());
        let request = Request::new(Method::Post, &server.url("/")).unwrap();
        let request = request.body("text/plain", vec![b'x'; 8 << 20]);
        let error = setup.client.send(request).await.unwrap_err();
        assert!(error.is_dropped(), "{error:?}");
        assert_eq!(setup.counted(server.address()).await, 0);
        assert_eq!(setup.pool(server.address()).evictions, 1);
    }
}

/// DG-02
#[tokio::test(start_paused = true)]
async fn what_was_dropped_was_not_reached() {
    let _still = Still::new();
    let server = server();
    for path in ["/drop", "/reset", "/noise", "/half"] {
        let error: HttpError = Setup::new(policy()).get_at(&server.url(path)).await.unwrap_err();
        assert!(error.is_dropped() && error.is_not_reachable(), "{error:?}");
    }
}

/// DG-03, DG-04
#[tokio::test(start_paused = true)]
async fn a_refusal_after_a_drop() {
    let _still = Still::new();
    for (later, held) in [(ms(0), true), (ms(1999), true), (ms(2000), true), (ms(2001), false)] {
        let (server, setup) = (server(), Setup::new(patient()));
        assert!(setup.get_at(&server.url("/drop")).await.unwrap_err().is_dropped());
        pass(later).await;
        setup.wire.refuses();
        let error = setup.get(&server).await.unwrap_err();
        assert_eq!(setup.counted(server.address()).await, u32::from(!held), "{later:?}");
        if held {
            assert!(matches!(error, HttpError::Dropped { sent: false, .. }), "{error:?}");
            // Held, and not forgotten: without a success it counts at the end of the window.
            pass(ms(2001)).await;
            assert_eq!(setup.counted(server.address()).await, 1, "{later:?}");
        } else {
            assert!(matches!(error, HttpError::Connect { .. }), "{error:?}");
            assert!(!error.is_dropped() && error.is_not_reachable());
        }
    }
}

/// DG-03: a success on a fresh connection forgets what is held.
#[tokio::test(start_paused = true)]
async fn a_refusal_that_is_forgotten() {
    let _still = Still::new();
    let (server, setup) = (server(), Setup::new(patient()));
    assert!(setup.get_at(&server.url("/drop")).await.unwrap_err().is_dropped());
    setup.wire.refuses();
    assert!(setup.get(&server).await.unwrap_err().is_dropped());
    setup.wire.connects();
    assert_eq!(setup.get(&server).await.unwrap(), "hello");
    pass(ms(5000)).await;
    assert_eq!(setup.counted(server.address()).await, 0);
}

/// DG-05
#[tokio::test(start_paused = true)]
async fn a_limit_that_passes_after_a_drop() {
    let _still = Still::new();
    for phase in [Phase::Connect, Phase::Pool, Phase::Headers, Phase::Idle, Phase::Total] {
        for inside in [true, false] {
            let server = server();
            let setup = Setup::with(patient(), |builder| {
                let one = Profile::default().max_connections(1);
                let builder = if phase == Phase::Pool { builder.profile(one) } else { builder };
                builder.pool_timeout(ms(300))
            });
            if inside {
                assert!(setup.get_at(&server.url("/drop")).await.unwrap_err().is_dropped());
            }
            let error = too_late(&setup, &server, phase).await;
            let is_timeout = matches!(&error, HttpError::Timeout { phase: p, .. } if *p == phase);
            assert_eq!((error.is_dropped(), is_timeout), (inside, !inside), "{phase:?}: {error:?}");
            assert!(error.is_not_reachable());
            let counted = setup.counted(server.address()).await;
            let counts = phase == Phase::Connect;
            assert_eq!(counted, u32::from(counts && !inside), "{phase:?} inside: {inside}");
            // Only a connection that was not made is held back, and counts in the end.
            pass(ms(2500)).await;
            assert_eq!(setup.counted(server.address()).await, u32::from(counts), "{phase:?}");
        }
    }
}

/// A request that fails by its limit for this phase.
async fn too_late(setup: &Setup, server: &HostileServer, phase: Phase) -> HttpError {
    let client = setup.client.clone();
    let at = |path: &str| Request::new(Method::Get, &server.url(path)).unwrap();
    let before = server.counts();
    let send = |request: Request| {
        let client = client.clone();
        start(async move { client.send(request).await?.bytes(100).await.map(drop) })
    };
    let (_others, call) = match phase {
        Phase::Connect => {
            setup.wire.hangs();
            (None, send(at("/")))
        }
        Phase::Pool => {
            let first = send(at("/stall"));
            server.until(|counts| counts.requests > before.requests).await;
            (Some(first), send(at("/")))
        }
        Phase::Headers => (None, send(at("/stall"))),
        Phase::Idle => (None, send(at("/pause"))),
        _ => (None, send(at("/stall").total_timeout(ms(200)))),
    };
    if !matches!(phase, Phase::Connect | Phase::Pool) {
        server.until(|counts| counts.requests > before.requests).await;
    }
    if phase == Phase::Idle {
        server.until(|counts| counts.written > before.written).await;
    }
    // The request must have come to where it waits before its time passes.
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
    pass(ms(500)).await;
    call.await.unwrap().unwrap_err()
}

/// DG-06
#[tokio::test(start_paused = true)]
async fn ten_drops_at_once() {
    let _still = Still::new();
    let log = Log::of_all();
    let (server, setup) = (server(), Setup::new(policy()));
    let mut calls = JoinSet::new();
    for _ in 0..10 {
        let (client, url) = (setup.client.clone(), server.url("/stall"));
        calls.spawn(async move { get(&client, &url).await });
    }
    server.until(|counts| counts.requests == 10).await;
    server.drop_all();
    while let Some(outcome) = calls.join_next().await {
        let error = outcome.unwrap().unwrap_err();
        assert!(matches!(error, HttpError::Dropped { before_head: true, sent: true, .. }));
    }
    let circuit = setup.circuit(server.address()).await;
    assert_eq!((circuit.state, circuit.failure_count), (State::Closed, 0));
    let pool = setup.pool(server.address());
    assert_eq!((pool.evictions, pool.exchanges, pool.connections), (1, 0, 0));
    pass(ms(5000)).await;
    assert_eq!(setup.counted(server.address()).await, 0);
    let log = log.about(&server.address().to_string());
    assert_eq!(log.matches("a connection was dropped").count(), 1, "{log}");
    assert!(!log.contains("opened"), "{log}");
}

/// DG-07
#[tokio::test(start_paused = true)]
async fn one_drop_and_nine_refusals() {
    let _still = Still::new();
    for comes_back in [true, false] {
        let setup = Setup::new(patient());
        let first = server();
        let address = first.address();
        assert!(setup.get_at(&first.url("/drop")).await.unwrap_err().is_dropped());
        let url = first.url("/");
        drop(first);
        let mut calls = JoinSet::new();
        for _ in 0..9 {
            let (client, url) = (setup.client.clone(), url.clone());
            calls.spawn(async move { get(&client, &url).await });
        }
        while let Some(outcome) = calls.join_next().await {
            assert!(outcome.unwrap().unwrap_err().is_dropped());
        }
        assert_eq!(setup.counted(address).await, 0);
        pass(ms(1900)).await;
        assert_eq!(setup.counted(address).await, 0);
        if comes_back {
            let second = again(address);
            assert_eq!(setup.get(&second).await.unwrap(), "hello");
        }
        pass(ms(200)).await;
        assert_eq!(setup.counted(address).await, if comes_back { 0 } else { 9 });
    }
}

/// DG-08
#[tokio::test(start_paused = true)]
async fn connections_inside_the_window_serve_once() {
    let _still = Still::new();
    let (server, setup) = (server(), Setup::new(policy()));
    assert!(setup.get_at(&server.url("/drop")).await.unwrap_err().is_dropped());
    for n in 0..3 {
        assert_eq!(setup.get(&server).await.unwrap(), "hello");
        assert_eq!(server.counts().accepted, 2 + n);
        assert_eq!(setup.pool(server.address()).idle, 0);
    }
    all_closed(&server).await;
    pass(ms(2001)).await;
    for _ in 0..3 {
        assert_eq!(setup.get(&server).await.unwrap(), "hello");
        assert_eq!(setup.pool(server.address()).idle, 1);
    }
    assert_eq!(server.counts().accepted, 5);
}

/// DG-09
#[tokio::test(start_paused = true)]
async fn each_connection_that_serves_once_is_closed() {
    let _still = Still::new();
    let (server, setup) = (server(), Setup::new(policy()));
    assert!(setup.get_at(&server.url("/drop")).await.unwrap_err().is_dropped());
    let before = server.counts().accepted;
    for path in ["/", "/500", "/", "/drop", "/half", "/noise"] {
        let _whatever = setup.get_at(&server.url(path)).await;
    }
    for path in ["/stall", "/pause"] {
        let (seen, url) = (server.counts(), server.url(path));
        tokio::select! {
            outcome = setup.get_at(&url) => panic!("{outcome:?} from {path}"),
            _ = server.until(|counts| counts.requests > seen.requests) => {}
        }
    }
    assert_eq!(all_closed(&server).await.accepted, before + 8);
    // Built and closed here as well: nothing is under way.
    assert_eq!(setup.client.close(Duration::ZERO).await, 0);

    pass(ms(2001)).await;
    for _ in 0..8 {
        assert_eq!(setup.get(&server).await.unwrap(), "hello");
    }
    assert_eq!(server.counts().accepted, before + 9);
    assert_eq!(server.counts().open, 1);
}

/// DG-10
#[tokio::test(start_paused = true)]
async fn a_plain_refusal_leaves_the_pool_alone() {
    let _still = Still::new();
    let (server, setup) = (server(), Setup::new(policy()));
    // The only connection is in use until the body is read.
    let request = Request::new(Method::Get, &server.url("/")).unwrap();
    let in_use = setup.client.send(request).await.unwrap();
    setup.wire.refuses();
    let error = setup.get(&server).await.unwrap_err();
    assert!(matches!(error, HttpError::Connect { .. }), "{error:?}");
    assert_eq!(in_use.bytes(5).await.unwrap(), "hello");
    let pool = setup.pool(server.address());
    assert_eq!((pool.evictions, pool.in_grace, pool.idle), (0, false, 1));
    assert_eq!(setup.get(&server).await.unwrap(), "hello");
    assert_eq!(server.counts().accepted, 1);
}

/// DG-11
#[tokio::test(start_paused = true)]
async fn addresses_have_nothing_to_do_with_each_other() {
    let _still = Still::new();
    let (one, other, setup) = (server(), server(), Setup::new(patient()));
    assert_eq!(setup.get(&one).await.unwrap(), "hello");
    assert_eq!(setup.get(&other).await.unwrap(), "hello");
    assert!(setup.get_at(&one.url("/drop")).await.unwrap_err().is_dropped());
    let (ones, others) = (setup.pool(one.address()), setup.pool(other.address()));
    assert_eq!((ones.in_grace, ones.evictions, ones.idle), (true, 1, 0));
    assert_eq!((others.in_grace, others.evictions, others.idle), (false, 0, 1));
    setup.wire.refuses();
    assert_eq!(setup.get(&other).await.unwrap(), "hello");
    assert!(setup.get(&one).await.unwrap_err().is_dropped());
    setup.client.close(Duration::ZERO).await;
    let error = setup.get(&other).await.unwrap_err();
    assert!(matches!(error, HttpError::Connect { .. }), "{error:?}");
    assert_eq!(setup.counted(other.address()).await, 1);
    assert_eq!(setup.counted(one.address()).await, 0);
}

/// DG-15
#[tokio::test(start_paused = true)]
async fn windows_are_per_client_and_circuits_shared() {
    let _still = Still::new();
    let server = server();
    let circuits = Arc::new(MemoryCircuits::new(Clock::system()));
    let worker = || Client::builder().circuits(circuits.clone(), policy()).build().unwrap();
    let (one, other) = (worker(), worker());
    assert_eq!(get(&other, &server.url("/")).await.unwrap(), "hello");
    assert!(get(&one, &server.url("/drop")).await.unwrap_err().is_dropped());
    assert!(one.snapshot()[0].in_grace && !other.snapshot()[0].in_grace);
    assert_eq!((one.snapshot()[0].evictions, other.snapshot()[0].evictions), (1, 0));
    pass(ms(2001)).await;
    let url = server.url("/");
    drop(server);
    // The other's kept connection is dropped; what one of them finds out, both know.
    let _dropped = get(&other, &url).await.unwrap_err();
    for _ in 0..3 {
        let error = get(&one, &url).await.unwrap_err();
        assert!(matches!(error, HttpError::Connect { .. }), "{error:?}");
    }
    let error = get(&other, &url).await.unwrap_err();
    assert!(matches!(error, HttpError::CircuitOpen { .. }), "{error:?}");
}

/// DG-16
#[tokio::test(start_paused = true)]
async fn a_server_that_drops_everything_is_found_out() {
    let _still = Still::new();
    let (server, setup) = (server(), Setup::new(policy()));
    let began = tokio::time::Instant::now();
    let opened = loop {
        match setup.get_at(&server.url("/drop")).await.unwrap_err() {
            error @ HttpError::Dropped { .. } => assert!(error.is_dropped()),
            HttpError::CircuitOpen { .. } => break began.elapsed(),
            error => panic!("{error:?}"),
        }
        assert!(began.elapsed() < Duration::from_secs(60), "it is never found out");
        pass(ms(1900)).await;
    };
    assert!(opened > Duration::from_secs(10), "{opened:?}");
    assert!(opened < Duration::from_secs(20), "{opened:?}");
}

/// What was logged by all tests.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn of_all() -> Self {
        static LOG: OnceLock<Log> = OnceLock::new();
        let log = LOG.get_or_init(|| {
            let log = Self::default();
            let writer = log.clone();
            tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).init();
            log
        });
        log.clone()
    }

    /// The lines that name this address.
    fn about(&self, address: &str) -> String {
        let all = String::from_utf8_lossy(&self.0.lock()).into_owned();
        all.lines().filter(|line| line.contains(address)).collect::<Vec<_>>().join("\n")
    }
}

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
