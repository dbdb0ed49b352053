//! What a test sees of the server.

use executus_testkit::provider::{Answer, Dialect, ProviderServer};
use serde_json::{Value, json};

use crate::client::Client;

pub(crate) fn ask(client: &mut Client, stream: bool) {
    let body = json!({
        "model": "m",
        "messages": [{ "role": "user", "content": "Hi" }],
        "stream": stream,
    });
    client.send("/v1/chat/completions", &[("Authorization", "Bearer k")], &body);
}

#[test]
fn answers_in_order_until_the_script_is_used_up() {
    let server = ProviderServer::start(Dialect::OpenAi, [Answer::text("one"), Answer::text("two")]);
    let mut client = Client::new(&server);
    for expected in ["one", "two"] {
        ask(&mut client, false);
        let body = client.answer().json();
        assert_eq!(body["choices"][0]["message"]["content"], expected);
    }
    ask(&mut client, true);
    let got = client.answer();
    assert_eq!(got.status, 500);
    assert!(got.body.contains("the script is used up"));

    let seen = server.requests();
    assert_eq!(seen.len(), 3);
    assert_eq!((seen[0].method.as_str(), seen[0].streaming), ("POST", false));
    assert!(seen[2].streaming);
    assert_eq!(seen[0].header("authorization"), Some("Bearer k"));
    assert_eq!(seen[0].body["messages"][0]["content"], "Hi");
    assert_eq!((server.open_connections(), server.aborted()), (1, 0));
    drop(client);
    server.wait_for_no_connections();
    assert_eq!((server.answered(), server.aborted()), (3, 0));
}

#[test]
fn answers_by_model() {
    let server = ProviderServer::answering(Dialect::OpenAi, |request| {
        if request.body["model"] == "m" { Answer::overloaded() } else { Answer::text("here") }
    });
    let mut client = Client::new(&server);
    ask(&mut client, false);
    assert_eq!(client.answer().status, 503);
    let body = json!({ "model": "n", "messages": [{ "role": "user", "content": "Hi" }] });
    client.send("/v1/chat/completions", &[("authorization", "Bearer k")], &body);
    assert_eq!(client.answer().status, 200);
}

#[test]
fn a_refused_request_uses_up_no_answer() {
    let server = ProviderServer::start(Dialect::OpenAi, [Answer::text("one")]);
    let mut client = Client::new(&server);
    client.send("/v1/chat/completions", &[("authorization", "Bearer k")], &Value::Null);
    assert_eq!(client.answer().status, 400);
    ask(&mut client, false);
    assert_eq!(client.answer().status, 200);
    assert!(server.requests()[0].refused.is_some());
    assert_eq!(server.requests()[1].refused, None);
}

#[tokio::test(start_paused = true)]
async fn waits_under_a_paused_clock() {
    let server = ProviderServer::start(Dialect::OpenAi, [Answer::hang()]);
    let mut client = Client::new(&server);
    ask(&mut client, true);
    server.requests_reached(1).await;
    drop(client);
    server.aborted_reached(1).await;
    server.all_closed().await;
    assert_eq!(server.open_connections(), 0);
}

#[test]
fn dropping_it_ends_what_hangs() {
    let server = ProviderServer::start(Dialect::OpenAi, [Answer::hang_after_head()]);
    let mut client = Client::new(&server);
    ask(&mut client, true);
    server.wait_for_requests(1);
    assert_eq!(client.head().0, 200);
    drop(server);
    assert!(!client.is_silent());
}
