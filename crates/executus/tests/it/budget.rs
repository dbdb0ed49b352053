//! Budgets that processes share, on a real Redis.

use std::path::Path;
use std::time::Instant;

use executus_testkit::redis::RedisServer;
use rustix::process::Signal;
use serde_json::json;

use crate::support::{Home, end, send};

const AGENT: &str = "kind = \"agent\"\nname = \"agent\"\nmodel = \"scripted:said.jsonl\"\n\
     prompt = \"Say it.\"\n[limits]\nmax_tokens = 300\n";

const SAID: &str = "{\"text\":\"Done.\",\"usage\":{\"input_tokens\":40,\"output_tokens\":10}}\n";

/// A home whose configuration names this server, with these limits; the budget is not set up.
fn home(url: &str, limits: &str) -> Home {
    let home = Home::new();
    home.file("executus.toml", &format!("[budget]\nstore = \"{url}\"\n{limits}"));
    home.file("agent.toml", AGENT);
    home.file("said.jsonl", SAID);
    home
}

async fn server() -> (RedisServer, String) {
    let server = RedisServer::plain().await;
    let url = server.url();
    (server, url)
}

/// RK-09: one of two processes has the place; the other is refused, and told what to wait for.
#[tokio::test]
async fn two_processes_share_the_runs_of_a_caller() {
    let (_server, url) = server().await;
    let home = home(&url, "[[budget.limit]]\nwindow = \"total\"\nruns = 1\n");
    home.executus(&["budget", "reseed"]).expect(0);
    home.sleeper("");
    let first = home.start(&["run", "book.toml", "--caller", "anna"]);
    let refused = home.executus(&["run", "agent.toml", "--caller", "anna"]).expect(4);
    for part in ["`anna`", "runs", "0 left", "1 held by runs under way", "when a run under way has"]
    {
        assert!(refused.stderr.contains(part), "{part}: {}", refused.stderr);
    }
    assert_eq!(refused.stdout, "");
    // Another caller has a place of its own.
    home.executus(&["run", "agent.toml", "--caller", "ben"]).expect(0);
    let holds = home.executus(&["budget", "holds", "--json"]).expect(0).json();
    assert_eq!((holds.len(), &holds[0]["accounts"]), (1, &json!(["anna"])));
    assert!(home.executus(&["budget", "holds"]).expect(0).stdout.contains("runs 1"));
    send(&first, Signal::INT);
    end(first).expect(130);
    home.executus(&["run", "agent.toml", "--caller", "anna"]).expect(0);
    assert_eq!(home.executus(&["budget", "holds"]).expect(0).stdout, "");
    let refused = home.executus(&["runs", "--status", "budget_exceeded", "--json"]).expect(0);
    assert_eq!(refused.json().len(), 1);
}

/// RK-09: what a window holds is shared, and a refusal says when it begins anew.
#[tokio::test]
async fn two_processes_share_a_window() {
    let (_server, url) = server().await;
    let limit = "[[budget.limit]]\nwindow = \"fixed:1d\"\ntokens = 500\nruntime = \"15m\"\n";
    let home = home(&url, limit);
    home.executus(&["budget", "reseed"]).expect(0);
    home.sleeper("");
    let first = home.start(&["run", "book.toml", "--caller", "anna"]);
    let refused = home.executus(&["run", "agent.toml", "--caller", "anna", "--json"]).expect(4);
    let last = refused.last();
    let message = last["error"]["message"].as_str().unwrap();
    assert_eq!(last["status"], "budget_exceeded");
    assert_eq!(last["error"]["retryable"], true);
    for part in ["`anna`", "runtime_ms", "300000 left of this day", "600000 held", "again at 20"] {
        assert!(message.contains(part), "{part}: {message}");
    }
    send(&first, Signal::INT);
    end(first).expect(130);
    // A playbook without a model has held no tokens, and an agent spends what it used.
    home.executus(&["run", "agent.toml", "--caller", "anna"]).expect(0);
    let shown = home.executus(&["budget", "show", "--caller", "anna", "--json"]).expect(0).last();
    assert_eq!(shown["spent"]["tokens"], 50);
    assert_eq!(shown["limits"][0]["left"]["tokens"], 450);
    assert_eq!(shown["limits"][0]["window"], "fixed:1d");
    assert_eq!(shown["held"]["runs"], 0);
}

/// Limits are set, shown, used up by what is reseeded, and taken away.
#[tokio::test]
async fn limits_are_set_and_shown() {
    let (_server, url) = server().await;
    let home = home(&url, "namespace = \"team\"\n");
    let refused = home.executus(&["run", "agent.toml", "--caller", "anna"]).expect(4);
    assert!(refused.stderr.contains("never set up"), "{}", refused.stderr);
    assert!(refused.stderr.contains("`executus budget reseed`"), "{}", refused.stderr);
    home.executus(&["budget", "set", "anna", "--window", "fixed:1d", "--tokens", "500"]).expect(0);
    let more = ["--cost", "0.50", "--runtime", "1h30m", "--runs", "2"];
    let set = ["budget", "set", "anna", "--window", "total"];
    home.executus(&[&set[..], &more[..]].concat()).expect(0);
    home.executus(&["budget", "reseed", "anna=tokens:400,cost:0.10"]).expect(0);
    let refused = home.executus(&["run", "agent.toml", "--caller", "anna"]).expect(4);
    for part in ["`anna`", "300 tokens", "100 left of this day", "again at 20"] {
        assert!(refused.stderr.contains(part), "{part}: {}", refused.stderr);
    }
    let shown = home.executus(&["budget", "show"]).expect(0).stdout;
    for part in [
        "anna",
        "tokens: 100 left of 500, spent 400",
        "cost: $0.40 left of $0.50, spent $0.10",
        "runtime: 1h30m left of 1h30m",
        "runs: 2 left of 2\n",
        "comes back at 20",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let lines = home.executus(&["budget", "export"]).expect(0).json();
    assert_eq!((&lines[0]["kind"], &lines[0]["namespace"]), (&json!("export"), &json!("team")));
    assert_eq!(lines[1]["account"], "anna");
    home.executus(&["budget", "set", "anna", "--clear"]).expect(0);
    home.executus(&["run", "agent.toml", "--caller", "anna"]).expect(0);
    let shown = home.executus(&["budget", "show", "--json"]).expect(0).last();
    assert_eq!((&shown["limits"], &shown["spent"]["tokens"]), (&json!([]), &json!(450)));
    let empty = home.executus(&["budget", "set", "anna", "--window", "total"]).expect(2);
    assert!(empty.stderr.contains("--tokens"), "{}", empty.stderr);
    for window in ["hour", "fixed:0s", "rolling:60"] {
        home.executus(&["budget", "set", "anna", "--window", window, "--tokens", "1"]).expect(2);
    }
}

/// No answer is a refusal, soon, and recorded; or what the host allows.
#[tokio::test]
async fn without_redis_nothing_is_granted_but_an_allowance() {
    let (mut server, url) = server().await;
    let home = home(&url, "");
    home.executus(&["budget", "reseed"]).expect(0);
    for is_killed in [false, true] {
        if is_killed {
            server.kill();
        } else {
            server.pause();
        }
        #[expect(clippy::disallowed_methods, reason = "how long another process takes")]
        let begin = Instant::now();
        let refused = home.executus(&["run", "agent.toml", "--json"]).expect(4);
        assert!(begin.elapsed().as_secs() < 60, "{:?}", begin.elapsed());
        let last = refused.last();
        let message = last["error"]["message"].as_str().unwrap();
        assert_eq!((&last["status"], &last["error"]["kind"]), (&json!("error"), &json!("budget")));
        assert!(message.contains("budget is not available: Redis at"), "{message}");
        assert!(message.contains("[budget.allowance]"), "{message}");
        let shown = home.executus(&["budget", "show"]).expect(1);
        assert!(shown.stderr.contains("help: start the server"), "{}", shown.stderr);
    }
    let allowance = "[budget.allowance]\ntokens = 1000\nruns = 1\n";
    home.file("executus.toml", &format!("[budget]\nstore = \"{url}\"\n{allowance}"));
    let allowed = home.executus(&["run", "agent.toml"]).expect(0);
    assert_eq!(allowed.stdout, "Done.\n");
    assert!(allowed.stderr.contains("was not told"), "{}", allowed.stderr);
    home.file("executus.toml", &format!("[budget]\nstore = \"{url}\"\n{}", &allowance[..32]));
    assert_eq!(&allowance[..32], "[budget.allowance]\ntokens = 1000");
    home.file("agent.toml", &AGENT.replace("300", "3000"));
    home.executus(&["run", "agent.toml"]).expect(4);
}

/// In memory a limit holds for one process, and there is nothing to look at.
#[test]
fn a_budget_in_memory_ends_with_its_process() {
    let home = Home::new();
    home.file("executus.toml", "[[budget.limit]]\nwindow = \"rolling:1h\"\ntokens = 200\n");
    home.file("agent.toml", AGENT);
    home.file("said.jsonl", SAID);
    let refused = home.executus(&["run", "agent.toml", "--caller", "anna"]).expect(4);
    let part = "`anna` does not cover 300 tokens: 200 left of the last hour";
    assert!(refused.stderr.contains(part), "{}", refused.stderr);
    assert!(!refused.stderr.contains("try again"), "more than the limit: {}", refused.stderr);
    home.file("agent.toml", &AGENT.replace("300", "100"));
    for _ in 0..3 {
        home.executus(&["run", "agent.toml"]).expect(0);
    }
    let said = home.executus(&["budget", "show"]).expect(2);
    assert!(said.stderr.contains("store = \"redis://"), "{}", said.stderr);
    assert!(!Path::new("executus.db").exists());
}

/// What the table cannot mean is told with its place.
#[test]
fn mistakes_are_told_with_their_place() {
    let home = Home::new();
    for (text, place, part) in [
        ("[budget]\nstore = \"disk\"", "2:9", "`disk` is no store"),
        ("[budget]\nstore = \"http://x\"", "2:9", "http://x"),
        ("[budget]\nstor = \"memory\"", "2:1", "unknown field `stor`"),
        ("[budget]\nnamespace = \"a b\"", "2:13", "is no namespace"),
        ("[budget]\nnamespace = \"a\"", "1:1", "`namespace` is for a budget on Redis"),
        ("[budget.allowance]\ntokens = 1", "1:", "`allowance` is for a budget on Redis"),
        ("[[budget.limit]]\nwindow = \"hour\"", "2:10", "`hour` is no window"),
        ("[[budget.limit]]\ntokens = 1", "1:1", "missing field `window`"),
        ("[[budget.limit]]\nwindow = \"total\"", "1:", "limits nothing"),
        ("[[budget.limit]]\nwindow = \"total\"\ncost = -1", "3:8", "`-1` is no cost"),
        ("[[budget.limit]]\nwindow = \"total\"\nruntime = \"5\"", "3:11", "`5` is no duration"),
        ("[[budget.limit]]\nwindow = \"total\"\ntokens = -5", "3:10", "invalid value"),
        ("[[budget.limit]]\nwindow = \"total\"\nmoney = 1", "3:1", "unknown field `money`"),
    ] {
        home.file("executus.toml", text);
        let said = home.executus(&["runs"]).expect(2);
        let told = format!("executus.toml:{place}");
        assert!(
            said.stderr.contains(&told) && said.stderr.contains(part),
            "{text}: {}",
            said.stderr
        );
    }
}
