//! What a file says of skills and agents.

use executus_playbook::{Body, PaletteDef, RunFile};
use serde_json::json;

use crate::support::{GOOD, load};

const AGENT: &str = r#"
kind = "agent"
name = "lead"
description = "Leads others."
model = "openai:gpt-5-mini"
prompt = "Lead {topic}."
[tiers]
small = "openai:gpt-5-nano"
large = "anthropic:claude-opus-4-5"
[params]
topic = { type = "string" }
depth = { type = "integer", default = 2 }
folder = { type = "string", env = "FOLDER" }
token = { type = "string", sensitive = true, env = "TOKEN" }
[palette]
skills = ["skills/sql-review", "skills"]
agents = ["reviewer.toml"]
max_children = 4
"#;

fn refused(text: &str) -> String {
    RunFile::parse("lead.toml", text).expect_err(text).to_string()
}

#[test]
fn a_palette_reads_as_it_is_written() {
    let file = load(AGENT);
    assert_eq!(file.description.as_deref(), Some("Leads others."));
    let tiers = [("small", "openai:gpt-5-nano"), ("large", "anthropic:claude-opus-4-5")];
    assert_eq!(file.tiers, tiers.map(|(tier, model)| (tier.to_owned(), model.to_owned())));
    let Body::Agent(agent) = &file.body else { panic!() };
    let expected = PaletteDef {
        skills: vec!["skills/sql-review".into(), "skills".into()],
        agents: vec!["reviewer.toml".into()],
        max_children: Some(4),
        ..PaletteDef::default()
    };
    assert_eq!(agent.palette, Some(expected));
    let schema = file.input_schema();
    assert_eq!(schema["required"], json!(["topic"]));
    assert_eq!(schema["properties"]["depth"]["default"], 2);
    assert!(schema["properties"].get("token").is_none(), "{schema}");
    assert_eq!(load(GOOD).description, None);
}

#[test]
fn what_is_no_palette_is_told_with_its_place() {
    for (old, new, told) in [
        (
            "max_children = 4",
            "max_children = 0",
            "18:16: `max_children` is 0; expected a whole number above zero",
        ),
        ("max_children = 4", "max_childs = 4", "18:1: unknown key `max_childs` in [palette]"),
        (
            "[\"reviewer.toml\"]",
            "\"reviewer.toml\"",
            "`agents` is a text; expected an array of run files",
        ),
        (
            "[\"reviewer.toml\"]",
            "[\"a.toml\", \"a.toml\"]",
            "`a.toml` is there twice; expected each path once",
        ),
        ("[\"reviewer.toml\"]", "[\" \"]", "`agents` is empty; expected a path"),
        ("small = \"openai:gpt-5-nano\"", "small = \"gpt\"", "`gpt` names no model"),
        ("\"Leads others.\"", "\"\"", "`description` is empty; expected what it does"),
    ] {
        let said = refused(&AGENT.replace(old, new));
        assert!(said.contains(told), "{said}");
    }
    let empty = &AGENT[..AGENT.find("skills = ").unwrap()];
    assert!(refused(empty).contains("[palette] has neither `skills` nor `agents`"));
    let playbook = GOOD.replace("[params]", "[palette]\nskills = [\"x\"]\n[params]");
    assert!(refused(&playbook).contains("unknown key `palette`"));
}
