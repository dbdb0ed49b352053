//! Sending again, and following redirects.

use std::time::Duration;

use executus_http::{Client, HttpError, Method, Request, Retries};
use executus_testkit::hostile::{HostileServer, Reply};

use crate::still::{Setup, Still, ms, pass, patient, policy, server, start};

fn retrying(most: usize) -> Client {
    Client::builder().retries(Retries::new(most).waits(ms(1), ms(5))).build().unwrap()
}

fn flaky(failures: usize) -> HostileServer {
    let drops = std::iter::repeat_n(Reply::new().close(), failures);
    HostileServer::script(drops.chain([Reply::ok("hello")]))
}

#[tokio::test]
async fn what_may_be_sent_twice_is() {
    for (method, again) in [
        (Method::Get, true),
        (Method::Put, true),
        (Method::Delete, true),
        (Method::Post, false),
        (Method::Patch, false),
    ] {
        let server = flaky(2);
        let request = Request::new(method, &server.url("/")).unwrap().body("text/plain", "x");
        let outcome = retrying(3).send(request).await;
        assert_eq!(outcome.is_ok(), again, "{method}: {outcome:?}");
        let requests = server.requests();
        assert_eq!(requests.len(), if again { 3 } else { 1 }, "{method}");
        assert!(requests.iter().all(|seen| seen.body == b"x"[..]));
    }
}

#[tokio::test]
async fn a_request_may_say_otherwise() {
    for (method, idempotent) in [(Method::Post, true), (Method::Get, false)] {
        let server = flaky(1);
        let request = Request::new(method, &server.url("/")).unwrap().idempotent(idempotent);
        assert_eq!(retrying(3).send(request).await.is_ok(), idempotent);
    }
}

#[tokio::test]
async fn attempts_are_counted() {
    let server = flaky(10);
    let request = Request::new(Method::Get, &server.url("/")).unwrap();
    let error = retrying(3).send(request).await.unwrap_err();
    assert!(matches!(error, HttpError::Dropped { .. }), "{error:?}");
    assert_eq!(server.counts().requests, 4);
}

#[tokio::test]
async fn an_answer_is_an_answer() {
    let server = server();
    for path in ["/500", "/404"] {
        let before = server.counts().requests;
        let request = Request::new(Method::Get, &server.url(path)).unwrap();
        assert!(!retrying(3).send(request).await.unwrap().is_success());
        assert_eq!(server.counts().requests, before + 1);
    }
}

/// A server that only fails is asked less and less often a second time.
#[tokio::test]
async fn further_attempts_run_out() {
    let server = HostileServer::always(Reply::new().close());
    let client = retrying(1);
    for _ in 0..300 {
        let request = Request::new(Method::Get, &server.url("/")).unwrap();
        assert!(client.send(request).await.is_err());
    }
    // 500 in the bucket, and 5 for each.
    assert_eq!(server.counts().requests, 300 + 100);
}

#[tokio::test(start_paused = true)]
async fn the_whole_has_one_limit() {
    let _still = Still::new();
    let (server, setup) = (
        server(),
        Setup::with(patient(), |builder| builder.retries(Retries::new(100).waits(ms(10), ms(10)))),
    );
    setup.wire.refuses();
    let began = tokio::time::Instant::now();
    let request = Request::new(Method::Get, &server.url("/")).unwrap().total_timeout(ms(205));
    let call = start({
        let client = setup.client.clone();
        async move { client.send(request).await }
    });
    while !call.is_finished() {
        pass(ms(5)).await;
        assert!(began.elapsed() < Duration::from_secs(2));
    }
    assert!(call.await.unwrap().is_err());
    assert!(began.elapsed() <= ms(210), "{:?}", began.elapsed());
    assert!(setup.counted(server.address()).await > 5);
}

#[tokio::test(start_paused = true)]
async fn what_a_circuit_refuses_is_not_asked_again() {
    let _still = Still::new();
    let server = server();
    let setup =
        Setup::with(policy(), |builder| builder.retries(Retries::new(1).waits(ms(0), ms(0))));
    setup.wire.refuses();
    for _ in 0..3 {
        let call = start({
            let (client, url) = (setup.client.clone(), server.url("/"));
            async move { crate::still::get(&client, &url).await }
        });
        pass(ms(5)).await;
        assert!(call.await.unwrap().is_err());
    }
    // Three attempts opened it.
    assert_eq!(setup.pool(server.address()).opened, 3);
}

#[tokio::test]
async fn redirects_are_followed_when_asked_for() {
    let server = HostileServer::start(|request| match request.path.as_str() {
        "/a" => Reply::status(302, &[("location", "/b")], ""),
        "/b" => Reply::status(307, &[("location", "c?d=e")], "moved"),
        "/c?d=e" => Reply::ok("there"),
        _ => Reply::status(301, &[("location", "/again")], ""),
    });
    let client = Client::builder().build().unwrap();
    let request = Request::new(Method::Get, &server.url("/a")).unwrap();
    assert_eq!(client.send(request.clone()).await.unwrap().status(), 302);
    let response = client.send(request.clone().follow_redirects(2)).await.unwrap();
    assert_eq!(response.bytes(10).await.unwrap(), "there");
    let error = client.send(request.follow_redirects(1)).await.unwrap_err();
    assert!(matches!(error, HttpError::Redirect { status: 307, .. }), "{error:?}");
    let request = Request::new(Method::Get, &server.url("/again")).unwrap().follow_redirects(9);
    let error = client.send(request).await.unwrap_err();
    assert!(matches!(error, HttpError::Redirect { .. }), "{error:?}");
}
