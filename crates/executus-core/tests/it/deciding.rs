//! What a deciding part tells of itself: failed attempts that come late, pieces that hold secrets.

use std::sync::Arc;

use async_trait::async_trait;
use executus_core::port::EntryKind;
use executus_core::secret::{Secret, Secrets};
use executus_core::{
    Brief, Call, Event, Executor, Fact, Limits, Model, ModelError, Ports, Reply, RunRequest,
    RunStatus, Toolbox, Transcript, Turn, Usage,
};
use executus_testkit::scripted::{Behind, Do, Say, ScriptedPalette};
use serde_json::json;

use crate::stage::{Stage, model, request, seconds, tool, tools, usage};

fn told(stage: &Stage, run: &executus_core::RunId) -> Vec<(u32, String, u64)> {
    let facts = stage.audit.records(run).into_iter().filter_map(|record| match record.fact {
        Fact::Attempted(attempt) => {
            Some((attempt.step, attempt.model.to_string(), attempt.usage.input_tokens))
        }
        _ => None,
    });
    facts.collect()
}

/// Fails twice, and answers when the deadline has passed, within the grace.
struct TooLate;

#[async_trait]
impl Model for TooLate {
    async fn decide(&self, turn: &Turn) -> Result<Reply, ModelError> {
        turn.cancellation().cancelled().await;
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        turn.attempt_failed("first", "away", usage(10, 1));
        turn.attempt_failed("second", "away", usage(20, 1));
        Ok(Reply::text("done").using(usage(40, 2)))
    }
}

/// What was used until the deadline counts: the attempts, and the answer that came too late.
#[tokio::test(start_paused = true)]
async fn all_that_a_late_decision_used_counts() {
    let stage = Stage::new();
    let limits = Limits { hard_timeout: seconds(5), ..Limits::default() };
    let ended = stage.run(request(Arc::new(TooLate)).limits(limits)).await;
    assert_eq!(ended.status(), RunStatus::Timeout);
    let expected = [(1, "first".to_owned(), 10), (1, "second".to_owned(), 20)];
    assert_eq!(told(&stage, &ended.run), expected);
    assert_eq!(stage.budget.account("someone").spent.tokens, 10 + 2 + 20 + 2 + 40 + 3);
}

/// Keeps a turn of its own beyond the step, and tells of it in the next one.
struct Outliving;

#[async_trait]
impl Model for Outliving {
    async fn decide(&self, turn: &Turn) -> Result<Reply, ModelError> {
        if turn.step() > 1 {
            return Ok(Reply::text("done"));
        }
        let kept = turn.asking(Brief::new("also"), Transcript::default(), Toolbox::default());
        #[expect(clippy::disallowed_methods, reason = "a part that nobody tracks")]
        tokio::spawn(async move {
            tokio::time::sleep(seconds(1)).await;
            kept.attempt_failed("hedge", "lost the race", usage(7, 0));
        });
        Ok(Reply::call("wait", json!({})))
    }
}

/// An attempt that is told after its step counts for the next, and breaks nothing.
#[tokio::test(start_paused = true)]
async fn an_attempt_that_outlives_its_step_counts() {
    let stage = Stage::new();
    let tools = tools([tool("wait", Do::Slow(seconds(2)))]);
    let request = RunRequest::new(Arc::new(Outliving)).caller("someone").tools(tools);
    let ended = stage.run(request).await;
    assert_eq!(ended.status(), RunStatus::Ok, "{:?}", ended.outcome());
    assert_eq!(told(&stage, &ended.run), [(2, "hedge".to_owned(), 7)]);
    assert_eq!(ended.outcome().stats.tally.input_tokens, 7);
}

/// Fails once, with usage, and then panics.
struct Panicking;

#[async_trait]
impl Model for Panicking {
    async fn decide(&self, turn: &Turn) -> Result<Reply, ModelError> {
        turn.attempt_failed("first", "away", usage(10, 1));
        tokio::task::yield_now().await;
        panic!("so it goes");
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_panicking_model_used_counts() {
    let stage = Stage::new();
    let ended = stage.run(request(Arc::new(Panicking))).await;
    assert_eq!(ended.error(), "model: the model panicked: so it goes");
    assert_eq!(told(&stage, &ended.run), [(1, "first".to_owned(), 10)]);
    assert_eq!(stage.budget.account("someone").spent.tokens, 12);
}

/// Fails once, with usage, and never answers.
struct Stuck;

#[async_trait]
impl Model for Stuck {
    async fn decide(&self, turn: &Turn) -> Result<Reply, ModelError> {
        turn.attempt_failed("first", "away", usage(100, 0));
        std::future::pending().await
    }
}

/// A child that is cut in the middle has its attempts charged to the hold at the top.
#[tokio::test(start_paused = true)]
async fn what_a_cut_child_used_is_charged() {
    let mut stage = Stage::new();
    let agent = Behind::Run(Arc::new(Stuck), Toolbox::default());
    stage.palette = Arc::new(ScriptedPalette::new().with(EntryKind::Agent, "bar", agent));
    let model = model([Reply::call("agent__bar", json!({})).using(usage(10, 5))]);
    let request = request(model).delegate_to(EntryKind::Agent, "bar");
    let run = stage.executor().start(request).unwrap();
    tokio::time::sleep(seconds(1)).await;
    run.cancel();
    let settled = run.settled().await;
    let ended = stage.ended(run.run_id().clone(), settled);
    assert_eq!(ended.status(), RunStatus::Cancelled);
    assert_eq!(stage.budget.account("someone").spent.tokens, 16 + 101);
}

fn secrets(values: &[&str]) -> Secrets {
    let named = values.iter().enumerate();
    named.map(|(n, value)| (format!("s{n}"), Secret::new(*value))).collect()
}

/// Says its answer in these pieces.
struct Speaking(&'static [&'static str]);

#[async_trait]
impl Model for Speaking {
    async fn decide(&self, turn: &Turn) -> Result<Reply, ModelError> {
        for piece in self.0 {
            turn.delta(piece);
        }
        Ok(Reply::text(self.0.concat()))
    }
}

/// A secret is in no event, wherever its pieces are cut; and nothing else is lost.
#[tokio::test(start_paused = true)]
async fn a_secret_in_pieces_is_hidden_from_watchers() {
    for (pieces, expected) in [
        (&["it is hun", "ter", "2!", " ok"][..], "it is [redacted]! ok"),
        (&["h", "u", "n", "t", "e", "r", "2"], "[redacted]"),
        (&["hunting hunte", "d hunt"], "hunting hunted hunt"),
        (&["huhunter2hunter2h"], "hu[redacted][redacted]h"),
        (&["zürich hü", "nter ü"], "zürich hünter ü"),
    ] {
        let mut request = request(Arc::new(Speaking(pieces))).secrets(secrets(&["hunter2"]));
        let mut events = request.watch(64);
        Executor::new(Ports::default()).start(request).unwrap().settled().await;
        let mut said = Vec::new();
        while let Some(event) = events.next().await {
            if let Event::Delta { text, index, .. } = event {
                assert_eq!(index as usize, said.len());
                assert!(!text.is_empty());
                said.push(text);
            }
        }
        assert_eq!(said.concat(), expected);
    }
}

/// Pieces of a question within the step are numbered with those of the step.
#[tokio::test(start_paused = true)]
async fn pieces_are_numbered_within_the_step() {
    struct Nesting;
    #[async_trait]
    impl Model for Nesting {
        async fn decide(&self, turn: &Turn) -> Result<Reply, ModelError> {
            turn.delta("a");
            for piece in ["b", "c"] {
                let brief = Brief::new("more");
                turn.asking(brief, Transcript::default(), Toolbox::default()).delta(piece);
            }
            turn.delta("d");
            Ok(Reply::text("abcd"))
        }
    }
    let mut request = request(Arc::new(Nesting));
    let mut events = request.watch(64);
    Executor::new(Ports::default()).start(request).unwrap().settled().await;
    let mut numbers = Vec::new();
    while let Some(event) = events.next().await {
        if let Event::Delta { index, .. } = event {
            numbers.push(index);
        }
    }
    assert_eq!(numbers, [0, 1, 2, 3]);
}

/// Whatever a reply is made of: no secret enters the fact.
#[tokio::test(start_paused = true)]
async fn no_part_of_a_reply_brings_a_secret_into_the_record() {
    const SECRET: &str = "canary-5d41402a";
    let stage = Stage::new();
    let call = Call {
        id: format!("call-{SECRET}").into(),
        name: format!("look-{SECRET}").into(),
        args: json!({SECRET: [SECRET]}),
        broken: Some(format!("no JSON: {SECRET}").into()),
        ..Call::default()
    };
    let reply = Reply {
        text: SECRET.into(),
        calls: vec![call],
        model: Some(format!("a:{SECRET}").into()),
        cut: Some(format!("withheld: {SECRET}").into()),
        ..Reply::default()
    };
    let model = model([Say::Reply(reply), Say::Reply(Reply::text("done"))]);
    let ended = stage.run(request(model).secrets(secrets(&[SECRET]))).await;
    assert_eq!(ended.status(), RunStatus::Ok);
    let said = format!("{:?}", stage.audit.records(&ended.run));
    assert!(said.contains("[redacted]"), "{said}");
    assert!(!said.contains(SECRET), "{said}");
}

/// The limit is one for the arguments of all calls, and covers what else a call carries.
#[tokio::test(start_paused = true)]
async fn the_calls_of_a_reply_share_its_limit() {
    let look = tool("look", Do::Answer("seen".into()));
    let call = |bytes: usize| Call {
        name: "look".into(),
        args: json!({"text": "x".repeat(bytes)}),
        ..Call::default()
    };
    let signed = Call { signature: Some("s".repeat(200).into()), ..call(1) };
    let calls = vec![call(40), call(60), signed, call(1)];
    let model = model([Reply { calls, ..Reply::default() }, Reply::text("done")]);
    let stage = Stage::new();
    let limits = Limits { max_reply_bytes: 100, ..Limits::default() };
    let request = RunRequest::new(model).tools(tools([look.clone()])).limits(limits);
    let ended = stage.run(request).await;
    assert_eq!(ended.status(), RunStatus::Ok);
    assert_eq!(look.calls().len(), 2, "the first and the last");
    let reply = stage.audit.records(&ended.run).into_iter().find_map(|record| match record.fact {
        Fact::Decided(decided) => Some(decided.reply),
        _ => None,
    });
    let reply = reply.unwrap();
    let broken: Vec<_> = reply.calls.iter().map(|call| call.broken.is_some()).collect();
    assert_eq!(broken, [false, true, true, false]);
    assert!(reply.calls.iter().all(|call| call.signature.is_none()));
    assert_eq!(reply.usage, Usage::default());
}
