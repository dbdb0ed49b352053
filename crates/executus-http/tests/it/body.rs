//! Bodies, and what comes in place of them, that nobody should send: each ends as a typed error, in
//! time.

use std::time::Duration;

use executus_http::events::Framing;
use executus_http::{HttpError, Method, Part, Phase, Request};
use executus_testkit::hostile::{HostileServer, Reply};
use serde_json::json;

use crate::decode::{CODINGS, encoded, typed};
use crate::support::{LONG, SHORT, client, get};

#[cfg(feature = "aws-lc-rs")]
mod frames;
mod memory;

/// The most bytes of a body that the tests of this module allow.
pub(crate) const CAP: usize = 6 << 20;

/// What an input must come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    TooLarge(Part),
    Late(Phase),
    Dropped,
    Protocol,
    Encoding,
    Parse,
    ContentType,
    /// The body as far as it counts.
    Whole,
}

/// How a body is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    Bytes,
    Json,
    Text,
    /// In pieces, by a driver.
    Pieces(Framing),
}

#[derive(Debug, Clone)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) reply: Reply,
    pub(crate) taken: Taken,
    pub(crate) end: End,
}

fn case(name: &'static str, reply: Reply, end: End) -> Case {
    Case { name, reply, taken: Taken::Bytes, end }
}

/// Inputs that are too much, or would become too much.
pub(crate) async fn large() -> Vec<Case> {
    let zeros = vec![0; 32 << 20];
    let large = End::TooLarge(Part::Body);
    let mut cases = Vec::new();
    for coding in CODINGS {
        let bomb = encoded(coding, &zeros).await;
        assert!(bomb.len() < CAP / 2, "it is small until it is decoded");
        cases.push(case("a bomb", typed(coding, bomb), large));
    }
    for coding in ["gzip", "zstd"] {
        let member = encoded(coding, &zeros[..1 << 20]).await;
        let endless = Reply::chunked(&[("content-encoding", coding)]).chunks_forever(member);
        cases.push(case("a bomb of members without an end", endless, large));
    }
    let inner = encoded("gzip", &zeros).await;
    let nested = typed("gzip, gzip", encoded("gzip", &inner).await);
    cases.push(case("a bomb in a bomb", nested, End::Encoding));
    let wide = typed("br", encoded("br-24", &zeros).await);
    cases.push(case("a window of 16 MiB", wide, End::Encoding));
    let wide = typed("zstd", encoded("zstd-23", &zeros).await);
    cases.push(case("a window of 8 MiB", wide, End::Encoding));
    let text = "x".repeat(64 * 1024);
    let chunked = |fields| Reply::chunked(fields);
    cases.push(case("chunks without an end", chunked(&[]).chunks_forever(&text), large));
    cases.push(case("a chunk without an end", Reply::raw(HUGE_CHUNK).forever(&text), large));
    cases.push(case(
        "a body until the end, which never comes",
        Reply::raw(OPEN).forever(&text),
        large,
    ));
    let long = Reply::raw("HTTP/1.1 200 OK\r\ncontent-length: 999999999999\r\n\r\n");
    cases.push(case("a length that is too large", long.forever(&text), large));
    let extension = format!("1;{}", "x".repeat(64 * 1024));
    let extended = chunked(&[]).send(extension).forever(&text);
    cases.push(case("a chunk's extension without an end", extended, End::Protocol));
    let trailers = chunked(&[]).chunk("x").send("0\r\n").forever("x-a: b\r\n");
    cases.push(case("fields behind the body without an end", trailers, End::Protocol));
    let line = format!("HTTP/1.1 200 OK\r\nx-long: {}", "x".repeat(1 << 20));
    let head = End::TooLarge(Part::Head);
    cases.push(case("a head of 1 MiB", Reply::raw(line).forever("x"), head));
    let fields = Reply::raw("HTTP/1.1 200 OK\r\n").forever("x-a: b\r\n");
    cases.push(case("fields without an end", fields, head));
    let continued = Reply::new().forever("HTTP/1.1 100 Continue\r\n\r\n");
    cases.push(case("interim answers without an end", continued, End::Late(Phase::Headers)));
    let as_json = |name, body: String, end| Case {
        name,
        reply: Reply::status(200, &[("content-type", "application/json")], body),
        taken: Taken::Json,
        end,
    };
    let deep = "[".repeat(10_000) + &"]".repeat(10_000);
    cases.push(as_json("JSON 10,000 deep", deep, End::Parse));
    let deep = "{\"a\":".repeat(10_000);
    cases.push(as_json("JSON 10,000 deep and cut", deep, End::Parse));
    cases.push(as_json("keys that are there twice", "{\"a\":1,\"a\":2}".into(), End::Parse));
    cases.push(as_json("a number that none can hold", "1e999999".into(), End::Parse));
    let pieces =
        |name, reply, framing, end| Case { name, reply, taken: Taken::Pieces(framing), end };
    let sse = || chunked(&[("content-type", "text/event-stream")]);
    let event = End::TooLarge(Part::Event);
    let endless = sse().chunk("data: ").chunks_forever(&text);
    cases.push(pieces("an event without a newline", endless, Framing::Sse, event));
    let endless = sse().chunks_forever(format!("data: {text}\n"));
    cases.push(pieces("an event without an end", endless, Framing::Sse, event));
    let endless = sse().chunks_forever(format!(": {text}\n\n"));
    cases.push(pieces("comments without an end", endless, Framing::Sse, large));
    let endless = sse().chunks_forever("\r\n".repeat(30_000));
    cases.push(pieces("nothing but newlines", endless, Framing::Sse, large));
    let endless = sse().chunks_forever(&text);
    cases.push(pieces("a line without an end", endless, Framing::Lines, event));
    let endless = sse().chunks_forever("[]\n".repeat(20_000));
    cases.push(pieces("lines without an end", endless, Framing::Lines, large));
    cases
}

const HUGE_CHUNK: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nfffffffffffffff\r\n";
const OPEN: &str = "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n";

/// Inputs that wait, break off, or lie.
fn broken() -> Vec<Case> {
    let half = || Reply::raw("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf");
    let slow = Duration::from_secs(10);
    let chunks = || Reply::chunked(&[]).chunk("half");
    let raw =
        |head: &str| Reply::raw(format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n1\r\nx\r\n0\r\n\r\n"));
    let typed = |coding: &str| raw(&format!("transfer-encoding: {coding}"));
    let sse = || Reply::chunked(&[("content-type", "text/event-stream")]);
    let pieces = |name, reply, end| Case { name, reply, taken: Taken::Pieces(Framing::Sse), end };
    let json =
        |name, body: &str, end| Case { name, reply: Reply::ok(body), taken: Taken::Json, end };
    vec![
        case("a length that is too long, and the end", half().close(), End::Dropped),
        case("a length that is too long, and a reset", half().reset(), End::Dropped),
        case("a length that is too long, and nothing", half().stall(), End::Late(Phase::Idle)),
        case("chunks without the last, and the end", chunks().close(), End::Dropped),
        case("chunks without the last, and a reset", chunks().reset(), End::Dropped),
        case("chunks without the last, and nothing", chunks().stall(), End::Late(Phase::Idle)),
        case("one byte each 10 s", half().drip("x".repeat(6), 1, slow), End::Late(Phase::Idle)),
        case(
            "one byte each 20 ms, for ever",
            chunks().drip("1\r\nx\r\n".repeat(9999), 6, Duration::from_millis(20)),
            End::Late(Phase::Total),
        ),
        case("no head", Reply::new().stall(), End::Late(Phase::Headers)),
        case(
            "half a head",
            Reply::raw("HTTP/1.1 200 OK\r\nx-a").stall(),
            End::Late(Phase::Headers),
        ),
        case("half a head, and the end", Reply::raw("HTTP/1.1 200 O").close(), End::Dropped),
        case("a reset", Reply::new().reset(), End::Dropped),
        case("the end", Reply::new().close(), End::Dropped),
        case(
            "a length and chunks",
            raw("content-length: 3\r\ntransfer-encoding: chunked"),
            End::Protocol,
        ),
        case("a transfer encoding of two", typed("gzip, chunked"), End::Protocol),
        case("a transfer encoding that is none", typed("identity"), End::Protocol),
        case("two lengths", raw("content-length: 1\r\ncontent-length: 2"), End::Protocol),
        case("a length that is no number", raw("content-length: -1"), End::Protocol),
        case("a chunk whose size is no number", Reply::chunked(&[]).send("zz\r\n"), End::Protocol),
        case(
            "a chunk whose size is too large",
            Reply::chunked(&[]).send("f".repeat(17)),
            End::Protocol,
        ),
        case(
            "a chunk that is longer than it says",
            Reply::chunked(&[]).send("1\r\nxyz\r\n"),
            End::Protocol,
        ),
        case("no HTTP", Reply::raw("SSH-2.0-OpenSSH_9.6\r\n\r\n"), End::Protocol),
        json("text that is no JSON", "hello", End::ContentType),
        json("a text with half a character", "\"\u{fffd}\\ud800\"", End::ContentType),
        Case {
            name: "a character in two chunks",
            reply: Reply::chunked(&[]).chunk(b"a\xc3").chunk(b"\xa4").chunk(""),
            taken: Taken::Text,
            end: End::Whole,
        },
        pieces(
            "data after the end",
            sse().chunk("data: 1\n\ndata: [DONE]\n\ndata: {\n\n").stall(),
            End::Whole,
        ),
        pieces("cut before the end", sse().chunk("data: 1\n\n").chunk(""), End::Dropped),
        pieces(
            "reset before the end",
            sse().chunk("data: 1\n\n").wait(Duration::from_millis(20)).reset(),
            End::Dropped,
        ),
        pieces(
            "data that is no JSON",
            sse().chunk("data: 1\n\ndata: {\"a\":\n\n").chunk(""),
            End::Parse,
        ),
        pieces(
            "a key that is there twice",
            sse().chunk("data: {\"a\":1,\"a\":1}\n\n").chunk(""),
            End::Parse,
        ),
    ]
}

/// The limits in time of one request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    headers: Duration,
    idle: Duration,
    total: Duration,
}

impl Limits {
    /// Those for an input that ends like this: only what must pass is short.
    pub(crate) fn of(end: End) -> Self {
        let of = |phase, limit| if end == End::Late(phase) { limit } else { LONG };
        let (headers, total) = (of(Phase::Headers, SHORT), of(Phase::Total, SHORT * 3));
        Self { headers, idle: of(Phase::Idle, SHORT), total }
    }
}

/// Takes the answer to a request, and says how that ends.
pub(crate) async fn taken(url: &str, taken: Taken, limits: Limits) -> End {
    if let Taken::Pieces(framing) = taken {
        return pieces(url, framing).await;
    }
    let request = Request::new(Method::Get, &format!("{url}?key=hunter2")).unwrap();
    let request = request
        .headers_timeout(limits.headers)
        .idle_timeout(limits.idle)
        .total_timeout(limits.total);
    let taking = async {
        let response = client().send(request).await?;
        match taken {
            Taken::Bytes => response.bytes(CAP).await.map(drop),
            Taken::Json => response.json(CAP).await.map(drop),
            Taken::Text => response.text(CAP).await.map(|text| assert_eq!(text, "aä")),
            Taken::Pieces(_) => panic!("pieces are for a driver"),
        }
    };
    match taking.await {
        Ok(()) => End::Whole,
        Err(error) => {
            let said = error.to_string();
            assert!(said.contains(url) && !said.contains("hunter2"), "{said}");
            assert!(said.len() < 1000 && error.was_sent(), "{said}");
            end(&error)
        }
    }
}

/// What an error is.
fn end(error: &HttpError) -> End {
    match error {
        HttpError::TooLarge { part, .. } => End::TooLarge(*part),
        HttpError::Timeout { phase, .. } => End::Late(*phase),
        HttpError::Dropped { .. } => End::Dropped,
        HttpError::Protocol { .. } => End::Protocol,
        HttpError::Encoding { .. } => End::Encoding,
        HttpError::Parse { .. } => End::Parse,
        HttpError::ContentType { .. } => End::ContentType,
        other => panic!("unexpected: {other:?}"),
    }
}

/// Sends one request and checks how it ends.
async fn check(case: &Case) {
    let server = HostileServer::always(case.reply.clone());
    let found = taken(&server.url("/p"), case.taken, Limits::of(case.end)).await;
    assert_eq!(found, case.end, "{}", case.name);
    // Nothing is left: what is not at its end is closed.
    if !matches!(case.end, End::Whole | End::Parse | End::ContentType) {
        server.until(|counts| counts.open == 0).await;
    }
}

#[cfg(feature = "driver")]
async fn pieces(url: &str, framing: Framing) -> End {
    use executus_capability::{Driver, DriverError};
    use executus_http::{Endpoint, Pieces, Template};

    use crate::driver::{asking, driver};

    let pieces = Pieces::Events { framing, last: Some("[DONE]".to_owned()) };
    let endpoint = Endpoint::new(Method::Get, Template::parse(url)).streamed(pieces);
    let driver = driver(endpoint.max_body(CAP));
    let asked = asking("op", json!({"key": "hunter2"}));
    let mut stream = driver.streaming().unwrap().open(&asked).await.unwrap();
    let error = loop {
        match stream.next().await {
            Ok(Some(_)) => {}
            Ok(None) => return End::Whole,
            Err(error) => break error,
        }
    };
    let said = error.to_string();
    assert!(said.contains(url) && !said.contains("hunter2") && said.len() < 1000, "{said}");
    match error {
        DriverError::Dropped { .. } => End::Dropped,
        _ if said.starts_with("the body of") => End::TooLarge(Part::Body),
        _ if said.starts_with("the line or event of") => End::TooLarge(Part::Event),
        _ if said.contains("cannot be read") => End::Parse,
        other => panic!("unexpected: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_too_much_is_typed() {
    for case in large().await {
        check(&case).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_breaks_off_or_lies_is_typed() {
    for case in broken() {
        check(&case).await;
    }
}

/// What is behind a body is not the answer to the next request.
#[tokio::test]
async fn a_length_that_is_too_short_leaves_nothing_for_the_next_request() {
    let smuggled = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nfalse";
    let short = format!("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ntrue{smuggled}");
    let server = HostileServer::script([Reply::raw(short), Reply::ok("right")]);
    let client = client();
    let first = client.send(get(&server, "/1")).await.unwrap();
    assert_eq!(first.bytes(9).await.unwrap(), "true");
    // The connection task finds what nobody asked for.
    server.until(|counts| counts.open == 0).await;
    let second = client.send(get(&server, "/2")).await.unwrap();
    assert_eq!(second.bytes(9).await.unwrap(), "right");
}
