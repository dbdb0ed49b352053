//! What is the same in every dialect, streamed and whole: runs that go well.

use std::sync::{Arc, OnceLock};

use executus_core::transcript::CallOutcome;
use executus_core::{Brief, Entry, Event, Fact, RunHandle, RunStatus, Tool, Toolbox, Usage};
use executus_testkit::provider::{Answer, Dialect, Used};
use executus_testkit::scripted::{Do, ScriptedTool};
use serde_json::json;

use crate::support::{Scene, WAYS, provider, request};

fn script() -> [Answer; 3] {
    [
        Answer::calls([("add", json!({"a": 1, "b": 2})), ("look", json!({}))])
            .and_text("Let me see. \u{e4}\u{20ac}")
            .usage(Used { input: 100, output: 20, ..Used::default() }),
        Answer::calls([("add", json!({"a": 3, "b": 4}))]).usage(Used {
            input: 200,
            output: 10,
            ..Used::default()
        }),
        Answer::text("It is 3 and then 7 \u{1f600}.")
            .usage(Used { input: 300, output: 5, ..Used::default() })
            .model("test-model-2025-01-31"),
    ]
}

/// Three calls in two steps, then the answer.
#[tokio::test]
async fn three_calls_in_two_steps() {
    for (dialect, stream) in WAYS {
        let scene = Scene::new(dialect, script());
        let ended = scene.run(request(scene.model(stream))).await;
        let way = format!("{dialect:?}, streamed: {stream}");
        assert_eq!(ended.outcome.status, RunStatus::Ok, "{way}: {:?}", ended.outcome);
        assert_eq!(ended.output(), "It is 3 and then 7 \u{1f600}.", "{way}");
        scene.no_complaints();

        let replies = ended.replies();
        assert_eq!(replies[0].text, "Let me see. \u{e4}\u{20ac}", "{way}");
        let called: Vec<_> = replies.iter().flat_map(|reply| &reply.calls).collect();
        let args: Vec<_> = called.iter().map(|call| (&*call.name, call.args.clone())).collect();
        let expected = [
            ("add", json!({"a": 1, "b": 2})),
            ("look", json!({})),
            ("add", json!({"a": 3, "b": 4})),
        ];
        assert_eq!(args, expected, "{way}");
        let results = ended.facts.iter().filter_map(|fact| match fact {
            Fact::Acted(acted) => match &acted.outcome {
                CallOutcome::Output(output) => Some(output.text.clone()),
                CallOutcome::Failed(_) | CallOutcome::Unknown => None,
            },
            _ => None,
        });
        assert_eq!(results.count(), 3, "{way}");

        let tally = ended.outcome.stats.tally;
        assert_eq!((tally.steps, tally.tool_calls), (3, 3), "{way}");
        assert_eq!((tally.input_tokens, tally.output_tokens), (600, 35), "{way}");
        let served = format!("{}:test-model-2025-01-31", provider(dialect));
        assert_eq!(replies[2].model.as_deref(), Some(&*served), "{way}");
        let served = format!("{}:test-model", provider(dialect));
        assert_eq!(replies[0].model.as_deref(), Some(&*served), "{way}");

        let asked = scene.server.requests();
        assert_eq!(asked.len(), 3, "{way}");
        assert!(asked.iter().all(|request| request.streaming == stream), "{way}");
        let last = asked[2].body.to_string();
        for part in ["Add things up.", "You add.", "Let me see.", "nothing to see: \u{e4}"] {
            assert!(last.contains(part), "{way}: {part} is not in {last}");
        }
    }
}

/// What is streamed is what is kept, piece by piece.
#[tokio::test]
async fn the_pieces_make_the_text() {
    for (dialect, stream) in WAYS {
        let scene = Scene::new(
            dialect,
            [Answer::text("one two  three \u{e4}\u{f6}\u{fc} \u{20ac}").crlf()],
        );
        let mut request = request(scene.model(stream));
        let mut events = request.watch(1024);
        let run = scene.start(request);
        let mut pieces = Vec::new();
        while let Some(event) = events.next().await {
            if let Event::Delta { text, index, .. } = event {
                assert_eq!(index as usize, pieces.len());
                pieces.push(text);
            }
        }
        let ended = scene.end(&run).await;
        let way = format!("{dialect:?}, streamed: {stream}");
        assert_eq!(ended.output(), "one two  three \u{e4}\u{f6}\u{fc} \u{20ac}", "{way}");
        match stream {
            true => {
                assert_eq!(pieces.concat(), ended.output(), "{way}");
                assert!(pieces.len() > 1, "{way}: {pieces:?}");
            }
            false => assert!(pieces.is_empty(), "{way}: {pieces:?}"),
        }
    }
}

/// Thinking is counted and not shown; what came from a cache is counted, where it is told.
#[tokio::test]
async fn usage_is_counted() {
    let used = Used { input: 1000, output: 50, thinking: 30, cached: 400, cache_written: 0 };
    for (dialect, stream) in WAYS {
        let answer = Answer::text("done").thinking("hm, hm").usage(used);
        let scene = Scene::new(dialect, [answer]);
        let ended = scene.run(request(scene.model(stream))).await;
        let way = format!("{dialect:?}, streamed: {stream}");
        assert_eq!(ended.output(), "done", "{way}");
        let (thinking, cached) = match dialect {
            Dialect::OpenAi | Dialect::Gemini => (30, 400),
            Dialect::Anthropic => (0, 400),
            Dialect::Ollama => (0, 0),
        };
        let usage = ended.replies()[0].usage;
        let expected = Usage {
            input_tokens: 1000,
            output_tokens: 50 - thinking,
            thinking_tokens: thinking,
            cached_tokens: cached,
            cost_micros: 0,
        };
        assert_eq!(usage, expected, "{way}");
    }
}

#[tokio::test]
async fn no_usage_is_none() {
    for (dialect, stream) in WAYS {
        let scene = Scene::new(dialect, [Answer::text("done").without_usage()]);
        let ended = scene.run(request(scene.model(stream))).await;
        assert_eq!(ended.outcome.status, RunStatus::Ok, "{dialect:?}, streamed: {stream}");
        assert_eq!(ended.replies()[0].usage, Usage::default(), "{dialect:?}, streamed: {stream}");
    }
}

/// What the caller says between two steps stands before the model in the next one.
#[tokio::test]
async fn steering_is_read() {
    for (dialect, stream) in WAYS {
        let scene =
            Scene::new(dialect, [Answer::calls([("turn", json!({}))]), Answer::text("turned")]);
        // The caller steers while the call is made.
        let caller = Arc::new(OnceLock::<RunHandle>::new());
        let called = Arc::clone(&caller);
        let turn = Do::ask(move |_, _| {
            called.get().expect("a run").steer("caller", "turn left");
            Ok("turning".into())
        });
        let tools = Toolbox::new([Arc::new(ScriptedTool::new("turn", turn)) as Arc<dyn Tool>]);
        let run = scene.start(request(scene.model(stream)).tools(tools.unwrap()));
        let run = caller.get_or_init(|| run);
        let ended = scene.end(run).await;
        let way = format!("{dialect:?}, streamed: {stream}");
        scene.no_complaints();
        assert!(ended.facts.iter().any(|fact| matches!(fact, Fact::Steered(_))), "{way}");
        let told = scene.server.requests().last().unwrap().body.to_string();
        assert!(told.contains("[caller] turn left"), "{way}: {told}");
        assert_eq!(ended.output(), "turned", "{way}");
    }
}

/// A model that another one follows is given what the other said and called.
#[tokio::test]
async fn a_transcript_of_another_model_is_understood() {
    for (dialect, stream) in WAYS {
        let (first, second) = (Dialect::Gemini, dialect);
        let earlier = Scene::new(first, [Answer::calls([("look", json!({}))]), Answer::text("x")]);
        let begun = earlier.run(request(earlier.model(true))).await;
        let scene = Scene::new(second, [Answer::text("taken over")]);
        let mut transcript = executus_core::Transcript::default();
        transcript.push(Entry::Reply(Arc::clone(&begun.replies()[0])));
        let acted = begun.facts.iter().find_map(|fact| match fact {
            Fact::Acted(acted) => Some(Arc::clone(acted)),
            _ => None,
        });
        transcript.push(Entry::Result(acted.unwrap()));
        let model = scene.model(stream);
        let request = request(model.clone()).brief(Brief::new("go on"));
        let turn = executus_core::executor::Standalone::new(&request).turn(
            2,
            &transcript,
            &crate::support::tools(),
        );
        let reply = executus_core::Model::decide(&*model, &turn).await.unwrap();
        assert_eq!(reply.text, "taken over", "{dialect:?}, streamed: {stream}");
        scene.no_complaints();
    }
}
