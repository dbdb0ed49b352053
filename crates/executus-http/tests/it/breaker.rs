//! What the circuit of a base address learns from requests.

use std::time::Duration;

use executus_circuit::{CircuitStore, State};
use executus_http::{HttpError, Method, Profile, Request};
use executus_testkit::hostile::HostileServer;
use tokio::task::JoinSet;

use crate::still::{Setup, Still, get, key, ms, pass, patient, policy, server, start};

/// CB-03
#[tokio::test(start_paused = true)]
async fn what_counts() {
    let _still = Still::new();
    let (server, setup) = (server(), Setup::new(patient()));
    setup.wire.refuses();
    let error = setup.get(&server).await.unwrap_err();
    assert!(matches!(error, HttpError::Connect { .. }), "{error:?}");
    assert_eq!(setup.counted(server.address()).await, 1);
    setup.wire.hangs();
    let (client, url) = (setup.client.clone(), server.url("/"));
    let call = start(async move { get(&client, &url).await });
    pass(ms(500)).await;
    let error = call.await.unwrap().unwrap_err();
    assert!(matches!(error, HttpError::Timeout { .. }), "{error:?}");
    assert_eq!(setup.counted(server.address()).await, 2);
}

/// CB-03: nobody listens.
#[tokio::test(start_paused = true)]
async fn a_real_refusal_counts() {
    let _still = Still::new();
    let setup = Setup::new(policy());
    let server = server();
    let (address, url) = (server.address(), server.url("/"));
    drop(server);
    for n in 1..=3 {
        let error = setup.get_at(&url).await.unwrap_err();
        assert!(matches!(error, HttpError::Connect { .. }), "{error:?}");
        assert_eq!(setup.counted(address).await, n);
    }
    assert_eq!(setup.circuit(address).await.state, State::Open);
    let error = setup.get_at(&url).await.unwrap_err();
    assert!(matches!(error, HttpError::CircuitOpen { retry_after: Some(_), .. }), "{error:?}");
}

/// CB-04
#[tokio::test(start_paused = true)]
async fn what_does_not_count() {
    let _still = Still::new();
    for path in ["/drop", "/reset", "/noise", "/half"] {
        let (server, setup) = (server(), Setup::new(policy()));
        for _ in 0..4 {
            assert!(setup.get_at(&server.url(path)).await.is_err());
            pass(ms(2001)).await;
        }
        assert_eq!(setup.counted(server.address()).await, 0, "{path}");
    }
    let (server, setup) = (server(), Setup::new(policy()));
    setup.wire.fails();
    for _ in 0..4 {
        let error = setup.get(&server).await.unwrap_err();
        assert!(matches!(error, HttpError::Connect { .. }), "{error:?}");
    }
    let circuit = setup.circuit(server.address()).await;
    assert_eq!((circuit.state, circuit.failure_count), (State::Closed, 0));
    // A name that is unknown says nothing about a server.
    let error = setup.get_at("http://nothing.invalid/").await.unwrap_err();
    assert!(matches!(error, HttpError::Connect { .. }), "{error:?}");
}

/// CB-04: a large request that is not taken, and a pool that is full.
#[tokio::test(start_paused = true)]
async fn limits_of_time_do_not_count() {
    let _still = Still::new();
    let server = server();
    let setup = Setup::with(policy(), |builder| {
        builder.profile(Profile::default().max_connections(1)).pool_timeout(ms(100))
    });
    let first = start({
        let (client, url) = (setup.client.clone(), server.url("/stall"));
        async move { get(&client, &url).await }
    });
    server.until(|counts| counts.requests == 1).await;
    for _ in 0..4 {
        let call = start({
            let (client, url) = (setup.client.clone(), server.url("/"));
            async move { get(&client, &url).await }
        });
        pass(ms(0)).await;
        pass(ms(100)).await;
        let error = call.await.unwrap().unwrap_err();
        assert!(matches!(error, HttpError::Timeout { .. }), "{error:?}");
    }
    pass(ms(200)).await;
    assert!(matches!(first.await.unwrap(), Err(HttpError::Timeout { .. })));
    assert_eq!(setup.counted(server.address()).await, 0);
}

/// CB-05
#[tokio::test(start_paused = true)]
async fn five_answers_that_do_not_come() {
    let _still = Still::new();
    let (server, setup) = (server(), Setup::new(policy()));
    for n in 1..=5 {
        let error = late(&setup, &server, n).await;
        assert!(matches!(error, HttpError::Timeout { .. }), "{error:?}");
    }
    let circuit = setup.circuit(server.address()).await;
    assert_eq!((circuit.state, circuit.failure_count), (State::Closed, 0));
}

/// Waits in vain for the head of the `nth` request's response.
async fn late(setup: &Setup, server: &HostileServer, nth: usize) -> HttpError {
    let call = start({
        let (client, url) = (setup.client.clone(), server.url("/stall"));
        async move { get(&client, &url).await }
    });
    server.until(|counts| counts.requests == nth).await;
    pass(ms(500)).await;
    call.await.unwrap().unwrap_err()
}

/// CB-06
#[tokio::test(start_paused = true)]
async fn any_response_resets_the_count() {
    let _still = Still::new();
    for path in ["/", "/500", "/404", "/half"] {
        let (server, setup) = (server(), Setup::new(policy()));
        setup.wire.refuses();
        for _ in 0..2 {
            assert!(setup.get(&server).await.is_err());
        }
        assert_eq!(setup.counted(server.address()).await, 2);
        setup.wire.connects();
        let _whatever = setup.get_at(&server.url(path)).await;
        let circuit = setup.circuit(server.address()).await;
        assert_eq!((circuit.state, circuit.failure_count), (State::Closed, 0), "{path}");
    }
}

/// CB-06: the error rate keeps its samples, so that fail-fail-ok for ever opens the circuit.
#[tokio::test(start_paused = true)]
async fn one_success_in_three_is_not_enough() {
    let _still = Still::new();
    let (server, setup) = (server(), Setup::new(policy()));
    for n in 0..60 {
        if n % 3 == 2 {
            setup.wire.connects();
        } else {
            setup.wire.refuses();
        }
        // Each success on a connection of its own.
        setup.client.close(Duration::ZERO).await;
        match setup.get(&server).await {
            Err(HttpError::CircuitOpen { .. }) => {
                assert!(n >= 20, "after {n}");
                return;
            }
            outcome => assert_eq!(outcome.is_ok(), n % 3 == 2, "{outcome:?}"),
        }
        pass(ms(100)).await;
    }
    panic!("it is never found out");
}

/// Opens the circuit of a server.
async fn open(setup: &Setup, server: &HostileServer) {
    setup.wire.refuses();
    for _ in 0..3 {
        assert!(setup.get(server).await.is_err());
    }
    assert_eq!(setup.circuit(server.address()).await.state, State::Open);
    setup.wire.connects();
}

/// CB-08
#[tokio::test(start_paused = true)]
async fn an_open_circuit_keeps_requests_away() {
    let _still = Still::new();
    let (server, setup) = (server(), Setup::new(policy()));
    open(&setup, &server).await;
    for _ in 0..5 {
        let error = setup.get(&server).await.unwrap_err();
        let HttpError::CircuitOpen { retry_after: Some(wait), .. } = error else {
            panic!("{error:?}");
        };
        assert!(wait <= Duration::from_secs(30));
        pass(Duration::from_secs(5)).await;
    }
    assert_eq!(server.counts().accepted, 0);
    assert_eq!(setup.pool(server.address()).opened, 3);
    assert_eq!(setup.counted(server.address()).await, 3);
}

/// CB-10
#[tokio::test(start_paused = true)]
async fn one_of_two_is_the_probe() {
    let _still = Still::new();
    probes(2).await;
}

/// CB-10: a thousand callers.
#[tokio::test(start_paused = true)]
async fn one_of_a_thousand_is_the_probe() {
    let _still = Still::new();
    probes(1000).await;
}

async fn probes(callers: usize) {
    let (server, setup) = (server(), Setup::new(policy()));
    open(&setup, &server).await;
    pass(Duration::from_secs(30)).await;
    let mut calls = JoinSet::new();
    for _ in 0..callers {
        let (client, url) = (setup.client.clone(), server.url("/stall"));
        calls.spawn(async move { get(&client, &url).await });
    }
    for _ in 1..callers {
        let outcome = calls.join_next().await.unwrap().unwrap();
        assert!(matches!(outcome, Err(HttpError::CircuitOpen { .. })), "{outcome:?}");
    }
    server.until(|counts| counts.requests == 1).await;
    assert_eq!(server.counts().accepted, 1);
    calls.shutdown().await;
}

/// CB-11
#[tokio::test(start_paused = true)]
async fn what_a_probe_finds_out() {
    let _still = Still::new();
    let (server, setup) = (server(), Setup::new(policy()));
    open(&setup, &server).await;
    pass(Duration::from_secs(30)).await;
    setup.wire.refuses();
    assert!(matches!(setup.get(&server).await, Err(HttpError::Connect { .. })));
    let circuit = setup.circuit(server.address()).await;
    assert_eq!((circuit.state, circuit.failure_count), (State::Open, 4));
    assert_eq!(circuit.cooldown_remaining, Duration::from_secs(60));
    assert!(!circuit.probing);
    pass(Duration::from_secs(60)).await;
    setup.wire.connects();
    assert_eq!(setup.get(&server).await.unwrap(), "hello");
    let circuit = setup.circuit(server.address()).await;
    assert_eq!((circuit.state, circuit.failure_count), (State::Closed, 0));
    assert_eq!(circuit.probe_count, 0);
}

/// CB-12
#[tokio::test(start_paused = true)]
async fn a_probe_that_finds_out_nothing() {
    let _still = Still::new();
    for path in ["/stall", "/drop", "/reset", "/noise", "/404", "cancelled", "no descriptor"] {
        let (server, setup) = (server(), Setup::new(policy()));
        open(&setup, &server).await;
        pass(Duration::from_secs(30)).await;
        let before = setup.circuit(server.address()).await;
        match path {
            "/stall" => drop(late(&setup, &server, 1).await),
            "no descriptor" => {
                setup.wire.fails();
                assert!(setup.get(&server).await.is_err());
                setup.wire.connects();
            }
            "cancelled" => {
                let url = server.url("/stall");
                tokio::select! {
                    outcome = setup.get_at(&url) => panic!("{outcome:?}"),
                    _ = server.until(|counts| counts.requests == 1) => {}
                }
            }
            path => drop(setup.get_at(&server.url(path)).await),
        }
        let after = setup.circuit(server.address()).await;
        assert_eq!((after.state, after.failure_count), (State::Open, before.failure_count));
        assert!(!after.probing, "{path}");
        // The next one may probe at once.
        assert_eq!(setup.get(&server).await.unwrap(), "hello", "{path}");
        assert_eq!(setup.circuit(server.address()).await.state, State::Closed);
    }
}

/// CB-12: a probe whose task panics.
#[tokio::test(start_paused = true)]
async fn a_probe_that_panics_gives_its_place_back() {
    let _still = Still::new();
    let (server, setup) = (server(), Setup::new(policy()));
    open(&setup, &server).await;
    pass(Duration::from_secs(30)).await;
    let server = std::sync::Arc::new(server);
    let call = start({
        let (client, server) = (setup.client.clone(), server.clone());
        async move {
            let url = server.url("/stall");
            tokio::select! {
                outcome = get(&client, &url) => drop(outcome),
                _ = server.until(|counts| counts.requests == 1) => panic!("planned"),
            }
        }
    });
    assert!(call.await.unwrap_err().is_panic());
    assert!(!setup.circuit(server.address()).await.probing);
    assert_eq!(setup.get(&server).await.unwrap(), "hello");
}

/// CB-19
#[tokio::test(start_paused = true)]
async fn a_request_that_is_cancelled_teaches_nothing() {
    let _still = Still::new();
    let (server, setup) = (server(), Setup::new(policy()));
    setup.wire.refuses();
    for _ in 0..2 {
        assert!(setup.get(&server).await.is_err());
    }
    setup.wire.connects();
    let request = Request::new(Method::Get, &server.url("/stall")).unwrap();
    tokio::select! {
        outcome = setup.client.send(request) => panic!("{outcome:?}"),
        _ = server.until(|counts| counts.requests == 1) => {}
    }
    let circuit = setup.circuits.snapshot(&key(server.address())).await.unwrap();
    assert_eq!((circuit.state, circuit.failure_count), (State::Closed, 2));
    // While connecting, too.
    setup.wire.hangs();
    let url = server.url("/");
    tokio::select! {
        biased;
        outcome = setup.get_at(&url) => panic!("{outcome:?}"),
        () = tokio::task::yield_now() => {}
    }
    assert_eq!(setup.counted(server.address()).await, 2);
    assert_eq!(setup.client.close(Duration::ZERO).await, 0);
}
