//! What a doctor finds.

use crate::support::Home;

fn states(home: &Home, args: &[&str], code: i32) -> Vec<(String, String, String)> {
    let said = home.executus(&[&["doctor", "--json"], args].concat()).expect(code);
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let of = |line: serde_json::Value| {
        let told = format!("{} {}", text(&line["text"]), text(&line["help"]));
        (text(&line["check"]), text(&line["state"]), told)
    };
    said.json().into_iter().map(of).collect()
}

/// Without anything, before the first run and after it, all is well.
#[test]
fn a_healthy_host_is_well() {
    let home = Home::new();
    let said = home.executus(&["doctor"]).expect(0);
    assert!(said.stdout.contains("made by the first run"), "{}", said.stdout);
    assert!(said.stdout.ends_with("all is well\n") || said.stdout.contains("to look at"));
    let book = home.playbook(
        "[[tool]]\nname = \"say\"\nkind = \"process\"\nargv = [\"echo\"]\n\
         [[step]]\nid = \"one\"\ntool = \"say\"\non_failure = \"abort\"\n",
    );
    home.executus(&["run", book.to_str().unwrap()]).expect(0);
    let found = states(&home, &[book.to_str().unwrap()], 0);
    assert!(found.iter().any(|(what, state, _)| what == "database" && state == "ok"), "{found:?}");
    assert!(found.iter().all(|(_, state, _)| state != "fail"), "{found:?}");
}

/// Each thing that is not there is told, with what to do, and the exit code says so.
#[test]
fn what_is_not_there_is_told() {
    let home = Home::new();
    home.file(
        "executus.toml",
        "[budget]\nstore = \"redis://127.0.0.1:1\"\n\
         [[deliver]]\nname = \"hook\"\nkind = \"webhook\"\nurl_env = \"NOT_THERE\"\n",
    );
    home.file(
        "agent.toml",
        "kind = \"agent\"\nname = \"a\"\nmodel = \"ollama:x\"\nprompt = \"p\"\n\
         [[tool]]\nname = \"t\"\nkind = \"mcp\"\ndescription = \"d\"\n\
         argv = [\"/not/there\"]\n[[deliver]]\nto = \"nobody\"\n",
    );
    home.file("broken.toml", "kind = \"agent\"\n");
    let mut command = home.command();
    command.env("OLLAMA_HOST", "127.0.0.1:1").args(["doctor", "agent.toml", "broken.toml"]);
    let said = crate::support::Said::from(command.output().unwrap()).expect(1);
    for part in [
        "fail  budget: ",
        "fail  delivery: [[deliver]] `hook`: the variable NOT_THERE is not set",
        "fail  agent.toml: [[deliver]]: there is no target `nobody`",
        "fail  model ollama:x: the model is not available",
        "fail  broken.toml: ",
        "help: ",
    ] {
        assert!(said.stdout.contains(part), "{part}\n{}", said.stdout);
    }
    let of_tools = said.stdout.lines().find(|line| line.contains("server of `t`"));
    assert!(of_tools.is_some_and(|line| line.starts_with("fail")), "{}", said.stdout);
}

/// What was given up is told.
#[test]
fn dead_letters_are_told() {
    let home = Home::new();
    home.file("taken", "");
    home.file(
        "executus.toml",
        "[outbox]\nattempts = 1\n[[deliver]]\nname = \"f\"\nkind = \"folder\"\npath = \"taken\"\n",
    );
    let book = home.playbook(
        "[[tool]]\nname = \"say\"\nkind = \"process\"\nargv = [\"echo\"]\n\
         [[step]]\nid = \"one\"\ntool = \"say\"\non_failure = \"abort\"\n",
    );
    home.executus(&["run", book.to_str().unwrap()]).expect(0);
    let found = states(&home, &[], 0);
    let outbox = found.iter().find(|(what, ..)| what == "outbox").unwrap();
    assert_eq!(outbox.1, "warn");
    assert!(outbox.2.contains("1 results were given up"), "{outbox:?}");
}
