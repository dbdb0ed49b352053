//! Limits in time, each for itself, and when a provider is asked again.

use std::sync::Arc;
use std::time::Duration;

use executus_core::secret::Secret;
use executus_core::{RunStatus, Timestamp};
use executus_models::{ChatModel, ChatModelBuilder, ModelName, Provider, Timeouts};
use executus_testkit::provider::{Answer, Dialect};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{Ended, KEY, Scene, request};

const MS: Duration = Duration::from_millis(1);

/// The events of a streamed answer, its last word in the second half.
const EVENTS: [&str; 2] = [
    "data: {\"model\":\"m\",\"choices\":[{\"delta\":{\"content\":\"good\"}}]}\n\n",
    "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n",
];

fn head(kind: &str, bytes: usize) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {bytes}\r\n\r\n")
}

/// The head of a request, with its body read.
async fn read(stream: &mut TcpStream) -> String {
    let (mut got, mut wanted) = (Vec::new(), usize::MAX);
    while got.len() < wanted {
        let mut some = [0; 4096];
        let bytes = stream.read(&mut some).await.unwrap();
        assert_ne!(bytes, 0, "the request is not whole");
        got.extend_from_slice(&some[..bytes]);
        let text = String::from_utf8_lossy(&got);
        if let Some((head, _)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            wanted = head.len() + 4 + length.map_or(0, |length| length.parse::<usize>().unwrap());
        }
    }
    String::from_utf8(got).unwrap()
}

/// Runs a model against a server that answers once, with these parts, each after a wait; an empty
/// one closes the connection. Gives the request that the server saw.
async fn against(
    base: &str,
    parts: Vec<(Duration, String)>,
    set: impl FnOnce(ChatModelBuilder) -> ChatModelBuilder,
) -> (Ended, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = base.replace("HOST", &listener.local_addr().unwrap().to_string());
    let model = ChatModel::builder(ModelName::new(Provider::OpenAi, "test-model"))
        .base_url(&base)
        .key(Secret::new(KEY))
        .retries(0);
    let model = Arc::new(set(model).build().unwrap());
    // The scene has the audit; its server is not asked.
    let scene = Scene::new(Dialect::OpenAi, []);
    let serving = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let seen = read(&mut stream).await;
        for (wait, part) in parts {
            tokio::time::sleep(wait).await;
            if part.is_empty() || stream.write_all(part.as_bytes()).await.is_err() {
                return seen;
            }
        }
        // Until the client has done with it.
        let _ = stream.read(&mut [0]).await;
        seen
    };
    let running = async {
        let ended = scene.run(request(model.clone())).await;
        drop(model);
        ended
    };
    tokio::join!(running, serving)
}

/// A server that sends its head at once and thinks then is not idle.
#[tokio::test]
async fn the_time_to_the_first_token_is_not_idle_time() {
    let timeouts = Timeouts { idle: 200 * MS, first_token: 10_000 * MS, ..Timeouts::default() };
    let parts = vec![
        (Duration::ZERO, head("text/event-stream", EVENTS.concat().len())),
        (600 * MS, EVENTS.concat()),
    ];
    let (ended, _) = against("http://HOST/v1", parts, |model| model.timeouts(timeouts)).await;
    assert_eq!(ended.output(), "good", "{:?}", ended.outcome);
    assert_eq!(ended.attempts().len(), 0);
}

/// From the first event on it is.
#[tokio::test]
async fn idle_time_ends_a_stream_that_has_begun() {
    let timeouts = Timeouts { idle: 200 * MS, first_token: 10_000 * MS, ..Timeouts::default() };
    let [first, last] = EVENTS;
    let parts = vec![
        (Duration::ZERO, head("text/event-stream", EVENTS.concat().len()) + first),
        (500 * MS, last.to_owned()),
    ];
    let (ended, _) = against("http://HOST/v1", parts, |model| model.timeouts(timeouts)).await;
    assert!(ended.error().1.contains("said nothing more within 200ms"), "{:?}", ended.error());
}

/// Signs of life that are no events do not put the first event off.
#[tokio::test]
async fn comments_do_not_put_off_the_first_token() {
    let timeouts = Timeouts { first_token: 300 * MS, ..Timeouts::default() };
    let mut parts = vec![(Duration::ZERO, head("text/event-stream", 100_000))];
    parts.extend((0..100).map(|_| (50 * MS, ": wait\n\n".to_owned())));
    let (ended, _) = against("http://HOST/v1", parts, |model| model.timeouts(timeouts)).await;
    assert!(ended.error().1.contains("said nothing within 300ms"), "{:?}", ended.error());
}

/// An answer that is not streamed has one limit for all of it, however it trickles.
#[tokio::test]
async fn a_whole_answer_that_trickles_is_late() {
    let timeouts = Timeouts { whole: 300 * MS, idle: 10_000 * MS, ..Timeouts::default() };
    let trickle = |stream: bool| async move {
        let mut parts = vec![(Duration::ZERO, head("application/json", 100_000))];
        parts.extend((0..100).map(|_| (50 * MS, " ".to_owned())));
        let set = |model: ChatModelBuilder| model.timeouts(timeouts).stream(stream);
        let (ended, _) = against("http://HOST/v1", parts, set).await;
        assert!(ended.error().1.contains("not whole within 300ms"), "{:?}", ended.error());
    };
    tokio::join!(trickle(false), trickle(true));
}

/// An answer whose end was said is whole, whatever becomes of its connection; another is not.
#[tokio::test]
async fn a_connection_may_break_once_the_end_was_said() {
    let [first, last] = EVENTS;
    let (last, _) = last.split_once("data: [DONE]").unwrap();
    let broken = |said: String| {
        let head = head("text/event-stream", 100_000);
        vec![(Duration::ZERO, head + &said), (Duration::ZERO, String::new())]
    };
    let (ended, _) = against("http://HOST/v1", broken(first.to_owned() + last), |it| it).await;
    assert_eq!((ended.outcome.status, ended.output()), (RunStatus::Ok, "good"));
    let (ended, _) = against("http://HOST/v1", broken(first.to_owned()), |it| it).await;
    assert!(ended.error().1.contains("before it was complete"), "{:?}", ended.error());
}

/// The largest limits mean none.
#[tokio::test]
async fn limits_may_be_as_long_as_can_be() {
    let most = Duration::MAX;
    let timeouts = Timeouts { connect: most, first_token: most, idle: most, whole: most };
    let parts = || {
        let head = head("text/event-stream", EVENTS.concat().len());
        vec![(Duration::ZERO, head + &EVENTS.concat())]
    };
    let (ended, _) = against("http://HOST/v1", parts(), |model| model.timeouts(timeouts)).await;
    assert_eq!(ended.output(), "good", "{:?}", ended.outcome);
}

/// A base address may have a query, which may be a secret.
#[tokio::test]
async fn the_query_of_an_address_goes_with_every_request_and_is_not_shown() {
    let base = format!("http://HOST/v1/?api-version=1&code={KEY}");
    let (ended, seen) =
        against(&base, vec![(Duration::ZERO, "nonsense\r\n\r\n".into())], |model| {
            assert!(!format!("{model:?}").contains(KEY), "{model:?}");
            model
        })
        .await;
    let asked = format!("POST /v1/chat/completions?api-version=1&code={KEY} HTTP/1.1");
    assert_eq!(seen.lines().next(), Some(&*asked));
    assert_eq!(ended.outcome.status, RunStatus::Error);
}

/// How long a run waits in all is the host's to say.
#[tokio::test]
async fn waits_are_as_long_as_the_host_allows() {
    for (most, attempts) in [(1000 * MS, 2), (100 * MS, 1)] {
        let away = Answer::status(503, "away").header("retry-after-ms", "300");
        let scene = Scene::new(Dialect::OpenAi, [away, Answer::text("good")]);
        let model = scene.builder(true).waits(MS, most).build().unwrap();
        scene.run(request(Arc::new(model))).await;
        assert_eq!(scene.server.requests().len(), attempts, "{most:?}");
    }
}

/// Whoever is away may say for how long too; a time that has passed is not one to hurry.
#[tokio::test]
async fn the_time_to_come_back_is_kept_to() {
    let away = |after: &str| Answer::status(503, "away").header("retry-after", after);
    let ask = |answer: Answer| async move {
        let scene = Scene::new(Dialect::OpenAi, [answer, Answer::text("good")]);
        let model = scene.builder(true).waits(300 * MS, 10_000 * MS).build().unwrap();
        let began = Timestamp::now();
        let ended = scene.run(request(Arc::new(model))).await;
        (ended, scene.server.requests().len(), Timestamp::now().since(began))
    };
    let (far, soon, past) =
        tokio::join!(ask(away("60")), ask(away("0")), ask(away("Sun, 06 Nov 1994 08:49:37 GMT")),);
    let (ended, asked, _) = far;
    assert_eq!((ended.outcome.status, asked), (RunStatus::Error, 1), "{:?}", ended.outcome);
    for (ended, asked, took) in [soon, past] {
        assert_eq!((ended.output(), asked), ("good", 2), "{:?}", ended.outcome);
        assert!(took >= 300 * MS, "came back after {took:?}");
    }
}
