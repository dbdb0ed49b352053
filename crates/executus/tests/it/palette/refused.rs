//! Palettes that are refused before anything runs.

use super::{agent, says, skill};
use crate::support::Home;

const PROMPT: &str = "prompt = \"Do it.\"\n";

/// A lead with this in its `[palette]`.
fn lead(home: &Home, palette: &str) {
    agent(home, "lead", &format!("{PROMPT}[palette]\n{palette}\n"), &[says("Done.")]);
}

fn refused(home: &Home, told: &str) {
    let said = home.executus(&["run", "lead.toml"]).expect(2);
    assert!(said.stderr.contains(told), "{}", said.stderr);
    assert!(!home.db().exists(), "a run was recorded");
}

/// Agents that name each other in a circle are refused with the circle.
#[test]
fn a_circle_of_agents_is_refused() {
    let home = Home::new();
    lead(&home, "agents = [\"a.toml\"]");
    agent(&home, "a", &format!("{PROMPT}[palette]\nagents = [\"b.toml\"]\n"), &[]);
    agent(&home, "b", &format!("{PROMPT}[palette]\nagents = [\"./a.toml\"]\n"), &[]);
    refused(&home, "agents go in a circle: a.toml › b.toml › ./a.toml");
    agent(&home, "b", &format!("{PROMPT}[palette]\nagents = [\"lead.toml\"]\n"), &[]);
    refused(&home, "agents go in a circle: lead.toml › a.toml › b.toml › lead.toml");
}

/// Two may name the same agent.
#[test]
fn a_diamond_of_agents_is_none() {
    let home = Home::new();
    lead(&home, "agents = [\"a.toml\", \"b.toml\"]");
    for name in ["a", "b"] {
        agent(&home, name, &format!("{PROMPT}[palette]\nagents = [\"c.toml\"]\n"), &[]);
    }
    agent(&home, "c", PROMPT, &[]);
    home.executus(&["run", "lead.toml"]).expect(0);
}

#[test]
fn what_is_wrong_with_a_skill_is_told_with_its_place() {
    let home = Home::new();
    skill(&home, "notes");
    lead(&home, "skills = [\"skills/none\"]");
    refused(&home, "skills/none:1: cannot be read: No such file");
    refused(&home, "help: `skills` in lead.toml names it");
    lead(&home, "skills = [\"skills\"]");
    home.file("skills/notes/SKILL.md", "---\nname: notes\ndescription: a: b\n---\nDo.\n");
    refused(&home, "skills/notes/SKILL.md:3: not valid YAML: mapping values");
    std::fs::remove_dir_all(home.path().join("skills/notes")).unwrap();
    refused(&home, "lead.toml: there is no skill in skills");
}

#[test]
fn what_is_wrong_with_an_agent_is_told() {
    let home = Home::new();
    lead(&home, "agents = [\"none.toml\"]");
    refused(&home, "none.toml: cannot be read: No such file");
    lead(&home, "agents = [\"a.toml\"]");
    home.file("a.toml", "kind = \"agent\"\nname = \"a\"\nmodel = \"scripted:x\"\nprompt = \"x\"\n");
    refused(&home, "a.toml: an agent needs a `description`");
    home.file(
        "a.toml",
        "kind = \"agent\"\nname = \"a\"\ndescription = \"\"\nmodel = \"a:b\"\nprompt = \"x\"\n",
    );
    refused(&home, "a.toml:3:15: `description` is empty");
    agent(&home, "a", PROMPT, &[]);
    std::fs::remove_file(home.path().join("a.jsonl")).unwrap();
    refused(&home, "a.jsonl");
    agent(&home, "a", &format!("{PROMPT}[tiers]\nsmall = \"openai:x\"\n"), &[]);
    refused(&home, "OPENAI_API_KEY");
    agent(&home, "a", PROMPT, &[]);
    home.file("b.toml", &std::fs::read_to_string(home.path().join("a.toml")).unwrap());
    lead(&home, "agents = [\"a.toml\", \"b.toml\"]");
    refused(&home, "two agents are called `a`; give one of them another name");
    let text = std::fs::read_to_string(home.path().join("a.toml")).unwrap();
    home.file("a.toml", &text.replace("name = \"a\"", "name = \"lead\""));
    lead(&home, "agents = [\"a.toml\"]");
    refused(&home, "an agent is called `lead`, like the file itself");
    home.file("a.toml", &text.replace("name = \"a\"", "name = \"a b\""));
    refused(&home, "the agent `a b` makes no name of a tool");
}
