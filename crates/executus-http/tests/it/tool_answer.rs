//! What the answer of a tool is.

use std::time::Duration;

use executus_core::secret::{Secret, Secrets};
use executus_core::{Effect, Tool, ToolError, ToolOutput, ToolSpec};
use executus_http::{Client, HttpTool, HttpToolBuilder, Method, Template};
use executus_testkit::hostile::{HostileServer, Reply};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::join;

use crate::support::{LONG, Peer, SHORT, client, ok};
use crate::tool::{call, context, tool};

/// What gzip makes of `{"a":1}`.
const SMALL: &[u8] = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xab\x56\x4a\x54\xb2\x32\xac\x05\x00\xaf\xac\x1b\x56\x07\x00\x00\x00";

async fn answered(effect: Effect, answer: &str) -> Result<ToolOutput, ToolError> {
    let peer = Peer::start().await;
    let tool = tool(&peer, effect, "/p?key=hunter2-query").method(Method::Post);
    let (result, _open) = join!(call(tool, json!({})), peer.answer(answer));
    result
}

fn failure(result: Result<ToolOutput, ToolError>) -> (String, bool) {
    match result {
        Err(ToolError::Failed { message, retryable }) => (message, retryable),
        Err(error @ ToolError::Unknown { .. }) => (error.to_string(), error.retry()),
        other => panic!("expected a failure, found {other:?}"),
    }
}

fn typed(content_type: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

#[tokio::test]
async fn a_body_is_text_and_json_is_data_too() {
    let json_text = r#"{"a": [1, "ü"]}"#;
    let json_data = Some(json!({"a": [1, "ü"]}));
    for (answer, text, data) in [
        (typed("application/json; charset=utf-8", json_text), json_text, json_data.clone()),
        (typed("application/problem+json", json_text), json_text, json_data),
        (typed("text/plain", json_text), json_text, None),
        (typed("application/json", "{broken"), "{broken", None),
        (typed("text/plain", "a\u{1b}[31mb\r\n\tc"), "ab\n\tc", None),
        ("HTTP/1.1 204 No Content\r\n\r\n".to_owned(), "", None),
        ("HTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n".to_owned(), "", None),
    ] {
        let output = answered(Effect::Once, &answer).await.unwrap();
        assert_eq!(output, ToolOutput { text: text.into(), data, ..ToolOutput::default() });
    }
    let peer = Peer::start().await;
    let broken = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\na\xffb";
    let call = call(tool(&peer, Effect::Once, "/"), json!({}));
    let (output, _open) = join!(call, peer.answer(broken));
    assert_eq!(output.unwrap().text, "a\u{fffd}b");
}

#[tokio::test]
async fn a_compressed_body_is_decoded_within_the_limit() {
    let server = HostileServer::start(|request| match request.path.as_str() {
        "/small" => {
            let fields = [("content-encoding", "gzip"), ("content-type", "application/json")];
            Reply::status(200, &fields, SMALL)
        }
        _ => Reply::raw("HTTP/1.1 200 OK\r\ncontent-encoding: compress\r\n\r\nx").close(),
    });
    let at = |path| {
        let spec = ToolSpec::new("t", "").effect(Effect::ReadOnly);
        HttpTool::builder(spec, client()).url(Template::parse(&server.url(path)))
    };
    let output = call(at("/small"), json!({})).await.unwrap();
    assert_eq!((&*output.text, output.data), ("{\"a\":1}", Some(json!({"a": 1}))));
    assert_eq!(server.requests()[0].header("accept-encoding"), Some("gzip, br, zstd"));
    let (said, retry) = failure(call(at("/odd"), json!({})).await);
    assert!(said.contains("encoded as `compress` that cannot be decoded") && !retry, "{said}");
}

#[tokio::test]
async fn a_long_body_is_cut_and_not_read_to_its_end() {
    let peer = Peer::start().await;
    let mebibyte = vec![b'x'; 1024 * 1024];
    for (length, mark) in
        [(Some(52_428_800), "… [cut, 52428800 bytes in all]"), (None, "… [cut at 262144 bytes]")]
    {
        let length = length.map_or(String::new(), |n: u64| format!("content-length: {n}\r\n"));
        let head = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n{length}\r\n");
        let serve = async {
            let (_, mut connection) = peer.answer(head).await;
            let mut written = 0;
            // Without an end, until the client has enough.
            while connection.stream.write_all(&mebibyte).await.is_ok() {
                written += 1;
            }
            written
        };
        let call = call(tool(&peer, Effect::ReadOnly, "/"), json!({}));
        let (output, written) = join!(call, serve);
        let output = output.unwrap();
        assert_eq!(output.text.len(), 262_144 + mark.len());
        assert!(output.text.ends_with(mark));
        assert_eq!(output.data, None);
        // What fits into the buffers of two sockets, and no more.
        assert!(written < 32, "{written} MiB");
    }
}

#[tokio::test]
async fn other_statuses_are_failures() {
    for (effect, status, message, retryable) in [
        (Effect::Idempotent, "404 Not Found", "/p answered 404 Not Found: why\tnot", false),
        (Effect::Idempotent, "408 Request Timeout", "408 Request Timeout: why", true),
        (Effect::Idempotent, "429 Too Many Requests", "429 Too Many Requests: why", true),
        (Effect::Idempotent, "500 Internal Server Error", "500 Internal Server Error: why", true),
        (Effect::ReadOnly, "503 Oh", "answered 503 Service Unavailable: why", true),
        (Effect::ReadOnly, "599 Odd", "answered 599: why", true),
        (Effect::Once, "422 No", "422 Unprocessable Entity: why", false),
        (Effect::Once, "429 Too Many Requests", "429 Too Many Requests: why", true),
        (
            Effect::Once,
            "502 Bad Gateway",
            "Bad Gateway; the request may have been carried out: why",
            false,
        ),
        (Effect::Once, "408 Request Timeout", "the request may have been carried out: why", false),
    ] {
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 11\r\n\r\nwhy\t\u{1b}[1mnot");
        let (said, retry) = failure(answered(effect, &answer).await);
        assert!(said.contains(message), "{said}");
        assert!(said.starts_with("http://127.0.0.1:") && !said.contains("hunter2"), "{said}");
        assert_eq!(retry, retryable, "{said}");
    }
}

#[tokio::test]
async fn the_body_of_a_refusal_is_cut() {
    let answer =
        format!("HTTP/1.1 400 Bad\r\ncontent-length: 100000\r\n\r\n{}", "x".repeat(100_000));
    let (said, _) = failure(answered(Effect::Once, &answer).await);
    assert!(said.len() < 2200 && said.ends_with("x… [cut]"), "{said}");
}

#[tokio::test]
async fn redirects_are_told_and_not_followed() {
    let answer = "HTTP/1.1 307 Temporary Redirect\r\nlocation: https://other/x?token=hunter2\r\n\
                  content-length: 0\r\n\r\n";
    let (said, retry) = failure(answered(Effect::Idempotent, answer).await);
    assert!(
        said.ends_with(
            "/p answered 307 Temporary Redirect and points to https://other/x; \
                            redirects are not followed"
        ),
        "{said}"
    );
    assert!(!retry);
    let (said, _) = failure(answered(Effect::Once, answer).await);
    assert!(said.ends_with("not followed; the request may have been carried out"), "{said}");
}

/// Every way to fail after the request was sent.
async fn failing(effect: Effect) -> Vec<(String, bool)> {
    let mut said = Vec::new();
    for (answer, closed) in [
        ("", true),
        ("", false),
        ("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf", true),
        ("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf", false),
        ("no http at all\r\n\r\n", false),
    ] {
        let peer = Peer::start().await;
        let spec = ToolSpec::new("t", "").effect(effect);
        // Only what is never closed has to wait for its limit.
        let head = if answer.is_empty() && !closed { SHORT } else { LONG };
        let idle = if closed { LONG } else { SHORT };
        let client = Client::builder().connect_timeout(LONG).headers_timeout(head);
        let tool = HttpTool::builder(spec, client.idle_timeout(idle).build().unwrap())
            .url(Template::parse(&peer.url("/p")))
            .method(Method::Post);
        let serve = async {
            let (_, connection) = peer.answer(answer).await;
            (!closed).then_some(connection)
        };
        let (result, _open) = join!(call(tool, json!({})), serve);
        said.push(failure(result));
    }
    said
}

#[tokio::test]
async fn a_call_of_an_effect_that_counts_may_have_happened() {
    let idempotent = failing(Effect::Idempotent).await;
    for ((said, retry), (part, retryable)) in idempotent.iter().zip([
        ("closed the connection without an answer", true),
        ("sent no answer within 150ms", true),
        ("closed the connection in the middle of its answer", true),
        ("sent nothing more within 150ms", true),
        ("does not speak HTTP", false),
    ]) {
        assert!(said.contains(part) && !said.contains("carried out"), "{said}");
        assert_eq!(*retry, retryable, "{said}");
    }
    for (said, retry) in failing(Effect::Once).await {
        assert!(said.ends_with("; the request may have been carried out"), "{said}");
        assert!(!retry, "{said}");
    }
}

#[tokio::test]
async fn a_call_that_never_left_did_not_happen() {
    let peer = Peer::start().await;
    let gone = tool(&peer, Effect::Once, "/");
    drop(peer);
    let (said, retry) = failure(call(gone, json!({})).await);
    assert!(said.starts_with("no connection to ") && !said.contains("carried out"), "{said}");
    assert!(retry);
}

/// A call to a server that never answers.
async fn unanswered(tool: HttpToolBuilder, peer: &Peer, time: Duration) -> ToolError {
    let tool = tool.build().unwrap();
    let context = context(time, Secrets::default());
    let (error, _open) = join!(tool.call(&context, &Value::Null), async {
        let mut connection = peer.accept().await;
        connection.request().await;
        connection
    });
    error.unwrap_err()
}

#[tokio::test]
async fn the_deadline_of_the_run_cuts_a_call() {
    let peer = Peer::start().await;
    let idempotent = unanswered(tool(&peer, Effect::Idempotent, "/"), &peer, SHORT).await;
    assert!(matches!(idempotent, ToolError::Timeout { .. }), "{idempotent:?}");
    let once = unanswered(tool(&peer, Effect::Once, "/"), &peer, SHORT).await;
    assert!(matches!(once, ToolError::Unknown { .. }) && !once.retry(), "{once:?}");
    assert!(once.to_string().ends_with("; the request may have been carried out"), "{once}");
}

#[tokio::test]
async fn the_timeout_of_the_tool_cuts_a_call() {
    let peer = Peer::start().await;
    let spec = ToolSpec::new("t", "").effect(Effect::ReadOnly).timeout(SHORT);
    let tool = HttpTool::builder(spec, client()).url(Template::parse(&peer.url("/")));
    let error = unanswered(tool, &peer, LONG).await;
    assert_eq!(error, ToolError::Timeout { limit_ms: 150 });
}

#[tokio::test]
async fn secrets_appear_nowhere() {
    let secret = "hunter2 \"7\"/ü";
    let forms = [secret, "hunter2%20%227%22%2F%C3%BC", r#"hunter2 \"7\"/ü"#, "hunter3-of-the-run"];
    let echo = forms.join(" | ");
    let quoted = json!({"echo": secret, secret: forms[1]}).to_string();
    let bad = format!("HTTP/1.1 400 Bad\r\ncontent-length: {}\r\n\r\n{echo}", echo.len());
    for answer in [ok(&echo), typed("application/json", &quoted), bad, "no http".to_owned()] {
        let peer = Peer::start().await;
        let tool = tool(&peer, Effect::ReadOnly, "/{key}/{id}?{key}")
            .bind_secret("key", Secret::new(secret))
            .build()
            .unwrap();
        let run = [("pass".to_owned(), Secret::new("hunter3-of-the-run"))].into_iter().collect();
        let context = context(LONG, run);
        let args = json!({"id": "hunter3-of-the-run"});
        let serve = async {
            let (received, connection) = peer.answer(&answer).await;
            drop(connection);
            received
        };
        let (result, received) = join!(tool.call(&context, &args), serve);
        assert!(received.line().contains("/hunter2%20%227%22%2F%C3%BC/hunter3-of-the-run?"));
        let shown = format!("{result:?} {tool:?}");
        assert!(!shown.contains("hunter"), "{shown}");
        if result.is_err() {
            assert!(shown.contains("/[redacted]/[redacted]"), "{shown}");
        }
    }
}
