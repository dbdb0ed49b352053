//! Every file of the examples folder does what it says.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::{Explained, Home, git};

mod site;

use site::{Page, Site};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples")
}

fn example(name: &str) -> String {
    folder().join(name).to_str().unwrap().to_owned()
}

/// A repository with two commits, the second of which changes a file in a folder.
fn repository(home: &Home) -> PathBuf {
    let repo = home.path().join("a repository");
    std::fs::create_dir_all(repo.join("src")).unwrap();
    git(&repo, &["init", "-q"]);
    for (text, message) in [("one\n", "Add a file"), ("one\ntwo\n", "Let it count\n\nBy one.")] {
        std::fs::write(repo.join("src/to two.txt"), text).unwrap();
        git(&repo, &["add", "."]);
        git(&repo, &["commit", "-q", "-m", message]);
    }
    repo
}

/// What the calls of the run `r` came to, in order: the tool, and its text or its error.
fn calls(home: &Home) -> Vec<(String, Value)> {
    let explained = Explained(home.executus(&["explain", "r", "--json"]).expect(0).last());
    let mut calls: Vec<_> = explained.calls().into_iter().cloned().collect();
    calls.sort_by_key(|call| (call["step"].as_u64(), call["call"].as_u64()));
    let told = |call: Value| match call.get("error").filter(|error| !error.is_null()) {
        Some(error) => error.clone(),
        None => call["result"].clone(),
    };
    calls.into_iter().map(|call| (call["tool"].as_str().unwrap().to_owned(), told(call))).collect()
}

#[test]
fn each_is_run_here() {
    let mut names: Vec<_> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(
        names,
        ["mcp-time.toml", "repo-report.toml", "reviewer.jsonl", "reviewer.toml", "site-check.toml"]
    );
}

#[test]
fn a_report_on_a_repository() {
    let home = Home::new();
    let repo = repository(&home);
    let input = format!("repo={}", repo.display());
    let said = home.executus(&["run", &example("repo-report.toml"), "--input", &input]).expect(0);
    assert!(said.stdout.contains("| Commits | 2 |"), "{}", said.stdout);
}

#[test]
fn the_reviewer_plays_on_any_repository_without_a_key() {
    let home = Home::new();
    let repo = repository(&home);
    let model = format!("scripted:{}", example("reviewer.jsonl"));
    let input = format!("repo={}", repo.display());
    let reviewer = example("reviewer.toml");
    let args = ["run", &reviewer, "--input", &input, "--model", &model, "--run-id", "r"];
    let said = home.executus(&[&args[..], &["--read-only"]].concat()).expect(0);
    assert!(said.stdout.contains("## Findings"), "{}", said.stdout);
    let calls = calls(&home);
    let names: Vec<_> = calls.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["git_log", "git_commit", "git_patch", "git_file"]);
    let text = |at: usize| calls[at].1.as_str().unwrap();
    assert_eq!(text(0).lines().count(), 2, "{}", text(0));
    assert!(text(0).contains("Ada: Let it count"), "{}", text(0));
    let hash = git(&repo, &["rev-parse", "HEAD"]);
    assert!(text(1).starts_with(&format!("commit {hash}")), "{}", text(1));
    assert!(text(1).contains("By one.") && text(1).contains("src/to two.txt"), "{}", text(1));
    assert!(text(2).contains("\n+two"), "{}", text(2));
    assert!(text(3).contains("src/"), "{}", text(3));
    home.executus(&["replay", "r"]).expect(0);
}

/// Plays these calls with the reviewer's tools.
fn reviewed(home: &Home, repo: &Path, asked: &[(&str, Value)]) -> Vec<(String, Value)> {
    let calls: Vec<_> =
        asked.iter().map(|(name, args)| json!({"name": name, "args": args})).collect();
    let script = format!("{}\n{}\n", json!({"tool_calls": calls}), json!({"text": "Done."}));
    home.file("script.jsonl", &script);
    let input = format!("repo={}", repo.display());
    let file = example("reviewer.toml");
    let args = ["run", &file, "--input", &input, "--model", "scripted:script.jsonl"];
    home.executus(&[&args[..], &["--run-id", "r"]].concat()).expect(0);
    self::calls(home)
}

#[test]
fn the_reviewers_tools_read_what_they_are_asked() {
    let home = Home::new();
    let repo = repository(&home);
    git(&repo, &["checkout", "-q", "-b", "side", "HEAD~1"]);
    git(&repo, &["commit", "-q", "--allow-empty", "-m", "Aside"]);
    git(&repo, &["merge", "-q", "--no-ff", "-m", "Merge main", "main"]);
    let told = reviewed(
        &home,
        &repo,
        &[
            ("git_log", json!({"commit": "HEAD~1", "n": 1})),
            ("git_file", json!({"commit": "HEAD~1", "path": "src/to two.txt"})),
            ("git_file", json!({"path": "src"})),
            ("git_patch", json!({"commit": "HEAD", "path": "src/to two.txt"})),
            ("git_patch", json!({"commit": "HEAD", "path": "src/*.txt"})),
            ("git_commit", json!({"commit": "HEAD"})),
        ],
    );
    let text = |at: usize| told[at].1.as_str().unwrap_or_else(|| panic!("{:?}", told[at]));
    assert!(text(0).ends_with("Ada: Aside") && text(0).lines().count() == 1, "{}", text(0));
    assert_eq!(text(1), "one");
    assert!(text(2).contains("to two.txt"), "{}", text(2));
    // Of a merge: what it brought to its first parent.
    assert!(text(3).contains("\n+two"), "{}", text(3));
    assert_eq!(text(4), "", "a path is no pattern");
    assert!(text(5).contains("1 file changed"), "{}", text(5));
}

#[test]
fn the_reviewers_tools_take_nothing_for_an_option() {
    let home = Home::new();
    let repo = repository(&home);
    let out = home.path().join("written");
    let option = format!("--output={}", out.display());
    // A program that git would start to show a difference, if it were allowed to.
    std::fs::write(repo.join(".git/info/attributes"), "* diff=bad\n").unwrap();
    let program = format!("touch '{}'; cat", out.display());
    git(&repo, &["config", "diff.bad.textconv", &program]);
    git(&repo, &["config", "diff.external", &program]);
    let told = reviewed(
        &home,
        &repo,
        &[
            ("git_log", json!({"commit": option})),
            ("git_commit", json!({"commit": option})),
            ("git_patch", json!({"commit": option})),
            ("git_patch", json!({"commit": "HEAD", "path": option})),
            ("git_file", json!({"commit": option, "path": "x"})),
            ("git_commit", json!({"commit": "HEAD"})),
            ("git_patch", json!({"commit": "HEAD"})),
            ("git_file", json!({"path": "src/to two.txt"})),
        ],
    );
    for at in [0, 1, 2, 4] {
        let message = told[at].1["message"].as_str().unwrap_or_default();
        assert!(message.contains("bad revision"), "{:?}", told[at]);
    }
    assert_eq!(told[3].1, "");
    assert!(told[6].1.as_str().is_some_and(|text| text.contains("+two")), "{:?}", told[6]);
    assert_eq!(told[7].1, "one\ntwo");
    assert!(!out.exists());
}

const FRONT: &str = "<!doctype html>\n<html><head><title>Harbour</title></head>\
                     <body>All ships are in.</body></html>\n";
const RULES: &str = "# for all\nUser-agent: *\nDisallow:\n";

/// Runs the check of a site.
fn checked(home: &Home, site: &Site, inputs: &[&str]) -> crate::support::Said {
    let file = example("site-check.toml");
    let base = format!("base={}", site.base());
    let mut args = vec!["run", &file, "--run-id", "r", "--read-only", "--input", &base];
    for input in inputs {
        args.extend(["--input", input]);
    }
    home.executus(&args)
}

#[test]
fn a_good_site_is_well() {
    let home = Home::new();
    let site = Site::start(|path| match path {
        "/" => Page::html(FRONT),
        "/robots.txt" => Page::text(RULES),
        _ => Page::missing(),
    });
    let said = checked(&home, &site, &["text=All ships are in."]).expect(0);
    assert!(said.stdout.starts_with(&format!("# {} is well\n", site.base())), "{}", said.stdout);
    assert!(said.stdout.contains("says \"All ships are in.\""), "{}", said.stdout);
    assert!(said.stdout.contains(RULES), "{}", said.stdout);
    assert_eq!(site.seen(), ["GET /", "GET /", "GET /robots.txt"]);
}

#[test]
fn a_broken_site_is_told_by_its_first_fault() {
    type Serve = fn(&str) -> Page;
    let cases: [(&str, Serve, &str, usize); 4] = [
        (
            "no robots.txt",
            |path| if path == "/" { Page::html(FRONT) } else { Page::missing() },
            "/robots.txt is not there, or has no rules",
            3,
        ),
        ("other words", |_| Page::html("<title>Sold</title>"), "does not say \"ships\"", 2),
        ("no title", |_| Page::html("<p>ships</p>"), "title", 2),
        ("an error", |_| Page::failed(), "503", 2),
    ];
    for (case, serve, message, requests) in cases {
        let home = Home::new();
        let site = Site::start(serve);
        let said = checked(&home, &site, &["text=ships"]).expect(1);
        assert_eq!(said.stdout, "", "{case}");
        assert!(said.stderr.contains(message), "{case}: {}", said.stderr);
        let seen = site.seen();
        assert_eq!(seen.len(), requests, "{case}: {seen:?}");
    }
}

#[test]
fn no_site_is_said_to_be_none() {
    let home = Home::new();
    // A port that was free a moment ago.
    let base = Site::start(|_| Page::missing()).base();
    let file = example("site-check.toml");
    let said = home.executus(&["run", &file, "--input", &format!("base={base}")]).expect(1);
    assert!(said.stderr.contains("failed: ") && said.stderr.contains("connect"), "{}", said.stderr);
}

#[test]
fn the_time_is_told_by_a_server() {
    let home = Home::new();
    let server = format!("server={}", crate::outside::program("time"));
    let args = ["run", &example("mcp-time.toml"), "--input", &server, "--input", "time=17:30"];
    let said = home.executus(&[&args[..], &["--run-id", "r"]].concat()).expect(0);
    assert!(said.stdout.starts_with("17:30 in UTC is, in Asia/Tokyo:\n"), "{}", said.stdout);
    assert!(said.stdout.contains("T02:30:00+09:00"), "{}", said.stdout);
    let names: Vec<_> = calls(&home).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["convert_time", "now"]);
    let nowhere = [&args[..], &["--input", "there=Nowhere/Land"]].concat();
    let said = home.executus(&nowhere).expect(1);
    assert!(said.stderr.contains("cannot be told in Nowhere/Land"), "{}", said.stderr);
}
