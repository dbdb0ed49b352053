//! Answers that come in pieces.

use std::time::Duration;

use executus_capability::driver::ChunkStream;
use executus_capability::{Driver, DriverError};
use executus_core::secret::Secret;
use executus_http::{Endpoint, Format, HttpDriver, Method, Pieces, Template};
use executus_testkit::hostile::{HostileServer, Reply};
use serde_json::{Value, json};

use crate::driver::{asking, driver, endpoint};
use crate::support::{SHORT, client};

fn streamed(server: &HostileServer, pieces: Pieces, format: Format) -> Endpoint {
    endpoint(server, Method::Get, "/s").streamed(pieces).format(format)
}

async fn open(driver: &HttpDriver) -> Result<Box<dyn ChunkStream>, DriverError> {
    driver.streaming().unwrap().open(&asking("op", json!({}))).await
}

/// The pieces up to the end or the first error.
async fn read(driver: &HttpDriver) -> (Vec<Value>, Option<DriverError>) {
    let mut stream = open(driver).await.unwrap();
    let mut pieces = Vec::new();
    loop {
        match stream.next().await {
            Ok(Some(chunk)) => pieces.push(chunk.data),
            Ok(None) => return (pieces, None),
            Err(error) => {
                assert_eq!(stream.next().await, Ok(None), "an error is the last that comes");
                return (pieces, Some(error));
            }
        }
    }
}

async fn pieces(reply: Reply, pieces: Pieces, format: Format) -> (Vec<Value>, Option<DriverError>) {
    let server = HostileServer::always(reply);
    read(&driver(streamed(&server, pieces, format).max_body(64 * 1024).timeout(SHORT))).await
}

#[tokio::test]
async fn lines_and_events_are_pieces() {
    let lines = || Reply::chunked(&[]).chunk("{\"a\":1}\n\n[2").chunk(",3]\r\n\"x\"").chunk("");
    let rows = vec![json!({"a": 1}), json!([2, 3]), json!("x")];
    assert_eq!(pieces(lines(), Pieces::lines(), Format::Json).await, (rows.clone(), None));
    let texts = vec![json!("{\"a\":1}"), json!("[2,3]"), json!("\"x\"")];
    assert_eq!(pieces(lines(), Pieces::lines(), Format::Text).await, (texts, None));
    let events = || {
        let events = Reply::chunked(&[("content-type", "text/event-stream")]);
        events.chunk(": hi\n\nevent: a\ndata: {\"a\"").chunk(":1}\n\ndata: [2,\ndata: 3]\n\n")
    };
    let whole = events().chunk("data: \"x\"\n\n").chunk("");
    assert_eq!(pieces(whole, Pieces::events(), Format::Json).await, (rows.clone(), None));
    // What follows the end is not read, and nobody waits for it.
    let done = events().chunk("data: \"x\"\n\ndata: [DONE]\n\ndata: {\"b\n\n").stall();
    let until = || Pieces::events().until("[DONE]");
    assert_eq!(pieces(done, until(), Format::Json).await, (rows.clone(), None));
    let (got, error) = pieces(events().chunk(""), until(), Format::Json).await;
    assert_eq!(got, rows[..2]);
    assert!(matches!(error, Some(DriverError::Dropped { .. })), "{error:?}");
}

#[tokio::test]
async fn texts_come_as_they_are_sent() {
    let server = HostileServer::start(|_| {
        let text = "aü€😀".as_bytes();
        text.chunks(1).fold(Reply::chunked(&[]), |reply, byte| reply.chunk(byte)).chunk("")
    });
    let text = driver(streamed(&server, Pieces::Text, Format::Text));
    let (got, error) = read(&text).await;
    assert_eq!(got.iter().map(|piece| piece.as_str().unwrap()).collect::<String>(), "aü€😀");
    assert_eq!(error, None);
    // Asked for the whole, the same is one text.
    assert_eq!(text.execute(&asking("op", json!({}))).await, Ok(json!("aü€😀")));
    let lines = driver(streamed(&server, Pieces::lines(), Format::Text));
    assert_eq!(lines.execute(&asking("op", json!({}))).await, Ok(json!(["aü€😀"])));
}

#[tokio::test]
async fn a_piece_is_there_before_the_next_is_sent() {
    let server = HostileServer::always(Reply::chunked(&[]).chunk("1\n").stall());
    let driver = driver(streamed(&server, Pieces::lines(), Format::Json).timeout(SHORT));
    let mut stream = open(&driver).await.unwrap();
    assert_eq!(stream.next().await.unwrap().unwrap().data, json!(1));
    let error = stream.next().await.unwrap_err();
    assert!(matches!(error, DriverError::Timeout { .. }), "{error:?}");
    assert!(error.to_string().contains("sent nothing more within 150ms"), "{error}");
    assert_eq!(server.counts().open, 1);
    drop(stream);
    // Dropping it ends the request.
    server.until(|counts| counts.open == 0).await;
}

/// What keeps a connection alive is no piece.
#[tokio::test]
async fn comments_do_not_hold_a_stream_open() {
    let ping = Reply::chunked(&[]).drip("2\r\n:\n\r\n".repeat(1000), 7, Duration::from_millis(20));
    let (got, error) = pieces(ping, Pieces::events(), Format::Json).await;
    assert_eq!(got, [] as [Value; 0]);
    assert!(matches!(error, Some(DriverError::Timeout { .. })), "{error:?}");
}

#[tokio::test]
async fn what_does_not_stream_is_one_piece() {
    let server = HostileServer::start(|request| match request.path.as_str() {
        "/one" => Reply::json(&json!({"a": 1})),
        _ => Reply::status(503, &[], "later"),
    });
    let driver = HttpDriver::builder("http", client())
        .endpoint("op", endpoint(&server, Method::Get, "/one"))
        .endpoint("rows", streamed(&server, Pieces::lines(), Format::Json))
        .build()
        .unwrap();
    assert_eq!(read(&driver).await, (vec![json!({"a": 1})], None));
    let rows = driver.streaming().unwrap().open(&asking("rows", json!({}))).await;
    let Err(error) = rows else { panic!("a status that is no success opens no stream") };
    assert!(error.to_string().contains("503 Service Unavailable: later") && error.retry());
    let none = HttpDriver::builder("http", client())
        .endpoint("op", Endpoint::new(Method::Get, Template::parse("http://h/")));
    assert!(none.build().unwrap().streaming().is_none());
}

#[tokio::test]
async fn secrets_across_pieces_are_replaced() {
    let server = HostileServer::always(
        Reply::chunked(&[]).chunk("my hun").chunk("ter2 is").chunk(" hunter").chunk(""),
    );
    let endpoint = streamed(&server, Pieces::Text, Format::Text)
        .secret_header("authorization", Secret::new("hunter2"));
    let (got, _) = read(&driver(endpoint)).await;
    let text: String = got.iter().map(|piece| piece.as_str().unwrap()).collect();
    assert_eq!(text, "my [redacted] is hunter");
}
