//! What is sent, and what comes back.

use executus_core::secret::Secret;
use executus_http::{HttpError, Method, Request};
use serde_json::json;
use tokio::join;

use crate::support::{Peer, client, ok, send};

#[tokio::test]
async fn a_get_and_its_response() {
    let peer = Peer::start().await;
    let answer = "HTTP/1.1 200 OK\r\ncontent-type: Text/Plain; charset=utf-8\r\nx-a: b\r\n\
                  content-length: 5\r\n\r\nhello";
    let request = peer.get("/a/b?q=1").header("x-ask", "yes").unwrap();
    let (response, (received, _open)) = join!(send(request), peer.answer(answer));
    assert_eq!(received.line(), "GET /a/b?q=1 HTTP/1.1");
    assert_eq!(received.header("x-ask"), Some("yes"));
    assert_eq!(received.header("accept-encoding"), Some("identity"));
    assert!(received.header("user-agent").unwrap().starts_with("executus/"));
    assert!(received.header("host").unwrap().starts_with("127.0.0.1:"));
    let response = response.unwrap();
    assert_eq!((response.status(), response.reason()), (200, "OK"));
    assert!(response.is_success());
    assert_eq!(response.header("X-A"), Some("b"));
    assert_eq!(response.content_type(), Some("text/plain"));
    assert_eq!(response.remaining(), Some(5));
    assert_eq!(response.bytes(5).await.unwrap(), "hello");
}

#[tokio::test]
async fn a_body_is_sent_with_its_type_and_length() {
    let peer = Peer::start().await;
    let request = Request::new(Method::Post, &peer.url("/")).unwrap().json(&json!({"a": [1, "ü"]}));
    let (response, (received, _open)) = join!(send(request), peer.answer(ok("")));
    assert_eq!(received.line(), "POST / HTTP/1.1");
    assert_eq!(received.header("content-type"), Some("application/json"));
    assert_eq!(received.body, r#"{"a":[1,"ü"]}"#);
    assert_eq!(response.unwrap().bytes(0).await.unwrap(), "");

    let request = Request::new(Method::Put, &peer.url("/")).unwrap().body("text/csv", "a;b");
    let (_, (received, _open)) = join!(send(request), peer.answer(ok("")));
    assert_eq!(received.header("content-type"), Some("text/csv"));
    assert_eq!(received.body, "a;b");

    let request = Request::new(Method::Post, &peer.url("/")).unwrap();
    let (_, (received, _open)) = join!(send(request), peer.answer(ok("")));
    assert_eq!(received.header("content-length"), Some("0"));
}

#[tokio::test]
async fn secrets_are_sent_and_never_shown() {
    let peer = Peer::start().await;
    let token = Secret::new("hunter2-token");
    let request = Request::new(Method::Post, &peer.url("/p?key=hunter2-query")).unwrap();
    let request = request.secret_header("authorization", &token).unwrap();
    let request = request.body("text/plain", "hunter2-body");
    let shown = format!("{request:?} {}", request.address());
    let (response, (received, _open)) = join!(send(request), peer.answer(ok("")));
    assert_eq!(received.header("authorization"), Some("hunter2-token"));
    let shown = format!("{shown} {:?} {:?}", response.unwrap(), client());
    assert!(!shown.contains("hunter2"), "{shown}");
    assert!(shown.contains("authorization"), "{shown}");
}

#[test]
fn what_is_no_header_field_is_refused() {
    let request = || Request::new(Method::Get, "http://h/").unwrap();
    for (name, value, part) in [
        ("x y", "v", "`x y` cannot name"),
        ("x\r\ny", "v", "`x\\r\\ny` cannot name"),
        ("", "v", "`` cannot name"),
        ("x-a", "hunter2\r\nx: y", "`x-a`"),
        ("x-a", "hunter2\0", "`x-a`"),
        ("x-a", "hunter2ü", "`x-a`"),
        ("Content-Length", "hunter2", "`content-length` is set by the client"),
        ("host", "hunter2", "`host` is set by the client"),
    ] {
        let plain = request().header(name, value).unwrap_err();
        let secret = request().secret_header(name, &Secret::new(value)).unwrap_err();
        assert_eq!(plain, secret);
        assert!(matches!(plain, HttpError::Request { .. }));
        assert!(!plain.retry() && !plain.was_sent());
        let said = plain.to_string();
        assert!(said.contains(part) && !said.contains("hunter2"), "{said}");
    }
}

#[tokio::test]
async fn a_connection_is_used_again() {
    let peer = Peer::start().await;
    let client = client();
    let work = async {
        for _ in 0..3 {
            let response = client.send(peer.get("/")).await.unwrap();
            assert_eq!(response.bytes(9).await.unwrap(), "same");
        }
    };
    let serve = async {
        let mut connection = peer.accept().await;
        for _ in 0..3 {
            connection.request().await;
            connection.send(ok("same")).await;
        }
        connection
    };
    let ((), _open) = join!(work, serve);
}

#[tokio::test]
async fn chunks_come_as_they_are_sent() {
    let peer = Peer::start().await;
    let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    let (response, (_, mut connection)) = join!(send(peer.get("/")), peer.answer(head));
    let mut response = response.unwrap();
    assert_eq!(response.remaining(), None);
    for (sent, text) in [("3\r\none\r\n", "one"), ("3\r\ntwo\r\n", "two")] {
        connection.send(sent).await;
        assert_eq!(response.chunk().await.unwrap().unwrap(), text);
    }
    connection.send("0\r\nx-behind: 1\r\n\r\n").await;
    assert_eq!(response.chunk().await.unwrap(), None);
    assert_eq!(response.chunk().await.unwrap(), None);
}

#[tokio::test]
async fn a_chunk_that_is_given_up_is_not_lost() {
    let peer = Peer::start().await;
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n";
    let (response, (_, mut connection)) = join!(send(peer.get("/")), peer.answer(head));
    let mut response = response.unwrap();
    for text in ["one", "two"] {
        tokio::select! {
            biased;
            chunk = response.chunk() => panic!("{chunk:?} from nowhere"),
            () = tokio::task::yield_now() => {}
        }
        connection.send(text).await;
        assert_eq!(response.chunk().await.unwrap().unwrap(), text);
    }
}

#[tokio::test]
async fn a_request_that_is_given_up_closes_its_connection() {
    let peer = Peer::start().await;
    let client = client();
    let mut connection = tokio::select! {
        answer = client.send(peer.get("/")) => panic!("{answer:?} from nobody"),
        connection = async {
            let mut connection = peer.accept().await;
            connection.request().await;
            connection
        } => connection,
    };
    connection.closed().await;
}

#[tokio::test]
async fn a_response_that_is_given_up_closes_its_connection() {
    let peer = Peer::start().await;
    let client = client();
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\nbeginning";
    let (response, (_, mut connection)) = join!(client.send(peer.get("/")), peer.answer(head));
    let mut response = response.unwrap();
    assert_eq!(response.chunk().await.unwrap().unwrap(), "beginning");
    drop(response);
    connection.closed().await;
}

#[tokio::test]
async fn a_redirect_is_a_response() {
    let peer = Peer::start().await;
    let answer = "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n";
    let (response, _open) = join!(send(peer.get("/")), peer.answer(answer));
    let response = response.unwrap();
    assert_eq!((response.status(), response.is_success()), (302, false));
    assert_eq!(response.header("location"), Some("http://127.0.0.1:1/"));
}
