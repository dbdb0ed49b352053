//! What is the same in every dialect, streamed and whole: what goes wrong.

use std::time::Duration;

use executus_core::transcript::CallOutcome;
use executus_core::{ErrorKind, Fact, RunStatus, Timestamp, ToolError};
use executus_testkit::provider::{Answer, Dialect, Used};
use serde_json::json;

use crate::support::{Ended, KEY, Scene, WAYS, in_every_way, limits, request, short};

/// A fault and then a good answer: the run is recovered, and the fault recorded.
async fn recovered(name: &'static str, fault: fn() -> Answer) {
    in_every_way(move |dialect, stream| async move {
        let way = format!("{name}, {dialect:?}, streamed: {stream}");
        let scene = Scene::new(dialect, [fault(), Answer::text("good")]);
        let model = scene.builder(stream).timeouts(short()).build().unwrap();
        let ended = scene.run(request(std::sync::Arc::new(model))).await;
        assert_eq!(ended.outcome.status, RunStatus::Ok, "{way}: {:?}", ended.outcome);
        assert_eq!(ended.output(), "good", "{way}");
        let attempts = ended.attempts();
        assert_eq!(attempts.len(), 1, "{way}: {attempts:?}");
        assert!(attempts[0].model.ends_with(":test-model"), "{way}: {attempts:?}");
        assert!(!attempts[0].error.is_empty(), "{way}");
        scene.no_complaints();
    })
    .await;
}

/// A fault that stays: the run ends with this kind of error, after so many attempts.
async fn ended_by(
    name: &'static str,
    fault: fn() -> Answer,
    kind: ErrorKind,
    attempts: usize,
    words: &'static str,
) {
    in_every_way(move |dialect, stream| async move {
        let way = format!("{name}, {dialect:?}, streamed: {stream}");
        let scene = Scene::new(dialect, [fault().repeated()]);
        let model = scene.builder(stream).timeouts(short()).retries(1).build().unwrap();
        let ended = scene.run(request(std::sync::Arc::new(model))).await;
        assert_eq!(ended.outcome.status, RunStatus::Error, "{way}: {:?}", ended.outcome);
        let (found, message) = ended.error();
        assert_eq!(found, kind, "{way}: {message}");
        assert!(message.contains(words), "{way}: {message}");
        assert_eq!(ended.attempts().len(), attempts, "{way}: {:?}", ended.attempts());
        assert!(ended.facts.iter().any(|fact| matches!(fact, Fact::Undecided { .. })), "{way}");
    })
    .await;
}

#[tokio::test]
async fn a_server_error_is_asked_again() {
    recovered("500", || Answer::status(500, "boom")).await;
    recovered("503", Answer::overloaded).await;
    ended_by("500", || Answer::status(500, "boom"), ErrorKind::Model, 2, "status 500").await;
}

#[tokio::test]
async fn a_rate_limit_is_waited_for() {
    in_every_way(|dialect, stream| async move {
        let way = format!("{dialect:?}, streamed: {stream}");
        let limited = Answer::rate_limited(Some(Duration::from_secs(1)));
        let scene = Scene::new(dialect, [limited, Answer::text("good")]);
        let began = Timestamp::now();
        let ended = scene.run(request(scene.model(stream))).await;
        assert_eq!(ended.output(), "good", "{way}: {:?}", ended.outcome);
        // Ollama says nothing of when to come back.
        let waits = dialect != Dialect::Ollama;
        assert!(
            !waits || Timestamp::now().since(began) >= Duration::from_secs(1),
            "{way}: came back too early"
        );
    })
    .await;
}

/// More than the waits may be in all: the error tells at once.
#[tokio::test]
async fn a_long_rate_limit_is_not_waited_for() {
    for (dialect, stream) in
        [(Dialect::OpenAi, true), (Dialect::Anthropic, false), (Dialect::Gemini, true)]
    {
        let limited = Answer::rate_limited(Some(Duration::from_secs(60)));
        let scene = Scene::new(dialect, [limited]);
        let ended = scene.run(request(scene.model(stream))).await;
        assert_eq!(ended.error().0, ErrorKind::Model, "{:?}", ended.outcome);
        assert!(ended.outcome.error.as_ref().unwrap().retryable);
        assert_eq!(scene.server.requests().len(), 1);
    }
}

#[tokio::test]
async fn a_cut_answer_is_no_answer() {
    recovered("cut", || Answer::text("one two three four").cut_after_pieces(2)).await;
    recovered("ends early", || Answer::text("one two three four").ends_early_after_pieces(2)).await;
    recovered("error", || Answer::text("one two").error_after_pieces(1, "overloaded")).await;
    let cut = || Answer::text("one two three").cut_after_pieces(1);
    ended_by("cut", cut, ErrorKind::Model, 2, "before it was complete").await;
}

/// What a cut answer had reported is counted.
#[tokio::test]
async fn a_cut_answer_is_charged_what_it_reported() {
    let used = Used { input: 70, output: 9, ..Used::default() };
    let cut = Answer::text("one two three").usage(used).cut_after_pieces(2);
    // Only Anthropic reports what was read before it writes.
    let scene = Scene::new(Dialect::Anthropic, [cut, Answer::text("good")]);
    let ended = scene.run(request(scene.model(true))).await;
    assert_eq!(ended.attempts()[0].usage.input_tokens, 70);
    assert_eq!(ended.outcome.stats.tally.input_tokens, 70 + 10);
}

#[tokio::test]
async fn a_server_that_says_nothing_is_late() {
    tokio::join!(
        recovered("hang after the head", Answer::hang_after_head),
        recovered("hang in the middle", || Answer::text("one two three").hang_after_pieces(1)),
        ended_by("hang", Answer::hang, ErrorKind::Model, 2, "said nothing within 700ms"),
    );
}

/// Without limits of its own that are shorter, the run's deadline ends the waiting.
#[tokio::test]
async fn a_hanging_server_ends_the_run_at_its_deadline() {
    let hang = |fault: fn() -> Answer| {
        in_every_way(move |dialect, stream| async move {
            let scene = Scene::new(dialect, [fault()]);
            let began = Timestamp::now();
            let ended = scene.run(request(scene.model(stream)).limits(limits(1))).await;
            assert_eq!(ended.outcome.status, RunStatus::Timeout, "{dialect:?} {stream}");
            let took = Timestamp::now().since(began);
            assert!(took < Duration::from_secs(2), "{dialect:?}: {took:?}");
            assert_eq!(ended.attempts().len(), 1, "the attempt that was given up is recorded");
        })
    };
    tokio::join!(hang(Answer::hang), hang(Answer::hang_after_head));
}

/// Signs of life are no answer, however many.
#[tokio::test]
async fn comments_for_ever_end_at_the_deadline() {
    in_every_way(|dialect, stream| async move {
        let scene = Scene::new(dialect, [Answer::endless_comments().repeated()]);
        let ended = scene.run(request(scene.model(stream)).limits(limits(1))).await;
        assert_eq!(ended.outcome.status, RunStatus::Timeout, "{dialect:?} {stream}");
    })
    .await;
}

#[tokio::test]
async fn garbage_is_asked_again() {
    recovered("a page", || Answer::raw(200, "text/html", "<html>Sign in</html>")).await;
    recovered("no JSON", || Answer::raw(200, "application/json", "{\"choices\": [")).await;
    ended_by(
        "another thing",
        || Answer::raw(200, "application/json", "{\"hello\": 1}"),
        ErrorKind::Model,
        2,
        "cannot be used",
    )
    .await;
}

#[tokio::test]
async fn broken_arguments_are_answered_and_the_run_goes_on() {
    in_every_way(|dialect, stream| async move {
        let way = format!("{dialect:?}, streamed: {stream}");
        let broken = Answer::calls([("add", json!({}))]).broken_arguments("{\"a\": 1, \"b\"");
        let scene = Scene::new(dialect, [broken, Answer::text("good")]);
        let ended = scene.run(request(scene.model(stream))).await;
        assert_eq!(ended.outcome.status, RunStatus::Ok, "{way}: {:?}", ended.outcome);
        assert_eq!(ended.output(), "good", "{way}");
        let failed = ended.facts.iter().any(|fact| match fact {
            Fact::Acted(acted) => {
                matches!(&acted.outcome, CallOutcome::Failed(ToolError::Arguments { .. }))
            }
            _ => false,
        });
        // Where the provider itself throws the call away, the attempt is made again.
        assert!(failed || ended.attempts().len() == 1, "{way}: {:?}", ended.facts);
        scene.no_complaints();
    })
    .await;
}

#[tokio::test]
async fn what_asking_again_does_not_help_is_not_asked_again() {
    ended_by("key", Answer::unauthorized, ErrorKind::Model, 1, "refused the request").await;
    ended_by("model", Answer::unknown_model, ErrorKind::Model, 1, "refused the request").await;
    let overflow = Answer::context_overflow;
    ended_by("overflow", overflow, ErrorKind::ContextOverflow, 1, "does not fit").await;
}

/// An answer that met the limit of output is kept, marked, and no good end.
#[tokio::test]
async fn an_answer_at_the_limit_of_output_is_not_whole() {
    in_every_way(|dialect, stream| async move {
        let reason = match dialect {
            Dialect::OpenAi | Dialect::Ollama => "length",
            Dialect::Anthropic => "max_tokens",
            Dialect::Gemini => "MAX_TOKENS",
        };
        let scene = Scene::new(dialect, [Answer::text("and so on").finish(reason)]);
        let ended = scene.run(request(scene.model(stream))).await;
        assert_eq!(ended.outcome.status, RunStatus::Error, "{dialect:?} {stream}");
        assert!(ended.error().1.contains("limit of output"), "{:?}", ended.error());
        assert_eq!(ended.output(), "and so on");
    })
    .await;
}

/// 50 MB of text, and text without end: cut at the limit, marked, recorded.
#[tokio::test]
async fn a_reply_that_is_too_long_is_cut() {
    const MAX: usize = 1 << 20;
    for (dialect, stream) in WAYS {
        let mut answers = vec![Answer::endless()];
        // What is told to be so long is refused before any dialect sees it.
        if stream || dialect == Dialect::OpenAi {
            answers.push(Answer::huge_text(50_000_000));
        }
        for answer in answers {
            let way = format!("{dialect:?}, streamed: {stream}, {answer:?}");
            let scene = Scene::new(dialect, [answer]);
            let ended = scene.run(request(scene.model(stream))).await;
            assert_eq!(ended.outcome.status, RunStatus::Error, "{way}");
            let (kind, message) = ended.error();
            assert_eq!(kind, ErrorKind::Model, "{way}: {message}");
            assert!(message.contains("longer than"), "{way}: {message}");
            assert!(ended.output().len() <= MAX + 100, "{way}");
            match stream {
                true => assert!(ended.output().len() >= MAX, "{way}: what came is kept"),
                false => assert_eq!(ended.attempts().len(), 1, "{way}"),
            }
        }
    }
}

/// A line without an end costs no more than its limit.
#[tokio::test]
async fn a_line_without_end_is_given_up() {
    for (dialect, stream) in WAYS {
        let scene = Scene::new(dialect, [Answer::endless_line()]);
        let ended = scene.run(request(scene.model(stream))).await;
        let way = format!("{dialect:?}, streamed: {stream}");
        assert_eq!(ended.error().0, ErrorKind::Model, "{way}");
        assert!(ended.error().1.contains("longer than"), "{way}: {:?}", ended.error());
    }
}

/// What comes behind the end of an answer is not part of it, and does not spoil the next one.
#[tokio::test]
async fn data_after_the_end_is_left_alone() {
    in_every_way(|dialect, stream| async move {
        let scene = Scene::new(
            dialect,
            [
                Answer::calls([("add", json!({"a": 1, "b": 1}))]).data_after_end(),
                Answer::text("good").data_after_end(),
            ],
        );
        let ended = scene.run(request(scene.model(stream))).await;
        let way = format!("{dialect:?}, streamed: {stream}");
        assert_eq!(ended.outcome.status, RunStatus::Ok, "{way}: {:?}", ended.outcome);
        assert!(ended.output().starts_with("good"), "{way}: {}", ended.output());
    })
    .await;
}

/// A provider that repeats the key in its error does not bring it into the record.
#[tokio::test]
async fn a_key_in_an_error_is_hidden() {
    let told: fn(&Ended) -> String = |ended| format!("{ended:?}");
    for (dialect, stream) in WAYS {
        for answer in [
            Answer::status(401, format!("Incorrect API key provided: {KEY}")),
            Answer::raw(403, "text/plain", format!("who is {KEY}?")),
            Answer::raw(200, "text/html", format!("<p>{KEY}</p>")),
            Answer::text("one two").error_after_pieces(1, format!("bad {KEY}")),
        ] {
            let scene = Scene::new(dialect, [answer.repeated()]);
            let model = scene.builder(stream).retries(0).build().unwrap();
            let ended = scene.run(request(std::sync::Arc::new(model))).await;
            assert_eq!(ended.outcome.status, RunStatus::Error);
            assert!(!told(&ended).contains(KEY), "{}", told(&ended));
            assert!(told(&ended).contains("[redacted]"), "{}", told(&ended));
        }
    }
}

/// A cancel closes the connection, and the attempt is recorded.
#[tokio::test]
async fn a_cancel_ends_the_asking() {
    in_every_way(|dialect, stream| async move {
        let scene = Scene::new(dialect, [Answer::hang()]);
        let run = scene.start(request(scene.model(stream)));
        let server = &scene.server;
        while server.requests().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        run.cancel();
        let ended = scene.end(&run).await;
        assert_eq!(ended.outcome.status, RunStatus::Cancelled, "{dialect:?} {stream}");
        assert!(ended.attempts()[0].error.contains("given up"), "{:?}", ended.attempts());
        while server.open_connections() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn nobody_at_the_address_is_asked_again() {
    let gone = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}/v1", listener.local_addr().unwrap())
    };
    let scene = Scene::new(Dialect::OpenAi, []);
    let model = scene.builder(true).base_url(&gone).retries(1).build().unwrap();
    let ended = scene.run(request(std::sync::Arc::new(model))).await;
    assert!(ended.error().1.contains("no connection to http://127.0.0.1"), "{:?}", ended.error());
    assert_eq!(ended.attempts().len(), 2);
}
