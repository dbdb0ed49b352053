//! Files of rules beside a run file.

use executus_testkit::provider::Answer;
use serde_json::json;

use super::{actions, explain, told};
use crate::support::{Scene, Way};

const AGENT: &str = r#"
prompt = "Close it."
[principal]
roles = ["writer", "support"]
[policy]
rules = "policy.toml"
justification = "closing tickets on request of support"
[[tool]]
name = "close"
kind = "process"
argv = ["sh", "-c", "echo closed >> closed; echo closed"]
[[capability]]
id = "tickets.close"
safety = "write"
drivers = ["close"]
"#;

const RULES: &str = r#"version = 1
[[rule]]
name = "support closes"
effect = "allow"
capability = ["tickets.*"]
roles = ["support"]
[[rule]]
name = "frozen"
effect = "deny"
principal = ["mallory"]
code = "frozen"
message = "nothing is closed for you"
"#;

fn scene(rules: &str) -> Scene {
    let script = [Answer::calls([("tickets__close", json!({}))]), Answer::text("done")];
    let scene = Scene::new(Way::STREAM, script);
    scene.agent(AGENT);
    scene.home.file("policy.toml", rules);
    scene
}

#[test]
fn a_rule_allows_and_another_denies() {
    let allowed = scene(RULES);
    allowed.run(&[]).expect(0);
    assert!(allowed.home.path().join("closed").exists());
    assert_eq!(explain(&allowed, &actions(&allowed)[0])["kind"], "invoke");

    let denied = scene(RULES);
    denied.run(&["--caller", "mallory"]).expect(0);
    assert!(!denied.home.path().join("closed").exists());
    let asked = denied.server.requests();
    assert!(told(&asked[1]).contains("denied (frozen): nothing is closed for you"));
    let record = explain(&denied, &actions(&denied)[0]);
    assert_eq!(
        (&record["error"]["code"], &record["principal_id"]),
        (&json!("frozen"), &json!("mallory"))
    );
}

/// They narrow what the default rules allow, and what no rule allows is denied.
#[test]
fn rules_do_not_widen_the_default_ones() {
    let scene = scene(RULES);
    scene.agent(&AGENT.replace("\"writer\", ", ""));
    scene.run(&[]).expect(0);
    assert!(told(&scene.server.requests()[1]).contains("denied (missing_role)"));

    let scene = self::scene("version = 1\n");
    scene.run(&[]).expect(0);
    assert!(told(&scene.server.requests()[1]).contains("denied (no_rule)"));
}

#[test]
fn bad_rules_are_told_at_their_place() {
    for (rules, message) in [
        ("version = 2\n", "policy.toml:1:11: this version is not known"),
        ("version = 1\n[[rule]]\nname = \"a\"\neffect = \"maybe\"\n", "policy.toml:4:"),
        ("", "policy.toml:1:1: "),
    ] {
        let scene = scene(rules);
        let said = scene.run(&[]).expect(2);
        assert!(said.stderr.contains(message), "{}", said.stderr);
        assert!(scene.server.requests().is_empty());
        assert!(!scene.home.db().exists());
    }
    let scene = scene(RULES);
    std::fs::remove_file(scene.home.path().join("policy.toml")).unwrap();
    let said = scene.run(&["--dry-run"]).expect(2);
    assert!(said.stderr.contains("policy.toml: the rules cannot be read"), "{}", said.stderr);
    std::fs::write(scene.home.path().join("policy.toml"), b"version = \xff").unwrap();
    scene.run(&[]).expect(2);
}

/// A finished run of the same name answers only for the same rules.
#[test]
fn other_rules_are_another_run() {
    let scene = scene(RULES);
    scene.run(&[]).expect(0);
    let again = scene.run(&[]).expect(0);
    assert_eq!((&*again.stdout, scene.server.requests().len()), ("done\n", 2));
    scene.home.file("policy.toml", &RULES.replace("mallory", "eve"));
    let said = scene.run(&[]).expect(2);
    assert!(said.stderr.contains("was asked for with other rules"), "{}", said.stderr);
}

#[test]
fn a_bad_file_says_where() {
    let scene = scene(RULES);
    scene.agent(&AGENT.replace("drivers = [\"close\"]", "drivers = [\"clsoe\"]"));
    let said = scene.run(&[]).expect(2);
    let place = said.stderr.contains("agent.toml:18:12: no [[tool]] is called `clsoe`");
    assert!(place && said.stderr.contains("expected `close`"), "{}", said.stderr);
}
