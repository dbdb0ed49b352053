//! Runs that delegate.

use executus_testkit::provider::{Answer, Used};
use serde_json::{Value, json};

use super::{agent, calls, examples, says, skill};
use crate::support::{Explained, Home, Scene, Way};

const PROMPT: &str = "prompt = \"Do it.\"\n";

fn explained(home: &Home, run: &str) -> Explained {
    Explained(home.executus(&["explain", run, "--json"]).expect(0).last())
}

/// The runs below one, with their explanations.
fn children(home: &Home, parent: &str) -> Vec<Explained> {
    let runs = home.executus(&["runs", "--json"]).expect(0).json();
    let all = runs.iter().map(|run| explained(home, run["run_id"].as_str().unwrap()));
    all.filter(|run| run.run()["parent_run_id"] == parent).collect()
}

/// PL-01, PL-03: skills and agents of a file are tools of its run; an agent's run is in the same
/// database, below the one that asked.
#[test]
fn a_run_uses_skills_and_agents() {
    let home = Home::new();
    skill(&home, "notes");
    let lead = [
        calls(&[
            ("skill__notes", json!({})),
            ("skill__sql-review", json!({"file": "references/checklist.md"})),
        ]),
        calls(&[
            ("agent__helper", json!({"input": {"topic": "rain"}})),
            ("agent__book", json!({"input": {"words": "dry"}})),
        ]),
        says("The helper said it."),
    ];
    let rest = format!(
        "{PROMPT}[palette]\nskills = [\"skills/notes\", \"skills\", \"{}\"]\n\
         agents = [\"helper.toml\", \"book.toml\"]\n",
        examples()
    );
    agent(&home, "lead", &rest, &lead);
    let rest = "prompt = \"Talk of {topic}.\"\n[params]\ntopic = { type = \"string\" }\n";
    agent(&home, "helper", rest, &[says("It rains.")]);
    home.playbook(
        "description = \"Says words.\"\n[params]\nwords = { type = \"string\" }\n\
         [[tool]]\nname = \"say\"\nkind = \"process\"\nargv = [\"echo\", \"It is {words}\"]\n\
         effect = \"read_only\"\n\
         [[step]]\nid = \"say\"\ndescription = \"Say\"\ntool = \"say\"\non_failure = \"abort\"\n\
         store_as = \"said\"\n[output]\ntemplate = \"{said}!\"\n",
    );
    let said = home.executus(&["run", "lead.toml", "--run-id", "r", "--caller", "ada", "--json"]);
    let said = said.expect(0);
    assert_eq!(said.last()["output"], "The helper said it.");
    let run = explained(&home, "r");
    let calls = run.calls();
    let text = |at: usize| calls[at]["result"].to_string();
    assert!(text(0).contains("Instructions of notes."), "{}", text(0));
    assert!(text(0).contains("- references/more.md"), "{}", text(0));
    assert!(text(1).contains("NOT IN (SELECT"), "{}", text(1));
    assert!(text(2).contains("It rains."), "{}", text(2));
    assert!(text(3).contains("It is dry!"), "{}", text(3));

    let below = children(&home, "r");
    assert_eq!(below.len(), 2);
    let names: Vec<_> = below.iter().map(|run| run.run()["name"].as_str().unwrap()).collect();
    assert!(names.contains(&"helper") && names.contains(&"book"), "{names:?}");
    for child in &below {
        assert_eq!(
            (&child.run()["caller_id"], &child.run()["status"]),
            (&json!("ada"), &json!("ok"))
        );
        home.executus(&["replay", child.run()["run_id"].as_str().unwrap()]).expect(0);
    }
    home.executus(&["replay", "r"]).expect(0);
    let progress = said.stdout.lines().find(|line| line.contains("helper: It rains."));
    assert!(progress.is_some(), "{}", said.stdout);
    // The same run again is its stored result; another palette is another run.
    home.executus(&["run", "lead.toml", "--run-id", "r"]).expect(0);
    home.file("skills/notes/SKILL.md", "---\nname: notes\ndescription: Other.\n---\nOther.\n");
    home.executus(&["run", "lead.toml", "--run-id", "r"]).expect(2);
}

/// PL-04: the tier's model is asked, with the prefix before the task and the chosen tools alone; what
/// the agent does is seen from above.
#[test]
fn choices_reach_the_provider() {
    let used = |input, output| Used { input, output, ..Used::default() };
    let args = json!({
        "input": {"topic": "rain"}, "model_tier": "small", "prompt_prefix": "Be brief.", "tools": ["say"],
    });
    let scene = Scene::new(
        Way::STREAM,
        [
            Answer::calls([("agent__helper", args)]).usage(used(100, 10)),
            Answer::text("It rains.").usage(used(7, 3)),
            Answer::text("Done.").usage(used(120, 5)),
        ],
    );
    scene.agent("prompt = \"Lead.\"\n[palette]\nagents = [\"helper.toml\"]\n");
    let tool = |name: &str| {
        format!(
            "[[tool]]\nname = \"{name}\"\nkind = \"process\"\nargv = [\"echo\", \"x\"]\neffect = \"read_only\"\n"
        )
    };
    scene.home.file(
        "helper.toml",
        &format!(
            "kind = \"agent\"\nname = \"helper\"\ndescription = \"Helps.\"\nmodel = \"openai:large-model\"\n\
             prompt = \"Talk of {{topic}}.\"\n[tiers]\nsmall = \"openai:small-model\"\n\
             [params]\ntopic = {{ type = \"string\" }}\n{}{}",
            tool("say"),
            tool("shout")
        ),
    );
    let said = scene.run(&["--json"]).expect(0);
    scene.no_complaints();
    let bodies: Vec<Value> =
        scene.server.requests().iter().map(|asked| asked.body.clone()).collect();
    assert_eq!(bodies.len(), 3);
    let offered = &bodies[0]["tools"][0]["function"];
    assert_eq!(
        (&offered["name"], &offered["description"]),
        (&json!("agent__helper"), &json!("Helps."))
    );
    let properties = &offered["parameters"]["properties"];
    assert_eq!(properties["model_tier"]["enum"], json!(["small"]));
    assert_eq!(properties["tools"]["items"]["enum"], json!(["say", "shout"]));
    assert_eq!(properties["input"]["required"], json!(["topic"]));
    assert_eq!(bodies[1]["model"], "small-model");
    assert!(
        bodies[1]["messages"].to_string().contains("Be brief.\\n\\nTalk of rain."),
        "{}",
        bodies[1]
    );
    let tools = bodies[1]["tools"].as_array().unwrap();
    assert_eq!(tools.iter().map(|tool| &tool["function"]["name"]).collect::<Vec<_>>(), ["say"]);
    // Each run counts its own tokens.
    assert_eq!(said.last()["stats"]["input_tokens"], 220);
    let child = &children(&scene.home, "r")[0];
    assert_eq!(child.run()["stats"]["input_tokens"], 7);
    assert!(said.stdout.contains("helper: It rains."), "{}", said.stdout);
}

/// A run that may change nothing asks no agent that might; arguments that do not fit are the call's
/// error, and the run goes on.
#[test]
fn calls_that_are_not_made() {
    let home = Home::new();
    let lead = [
        calls(&[
            ("agent__writer", json!({})),
            ("agent__reader", json!({"input": {"n": "many"}})),
            ("agent__reader", json!({"input": {"other": 1}})),
            ("agent__reader", json!({"input": {"token": "x"}})),
            ("agent__reader", json!({"input": {"n": 2}})),
        ]),
        says("Done."),
    ];
    let rest = format!("{PROMPT}[palette]\nagents = [\"writer.toml\", \"reader.toml\"]\n");
    agent(&home, "lead", &rest, &lead);
    let tool = "[[tool]]\nname = \"write\"\nkind = \"process\"\nargv = [\"touch\", \"written\"]\n";
    agent(
        &home,
        "writer",
        &format!("{PROMPT}{tool}"),
        &[calls(&[("write", json!({}))]), says("Wrote.")],
    );
    let rest = format!(
        "{PROMPT}[params]\nn = {{ type = \"integer\" }}\n\
         token = {{ type = \"string\", sensitive = true, default = \"canary-2b2f\" }}\n"
    );
    agent(&home, "reader", &rest, &[says("Read canary-2b2f.")]);
    let said = home.executus(&["run", "lead.toml", "--run-id", "r", "--read-only"]).expect(0);
    let run = explained(&home, "r");
    let errors: Vec<_> = run.calls().iter().map(|call| call["error"].to_string()).collect();
    assert!(errors[0].contains("denied"), "{errors:?}");
    assert!(
        errors[1].contains("the parameter `n` is \\\"many\\\"; expected an integer"),
        "{errors:?}"
    );
    assert!(errors[2].contains("there is no parameter `other`"), "{errors:?}");
    assert!(errors[3].contains("`token` is not yours to give"), "{errors:?}");
    assert!(
        run.calls()[4]["result"].to_string().contains("Read [redacted]."),
        "{:?}",
        run.calls()[4]
    );
    assert!(!home.path().join("written").exists());
    assert_eq!(children(&home, "r").len(), 1);
    assert!(!said.stderr.contains("canary"), "{}", said.stderr);
}

/// An agent's capabilities have a kernel of their own, for whoever the run at the top is for.
#[test]
fn an_agent_has_its_capabilities() {
    let home = Home::new();
    let rest = format!("{PROMPT}[palette]\nagents = [\"closer.toml\"]\n");
    agent(&home, "lead", &rest, &[calls(&[("agent__closer", json!({}))]), says("Done.")]);
    let rest = format!(
        "{PROMPT}[principal]\nroles = [\"writer\"]\n\
         [policy]\njustification = \"closing tickets on request of support\"\n\
         [[tool]]\nname = \"close\"\nkind = \"process\"\n\
         argv = [\"sh\", \"-c\", \"echo closed >> closed; echo closed\"]\n\
         [[capability]]\nid = \"tickets.close\"\nsafety = \"write\"\ndrivers = [\"close\"]\n"
    );
    let script = [calls(&[("tickets__close", json!({}))]), says("Closed it.")];
    agent(&home, "closer", &rest, &script);
    home.executus(&["run", "lead.toml", "--run-id", "r", "--caller", "ada"]).expect(0);
    assert!(home.path().join("closed").exists());
    let run = explained(&home, "r");
    assert!(run.calls()[0]["result"].to_string().contains("Closed it."), "{:?}", run.calls());
    let below = children(&home, "r");
    let action = below[0].calls()[0]["action_id"].as_str().unwrap().to_owned();
    let said = home.executus(&["explain", &action, "--json"]).expect(0).last();
    assert_eq!(said["action"]["kind"], "invoke", "{said}");
}
