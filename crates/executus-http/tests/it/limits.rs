//! Limits in time and in size.

use executus_http::{BuildError, Client, HttpError, Method, Part, Phase, Request};
use tokio::join;

use crate::support::{Peer, SHORT, client, ok, send};

fn phase(error: &HttpError) -> Phase {
    match error {
        HttpError::Timeout { phase, limit, address } => {
            assert_eq!(*limit, SHORT);
            assert!(address.contains("://127.0.0.1:"), "{address}");
            assert!(error.retry());
            *phase
        }
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_handshake_that_is_never_answered_meets_the_limit() {
    let peer = Peer::start().await;
    let client = Client::builder().connect_timeout(SHORT).build().unwrap();
    let url = peer.url("/").replace("http://", "https://");
    let request = Request::new(Method::Get, &url).unwrap();
    let (error, mut connection) = join!(client.send(request), peer.accept());
    let error = error.unwrap_err();
    assert_eq!(phase(&error), Phase::Connect);
    assert!(!error.was_sent());
    connection.closed().await;
}

#[tokio::test]
async fn a_head_that_never_comes_meets_the_limit() {
    let peer = Peer::start().await;
    let client = client();
    let request = peer.get("/").headers_timeout(SHORT);
    // Half of a head is no head.
    let (error, (_, mut connection)) = join!(client.send(request), peer.answer("HTTP/1.1 200"));
    let error = error.unwrap_err();
    assert_eq!(phase(&error), Phase::Headers);
    assert!(error.was_sent());
    connection.closed().await;
}

#[tokio::test]
async fn a_body_that_stops_meets_the_limit() {
    let peer = Peer::start().await;
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf";
    let request = peer.get("/").idle_timeout(SHORT);
    let (response, (_, mut connection)) = join!(send(request), peer.answer(head));
    let mut response = response.unwrap();
    assert_eq!(response.chunk().await.unwrap().unwrap(), "half");
    let error = response.chunk().await.unwrap_err();
    assert_eq!(phase(&error), Phase::Idle);
    assert!(error.was_sent());
    drop(response);
    connection.closed().await;
}

#[tokio::test]
async fn the_idle_time_is_not_renewed_by_asking_again() {
    let peer = Peer::start().await;
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n";
    let request = peer.get("/").idle_timeout(SHORT);
    let (response, _open) = join!(send(request), peer.answer(head));
    let mut response = response.unwrap();
    let error = loop {
        tokio::select! {
            biased;
            chunk = response.chunk() => break chunk.unwrap_err(),
            () = tokio::task::yield_now() => {}
        }
    };
    assert_eq!(phase(&error), Phase::Idle);
}

#[tokio::test]
async fn a_body_has_at_most_so_many_bytes() {
    let peer = Peer::start().await;
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n6\r\n123456\r\n\
                   4\r\n7890\r\n0\r\n\r\n";
    for (answer, max, fits) in [
        (ok("1234567890"), 10, true),
        (ok("1234567890"), 9, false),
        (chunked.to_owned(), 10, true),
        (chunked.to_owned(), 9, false),
        (chunked.to_owned(), 5, false),
    ] {
        let (response, _open) = join!(send(peer.get("/")), peer.answer(answer));
        match response.unwrap().bytes(max).await {
            Ok(bytes) => assert_eq!((fits, &*bytes), (true, &b"1234567890"[..])),
            Err(error) => {
                assert!(!fits && !error.retry() && error.was_sent());
                assert!(
                    matches!(error, HttpError::TooLarge { part: Part::Body, limit, .. } if limit == max)
                );
            }
        }
    }
}

#[tokio::test]
async fn an_honest_length_is_believed_before_reading() {
    let peer = Peer::start().await;
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 52428800\r\n\r\n";
    // Nothing of the body ever comes.
    let (response, (_, mut connection)) = join!(send(peer.get("/")), peer.answer(head));
    let error = response.unwrap().bytes(1024).await.unwrap_err();
    assert!(matches!(error, HttpError::TooLarge { part: Part::Body, limit: 1024, .. }));
    connection.closed().await;
}

#[tokio::test]
async fn a_head_has_at_most_so_many_bytes() {
    let peer = Peer::start().await;
    let serve = async {
        let mut connection = peer.accept().await;
        connection.request().await;
        connection.send("HTTP/1.1 200 OK\r\nx-long: ").await;
        // The client may close before all of it is written.
        let long = "x".repeat(1024 * 1024);
        let _ = tokio::io::AsyncWriteExt::write_all(&mut connection.stream, long.as_bytes()).await;
    };
    let (error, ()) = join!(send(peer.get("/")), serve);
    let error = error.unwrap_err();
    assert!(
        matches!(error, HttpError::TooLarge { part: Part::Head, limit: 65536, .. }),
        "{error:?}"
    );
}

/// One that has all come by the time somebody looks at it, too.
#[tokio::test]
async fn a_head_that_is_there_at_once_has_at_most_so_many_bytes() {
    let long = |bytes: usize| "x".repeat(bytes);
    for (head, fits) in [
        (format!("200 OK\r\nx-long: {}", long(60 * 1024)), true),
        (format!("200 OK\r\nx-long: {}", long(70 * 1024)), false),
        (format!("200 OK\r\na: {}\r\nb: {0}", long(35 * 1024)), false),
        (format!("200 {}", long(70 * 1024)), false),
    ] {
        let peer = Peer::start().await;
        let answer = format!("HTTP/1.1 {head}\r\ncontent-length: 0\r\n\r\n");
        let (outcome, _open) = join!(send(peer.get("/")), peer.answer(answer));
        match outcome {
            Ok(_) => assert!(fits),
            Err(HttpError::TooLarge { part: Part::Head, limit: 65536, .. }) => assert!(!fits),
            Err(error) => panic!("{error:?}"),
        }
    }
}

#[tokio::test]
async fn a_head_has_at_most_so_many_fields() {
    let peer = Peer::start().await;
    let fields: String = (0..1000).map(|n| format!("x-{n}: y\r\n")).collect();
    let answer = format!("HTTP/1.1 200 OK\r\n{fields}content-length: 0\r\n\r\n");
    let (error, _open) = join!(send(peer.get("/")), peer.answer(answer));
    let error = error.unwrap_err();
    assert!(matches!(error, HttpError::TooLarge { part: Part::Head, .. }), "{error:?}");
}

#[tokio::test]
async fn a_snippet_is_short_and_printable() {
    let peer = Peer::start().await;
    for (answer, max, expected) in [
        (ok("short\u{1b}[31m\r\n\ttext"), 100, "short\n\ttext"),
        (ok("0123456789"), 10, "0123456789"),
        (ok("0123456789"), 4, "0123… [cut]"),
        (ok("äöü"), 3, "ä… [cut]"),
        (ok(""), 10, ""),
        ("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf".to_owned(), 10, "half… [cut]"),
    ] {
        let request = peer.get("/");
        let request =
            if expected.starts_with("half") { request.idle_timeout(SHORT) } else { request };
        let (response, _open) = join!(send(request), peer.answer(answer));
        assert_eq!(response.unwrap().snippet(max).await, expected);
    }
}

#[test]
fn settings_that_are_not_possible_are_refused() {
    let limit = |bytes| Client::builder().max_header_bytes(bytes).build();
    assert!(limit(8192).is_ok());
    assert_eq!(limit(8191).unwrap_err(), BuildError::HeaderLimit { limit: 8191 });
    assert_eq!(limit(usize::MAX).unwrap_err(), BuildError::HeaderLimit { limit: usize::MAX });
    let named = |name: &str| Client::builder().user_agent(name).build();
    assert_eq!(named("a\nb").unwrap_err(), BuildError::UserAgent);
    let root = |pem: &str| Client::builder().add_root_certificate(pem).build();
    assert!(matches!(root("no certificate"), Err(BuildError::Certificate { .. })));
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert!(matches!(root(broken), Err(BuildError::Certificate { .. })));
}
