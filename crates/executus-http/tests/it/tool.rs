//! What a call of a tool sends.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use executus_core::executor::Standalone;
use executus_core::secret::{Secret, Secrets};
use executus_core::{
    Effect, Limits, Model, ModelError, Reply, RunId, RunRequest, Tool, ToolContext, ToolError,
    ToolOutput, ToolSpec, Turn,
};
use executus_http::{HttpTool, HttpToolBuilder, Method, Template, ToolBuildError};
use serde_json::{Value, json};
use tokio::join;

use crate::support::{Connection, Peer, Received, client, ok};

struct Nobody;

#[async_trait]
impl Model for Nobody {
    async fn decide(&self, _: &Turn) -> Result<Reply, ModelError> {
        Ok(Reply::text(""))
    }
}

/// A call of a run that lasts this long.
pub(crate) fn context(time: Duration, secrets: Secrets) -> ToolContext {
    let limits = Limits { hard_timeout: time, ..Limits::default() };
    let request = RunRequest::new(Arc::new(Nobody))
        .run_id(RunId::new("räuber 7").unwrap())
        .limits(limits)
        .secrets(secrets);
    Standalone::new(&request).context(3, 1)
}

/// A tool `t` of this server with two parameters.
pub(crate) fn tool(peer: &Peer, effect: Effect, path: &str) -> HttpToolBuilder {
    let schema = json!({"type": "object", "properties": {
        "id": {"type": "string"},
        "n": {"type": "integer", "default": 10},
        "tags": {"type": "array"},
    }});
    let spec = ToolSpec::new("t", "").parameters(schema).effect(effect);
    HttpTool::builder(spec, client()).url(Template::parse(&peer.url(path)))
}

pub(crate) async fn call(tool: HttpToolBuilder, args: Value) -> Result<ToolOutput, ToolError> {
    let tool = tool.build().unwrap();
    tool.call(&context(Duration::from_secs(60), Secrets::default()), &args).await
}

/// What one call sends.
async fn sent(peer: &Peer, tool: HttpToolBuilder, args: Value) -> Received {
    let (result, (received, _open)) = join!(call(tool, args), peer.answer(ok("")));
    result.unwrap();
    received
}

#[tokio::test]
async fn arguments_fill_the_url_and_the_rest_goes_to_the_query() {
    let peer = Peer::start().await;
    let args = json!({"id": "a b/ü", "tags": ["x&y", 2]});
    for (path, line) in [
        ("/t/{id}", "GET /t/a%20b%2F%C3%BC?n=10&tags=x%26y&tags=2 HTTP/1.1"),
        ("/t?id={id}&n={n}", "GET /t?id=a%20b%2F%C3%BC&n=10&tags=x%26y&tags=2 HTTP/1.1"),
    ] {
        let tool = tool(&peer, Effect::ReadOnly, path);
        assert_eq!(sent(&peer, tool, args.clone()).await.line(), line);
    }
    let tool = tool(&peer, Effect::Once, "/t/{id}").method(Method::Delete);
    let received = sent(&peer, tool, json!({"id": "7"})).await;
    assert_eq!((received.line(), &*received.body), ("DELETE /t/7?n=10 HTTP/1.1", ""));
}

#[tokio::test]
async fn the_rest_is_the_body_of_other_methods() {
    let peer = Peer::start().await;
    for method in [Method::Post, Method::Put, Method::Patch] {
        let tool = tool(&peer, Effect::Once, "/t/{id}").method(method);
        let received = sent(&peer, tool, json!({"id": "7", "n": "3"})).await;
        assert_eq!(received.line(), format!("{method} /t/7 HTTP/1.1"));
        assert_eq!(received.header("content-type"), Some("application/json"));
        assert_eq!(received.body, r#"{"n":3}"#);
    }
    // Every parameter has its place: there is no body.
    let tool = tool(&peer, Effect::Once, "/t/{id}/{n}/{tags}").method(Method::Post);
    let received = sent(&peer, tool, json!({"id": "7", "tags": []})).await;
    assert_eq!(
        (received.header("content-length"), received.header("content-type")),
        (Some("0"), None)
    );
}

#[tokio::test]
async fn a_parameter_of_the_run_is_the_base_address() {
    let peer = Peer::start().await;
    let tool = tool(&peer, Effect::ReadOnly, "").url(Template::parse("{base}/{dir}/{id}?n={n}"));
    let tool = tool.bind("base", peer.url("/api/v1")).bind("dir", "a/b");
    let received = sent(&peer, tool, json!({"id": "7"})).await;
    assert_eq!(received.line(), "GET /api/v1/a%2Fb/7?n=10 HTTP/1.1");
}

#[tokio::test]
async fn header_fields_have_places_too() {
    let peer = Peer::start().await;
    let tool = tool(&peer, Effect::ReadOnly, "/t")
        .header("authorization", Template::parse("Bearer {key}"))
        .header("x-id", Template::new().text("<").place("id").text(">"))
        .secret_header("x-fixed", Secret::new("hunter2-fixed"))
        .bind_secret("key", Secret::new("hunter2-key"));
    let shown = format!("{tool:?}");
    assert!(!shown.contains("hunter2"), "{shown}");
    let received = sent(&peer, tool, json!({"id": "7 8"})).await;
    assert_eq!(received.header("authorization"), Some("Bearer hunter2-key"));
    assert_eq!(received.header("x-id"), Some("<7 8>"));
    assert_eq!(received.header("x-fixed"), Some("hunter2-fixed"));
    // The field takes the argument away from the query.
    assert_eq!(received.line(), "GET /t?n=10 HTTP/1.1");
}

#[tokio::test]
async fn what_changes_something_carries_its_key() {
    let peer = Peer::start().await;
    let key = Some("r%C3%A4uber%207%2F3%2F1");
    for (effect, method, expected) in [
        (Effect::Once, Method::Post, key),
        (Effect::Idempotent, Method::Delete, key),
        (Effect::ReadOnly, Method::Post, None),
        (Effect::Idempotent, Method::Get, None),
    ] {
        let tool = tool(&peer, effect, "/").method(method);
        let received = sent(&peer, tool, json!({})).await;
        assert_eq!(received.header("idempotency-key"), expected, "{effect:?} {method}");
    }
    let own = tool(&peer, Effect::Once, "/").method(Method::Put);
    let own = own.header("Idempotency-Key", Template::parse("own-{id}"));
    let received = sent(&peer, own, json!({"id": "7"})).await;
    assert_eq!(received.header("idempotency-key"), Some("own-7"));
}

#[tokio::test]
async fn bad_arguments_are_refused_and_nothing_is_sent() {
    let peer = Peer::start().await;
    for (path, args, part) in [
        ("/t/{id}", json!({}), "`id` is missing"),
        ("/t/{id}", json!({"id": ".."}), "`id` is a part of the path"),
        ("/t/{id}/x", json!({"id": "../../admin"}), "`id` is a part of the path"),
        ("/t/{id}", json!({"id": ""}), "`id` is a part of the path"),
        ("/t/{id}", json!({"id": "7", "other": 1}), "no parameter `other`"),
        ("/t", json!({"n": "many"}), "`n` must be a whole number"),
        ("/t", json!([]), "expected an object"),
        ("/t?h", json!({"id": "a\r\nx-evil: 1"}), "`x-id`"),
    ] {
        let mut tool = tool(&peer, Effect::ReadOnly, path);
        if path == "/t?h" {
            tool = tool.header("x-id", Template::parse("{id}"));
        }
        match call(tool, args).await {
            Err(ToolError::Arguments { message }) => assert!(message.contains(part), "{message}"),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn tools_that_cannot_work_are_refused() {
    let peer = Peer::start().await;
    let with = |url: &str| tool(&peer, Effect::Once, "").url(Template::parse(url));
    let refused = |tool: HttpToolBuilder| tool.build().unwrap_err();
    assert!(
        matches!(refused(with("http://h/{x}")), ToolBuildError::Unbound { name, .. } if name == "x")
    );
    for url in ["{id}/x", "http://{id}/", "http://h{id}/", "http://h:{n}/"] {
        assert!(matches!(refused(with(url)), ToolBuildError::OpenAddress { .. }), "{url}");
    }
    // What `base` is decides where the argument stands.
    assert!(matches!(
        refused(with("{base}{id}").bind("base", "http://h")),
        ToolBuildError::OpenAddress { .. }
    ));
    assert!(with("{base}{id}").bind("base", "http://h/").build().is_ok());
    for url in
        ["", "/x", "ftp://h/", "http://u:hunter2@h/", "http://h/#{id}", "{base}/", "http://{base}/"]
    {
        let error = refused(with(url).bind_secret("base", Secret::new("hunter2 /")));
        assert!(matches!(error, ToolBuildError::Url { .. }), "{url}: {error}");
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
    for (name, value) in [("x y", "v"), ("host", "v"), ("x", "{key}")] {
        let tool = with("http://h/").header(name, Template::parse(value));
        let error = refused(tool.bind_secret("key", Secret::new("hunter2\n")));
        assert!(matches!(error, ToolBuildError::Header { .. }), "{name}: {error}");
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}

#[tokio::test]
async fn a_call_that_is_given_up_closes_its_connection() {
    let peer = Peer::start().await;
    let mut connection: Connection = tokio::select! {
        result = call(tool(&peer, Effect::Once, "/"), json!({})) => panic!("{result:?} from nobody"),
        connection = async {
            let mut connection = peer.accept().await;
            connection.request().await;
            connection
        } => connection,
    };
    connection.closed().await;
}
