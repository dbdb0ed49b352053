//! Streams that nobody should send, over a raw socket: a whole answer or a typed error, in time.

use std::sync::Arc;
use std::time::Duration;

use executus_core::secret::Secret;
use executus_core::{ErrorKind, RunStatus};
use executus_models::{ChatModel, ModelName, Provider};
use executus_testkit::hostile::{HostileServer, Reply};
use executus_testkit::provider::Dialect;

use crate::support::{KEY, Scene, request, short};

const GOOD: &str = "data: {\"model\":\"m\",\"choices\":[{\"delta\":{\"content\":\"gööd\"}}]}\n\n";
const STOP: &str = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
const DONE: &str = "data: [DONE]\n\n";

fn stream() -> Reply {
    Reply::chunked(&[("content-type", "text/event-stream")])
}

fn whole(events: &[&str]) -> Reply {
    stream().chunk(events.concat()).chunk("")
}

fn used(usage: &str) -> Reply {
    let usage = format!("data: {{\"choices\":[],\"usage\":{usage}}}\n\n");
    whole(&[GOOD, STOP, &usage, DONE])
}

/// The output and the tokens that were counted, or what the error says.
async fn ended(reply: Reply) -> Result<(String, u64), String> {
    let server = HostileServer::always(reply);
    let model = ChatModel::builder(ModelName::new(Provider::OpenAi, "test-model"))
        .base_url(&server.url("/v1"))
        .key(Secret::new(KEY))
        .timeouts(short())
        .retries(0);
    // The scene has the audit; its server is not asked.
    let scene = Scene::new(Dialect::OpenAi, []);
    let ended = scene.run(request(Arc::new(model.build().unwrap()))).await;
    if ended.outcome.status == RunStatus::Ok {
        let usage = ended.replies().last().unwrap().usage;
        return Ok((ended.output().to_owned(), usage.input_tokens + usage.output_tokens));
    }
    let (kind, message) = ended.error();
    assert!(matches!(kind, ErrorKind::Model | ErrorKind::TokenLimit), "{message}");
    assert!(message.len() < 2048, "{message}");
    Err(message.to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_answer_is_an_error() {
    let deep = format!("data: {}\n\n", "[".repeat(10_000));
    let fields = format!("data: {}\n\n", "{\"choices\":".repeat(10_000));
    let error = "data: {\"error\":{\"message\":\"out of luck\",\"type\":\"server_error\"}}\n\n";
    let chunk = "x".repeat(64 * 1024);
    for (name, reply, part) in [
        ("10,000 deep", whole(&[GOOD, &deep]), "not JSON"),
        ("objects 10,000 deep", whole(&[&fields]), "not JSON"),
        ("half an event", whole(&["data: {\"choices\":[{\"del\n\n", DONE]), "not JSON"),
        ("200, then an error", whole(&[GOOD, error, DONE]), "out of luck"),
        ("200, and an error alone", whole(&[error]), "out of luck"),
        ("cut before the end", whole(&[GOOD]), "ended before it was complete"),
        ("nothing", whole(&[]), "ended before it was complete"),
        ("closed", stream().chunk(GOOD).close(), "ended before it was complete"),
        ("reset", stream().chunk(GOOD).wait(Duration::from_millis(20)).reset(), "ended before"),
        ("stalled", stream().chunk(GOOD).stall(), "said nothing more"),
        ("no newline", stream().chunk("data: ").chunks_forever(&chunk), "longer than"),
        // The limit in bytes or the one in time, whichever is first.
        ("comments", stream().chunks_forever(format!(": {chunk}\n\n")), ""),
        (
            "a bomb",
            Reply::status(200, &[("content-encoding", "gzip, gzip")], "x"),
            "cannot be decoded",
        ),
        ("huge usage", used("{\"prompt_tokens\":18446744073709551616}"), "tokens used of 200000"),
        ("no chunk", stream().send("zz\r\n"), "does not speak HTTP"),
    ] {
        let said = ended(reply).await.expect_err(name);
        assert!(said.contains(part), "{name}: {said}");
    }
}

#[tokio::test]
async fn what_can_be_read_is_an_answer() {
    let pieces = [GOOD, STOP, DONE].concat();
    let split = pieces.as_bytes().chunks(1).fold(stream(), |reply, byte| reply.chunk(byte));
    let twice = "data: {\"choices\":[],\"choices\":[{\"delta\":{\"content\":\"gööd\"}}]}\n\n";
    for (name, reply, tokens) in [
        ("byte by byte", split.chunk(""), 0),
        ("data behind the end", whole(&[GOOD, STOP, DONE, "data: {\n\n", GOOD]), 0),
        // The last one counts, for everybody who reads it here.
        ("a key that is there twice", whole(&[twice, STOP, DONE]), 0),
        ("usage", used("{\"prompt_tokens\":3,\"completion_tokens\":4}"), 7),
        ("no usage", used("null"), 0),
        ("usage of another kind", used("[\"many\"]"), 0),
        ("negative usage", used("{\"prompt_tokens\":-3,\"completion_tokens\":4}"), 4),
        ("broken usage", used("{\"prompt_tokens\":1.5,\"completion_tokens\":\"4\"}"), 1),
    ] {
        let (output, counted) = ended(reply).await.unwrap_or_else(|said| panic!("{name}: {said}"));
        assert_eq!(output, "gööd", "{name}");
        assert_eq!(counted, tokens, "{name}");
    }
}
