//! Run ids as names of directories.

use std::collections::BTreeMap;

use executus_audit_files::name::run_folder;
use executus_core::{Reply, RunId};
use proptest::prelude::*;
use serde_json::json;

use crate::bench::{Bench, actions, names};

/// Ids to try. A run id itself has no control characters and is not empty; names are made of any
/// text all the same.
fn corpus() -> Vec<String> {
    let mut ids: Vec<String> = [
        "run-123",
        "../",
        "..",
        ".",
        "../../etc/passwd",
        "..%2f..%2fetc",
        "%2e%2e%2f",
        "a%2fb",
        "/",
        "/etc/passwd",
        "//server/share",
        "a/b",
        "a\\b",
        "C:\\x",
        "c:",
        "a\0b",
        "\0",
        "",
        " ",
        "a ",
        "a.",
        "a",
        "A",
        "straße",
        "STRASSE",
        "caf\u{e9}",
        "cafe\u{301}",
        "CAF\u{c9}",
        "\u{202e}fdp.exe",
        "\u{5e9}\u{5dc}\u{5d5}\u{5dd}",
        "\u{200b}",
        "a\u{200b}",
        "\u{ff0e}\u{ff0e}\u{ff0f}",
        "Run",
        "rUN",
        "run",
        "ı",
        "İ",
        "K",
        "\u{212a}",
        "con",
        "CON",
        "nul",
        "com1",
        "lpt9",
        "run.json",
        "trail.jsonl",
        ".tmp-1-1",
        "~",
        "-rf",
        "$(id)",
        "a\nb",
        "a_b",
        "a-b",
        "a:b",
        "a*b",
        "a?b",
        "a|b",
    ]
    .map(str::to_owned)
    .to_vec();
    ids.push("x".repeat(300));
    ids.push("x".repeat(299) + "y");
    ids.push("é".repeat(150));
    ids.push("x".repeat(100));
    ids.push("x".repeat(101));
    // Ids that are the names of others.
    let names: Vec<_> = ids.iter().map(|id| run_folder(id)).collect();
    ids.extend(names.into_iter().filter(|name| name.contains('_')));
    ids.sort();
    ids.dedup();
    ids
}

fn is_safe(name: &str) -> bool {
    let safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    (1..=128).contains(&name.len()) && name.chars().all(safe)
}

/// AL-04
#[test]
fn every_id_has_a_safe_name_of_its_own() {
    let mut taken = BTreeMap::new();
    for id in corpus() {
        let name = run_folder(&id);
        assert!(is_safe(&name), "{id:?} is {name:?}");
        // As where letters have no case.
        if let Some(other) = taken.insert(name.to_ascii_lowercase(), id.clone()) {
            panic!("{id:?} and {other:?} are both {name:?}");
        }
    }
}

/// AL-04
#[test]
fn what_is_changed_or_cut_gets_a_hash_and_what_is_safe_stays() {
    for id in ["run-123", "a_b", "a", "0190a-7", "run"] {
        assert_eq!(run_folder(id), id);
    }
    let uuid = RunId::random();
    assert_eq!(run_folder(uuid.as_str()), uuid.as_str());
    let escaping = run_folder("../../etc");
    assert!(escaping.starts_with("______etc_") && escaping.len() == 10 + 16, "{escaping}");
    let long = run_folder(&"x".repeat(300));
    assert!(long.starts_with(&"x".repeat(100)) && long.len() == 117, "{long}");
}

/// AL-04
#[tokio::test]
async fn no_id_leaves_the_root_and_none_meets_another() {
    let bench = Bench::new();
    let mut ids = 0;
    for id in corpus() {
        let Ok(run) = RunId::new(id) else { continue };
        ids += 1;
        bench.record(&run, 1, &[Reply::call("look", json!({}))]).await;
        assert_eq!(actions(&bench.reader().folder(&run)), ["0001_look.json"], "{run}");
    }
    assert_eq!(names(bench.folder.path()), ["log"]);
    assert_eq!(names(bench.audit.root()).len(), ids);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// AL-04
    #[test]
    fn any_two_ids_have_different_names(one in "\\PC{0,40}", other in "[a-zA-Z_/.é-]{0,6}") {
        for id in [&one, &other] {
            prop_assert!(is_safe(&run_folder(id)));
        }
        if one != other {
            let lower = |id: &str| run_folder(id).to_ascii_lowercase();
            prop_assert_ne!(lower(&one), lower(&other));
        }
        // Nor does the name of one meet the other.
        let name = run_folder(&one);
        prop_assert!(name == one || run_folder(&name) != name);
    }
}
