//! Answers that go wrong, in every dialect where it differs.

use std::time::Duration;

use executus_testkit::provider::{Answer, Dialect, ProviderServer};
use serde_json::{Value, json};

use crate::client::{Client, Got};

const ALL: [Dialect; 4] = [Dialect::OpenAi, Dialect::Anthropic, Dialect::Gemini, Dialect::Ollama];

/// Sends a right request of the dialect.
fn ask(dialect: Dialect, client: &mut Client, stream: bool) {
    let mut body = json!({
        "model": "m",
        "messages": [{ "role": "user", "content": "Hi" }],
        "stream": stream,
    });
    match dialect {
        Dialect::OpenAi => {
            client.send("/v1/chat/completions", &[("authorization", "Bearer k")], &body);
        }
        Dialect::Anthropic => {
            body["max_tokens"] = json!(10);
            let headers = [("x-api-key", "k"), ("anthropic-version", "2023-06-01")];
            client.send("/v1/messages", &headers, &body);
        }
        Dialect::Gemini => {
            let body = json!({ "contents": [{ "role": "user", "parts": [{ "text": "Hi" }] }] });
            let method = if stream { "streamGenerateContent?alt=sse" } else { "generateContent" };
            let path = format!("/v1beta/models/m:{method}");
            client.send(&path, &[("x-goog-api-key", "k")], &body);
        }
        Dialect::Ollama => client.send("/api/chat", &[], &body),
    }
}

fn each(answer: &Answer, stream: bool, look: impl Fn(Dialect, Client, &ProviderServer)) {
    for dialect in ALL {
        let server = ProviderServer::start(dialect, [answer.clone()]);
        let mut client = Client::new(&server);
        ask(dialect, &mut client, stream);
        look(dialect, client, &server);
        assert_eq!(server.refusals(), Vec::<String>::new());
    }
}

/// Whether the answer says why it ended.
fn is_finished(got: &Got) -> bool {
    let marks = [
        "\"finish_reason\":\"",
        "\"stop_reason\":\"",
        "\"finishReason\"",
        "\"done_reason\"",
        "DONE",
    ];
    marks.iter().any(|mark| got.body.contains(mark))
}

#[test]
fn cuts_and_early_ends_come_before_the_reason() {
    for n in [0, 2, 1000] {
        let text = Answer::text("one two three");
        each(&text.clone().cut_after_pieces(n), true, |dialect, mut client, server| {
            let got = client.answer();
            assert_eq!((got.status, got.complete), (200, false), "{dialect:?}");
            assert!(!is_finished(&got), "{dialect:?}: {}", got.body);
            assert_eq!(got.body.contains("one"), n > 0);
            assert_eq!(got.body.contains("three"), n > 2);
            assert_eq!(server.aborted(), 0);
        });
        each(&text.ends_early_after_pieces(n), true, |dialect, mut client, _| {
            let got = client.answer();
            assert!(got.complete && !is_finished(&got), "{dialect:?}: {}", got.body);
            assert_eq!(got.body.contains("two"), n > 0);
            assert_eq!(got.body.contains("three"), n > 2);
        });
    }
}

#[test]
fn whole_answers_are_cut_in_the_middle() {
    let text = Answer::text("one two three");
    each(&text.clone().cut_after_pieces(1), false, |_, mut client, _| {
        let got = client.answer();
        assert!(!got.complete && !got.body.is_empty());
    });
    each(&text.clone().ends_early_after_pieces(1), false, |_, mut client, _| {
        let got = client.answer();
        assert!(got.complete && serde_json::from_str::<Value>(&got.body).is_err());
    });
    each(&text.error_after_pieces(1, "gone"), false, |_, mut client, _| {
        let got = client.answer();
        assert_eq!(got.status, 500);
        assert!(got.body.contains("gone"));
    });
}

#[test]
fn what_hangs_hangs_until_the_client_goes() {
    for stream in [true, false] {
        each(&Answer::hang(), stream, |_, mut client, server| {
            server.wait_for_requests(1);
            assert!(client.is_silent());
            drop(client);
            server.wait_for_aborted(1);
            server.wait_for_no_connections();
        });
        each(&Answer::hang_after_head(), stream, |_, mut client, server| {
            assert_eq!(client.head().0, 200);
            assert!(client.is_silent());
            drop(client);
            server.wait_for_aborted(1);
        });
        each(&Answer::text("one two").hang_after_pieces(1), stream, |_, mut client, server| {
            assert_eq!(client.head().0, 200);
            assert_eq!(client.bytes(16).len(), 16);
            assert_eq!((server.open_connections(), server.answered()), (1, 0));
            drop(client);
            server.wait_for_aborted(1);
        });
    }
}

#[test]
fn errors_come_in_the_stream() {
    let answer = Answer::text("one two").error_after_pieces(1, "it broke");
    each(&answer, true, |dialect, mut client, _| {
        let got = client.answer();
        assert!(got.complete && got.status == 200 && !is_finished(&got), "{dialect:?}");
        assert!(got.body.contains("one") && got.body.contains("it broke"));
        assert!(!got.body.contains("two"));
    });
}

#[test]
fn endless_answers_go_on() {
    let answers = [
        (Answer::endless(), 1_000_000),
        (Answer::endless_line(), 1_000_000),
        (Answer::endless_comments(), 10),
    ];
    for (answer, bytes) in answers {
        for stream in [true, false] {
            each(&answer, stream, |_, mut client, server| {
                assert_eq!(client.head().0, 200);
                assert_eq!(client.bytes(bytes).len(), bytes);
                drop(client);
                server.wait_for_aborted(1);
            });
        }
    }
}

#[test]
fn an_endless_line_has_no_end() {
    each(&Answer::endless_line(), true, |dialect, mut client, _| {
        client.head();
        let bytes = client.bytes(300_000);
        let text = String::from_utf8_lossy(&bytes);
        // Without the sizes of the chunks and the names of events only the one line is left.
        let text = text.rsplit("\r\n").next().unwrap();
        assert!(text.len() > 1000 && !text.contains('\n'), "{dialect:?}");
    });
}

#[test]
fn huge_answers_are_whole() {
    let bytes = 3_000_000;
    for stream in [true, false] {
        each(&Answer::huge_text(bytes), stream, |dialect, mut client, server| {
            let got = client.answer();
            assert!(got.complete && is_finished(&got), "{dialect:?}");
            assert!(got.body.len() > bytes);
            drop(client);
            server.wait_for_no_connections();
            assert_eq!(server.answered(), 1);
        });
    }
}

#[test]
fn line_ends_and_data_past_the_end() {
    each(&Answer::text("one").crlf(), true, |_, mut client, _| {
        let body = client.answer().body;
        assert!(body.contains("\r\n") && !body.replace("\r\n", "").contains('\n'));
    });
    each(&Answer::text("one").data_after_end(), true, |dialect, mut client, _| {
        let got = client.answer();
        let after = got.body.rfind("\"end\"");
        let ends = ["[DONE]", "message_stop", "finishReason", "done_reason"];
        let end = ends.iter().find_map(|end| got.body.find(end));
        assert!(end.is_some() && after > end, "{dialect:?}: {}", got.body);
    });
}

#[test]
fn raw_answers_are_as_given() {
    let page = Answer::raw(502, "text/html", "<html>Bad gateway</html>").header("x-from", "proxy");
    each(&page, true, |_, mut client, _| {
        let got = client.answer();
        assert_eq!((got.status, got.body.as_str()), (502, "<html>Bad gateway</html>"));
        assert!(got.head.contains("content-type: text/html"));
        assert!(got.head.contains("x-from: proxy\r\n"));
    });
}

#[test]
fn answers_can_be_late_and_slow() {
    let answer = Answer::text("one two").late(Duration::from_millis(300));
    each(&answer.paced(Duration::from_millis(1)), true, |_, mut client, _| {
        assert!(client.is_silent());
        assert!(client.answer().complete);
    });
}
