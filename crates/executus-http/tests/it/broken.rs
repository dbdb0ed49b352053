//! Servers that do not do their part.

use executus_http::{ConnectFailure, HttpError, Method, Request};
use tokio::join;
use tokio::net::TcpListener;

use crate::support::{Peer, client, ok, send};

#[tokio::test]
async fn nobody_listens() {
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    for scheme in ["http", "https"] {
        let url = format!("{scheme}://127.0.0.1:{port}/p?key=hunter2");
        let error = send(Request::new(Method::Get, &url).unwrap()).await.unwrap_err();
        let HttpError::Connect { address, failure, .. } = &error else { panic!("{error:?}") };
        assert_eq!(*address, format!("{scheme}://127.0.0.1:{port}/p"));
        assert_eq!(*failure, ConnectFailure::Refused);
        assert!(error.retry() && !error.was_sent());
    }
}

#[tokio::test]
async fn a_name_without_an_address() {
    let request = Request::new(Method::Get, "http://nothing.invalid/").unwrap();
    let error = send(request).await.unwrap_err();
    assert!(matches!(error, HttpError::Connect { failure: ConnectFailure::Name, .. }), "{error:?}");
}

#[tokio::test]
async fn a_connection_that_is_closed_instead_of_an_answer() {
    let peer = Peer::start().await;
    for reset in [false, true] {
        let serve = async {
            let mut connection = peer.accept().await;
            connection.request().await;
            if reset {
                connection.reset();
            }
        };
        let (error, ()) = join!(send(peer.get("/")), serve);
        let error = error.unwrap_err();
        assert!(
            matches!(error, HttpError::Dropped { before_head: true, sent: true, .. }),
            "{error:?}"
        );
        assert!(error.retry() && error.was_sent());
    }
}

#[tokio::test]
async fn a_body_that_is_cut() {
    let peer = Peer::start().await;
    for (answer, reset) in [
        ("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf", false),
        ("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf", true),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\na\r\nhalf", false),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n", false),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n", true),
    ] {
        let (response, (_, connection)) = join!(send(peer.get("/")), peer.answer(answer));
        let mut response = response.unwrap();
        assert_eq!(response.chunk().await.unwrap().unwrap(), "half");
        if reset {
            connection.reset();
        } else {
            drop(connection);
        }
        let error = response.bytes(100).await.unwrap_err();
        assert!(
            matches!(error, HttpError::Dropped { before_head: false, sent: true, .. }),
            "{error:?}"
        );
        assert!(error.retry() && error.was_sent());
    }
}

#[tokio::test]
async fn an_answer_that_is_no_http() {
    let peer = Peer::start().await;
    for answer in [
        "SSH-2.0-OpenSSH_9.6\r\n",
        "HTTP/9.9 200 OK\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno field\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n",
        "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
    ] {
        let (error, _open) = join!(send(peer.get("/")), peer.answer(answer));
        let error = error.unwrap_err();
        assert!(matches!(error, HttpError::Protocol { sent: true, .. }), "{error:?}");
        assert!(!error.retry() && error.was_sent());
    }
}

#[tokio::test]
async fn a_body_that_is_no_http() {
    let peer = Peer::start().await;
    let answer = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n";
    let (response, _open) = join!(send(peer.get("/")), peer.answer(answer));
    let error = response.unwrap().bytes(100).await.unwrap_err();
    assert!(matches!(error, HttpError::Protocol { .. }), "{error:?}");
}

#[tokio::test]
async fn a_kept_connection_that_was_closed_is_not_used() {
    let peer = Peer::start().await;
    let client = client();
    for _ in 0..3 {
        let (response, (_, connection)) =
            join!(client.send(peer.get("/")), peer.answer(ok("body")));
        assert_eq!(response.unwrap().bytes(9).await.unwrap(), "body");
        drop(connection);
        // The client sees the end of the connection in a task of its own.
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
    }
}
