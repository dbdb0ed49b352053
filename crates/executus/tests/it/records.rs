//! What stays of a run.

use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use crate::support::Home;

const BOOK: &str = r#"
[params]
n = { type = "integer", default = 2 }
[[tool]]
name = "count"
kind = "process"
argv = ["seq", "{to}"]
effect = "read_only"
[tool.params]
to = { type = "integer" }
[[step]]
id = "count"
description = "Count to {n}"
tool = "count"
args = { to = "{n}" }
on_failure = "abort"
[[step]]
id = "again"
description = "Count to three"
tool = "count"
args = { to = 3 }
on_failure = "abort"
verify = { contains = "3" }
"#;

#[test]
fn explain_tells_each_executed_call_once() {
    let home = Home::new();
    home.playbook(BOOK);
    home.executus(&["run", "book.toml", "--run-id", "r", "--caller", "ada"]).expect(0);
    let explained = home.executus(&["explain", "r", "--json"]).expect(0).last();
    let run = &explained["run"];
    assert_eq!((&run["run_id"], &run["status"]), (&json!("r"), &json!("ok")));
    assert_eq!((&run["caller_id"], &run["parent_run_id"]), (&json!("ada"), &json!(null)));
    assert_eq!((&run["output"], &run["error"]), (&json!("1\n2\n3"), &json!(null)));
    assert_eq!(run["stats"]["tool_calls"], 2);
    assert!(is_rfc3339(&run["started_at"]), "{run}");
    let records = explained["records"].as_array().unwrap();
    for (at, record) in records.iter().enumerate() {
        assert_eq!(record["seq"], json!(at + 1));
        assert!(record["kind"].is_string() && is_rfc3339(&record["at"]), "{record}");
    }
    let calls: Vec<_> = records.iter().filter(|record| record.get("tool").is_some()).collect();
    assert_eq!(calls.len(), 2, "{records:?}");
    assert_eq!(calls[0]["tool"], "count");
    assert_eq!(calls[0]["args"], json!({"to": 2}));
    assert_eq!(calls[0]["result"], "1\n2");
    assert!(calls[0]["duration_ms"].is_u64());
    let text = home.executus(&["explain", "r"]).expect(0).stdout;
    for part in ["r", "ok", "Count to 2", "Count to three", "count", "cli", "ada"] {
        assert!(text.contains(part), "no `{part}` in:\n{text}");
    }
}

#[test]
fn a_failed_call_is_a_record_with_its_error() {
    let home = Home::new();
    home.playbook(&BOOK.replace("\"seq\", \"{to}\"", "\"sh\", \"-c\", \"echo no >&2; exit {to}\""));
    home.executus(&["run", "book.toml", "--run-id", "r"]).expect(1);
    let explained = home.executus(&["explain", "r", "--json"]).expect(0).last();
    let records = explained["records"].as_array().unwrap();
    let call = records.iter().find(|record| record.get("tool").is_some()).unwrap();
    let error = call["error"].to_string();
    assert!(error.contains("exit code 2") && call.get("result").is_none(), "{call}");
}

#[test]
fn a_cut_result_tells_how_much_the_tool_wrote() {
    let home = Home::new();
    let binary = r#""sh", "-c", "head -c 5000 /dev/zero | tr '\\0' '\\377' # {to}""#;
    let book = BOOK.replace(r#""seq", "{to}""#, binary).replace("verify", "# ");
    home.playbook(&format!("[limits]\nmax_result_bytes = 1000\n{book}"));
    home.executus(&["run", "book.toml", "--run-id", "r"]).expect(0);
    let explained = home.executus(&["explain", "r", "--json"]).expect(0).last();
    let records = explained["records"].as_array().unwrap();
    let call = records.iter().find(|record| record.get("tool").is_some()).unwrap();
    let result = call["result"].as_str().unwrap();
    assert!(result.ends_with("\u{fffd}… [cut, 5000 bytes in all]"), "{result}");
    assert_eq!(result.matches("[cut").count(), 1, "{result}");
    assert!(result.len() <= 1000, "{} bytes", result.len());
}

#[test]
fn runs_are_listed_newest_first() {
    let home = Home::new();
    assert_eq!(home.executus(&["runs", "--json"]).expect(0).stdout, "");
    home.playbook(BOOK);
    for id in ["a", "b", "c"] {
        home.executus(&["run", "book.toml", "--run-id", id]).expect(0);
    }
    home.executus(&["run", "book.toml", "--run-id", "d", "--input", "n=-1"]).expect(0);
    let runs = home.executus(&["runs", "--json"]).expect(0).json();
    let ids: Vec<_> = runs.iter().map(|run| run["run_id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["d", "c", "b", "a"]);
    assert_eq!((&runs[3]["status"], &runs[3]["name"]), (&json!("ok"), &json!("book")));
    assert!(is_rfc3339(&runs[3]["started_at"]));
    assert_eq!(home.executus(&["runs", "--status", "error", "--json"]).expect(0).stdout, "");
    let text = home.executus(&["runs"]).expect(0).stdout;
    assert_eq!(text.lines().filter(|line| line.contains("book")).count(), 4, "{text}");
    home.executus(&["runs", "--status", "nonsense"]).expect(2);
}

#[test]
fn a_dry_run_leaves_one_record_and_does_nothing() {
    let home = Home::new();
    home.sleeper("");
    let said = home.executus(&["run", "book.toml", "--dry-run", "--json"]).expect(0);
    let last = said.last();
    assert_eq!((&last["status"], &last["stats"]["tool_calls"]), (&json!("dry_run"), &json!(0)));
    assert!(!home.path().join("there").exists());
    let runs = home.executus(&["runs", "--json"]).expect(0).json();
    assert_eq!((runs.len(), &runs[0]["status"]), (1, &json!("dry_run")));
    assert_eq!(home.executus(&["run", "book.toml", "--dry-run"]).expect(0).stdout, "");
}

#[test]
fn the_records_are_for_this_user_alone() {
    let home = Home::new();
    home.playbook(BOOK);
    home.executus(&["run", "book.toml"]).expect(0);
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(home.db().parent().unwrap()), 0o700);
    for entry in std::fs::read_dir(home.db().parent().unwrap()).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path) & 0o077, 0, "{}", path.display());
    }
    home.executus(&["run", "book.toml", "--db", "own.db", "--run-id", "x"]).expect(0);
    assert_eq!(home.executus(&["runs", "--json"]).expect(0).json().len(), 1);
    let own = home.executus(&["runs", "--json", "--db", "own.db"]).expect(0).json();
    assert_eq!(own[0]["run_id"], "x");
}

fn is_rfc3339(value: &serde_json::Value) -> bool {
    value.as_str().is_some_and(|text| text.parse::<jiff::Timestamp>().is_ok())
}
