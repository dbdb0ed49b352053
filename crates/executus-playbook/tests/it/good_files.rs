//! What a good file reads as.

use std::time::Duration;

use executus_core::{Effect, Limits};
use executus_playbook::{
    Bindings, Body, DeliverOn, HttpMethod, OnFailure, ParamType, RunFile, StepKind, Template,
    ToolKind, Verify, parse_duration,
};
use serde_json::json;

use crate::support::{ASKING, GOOD, load};

#[test]
fn a_playbook_reads_as_it_is_written() {
    let file = load(GOOD);
    assert_eq!(&*file.name, "report");
    assert!(file.models.is_empty());
    let names: Vec<_> = file.params.iter().map(|param| param.name.as_str()).collect();
    assert_eq!(names, ["repo", "count", "token"]);
    let count = file.param("count").unwrap();
    assert_eq!((count.ty, &count.default), (ParamType::Integer, &Some(json!(5))));
    assert!(file.param("token").unwrap().sensitive);
    let limits = file.limits.over(Limits::default());
    assert_eq!(limits.hard_timeout, Duration::from_secs(120));
    assert_eq!(limits.max_steps, Limits::default().max_steps);

    let [log, wc] = file.tools.as_slice() else { panic!("{:?}", file.tools) };
    assert_eq!((log.effect, wc.effect), (Effect::ReadOnly, Effect::Once));
    assert_eq!(log.timeout, Some(Duration::from_secs(10)));
    let ToolKind::Process { argv, cwd: None, env, .. } = &log.kind else { panic!("{log:?}") };
    assert_eq!(argv[2], Template::parse("{repo}"));
    assert!(env.is_empty());
    assert_eq!(
        log.schema(),
        json!({
            "type": "object",
            "properties": {"n": {"type": "integer", "default": 10}},
            "required": [],
            "additionalProperties": false,
        })
    );

    let Body::Playbook(playbook) = &file.body else { panic!("{:?}", file.body) };
    let [history, total] = playbook.steps.as_slice() else { panic!("{:?}", playbook.steps) };
    assert!(matches!(&history.kind, StepKind::Call { tool, .. } if &*tool.name == "log"));
    assert_eq!(history.on_failure, OnFailure::Abort);
    assert!(matches!(&history.verify, Some(Verify::Contains(text)) if text.to_string() == " "));
    assert_eq!(total.description.to_string(), "total");
    assert!(playbook.output.template.is_some());
}

/// The defaults of a step: no message of its own, recovery by a model.
///
/// PB-01
#[test]
fn a_step_recovers_by_default_and_shows_the_raw_error() {
    let text = GOOD
        .replace("name = \"report\"", "name = \"report\"\nmodel = \"openai:gpt-5-mini\"")
        .replace("failure_message = \"No history in {repo}\"", "")
        .replace("on_failure = \"abort\"", "");
    let file = load(&text);
    let Body::Playbook(playbook) = &file.body else { panic!("{:?}", file.body) };
    assert_eq!(playbook.steps[0].on_failure, OnFailure::LlmRecover);
    assert!(playbook.steps[0].failure_message.is_empty());
}

#[test]
fn what_asks_a_model_reads_as_it_is_written() {
    let file = load(ASKING);
    let Body::Playbook(playbook) = &file.body else { panic!("{:?}", file.body) };
    let StepKind::Extract { text, fields } = &playbook.steps[1].kind else { panic!() };
    assert_eq!(text.to_string(), "Invoice: {text}, {token}");
    let names: Vec<_> = fields.iter().map(|field| field.name.as_str()).collect();
    assert_eq!(names, ["total", "currency"]);
    let attempts: Vec<_> = playbook.steps.iter().map(|step| step.attempts()).collect();
    assert_eq!(attempts, [2, 1, 2]);
    assert_eq!(playbook.recovery.max_steps, 3);
    assert_eq!(playbook.output.fields[0].name, "receipt");
    let Body::Playbook(playbook) = &load(GOOD).body else { panic!() };
    assert_eq!(playbook.recovery.max_steps, 10);
    assert!(playbook.output.fields.is_empty());
}

#[test]
fn an_agent_reads_too() {
    let file = load(
        r#"
        kind = "agent"
        name = "reviewer"
        model = "openai:gpt-5-mini"
        system = "You review."
        prompt = "Review {count} commits."
        [params]
        count = { type = "integer", default = 5 }
        [[tool]]
        name = "ticket"
        kind = "http"
        method = "GET"
        url = "http://127.0.0.1:8080/tickets/{id}?n={count}"
        effect = "read_only"
        headers = { Accept = "text/plain" }
        [tool.params]
        id = { type = "string" }
        "#,
    );
    assert_eq!(file.models, ["openai:gpt-5-mini"]);
    let Body::Agent(agent) = &file.body else { panic!("{:?}", file.body) };
    assert_eq!(agent.prompt.to_string(), "Review {count} commits.");
    let ToolKind::Http { method, url, headers, .. } = &file.tools[0].kind else { panic!() };
    assert_eq!((*method, headers.len()), (HttpMethod::Get, 1));
    let bindings = Bindings {
        args: &json!({"id": "a{count}"}),
        inputs: &json!({"count": 5}),
        secrets: &Default::default(),
    };
    let address = url.render(|name| bindings.expose(name)).unwrap();
    assert_eq!(address, "http://127.0.0.1:8080/tickets/a{count}?n=5");
}

#[test]
fn an_argument_may_stand_in_the_path_of_any_server() {
    for url in ["{base}/{id}", "{base}?{id}", "{scheme}://{base}/x/{id}", "https://h/{id}"] {
        let text = format!(
            "kind = \"agent\"\nname = \"x\"\nmodel = \"a:b\"\nprompt = \"p\"\n\
             [params]\nbase = {{ type = \"string\" }}\nscheme = {{ type = \"string\" }}\n\
             [[tool]]\nname = \"t\"\nkind = \"http\"\nmethod = \"GET\"\nurl = \"{url}\"\n\
             [tool.params]\nid = {{ type = \"string\" }}\n"
        );
        load(&text);
    }
}

#[test]
fn arguments_are_checked_and_completed() {
    let file = load(GOOD);
    let log = &file.tools[0];
    assert_eq!(log.arguments(&json!({})).unwrap(), json!({"n": 10}));
    assert_eq!(log.arguments(&json!(null)).unwrap(), json!({"n": 10}));
    assert_eq!(log.arguments(&json!({"n": 3})).unwrap(), json!({"n": 3}));
    for (args, message) in [
        (json!({"n": "3"}), "bad arguments: `n` is not an integer"),
        (json!({"m": 3}), "bad arguments: there is no argument `m`; there are: `n`"),
        (json!([3]), "bad arguments: the arguments are not an object"),
    ] {
        assert_eq!(log.arguments(&args).unwrap_err().to_string(), message);
    }
    let missing = file.tools[1].arguments(&json!({})).unwrap_err();
    assert_eq!(missing.to_string(), "bad arguments: `text` is missing");
}

#[test]
fn another_text_has_another_digest() {
    let other = GOOD.replace("-n\"", "-m\"");
    assert_eq!(load(GOOD).digest, load(GOOD).digest);
    assert_ne!(load(GOOD).digest, load(&other).digest);
}

#[test]
fn a_file_is_loaded_from_its_path() {
    let path = std::env::temp_dir().join(format!("executus-good-{}.toml", std::process::id()));
    std::fs::write(&path, GOOD).unwrap();
    let loaded = RunFile::load(&path);
    std::fs::remove_file(&path).unwrap();
    assert_eq!(&*loaded.unwrap().name, "report");
}

#[test]
fn durations_of_the_contract() {
    assert_eq!(parse_duration("90s"), Some(Duration::from_secs(90)));
    assert_eq!(parse_duration("10m"), Some(Duration::from_secs(600)));
}

/// The result's targets, and which results they get.
#[test]
fn a_file_names_where_its_result_goes() {
    assert!(load(GOOD).deliver.is_empty());
    let more = "\n[[deliver]]\nto = \"results\"\n[[deliver]]\nto = \"ops\"\non = \"error\"\n";
    let file = load(&format!("{GOOD}{more}"));
    let found: Vec<_> = file.deliver.iter().map(|def| (def.to.as_str(), def.on)).collect();
    assert_eq!(found, [("results", None), ("ops", Some(DeliverOn::Error))]);
}
