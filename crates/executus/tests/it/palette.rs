//! Skills and agents that a run file names.

mod asked;
mod refused;

use std::path::Path;

use serde_json::{Value, json};

use crate::support::Home;

/// A line of a script.
pub(crate) fn says(text: &str) -> String {
    line(json!({"text": text, "usage": {"input_tokens": 10, "output_tokens": 5}}))
}

/// A line of a script that calls.
pub(crate) fn calls(calls: &[(&str, Value)]) -> String {
    let calls = calls.iter().map(|(name, args)| json!({"name": name, "args": args}));
    let calls: Vec<_> = calls.collect();
    line(json!({"tool_calls": calls, "usage": {"input_tokens": 10, "output_tokens": 5}}))
}

fn line(value: Value) -> String {
    value.to_string() + "\n"
}

/// A skill's folder with one file.
pub(crate) fn skill(home: &Home, name: &str) {
    let folder = home.path().join("skills").join(name);
    std::fs::create_dir_all(folder.join("references")).unwrap();
    let text =
        format!("---\nname: {name}\ndescription: Knows {name}.\n---\nInstructions of {name}.\n");
    std::fs::write(folder.join("SKILL.md"), text).unwrap();
    std::fs::write(folder.join("references/more.md"), format!("More of {name}.")).unwrap();
}

/// An agent's file and its script.
pub(crate) fn agent(home: &Home, name: &str, rest: &str, script: &[String]) {
    let text = format!(
        "kind = \"agent\"\nname = \"{name}\"\ndescription = \"Is {name}.\"\n\
         model = \"scripted:{name}.jsonl\"\n{rest}"
    );
    home.file(&format!("{name}.toml"), &text);
    home.file(&format!("{name}.jsonl"), &script.concat());
}

/// The skills that come with the palette.
pub(crate) fn examples() -> String {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    crates.join("executus-palette/examples/skills").display().to_string()
}
