//! Connections that are kept: how many, for how long, for whom.

use std::time::Duration;

use executus_http::{BuildError, Client, HttpError, Method, Phase, Profile, Request};
use executus_testkit::hostile::{Greeting, HostileServer, Reply};
use tokio::task::JoinSet;

use crate::still::{
    Setup, Still, again, all_closed, get, ms, pass, patient, plan, policy, server, start,
};

/// HD-01
#[tokio::test]
async fn connections_are_made_when_they_are_needed_and_used_again() {
    let server = server();
    let client = Client::builder().build().unwrap();
    assert_eq!((server.counts().accepted, client.snapshot().len()), (0, 0));
    for _ in 0..3 {
        assert_eq!(get(&client, &server.url("/")).await.unwrap(), "hello");
    }
    assert_eq!(server.counts().accepted, 1);
    // Clones share them.
    assert_eq!(get(&client.clone(), &server.url("/")).await.unwrap(), "hello");
    assert_eq!(server.counts().accepted, 1);
    assert_eq!(client.snapshot().len(), 1);
}

/// HD-02
#[tokio::test]
async fn a_client_that_was_closed() {
    let server = server();
    let client = Client::builder().build().unwrap();
    assert_eq!(client.close(Duration::ZERO).await, 0);
    assert_eq!(get(&client, &server.url("/")).await.unwrap(), "hello");
    for _ in 0..2 {
        assert_eq!(client.close(Duration::from_secs(30)).await, 0);
        all_closed(&server).await;
        assert_eq!(client.snapshot(), []);
    }
    for _ in 0..2 {
        assert_eq!(get(&client, &server.url("/")).await.unwrap(), "hello");
    }
    assert_eq!(server.counts().accepted, 2);
}

/// HD-02: a close waits for what is under way.
#[tokio::test]
async fn a_close_waits() {
    let server = server();
    let client = Client::builder().build().unwrap();
    let response = client.send(Request::new(Method::Get, &server.url("/")).unwrap()).await.unwrap();
    // The body is not read yet: the connection is in use.
    assert!(client.close(Duration::ZERO).await > 0);
    let closing = start({
        let client = client.clone();
        async move { client.close(Duration::from_secs(30)).await }
    });
    tokio::task::yield_now().await;
    assert!(!closing.is_finished());
    assert_eq!(response.bytes(5).await.unwrap(), "hello");
    assert_eq!(closing.await.unwrap(), 0);
    all_closed(&server).await;
}

/// HD-03, DG-14
#[test]
fn the_numbers_of_the_profiles() {
    let driver = Profile::DRIVER;
    assert_eq!((driver.max_connections, driver.kept_alive), (100, 20));
    assert_eq!(driver.timeout, Some(Duration::from_secs(30)));
    let peer = Profile::PEER;
    assert_eq!((peer.max_connections, peer.kept_alive), (10, 5));
    assert_eq!(peer.keep_alive, Duration::from_secs(30));
    assert_eq!(peer.timeout, Some(Duration::from_secs(30)));
    assert_eq!(Profile::CHAT_TIMEOUT, Duration::from_secs(900));
    assert_eq!(Profile::SESSION_TIMEOUT, Duration::from_secs(5));
}

/// HD-03, DG-14: what the profiles allow is what there is.
#[tokio::test(start_paused = true)]
async fn a_pool_has_its_limits() {
    let _still = Still::new();
    for (profile, most, kept) in [(Profile::DRIVER, 100, 20), (Profile::PEER, 10, 5)] {
        let server = server();
        let client = Client::builder().profile(profile).build().unwrap();
        let mut calls = JoinSet::new();
        for _ in 0..most + 20 {
            let (client, url) = (client.clone(), server.url("/pause"));
            calls.spawn(async move {
                let response = client.send(Request::new(Method::Get, &url)?).await?;
                response.bytes(100).await.map(drop)
            });
        }
        server.until(|counts| counts.requests == most).await;
        pass(ms(1)).await;
        let counts = server.counts();
        assert_eq!((counts.accepted, counts.open), (most, most));
        let pool = &client.snapshot()[0];
        assert_eq!((pool.connections, pool.exchanges), (most, most + 20));
        calls.shutdown().await;
        all_closed(&server).await;

        let mut calls = JoinSet::new();
        for _ in 0..most {
            let (client, url) = (client.clone(), server.url("/"));
            calls.spawn(async move { client.send(Request::new(Method::Get, &url)?).await });
        }
        // All at once: each holds its connection until its body is read.
        for response in calls.join_all().await {
            assert_eq!(response.unwrap().bytes(5).await.unwrap(), "hello");
        }
        server.until(|counts| counts.open == kept).await;
        assert_eq!(client.snapshot()[0].idle, kept);
        // What is not used for too long is closed.
        for _ in 0..3 {
            pass(profile.keep_alive).await;
        }
        all_closed(&server).await;
        assert_eq!(client.snapshot()[0].idle, 0);
    }
}

/// HD-03, DG-14: a request may take so long as a whole; one of its own says otherwise.
#[tokio::test(start_paused = true)]
async fn a_request_takes_no_longer_as_a_whole() {
    let _still = Still::new();
    let server = server();
    let client = Client::builder().profile(Profile::DRIVER).build().unwrap();
    let of_profile = Request::new(Method::Get, &server.url("/stall")).unwrap();
    let of_its_own = of_profile.clone().total_timeout(ms(200));
    for (request, limit) in [(of_profile, Duration::from_secs(30)), (of_its_own, ms(200))] {
        let before = server.counts().requests;
        let call = start({
            let client = client.clone();
            async move { client.send(request).await }
        });
        server.until(|counts| counts.requests > before).await;
        pass(limit - ms(1)).await;
        assert!(!call.is_finished());
        pass(ms(1)).await;
        let error = call.await.unwrap().unwrap_err();
        let HttpError::Timeout { phase: Phase::Total, limit: told, .. } = error else {
            panic!("{error:?}");
        };
        assert_eq!(told, limit);
    }
    // The body is part of the whole.
    let request = Request::new(Method::Get, &server.url("/pause")).unwrap();
    let response = client.send(request.total_timeout(ms(300))).await.unwrap();
    let reading = start(response.bytes(100));
    pass(ms(300)).await;
    let error = reading.await.unwrap().unwrap_err();
    assert!(matches!(error, HttpError::Timeout { phase: Phase::Total, .. }), "{error:?}");
}

/// A request that waits for a connection gets one when one is free.
#[tokio::test]
async fn waiting_for_a_connection() {
    let server = server();
    let profile = Profile::default().max_connections(2);
    let client = Client::builder().profile(profile).build().unwrap();
    let mut calls = JoinSet::new();
    for _ in 0..50 {
        let (client, url) = (client.clone(), server.url("/"));
        calls.spawn(async move { get(&client, &url).await });
    }
    for outcome in calls.join_all().await {
        assert_eq!(outcome.unwrap(), "hello");
    }
    assert_eq!(server.counts().most_open, 2);
}

/// A connection that the server has closed while it was kept is not a drop, and costs nobody
/// a request.
#[tokio::test]
async fn kept_connections_that_are_closed() {
    let first = server();
    let setup = Setup::new(policy());
    let address = first.address();
    assert_eq!(setup.get(&first).await.unwrap(), "hello");
    drop(first);
    // The client sees the end of the connection in a task of its own.
    while setup.pool(address).connections > 0 {
        tokio::task::yield_now().await;
    }
    let second = again(address);
    assert_eq!(setup.get(&second).await.unwrap(), "hello");
    assert_eq!(setup.pool(address).evictions, 0);
}

/// A response whose server closes behind it is whole.
#[tokio::test]
async fn a_connection_that_serves_once_by_the_server_s_word() {
    let answer = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 5\r\n\r\nhello";
    let server = HostileServer::always(Reply::raw(answer).close());
    let setup = Setup::new(policy());
    for n in 1..=5 {
        assert_eq!(setup.get(&server).await.unwrap(), "hello");
        assert_eq!(server.counts().accepted, n);
    }
    assert_eq!(setup.pool(server.address()).evictions, 0);
}

/// A server that takes nothing more does not keep a connection that nobody wants, nor its place.
#[tokio::test(start_paused = true)]
async fn what_is_given_up_while_it_is_written() {
    let _still = Still::new();
    let server = HostileServer::greeting(|_| Greeting::Stall, plan);
    let setup = Setup::with(policy(), |builder| {
        builder.profile(Profile::default().max_connections(1)).headers_timeout(ms(60_000))
    });
    let request = Request::new(Method::Post, &server.url("/")).unwrap();
    let request = request.body("text/plain", vec![b'x'; 64 << 20]);
    let call = start({
        let client = setup.client.clone();
        async move { client.send(request).await }
    });
    server.until(|counts| counts.accepted == 1).await;
    pass(ms(10)).await;
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
    pass(ms(1000)).await;
    let pool = setup.pool(server.address());
    assert_eq!((pool.connections, pool.exchanges, pool.evictions), (0, 0, 0));
}

/// One more base address than are kept: the one that was used longest ago is forgotten.
#[tokio::test]
async fn base_addresses_are_bounded() {
    let setup = Setup::with(policy(), |builder| builder.max_addresses(3));
    let servers: Vec<_> = (0..4).map(|_| server()).collect();
    let busy = Request::new(Method::Get, &servers[0].url("/")).unwrap();
    let busy = setup.client.send(busy).await.unwrap();
    for server in &servers[1..] {
        assert_eq!(setup.get(server).await.unwrap(), "hello");
        tokio::task::yield_now().await;
    }
    all_closed(&servers[1]).await;
    let bases: Vec<_> = setup.client.snapshot().into_iter().map(|pool| pool.base).collect();
    assert_eq!(bases.len(), 3, "{bases:?}");
    // The first was used before, and is in use.
    assert!(bases.contains(&format!("http://{}", servers[0].address())), "{bases:?}");
    assert_eq!(busy.bytes(5).await.unwrap(), "hello");
}

/// A thousand drops, and a thousand new connections: nothing is left of them.
#[tokio::test(start_paused = true)]
async fn descriptors_come_back() {
    let _still = Still::new();
    let (server, setup) = (server(), Setup::new(patient()));
    assert_eq!(setup.get(&server).await.unwrap(), "hello");
    let before = descriptors();
    for round in 0..1000 {
        let outcome = setup.get_at(&server.url("/drop")).await;
        assert!(outcome.unwrap_err().is_dropped(), "{round}");
        if round % 2 == 0 {
            // The window ends: the next one is pooled.
            pass(ms(2001)).await;
        }
        assert_eq!(setup.get(&server).await.unwrap(), "hello");
    }
    assert_eq!(setup.client.close(Duration::from_secs(30)).await, 0);
    all_closed(&server).await;
    assert!(descriptors() <= before, "{} and {before} before", descriptors());
    assert_eq!(setup.counted(server.address()).await, 0);
}

fn descriptors() -> usize {
    let to = |entry: std::io::Result<std::fs::DirEntry>| std::fs::read_link(entry.unwrap().path());
    let all = std::fs::read_dir("/proc/self/fd").unwrap().filter_map(|entry| to(entry).ok());
    // Of other tests in this process there are some too: those of this one are sockets.
    all.count()
}

/// Numbers that mean nothing are refused where they enter.
#[test]
fn numbers_are_checked() {
    let zero = Duration::ZERO;
    for (builder, named) in [
        (Client::builder().profile(Profile::PEER.max_connections(0)), "max_connections"),
        (Client::builder().profile(Profile::PEER.max_connections(usize::MAX)), "max_connections"),
        (Client::builder().profile(Profile::PEER.keep(5, zero)), "keep_alive"),
        (Client::builder().profile(Profile::PEER.timeout(Some(zero))), "timeout"),
        (Client::builder().max_addresses(0), "max_addresses"),
        (Client::builder().pool_timeout(zero), "pool_timeout"),
        (Client::builder().connect_timeout(zero), "connect_timeout"),
        (Client::builder().headers_timeout(zero), "headers_timeout"),
        (Client::builder().idle_timeout(zero), "idle_timeout"),
    ] {
        let error = builder.build().unwrap_err();
        assert!(matches!(error, BuildError::Number { setting, .. } if setting == named));
        assert!(error.to_string().contains(named), "{error}");
    }
    // The longest limits there are mean no limit.
    let longest = Duration::MAX;
    let client = Client::builder().headers_timeout(longest).idle_timeout(longest);
    assert!(client.pool_timeout(longest).connect_timeout(longest).build().is_ok());
}
