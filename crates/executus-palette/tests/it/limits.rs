//! How deep and how wide runs may delegate.

use std::sync::Arc;

use executus_core::port::EntryKind;
use executus_core::{Limits, Model, Reply, RunRequest, RunStatus, ToolError};
use executus_palette::{AgentEntry, LocalPalette, PaletteLimits};
use executus_testkit::scripted::ScriptedModel;
use serde_json::json;

use crate::support::{Scripted, Watched, calling, watch};

/// An agent that asks each of these once, and ends.
fn asking(name: &str, others: &[&str]) -> Arc<Scripted> {
    let entry = others.iter().fold(AgentEntry::new(name, "Asks."), |entry, other| {
        entry.delegate_to(EntryKind::Agent, *other)
    });
    let reply = others.iter().fold(Reply::default(), |reply, other| {
        reply.and_call(format!("agent__{other}"), json!({}))
    });
    let lines = if others.is_empty() { vec![] } else { vec![reply] };
    Scripted::new(entry, lines.into_iter().chain([Reply::text("done")]).collect())
}

/// The errors of calls, over all runs of a tree.
fn denials(watched: &Watched) -> Vec<(String, String)> {
    let mut denials = Vec::new();
    for run in watched.audit.runs() {
        for record in watched.audit.records(&run) {
            let executus_core::Fact::Acted(acted) = &record.fact else { continue };
            let executus_core::transcript::CallOutcome::Failed(error) = &acted.outcome else {
                continue;
            };
            let ToolError::Denied { code, message, ends_run: false } = error else {
                panic!("{error:?}");
            };
            denials.push((code.clone(), message.clone()));
        }
    }
    denials
}

/// A cycle of agents is refused where it closes; all runs above it go on and end well.
#[tokio::test]
async fn a_cycle_is_refused() {
    let palette = LocalPalette::builder()
        .agent(asking("a", &["b"]))
        .agent(asking("b", &["c"]))
        .agent(asking("c", &["a"]))
        .limits(PaletteLimits { max_depth: 10, ..PaletteLimits::default() })
        .build()
        .unwrap();
    let watched = calling(&palette, &[(EntryKind::Agent, "a")], &[("agent__a", json!({}))]).await;
    assert_eq!(watched.outcome.status, RunStatus::Ok);
    assert_eq!(watched.text(), "done");
    assert_eq!(watched.audit.runs().len(), 4);
    let denied = denials(&watched);
    let message = "the agent `a` is at work above already: a › b › c › a";
    assert_eq!(denied, [("agent_cycle".to_owned(), message.to_owned())]);

    // The run at the top is known by its subject.
    let model = ScriptedModel::new([Reply::call("agent__b", json!({})), Reply::text("done")]);
    let model = model.shared();
    let request = RunRequest::new(model.clone() as Arc<dyn Model>).subject("a");
    let watched = watch(&palette, &[(EntryKind::Agent, "b")], request, &model).await;
    assert_eq!(denials(&watched)[0].1, "the agent `a` is at work above already: a › b › c › a");
    // The same agent twice beside each other is no cycle.
    let calls = [("agent__a", json!({})), ("agent__a", json!({}))];
    let watched = calling(&palette, &[(EntryKind::Agent, "a")], &calls).await;
    assert_eq!(watched.audit.runs().len(), 7);
    assert!(format!("{palette:?}").contains("runs: 0"), "{palette:?}");
}

#[tokio::test]
async fn depth_is_limited() {
    let names = ["a", "b", "c", "d", "e"];
    let mut builder = LocalPalette::builder();
    for pair in names.windows(2) {
        builder = builder.agent(asking(pair[0], &pair[1..]));
    }
    let palette = builder.agent(asking("e", &[])).build().unwrap();
    let watched = calling(&palette, &[(EntryKind::Agent, "a")], &[("agent__a", json!({}))]).await;
    assert_eq!(watched.outcome.status, RunStatus::Ok);
    assert_eq!(watched.audit.runs().len(), 4);
    let message = "agents may be 3 deep, and this is one deeper: a › b › c › d";
    assert_eq!(denials(&watched), [("agent_depth".to_owned(), message.to_owned())]);
}

#[tokio::test]
async fn width_is_limited() {
    let limits = PaletteLimits { max_children: 3, max_runs: 5, ..PaletteLimits::default() };
    let palette = LocalPalette::builder()
        .agent(asking("leaf", &[]))
        .agent(asking("wide", &["leaf", "leaf", "leaf", "leaf"]))
        .limits(limits)
        .build()
        .unwrap();
    let names = [(EntryKind::Agent, "wide"), (EntryKind::Agent, "leaf")];
    let watched = calling(&palette, &names, &[("agent__wide", json!({}))]).await;
    assert_eq!(watched.audit.runs().len(), 5);
    let message = "this run has started 3 agents, as many as it may";
    assert_eq!(denials(&watched), [("agent_fan_out".to_owned(), message.to_owned())]);

    // One `wide` and its three leaves, one more of the five, and no other.
    let steps = [
        Reply::call("agent__wide", json!({})),
        Reply::call("agent__leaf", json!({})),
        Reply::call("agent__leaf", json!({})),
        Reply::text("done"),
    ];
    let model = ScriptedModel::new(steps).shared();
    let request = RunRequest::new(model.clone() as Arc<dyn Model>).limits(Limits::default());
    let watched = watch(&palette, &names, request, &model).await;
    assert_eq!(watched.audit.runs().len(), 6);
    let denied = denials(&watched);
    assert_eq!(denied.len(), 2, "{denied:?}");
    let tree = denied.iter().find(|(code, _)| code == "agent_tree").unwrap();
    assert_eq!(tree.1, "5 agents were started below the run at the top, as many as may be");
}

#[test]
fn limits_of_zero_are_refused() {
    for field in ["max_depth", "max_children", "max_runs"] {
        let mut limits = PaletteLimits::default();
        match field {
            "max_depth" => limits.max_depth = 0,
            "max_children" => limits.max_children = 0,
            _ => limits.max_runs = 0,
        }
        let error = LocalPalette::builder().limits(limits).build().unwrap_err().to_string();
        assert_eq!(error, format!("the limit `{field}` is 0; give it a value above 0"));
    }
}
