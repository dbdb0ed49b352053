//! What is run: a playbook and an agent, whose tools leave a line for each time they are performed.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::home::Home;

/// Something to run.
pub(super) struct Subject {
    pub(super) file: &'static str,
    /// What it answers, undisturbed.
    pub(super) output: String,
    /// How long it takes, undisturbed.
    pub(super) takes: Duration,
    /// How long its process takes beside it.
    pub(super) boots: Duration,
}

const TOOLS: [(&str, &str); 3] = [("look", "read_only"), ("put", "idempotent"), ("send", "once")];

const STEPS: usize = 6;

impl Subject {
    /// All of them, each run once undisturbed.
    pub(super) async fn all(home: &Home) -> Result<Vec<Self>, String> {
        home.file("book.toml", &book())?;
        home.file("agent.toml", &agent())?;
        home.file("said.jsonl", &script())?;
        let mut all = Vec::new();
        for (file, run) in [("book.toml", "whole-book"), ("agent.toml", "whole-agent")] {
            let began = Instant::now();
            let mark = format!("mark={run}");
            let said =
                home.say(&["run", file, "--run-id", run, "--input", &mark, "--json"]).await?;
            let last = said.stdout.lines().next_back().unwrap_or_default();
            let last: Value = serde_json::from_str(last).unwrap_or_default();
            let (Some(output), Some(ms)) =
                (last["output"].as_str(), last["stats"]["runtime_ms"].as_u64())
            else {
                return Err(format!("{file} does not run: {said:?}"));
            };
            let takes = Duration::from_millis(ms);
            let boots = began.elapsed().saturating_sub(takes);
            all.push(Self { file, output: output.to_owned(), takes, boots });
        }
        Ok(all)
    }
}

/// How often each effect of a run happened, and whether it may happen more than once.
pub(super) fn effects(home: &Home, run: &str) -> BTreeMap<String, usize> {
    let text = std::fs::read_to_string(home.path().join(format!("{run}.effects")));
    let mut effects = BTreeMap::new();
    for line in text.unwrap_or_default().lines() {
        *effects.entry(line.to_owned()).or_default() += 1;
    }
    effects
}

/// The name of an effect, as its tool writes it.
pub(super) fn effect(tool: &str, n: &Value) -> String {
    format!("{tool} {}", n.as_i64().unwrap_or_default())
}

fn head(kind: &str) -> String {
    let mut text = format!("kind = \"{kind}\"\nname = \"{kind}\"\n");
    if kind == "agent" {
        text.push_str("model = \"scripted:said.jsonl\"\nprompt = \"Do it.\"\n");
    }
    text.push_str("[params]\nmark = { type = \"string\" }\n");
    for (tool, effect) in TOOLS {
        text.push_str(&format!(
            "[[tool]]\nname = \"{tool}\"\nkind = \"process\"\neffect = \"{effect}\"\n\
             argv = [\"sh\", \"-c\", \"echo $1 $2 >> $3.effects; echo $1 $2 done\", \"sh\", \
             \"{tool}\", \"{{n}}\", \"{{mark}}\"]\n\
             [tool.params]\nn = {{ type = \"integer\" }}\n"
        ));
    }
    text
}

/// Steps that may be repeated: a step whose outcome is unknown has failed.
fn book() -> String {
    let mut text = head("playbook");
    let mut output = String::new();
    for n in 0..STEPS {
        let (tool, _) = TOOLS[n % 2];
        text.push_str(&format!(
            "[[step]]\nid = \"s{n}\"\ndescription = \"Step {n}\"\ntool = \"{tool}\"\n\
             args = {{ n = {n} }}\nstore_as = \"s{n}\"\non_failure = \"abort\"\n"
        ));
        output.push_str(&format!("{{s{n}}}, "));
    }
    format!("{text}[output]\ntemplate = \"{output}\"\n")
}

fn agent() -> String {
    head("agent")
}

/// Calls of all kinds, alone and beside each other.
fn script() -> String {
    let mut lines = String::new();
    let mut n = 0;
    for step in 0..STEPS {
        let tools: &[usize] = match step % 3 {
            0 => &[2],
            1 => &[0, 1, 2],
            _ => &[1],
        };
        let calls = tools.iter().map(|tool| {
            n += 1;
            json!({"name": TOOLS[*tool].0, "args": {"n": n}})
        });
        let calls: Vec<_> = calls.collect();
        lines.push_str(&json!({"text": format!("step {step}"), "tool_calls": calls}).to_string());
        lines.push('\n');
    }
    lines + &json!({"text": "All of it."}).to_string() + "\n"
}
