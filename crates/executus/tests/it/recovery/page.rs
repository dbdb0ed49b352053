//! A playbook over pages of a site, one of which is not what it was.

use executus_testkit::provider::Answer;
use serde_json::{Value, json};

use super::{run, scene, submit, tokens, tools, used};
use crate::agent::web::Web;
use crate::support::{Scene, WAYS, Way, at_once};

/// Chat completions, streamed and whole.
const OPENAI: [Way; 2] = [WAYS[0], WAYS[1]];

/// Three pages: the list, the berth as the playbook knows it, and where its state is told now.
fn harbour() -> Web {
    Web::answering(|head| {
        let path = head.split(' ').nth(1).unwrap_or_default();
        let page = match path {
            "/list" => "<ul><li><a href=berth-7>Berth 7</a></li></ul>",
            "/berth-7" => "<h1>Berth 7</h1><p>We moved: see <a href=state-7>the state</a>.</p>",
            "/state-7" => "<p>Berth 7 is free until noon.</p>",
            _ => "<h1>Not found</h1>",
        };
        page.to_owned()
    })
}

/// The second step is read by a model; the third one expects a page that is there no more.
fn book(harbour: &Web) -> String {
    format!(
        r#"
[[tool]]
name = "page"
kind = "http"
method = "GET"
url = "http://{}/{{path}}"
effect = "read_only"
[tool.params]
path = {{ type = "string" }}
[[step]]
id = "list"
description = "Get the list"
tool = "page"
args = {{ path = "list" }}
store_as = "list"
on_failure = "abort"
[[step]]
id = "link"
description = "Find the first berth's page"
extract = "{{list}}"
store_as = "link"
verify = {{ contains = "berth-7" }}
on_failure = "abort"
[step.fields]
path = {{ type = "string" }}
[[step]]
id = "berth"
description = "Read the state of the berth"
tool = "page"
args = {{ path = "berth-7" }}
verify = {{ matches = "Free: (yes|no)" }}
store_as = "berth"
[[step]]
id = "again"
description = "Read the list again"
tool = "page"
args = {{ path = "list" }}
on_failure = "abort"
[output]
template = "State: {{berth}}"
"#,
        harbour.0
    )
}

fn page(path: &str) -> Answer {
    Answer::calls([("page", json!({"path": path}))])
}

/// What each reply used, in order, as `explain` tells it.
fn replies(scene: &Scene) -> Vec<(u64, u64)> {
    let explained = scene.explained();
    let count = |said: &Value, name: &str| said["usage"][name].as_u64().unwrap_or(0);
    let decided = explained.of("decided");
    decided.iter().map(|said| (count(said, "input_tokens"), count(said, "output_tokens"))).collect()
}

/// PB-07, PB-09, PB-10, PB-12: the page of the third step has changed; after two attempts the model
/// finds the other one and finishes. What the extract step and what the recovery used are told apart
/// and add up.
#[test]
fn a_changed_page_is_found_again() {
    at_once(&OPENAI, |way: &Way| {
        let harbour = harbour();
        let script = [
            submit(json!({"path": "berth-7"})).usage(used(11, 7)),
            page("state-7").usage(used(30, 9)),
            Answer::text("State: free until noon").usage(used(40, 4)),
        ];
        let scene = scene(*way, &book(&harbour), script);
        let last = run(&scene, &["--json"]).expect(0).last();
        assert_eq!(
            (&last["status"], &last["output"]),
            (&json!("ok"), &json!("State: free until noon"))
        );
        assert_eq!(tokens(&last), (11 + 30 + 40, 7 + 9 + 4));
        scene.no_complaints();
        scene.replays();
        // The list, its reading, two attempts, and the model's own call; the fourth step is not run.
        let explained = scene.explained();
        assert_eq!(tools(&explained), ["page", "submit_fields", "page", "page", "page"]);
        assert!(explained.calls()[4]["result"].to_string().contains("free until noon"));
        assert_eq!(replies(&scene), [(0, 0), (11, 7), (0, 0), (0, 0), (30, 9), (40, 4)]);
        let asked = scene.server.requests()[1].body.to_string();
        for told in [
            "its step 3 failed",
            "Free: (yes|no)",
            "Attempts: 2",
            "Step 4, not run yet: Read the list again",
            "Result, known as {link}",
        ] {
            assert!(asked.contains(told), "no `{told}` in {asked}");
        }
    });
}

/// PB-09: the model fails as well: both errors, and the tokens of the steps and of the recovery.
#[test]
fn a_changed_page_and_a_broken_model() {
    at_once(&OPENAI, |way: &Way| {
        let harbour = harbour();
        let script = [
            submit(json!({"path": "berth-7"})).usage(used(11, 7)),
            page("state-7").usage(used(30, 9)),
            Answer::status(500, "out of order").repeated(),
        ];
        let scene = scene(*way, &book(&harbour), script);
        let last = run(&scene, &["--json"]).expect(1).last();
        let message = last["error"]["message"].as_str().unwrap();
        let (step, recovery) = message.split_once("; recovery error: ").unwrap();
        assert!(step.starts_with("step error: ") && step.contains("Free: (yes|no)"), "{message}");
        assert!(recovery.contains("status 500"), "{message}");
        assert_eq!(tokens(&last), (11 + 30, 7 + 9));
        assert_eq!(replies(&scene), [(0, 0), (11, 7), (0, 0), (0, 0), (30, 9)]);
        scene.replays();
    });
}
