//! What a driver asks, and what it makes of the answer.

use std::sync::Arc;
use std::time::Duration;

use executus_capability::{
    Capability, CapabilityId, Constraints, Driver, DriverError, DriverRequest, Principal, Safety,
};
use executus_core::Timestamp;
use executus_core::secret::Secret;
use executus_http::{
    Client, DriverBuildError, Endpoint, Format, HttpDriver, HttpDriverBuilder, Method, Profile,
    Template,
};
use executus_testkit::hostile::{HostileServer, Reply};
use serde_json::{Value, json};

use crate::support::{LONG, SHORT, client};

pub(crate) fn asking(operation: &str, args: Value) -> DriverRequest {
    let id = CapabilityId::new("tickets.find").unwrap();
    let Value::Object(args) = args else { panic!("arguments are an object") };
    DriverRequest {
        capability: Arc::new(Capability::new(id, Safety::Read, "")),
        operation: operation.into(),
        args: Arc::new(args),
        constraints: Arc::new(Constraints::default()),
        principal: Arc::new(Principal::user("ada")),
        deadline: Timestamp::now().after(LONG),
        idempotency_key: "key-7".into(),
        context: None,
    }
}

pub(crate) fn endpoint(server: &HostileServer, method: Method, path: &str) -> Endpoint {
    Endpoint::new(method, Template::parse(&server.url(path)))
}

/// A driver with one operation, `op`.
pub(crate) fn driver(endpoint: Endpoint) -> HttpDriver {
    HttpDriver::builder("http", client()).endpoint("op", endpoint).build().unwrap()
}

async fn ask(driver: &HttpDriver, args: Value) -> Result<Value, DriverError> {
    driver.execute(&asking("op", args)).await
}

/// What comes of one `GET` with this answer.
async fn answered(reply: Reply, format: Format) -> Result<Value, DriverError> {
    let server = HostileServer::always(reply);
    ask(&driver(endpoint(&server, Method::Get, "/p?key=hunter2").format(format)), json!({})).await
}

fn message(result: Result<Value, DriverError>) -> String {
    match result.unwrap_err() {
        DriverError::Failed { message, .. } => message,
        other => panic!("expected a failure, found {other:?}"),
    }
}

/// HD-01
#[tokio::test]
async fn connections_are_made_when_they_are_needed_and_used_again() {
    let server = HostileServer::always(Reply::json(&json!(1)));
    let client = client();
    let endpoint = endpoint(&server, Method::Get, "/");
    let builder = HttpDriver::builder("http", client.clone()).endpoint("op", endpoint);
    let driver = builder.build().unwrap();
    assert_eq!(server.counts().accepted, 0);
    assert_eq!(client.snapshot().len(), 0, "nothing is there before the first call");
    for _ in 0..2 {
        assert_eq!(ask(&driver, json!({})).await, Ok(json!(1)));
    }
    assert_eq!(server.counts().accepted, 1, "one connection serves both");
    assert_eq!(client.snapshot().len(), 1);
}

/// HD-02
#[tokio::test]
async fn a_closed_driver_can_be_closed_and_used() {
    let server = HostileServer::always(Reply::json(&json!(1)));
    let driver = driver(endpoint(&server, Method::Get, "/"));
    driver.close(LONG).await;
    ask(&driver, json!({})).await.unwrap();
    driver.close(LONG).await;
    server.until(|counts| counts.open == 0).await;
    driver.close(LONG).await;
    ask(&driver, json!({})).await.unwrap();
    assert_eq!(server.counts().accepted, 2);
}

/// HD-03
#[tokio::test]
async fn limits_are_the_drivers_unless_the_endpoint_has_its_own() {
    assert_eq!((Profile::DRIVER.max_connections, Profile::DRIVER.kept_alive), (100, 20));
    assert_eq!(Profile::DRIVER.timeout, Some(Duration::from_secs(30)));
    let server = HostileServer::always(Reply::new().stall());
    let endpoint = |limit: Option<Duration>| {
        let endpoint = endpoint(&server, Method::Get, "/slow");
        limit.map_or(endpoint.clone(), |limit| endpoint.timeout(limit))
    };
    let profiled = Client::builder().profile(Profile::DRIVER).build().unwrap();
    let own = HttpDriver::builder("http", profiled)
        .endpoint("op", endpoint(Some(SHORT)))
        .build()
        .unwrap();
    let error = ask(&own, json!({})).await.unwrap_err();
    let expected = format!("{} was not done within 150ms", server.url("/slow"));
    assert_eq!(error, DriverError::Timeout { message: expected });
    let all = HttpDriver::builder("http", client()).timeout(SHORT).endpoint("op", endpoint(None));
    let error = ask(&all.build().unwrap(), json!({})).await.unwrap_err();
    assert!(matches!(error, DriverError::Timeout { .. }), "{error:?}");
}

/// HD-03
#[tokio::test(start_paused = true)]
async fn a_request_has_thirty_seconds() {
    let server = HostileServer::always(Reply::new().stall());
    let driver = driver(endpoint(&server, Method::Get, "/"));
    // With nothing else to wait for, the paused clock jumps to the limit: the connection may well
    // not be there yet.
    let error = ask(&driver, json!({})).await.unwrap_err();
    let DriverError::Timeout { message } = error else { panic!("{error:?}") };
    assert!(message.ends_with("within 30s"), "{message}");
}

/// HD-04
#[tokio::test]
async fn a_body_of_as_many_bytes_as_allowed() {
    let server = HostileServer::start(|request| match request.path.as_str() {
        "/10" => Reply::ok("1234567890"),
        "/11" => Reply::ok("12345678901"),
        "/10c" => Reply::chunked(&[]).chunk("12345").chunk("67890").chunk(""),
        _ => Reply::chunked(&[]).chunk("12345").chunks_forever("6"),
    });
    for (path, fits) in [("/10", true), ("/11", false), ("/10c", true), ("/11c", false)] {
        let endpoint = endpoint(&server, Method::Get, path).format(Format::Text).max_body(10);
        let result = ask(&driver(endpoint), json!({})).await;
        if fits {
            assert_eq!(result, Ok(json!("1234567890")), "{path}");
        } else {
            let said = message(result);
            assert!(said.ends_with(&format!("{path} has more than 10 bytes")), "{said}");
        }
    }
}

/// HD-06
#[tokio::test]
async fn little_of_an_error_is_read_and_less_is_told() {
    for max in [None, Some(10), Some(1 << 20)] {
        let body = "e".repeat(100_000);
        let fields = "HTTP/1.1 500 Oops\r\ncontent-length: 100000000\r\n\r\n";
        let server = HostileServer::always(Reply::raw(fields).send(&body).forever("e"));
        let endpoint = endpoint(&server, Method::Get, "/p");
        let endpoint = max.map_or(endpoint.clone(), |max| endpoint.max_body(max));
        let said = message(ask(&driver(endpoint), json!({})).await);
        let told = said.rsplit(": ").next().unwrap();
        assert_eq!(told, format!("{}… [cut]", "e".repeat(200)));
        // What the buffers of both systems hold, and no more.
        let written = server.until(|counts| counts.given_up == 1).await.written;
        assert!(written < 8 << 20, "{written} bytes");
    }
    // Characters, not bytes; and what colours a terminal is none.
    let long = "\u{1b}[31mü".repeat(300);
    let said = message(answered(Reply::status(404, &[], long), Format::Json).await);
    assert!(said.matches('ü').count() <= 200 && !said.contains('\u{1b}'), "{said}");
}

/// HD-07
#[tokio::test]
async fn a_status_that_is_no_success_is_told_with_the_address() {
    for (status, name, retryable) in
        [(500, "500 Internal Server Error", true), (404, "404 Not Found", false)]
    {
        let server = HostileServer::always(Reply::status(status, &[], "why"));
        let driver = driver(endpoint(&server, Method::Get, "/p?token=hunter2"));
        let error = ask(&driver, json!({"api_key": "hunter2"})).await.unwrap_err();
        let message = format!("{} answered with status {name}: why", server.url("/p"));
        assert_eq!(error, DriverError::Failed { message, retryable });
    }
}

/// HD-08
#[tokio::test]
async fn what_is_no_json_is_told_with_its_type() {
    let page = format!("<html>{}", "x".repeat(1000));
    let typed = |kind: &'static str| {
        let fields = [("content-type", kind)];
        Reply::status(200, if kind.is_empty() { &[] } else { &fields }, &page)
    };
    for (kind, expected) in [
        ("text/html; charset=utf-8", "sent text/html where JSON was expected"),
        ("", "sent a body of unknown type where JSON was expected"),
        ("application/json", "sent application/json that cannot be read"),
    ] {
        let said = message(answered(typed(kind), Format::Json).await);
        assert!(said.contains(expected), "{said}");
        let told = said.rsplit(": ").next().unwrap();
        assert_eq!(told, format!("{}… [cut]", &page[..200]));
    }
    // What it is called does not matter when it is JSON.
    assert_eq!(answered(Reply::ok("[1]"), Format::Json).await, Ok(json!([1])));
}

/// HD-09
#[tokio::test]
async fn an_empty_body_is_null() {
    assert_eq!(answered(Reply::ok(""), Format::Json).await, Ok(Value::Null));
    let no_content = Reply::raw("HTTP/1.1 204 No Content\r\n\r\n");
    assert_eq!(answered(no_content, Format::Json).await, Ok(Value::Null));
    let said = message(answered(Reply::ok(" \n\t "), Format::Json).await);
    assert!(said.contains("JSON was expected: EOF"), "{said}");
}

/// HD-10
#[tokio::test]
async fn a_text_is_never_parsed() {
    for (body, expected) in
        [(&b"{\"a\": 1}"[..], "{\"a\": 1}"), (b"a\xffb\xc3", "a\u{fffd}b\u{fffd}"), (b"", "")]
    {
        assert_eq!(answered(Reply::ok(body), Format::Text).await, Ok(json!(expected)));
    }
    let typed = Reply::status(200, &[("content-type", "image/x")], b"\0\xff\x10");
    let expected = json!({"bytes": 3, "content_type": "image/x", "base64": "AP8Q"});
    assert_eq!(answered(typed, Format::Bytes).await, Ok(expected));
}

/// HD-11
#[tokio::test]
async fn arguments_go_to_the_query_or_the_body() {
    let args = json!({
        "operation": "op", "id": "a b/c", "tags": ["x", "y&z"], "n": 1.5, "deep": {"a": null},
    });
    let query = "/t/a%20b%2Fc?deep=%7B%22a%22%3Anull%7D&n=1.5&tags=x&tags=y%26z";
    let body = json!({"tags": ["x", "y&z"], "n": 1.5, "deep": {"a": null}});
    for (method, in_query) in [
        (Method::Get, true),
        (Method::Delete, true),
        (Method::Post, false),
        (Method::Put, false),
        (Method::Patch, false),
    ] {
        let server = HostileServer::always(Reply::ok(""));
        ask(&driver(endpoint(&server, method, "/t/{id}")), args.clone()).await.unwrap();
        let seen = server.requests().remove(0);
        if in_query {
            assert_eq!((seen.path.as_str(), seen.text().as_str()), (query, ""));
        } else {
            assert_eq!(seen.path, "/t/a%20b%2Fc");
            assert_eq!(serde_json::from_slice::<Value>(&seen.body).unwrap(), body);
            assert_eq!(seen.header("content-type"), Some("application/json"));
        }
        let key = (method != Method::Get).then_some("key-7");
        assert_eq!(seen.header("idempotency-key"), key);
        assert_eq!(seen.header("accept-encoding"), Some("gzip, br, zstd"));
    }
}

/// HD-12
#[tokio::test]
async fn a_header_field_of_the_endpoint_wins() {
    let server = HostileServer::always(Reply::ok(""));
    let endpoint = endpoint(&server, Method::Post, "/")
        .header("X-Tenant", Template::parse("{tenant}"))
        .secret_header("authorization", Secret::new("endpoint's"))
        .header("idempotency-key", Template::parse("mine"));
    let driver = HttpDriver::builder("http", client())
        .header("x-tenant", Template::parse("base"))
        .header("accept", Template::parse("text/plain"))
        .secret_header("Authorization", Secret::new("base's"))
        .endpoint("op", endpoint)
        .build()
        .unwrap();
    ask(&driver, json!({"tenant": "blue"})).await.unwrap();
    let seen = server.requests().remove(0);
    let of = |name: &str| {
        let fields = seen.headers.iter().filter(|(known, _)| known == name);
        fields.map(|(_, value)| value.as_str()).collect::<Vec<_>>()
    };
    assert_eq!(of("x-tenant"), ["blue"]);
    assert_eq!(of("authorization"), ["endpoint's"]);
    assert_eq!(of("accept"), ["text/plain"]);
    assert_eq!(of("idempotency-key"), ["mine"]);
    assert_eq!(seen.text(), "{}", "what a header field takes is not in the body");
}

/// HD-13
#[tokio::test]
async fn redirects_are_followed_by_those_that_ask_for_it() {
    let server = HostileServer::start(|request| match request.path.as_str() {
        "/a" => Reply::status(302, &[("location", "/b?token=hunter2")], ""),
        "/b?token=hunter2" => Reply::status(307, &[("location", "/c")], ""),
        "/loop" => Reply::status(307, &[("location", "/loop")], ""),
        "/meta" => Reply::status(302, &[("location", "http://169.254.169.254/latest")], ""),
        _ => Reply::json(&json!("there")),
    });
    let at = |path: &str, hops| endpoint(&server, Method::Get, path).follow_redirects(hops);
    let said = message(ask(&driver(at("/a", 0)), json!({})).await);
    let expected = format!(
        "{} answered with status 302 and leads to {}: redirects are not followed",
        server.url("/a"),
        server.url("/b")
    );
    assert!(said.starts_with(&expected) && !said.contains("hunter2"), "{said}");
    assert_eq!(ask(&driver(at("/a", 2)), json!({})).await, Ok(json!("there")));
    let said = message(ask(&driver(at("/a", 1)), json!({})).await);
    assert!(said.contains("status 307") && said.contains("more than 1 redirects"), "{said}");
    let said = message(ask(&driver(at("/loop", 9)), json!({})).await);
    assert!(said.contains("redirects in a circle"), "{said}");
    let said = message(ask(&driver(at("/meta", 9)), json!({})).await);
    assert!(said.contains("169.254.169.254") && said.contains("may not go"), "{said}");
}

/// HD-14
#[tokio::test]
async fn whatever_goes_wrong_is_told_with_the_address() {
    let refused = HostileServer::always(Reply::new());
    let url = refused.url("/p");
    let gone = driver(endpoint(&refused, Method::Get, "/p?sig=hunter2"));
    drop(refused);
    let error = ask(&gone, json!({})).await.unwrap_err();
    assert!(matches!(error, DriverError::Failed { retryable: true, .. }), "{error:?}");
    assert!(error.to_string().starts_with(&format!("no connection to {url}: ")), "{error}");

    for (reply, is_dropped) in [
        (Reply::new().stall(), false),
        (Reply::raw("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf").stall(), false),
        (Reply::raw("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf").close(), true),
        (Reply::raw("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf").reset(), true),
        (Reply::new().close(), true),
    ] {
        let server = HostileServer::always(reply);
        let limit = if is_dropped { LONG } else { SHORT };
        let endpoint = endpoint(&server, Method::Get, "/p?sig=hunter2").timeout(limit);
        let error = ask(&driver(endpoint), json!({"password": "hunter2"})).await.unwrap_err();
        let said = error.to_string();
        assert!(said.contains(&server.url("/p")) && !said.contains("hunter2"), "{said}");
        assert_eq!(matches!(error, DriverError::Dropped { .. }), is_dropped, "{said}");
        assert_eq!(matches!(error, DriverError::Timeout { .. }), !is_dropped, "{said}");
        assert!(error.retry());
    }
}

fn unusable(url: &str) -> String {
    let endpoint = Endpoint::new(Method::Get, Template::parse(url));
    let builder = HttpDriver::builder("http", client()).bind("n", "1").endpoint("op", endpoint);
    builder.bind_secret("key", Secret::new("hunter2")).build().unwrap_err().to_string()
}

/// HD-14
#[tokio::test]
async fn an_unusable_url_is_told_without_what_is_secret() {
    for (url, shown) in [
        ("ftp://h/x?key=hunter2", "ftp://h/x:"),
        ("http://user:hunter2@h/x", "http://h/x:"),
        ("http://h:99999/hunter2", "http://h:99999/[redacted]:"),
        ("http://h/x y", "http://h/x y:"),
        ("http://h/{key} x", "http://h/{key} x:"),
        ("http://h/#hunter2", "http://h/:"),
        ("http://{host}/", "http://{host}/"),
        ("{base}/{n}", "{base}/{n}"),
    ] {
        let said = unusable(url);
        assert!(said.contains(shown) && !said.contains("hunter2"), "{url}: {said}");
        assert!(said.contains("`op`") && said.contains("`http`"), "{said}");
    }
    // What only a call can spoil.
    let server = HostileServer::always(Reply::ok(""));
    let driver = driver(endpoint(&server, Method::Get, "/t/{id}"));
    for (args, part) in [
        (json!({}), "`id` is missing"),
        (json!({"id": ".."}), "cannot be empty, `.` or `..`"),
        (json!({"id": "x".repeat(70_000)}), "more than 65534 bytes"),
    ] {
        let said = message(ask(&driver, args).await);
        let url = server.url("/t/{id}");
        assert!(said.contains(part) && said.contains(&url), "{said}");
    }
    assert_eq!(server.counts().accepted, 0);
}

/// HD-15
#[tokio::test]
async fn an_operation_that_is_not_there() {
    let server = HostileServer::always(Reply::ok(""));
    let driver = driver(endpoint(&server, Method::Get, "/"));
    let error = driver.execute(&asking("tickets.drop", json!({}))).await.unwrap_err();
    assert_eq!(error.to_string(), "driver `http` has no operation `tickets.drop`");
    assert_eq!(
        error,
        DriverError::NoOperation { driver: "http".into(), operation: "tickets.drop".into() }
    );
    assert_eq!(server.counts().accepted, 0);
}

fn bound(server: &HostileServer) -> HttpDriverBuilder {
    let endpoint = Endpoint::new(Method::Get, Template::parse("{base}/{tenant}/{id}"))
        .header("x-key", Template::parse("k {key}"));
    HttpDriver::builder("http", client())
        .bind("base", server.url("/v1"))
        .bind("tenant", "blue")
        .bind_secret("key", Secret::new("hunter2\"7"))
        .endpoint("op", endpoint)
}

#[tokio::test]
async fn what_is_bound_is_not_for_a_call_to_set() {
    let server = HostileServer::always(Reply::ok(""));
    let driver = bound(&server).build().unwrap();
    ask(&driver, json!({"id": 7})).await.unwrap();
    let seen = server.requests().remove(0);
    assert_eq!((seen.path.as_str(), seen.header("x-key")), ("/v1/blue/7", Some("k hunter2\"7")));
    for name in ["base", "tenant", "key"] {
        let said = message(ask(&driver, json!({"id": 7, name: "x"})).await);
        assert!(said.contains(&format!("`{name}` is not for a call to set")), "{said}");
    }
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn secrets_of_the_driver_appear_nowhere() {
    let echo = "hunter2\"7 | hunter2%227 | hunter2\\\"7";
    let quoted = json!({"echo": "hunter2\"7", "hunter2\"7": [echo]});
    for reply in [
        Reply::ok(echo),
        Reply::json(&quoted),
        Reply::status(500, &[], echo),
        Reply::status(302, &[("location", "/x/hunter2%227/y")], ""),
    ] {
        let server = HostileServer::always(reply);
        let driver = bound(&server).build().unwrap();
        let result = ask(&driver, json!({"id": 7})).await;
        let shown = format!("{result:?} {driver:?}");
        assert!(!shown.contains("hunter2") && shown.contains("[redacted]"), "{shown}");
    }
}

#[test]
fn what_no_call_could_use_is_refused() {
    let build = |endpoint: Endpoint| {
        HttpDriver::builder("http", client()).endpoint("op", endpoint).build().unwrap_err()
    };
    let open = build(Endpoint::new(Method::Get, Template::parse("http://{host}/")));
    assert!(matches!(open, DriverBuildError::OpenAddress { name, .. } if name == "host"));
    let at = || Endpoint::new(Method::Get, Template::parse("http://h/"));
    let header = build(at().header("host", Template::parse("x")));
    assert!(matches!(header, DriverBuildError::Header { .. }), "{header}");
    let none = build(at().timeout(Duration::ZERO));
    assert!(matches!(none, DriverBuildError::NoTime { .. }));
    let streamed = build(at().format(Format::Bytes).streamed(executus_http::Pieces::lines()));
    assert!(matches!(streamed, DriverBuildError::Streamed { .. }));
}
