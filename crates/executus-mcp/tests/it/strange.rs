//! Servers over HTTP that do their part in other ways than the real one, and badly.

use std::time::Duration;

use executus_core::Effect;
use executus_core::secret::Secret;
use executus_http::Client;
use executus_mcp::{McpError, McpLimits, McpServer, McpServerBuilder};
use executus_testkit::hostile::{HostileServer, Reply, Seen};
use serde_json::{Value, json};

use crate::support::args;

const EVENTS: (&str, &str) = ("content-type", "text/event-stream");

/// Shakes hands, lists one tool, and answers calls as this says.
fn start(mut call: impl FnMut(&Seen, &Value) -> Reply + Send + 'static) -> HostileServer {
    HostileServer::start(move |request| {
        if request.method == "DELETE" {
            return Reply::status(204, &[], "");
        }
        if request.method == "GET" && request.header("last-event-id").is_none() {
            return Reply::status(405, &[], "");
        }
        let message: Value = serde_json::from_str(&request.text()).unwrap_or_default();
        let id = &message["id"];
        match message["method"].as_str() {
            Some("initialize") => {
                let result = json!({
                    "protocolVersion": message["params"]["protocolVersion"],
                    "capabilities": {"tools": {}},
                    "serverInfo": {"name": "strange", "version": "1"},
                });
                let body = json!({"jsonrpc": "2.0", "id": id, "result": result});
                let session = ("mcp-session-id", "the-session");
                let fields = [("content-type", "application/json"), session];
                Reply::status(200, &fields, body.to_string())
            }
            Some(method) if method.starts_with("notifications/") => Reply::status(202, &[], ""),
            Some("tools/list") => {
                let tools = json!([{"name": "work", "inputSchema": {"type": "object"}}]);
                Reply::json(&json!({"jsonrpc": "2.0", "id": id, "result": {"tools": tools}}))
            }
            _ => call(request, &message),
        }
    })
}

fn answer(id: &Value, text: &str) -> Value {
    let content = json!([{"type": "text", "text": text}]);
    json!({"jsonrpc": "2.0", "id": id, "result": {"content": content}})
}

fn at(server: &HostileServer) -> McpServerBuilder {
    let limits =
        McpLimits { call: Duration::from_secs(20), message_bytes: 100_000, ..McpLimits::default() };
    McpServer::http("odd", server.url("/mcp"), Client::builder().build().unwrap()).limits(limits)
}

async fn work(server: &McpServer, effect: Effect) -> Result<String, McpError> {
    server.call("work", &args(json!({})), effect).await.map(|output| output.text)
}

/// How often a call was made.
fn calls(server: &HostileServer) -> usize {
    server.requests().iter().filter(|seen| seen.text().contains("tools/call")).count()
}

#[tokio::test]
async fn every_request_has_the_hosts_header_and_the_session_which_is_given_back() {
    let odd = start(|_, message| Reply::json(&answer(&message["id"], "done")));
    let key = Secret::new("Bearer for-the-server");
    let server = at(&odd).secret_header("authorization", key).build().unwrap();
    assert_eq!(work(&server, Effect::Once).await.unwrap(), "done");
    assert!(!format!("{server:?}").contains("for-the-server"));
    server.close().await;
    let requests = odd.requests();
    let last = requests.last().unwrap();
    assert_eq!(last.method, "DELETE");
    for seen in &requests {
        assert_eq!(seen.header("authorization"), Some("Bearer for-the-server"));
        let session = (!seen.text().contains("initialize\"")).then_some("the-session");
        assert_eq!(seen.header("mcp-session-id"), session, "{}", seen.text());
        assert_eq!(seen.header("mcp-protocol-version").is_some(), session.is_some());
    }
}

#[tokio::test]
async fn a_message_that_is_too_large_ends_the_connection() {
    for mode in ["event", "json", "length"] {
        let odd = start(move |_, _| match mode {
            "event" => Reply::chunked(&[EVENTS]).chunk("data: ").chunks_forever("x".repeat(999)),
            "json" => Reply::chunked(&[("content-type", "application/json")])
                .chunks_forever("[".repeat(999)),
            _ => Reply::raw("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n")
                .send("content-length: 1000000000000\r\n\r\n{"),
        });
        let server = at(&odd).build().unwrap();
        let error = work(&server, Effect::Once).await.unwrap_err();
        let expected = McpError::TooLarge { server: "odd".to_owned(), limit: 100_000, sent: true };
        assert_eq!(error, expected, "{mode}");
        assert_eq!(calls(&odd), 1);
        server.close().await;
    }
}

#[tokio::test]
async fn a_status_is_told_and_decides_whether_the_call_was_seen() {
    for (status, sent, retryable) in
        [(401, false, false), (403, false, false), (429, false, true), (503, true, true)]
    {
        let odd = start(move |_, _| Reply::status(status, &[], "not\u{1b}[31m now"));
        let server = at(&odd).build().unwrap();
        let error = work(&server, Effect::ReadOnly).await.unwrap_err();
        assert!(error.to_string().contains(&format!("{status} ")), "{error}");
        assert!(error.to_string().ends_with("not now"), "{error}");
        assert_eq!((error.is_open(), error.retry()), (sent, retryable), "{error}");
        assert_eq!(calls(&odd), 1);
        server.close().await;
    }
}

#[tokio::test]
async fn an_error_of_the_protocol_is_an_answer_whatever_the_status() {
    let odd = start(|_, message| {
        let error = json!({"code": -32602, "message": "x is missing"});
        let body = json!({"jsonrpc": "2.0", "id": message["id"], "error": error});
        Reply::status(400, &[("content-type", "application/json")], body.to_string())
    });
    let server = at(&odd).build().unwrap();
    let error = work(&server, Effect::Once).await.unwrap_err();
    assert!(matches!(&error, McpError::Refused { code: -32602, .. }), "{error}");
    server.close().await;
}

#[tokio::test]
async fn a_dropped_connection_is_tried_again_only_where_that_does_no_harm() {
    for (effect, expected) in [(Effect::Once, 1), (Effect::Idempotent, 2), (Effect::ReadOnly, 2)] {
        let odd = start(|_, _| Reply::new().close());
        let server = at(&odd).build().unwrap();
        let error = work(&server, effect).await.unwrap_err();
        assert!(matches!(&error, McpError::Lost { sent: true, .. }), "{error}");
        assert_eq!(calls(&odd), expected, "{effect:?}");
        server.close().await;
    }
}

#[tokio::test]
async fn a_session_that_expires_again_and_again_is_renewed_once() {
    let odd = start(|_, _| Reply::status(404, &[], ""));
    let server = at(&odd).build().unwrap();
    let error = work(&server, Effect::Once).await.unwrap_err();
    assert!(matches!(&error, McpError::Lost { sent: false, .. }), "{error}");
    assert_eq!((calls(&odd), server.lives()), (2, 2));
    server.close().await;
}

#[tokio::test]
async fn a_stream_that_ends_early_is_taken_up_where_it_was() {
    let mut asked = Value::Null;
    let odd = start(move |request, message| {
        let Some(last) = request.header("last-event-id") else {
            asked = message["id"].clone();
            return Reply::chunked(&[EVENTS]).chunk("id: one\nretry: 20\ndata: \n\n").chunk("");
        };
        assert_eq!(last, "one");
        let event = format!("id: two\ndata: {}\n\n", answer(&asked, "late"));
        Reply::chunked(&[EVENTS]).chunk(event).chunk("")
    });
    let server = at(&odd).build().unwrap();
    assert_eq!(work(&server, Effect::Once).await.unwrap(), "late");
    assert_eq!(calls(&odd), 1);
    server.close().await;
}

#[tokio::test]
async fn a_stream_that_ends_without_an_answer_is_lost() {
    let odd = start(|_, _| Reply::chunked(&[EVENTS]).chunk(": nothing\n\n").chunk(""));
    let server = at(&odd).build().unwrap();
    let error = work(&server, Effect::Once).await.unwrap_err();
    assert!(matches!(&error, McpError::Lost { sent: true, .. }), "{error}");
    server.close().await;
}

#[tokio::test]
async fn what_is_no_message_is_told() {
    for (media_type, body) in [("text/html", "<p>hello"), ("application/json", "{\"a\": 1}")] {
        let odd = start(move |_, _| Reply::status(200, &[("content-type", media_type)], body));
        let server = at(&odd).build().unwrap();
        let error = work(&server, Effect::Once).await.unwrap_err();
        assert!(matches!(&error, McpError::Protocol { sent: true, .. }), "{error}");
        server.close().await;
    }
}
