//! A sensitive parameter reaches its tool and nothing else.

use std::path::Path;

use crate::support::{Home, Said};

const CANARY: &str = "c4n4ry-0f-th3-m1n3";

const BOOK: &str = r#"
[params]
key = { type = "string", sensitive = true, env = "BOOK_KEY" }
[[tool]]
name = "use"
kind = "process"
argv = ["sh", "-c", "echo ${#1} | tee length; echo \"key: $1\"; echo \"$1\" >&2", "sh", "{key}"]
[[tool]]
name = "fail"
kind = "process"
argv = ["sh", "-c", "echo \"bad key $1\" >&2; exit 1", "sh", "{value}"]
[tool.params]
value = { type = "string" }
[[step]]
id = "use"
description = "Use {key}"
tool = "use"
store_as = "used"
on_failure = "abort"
[[step]]
id = "fail"
description = "Fail with it"
tool = "fail"
args = { value = "{key}" }
on_failure = "abort"
failure_message = "{key} failed after {used}"
"#;

/// Prints what it gets from the environment, and the key of a provider that it knows otherwise.
const ENVIRONMENT: &str = r#"
[params]
OLLAMA_API_KEY = { type = "string", sensitive = true, env = "BOOK_KEY" }
[[tool]]
name = "print"
kind = "process"
argv = ["sh", "-c", "echo \"$OPENAI_API_KEY $BOOK_PASSWORD $BOOK_PLACE $2$3\" | tee /dev/stderr; echo ${#OPENAI_API_KEY} ${#1} > length", "sh", "{OLLAMA_API_KEY}", "gemini-c4n4ry", "-0f-th3-m1n3"]
env = ["OPENAI_API_KEY", "BOOK_PASSWORD", "BOOK_PLACE"]
effect = "read_only"
[[step]]
id = "print"
description = "Print it"
tool = "print"
store_as = "printed"
on_failure = "abort"
[output]
template = "Printed: {printed}"
"#;

#[test]
fn a_variable_that_a_tool_prints_is_in_no_file_and_no_output() {
    let home = Home::new();
    home.playbook(ENVIRONMENT);
    let mut texts = Vec::new();
    for args in [&["--json", "--record", "said.jsonl"][..], &[]] {
        let mut command = home.command();
        command.args(["run", "book.toml", "--run-id"]).arg(format!("r{}", args.len())).args(args);
        let output = command
            .env("OPENAI_API_KEY", format!("openai-{CANARY}\n"))
            .env("GEMINI_API_KEY", format!("gemini-{CANARY}"))
            .env("OLLAMA_API_KEY", format!("ollama-{CANARY}"))
            .env("BOOK_PASSWORD", format!("{CANARY} with more words"))
            .env("BOOK_PLACE", "shelf")
            .env("BOOK_KEY", "parameter")
            .env("EXECUTUS_LOG", "trace")
            .output()
            .unwrap();
        let said = Said::from(output).expect(0);
        let printed = "[redacted]\n [redacted] shelf [redacted]";
        match args {
            [] => assert_eq!(said.stdout, format!("Printed: {printed}\n")),
            _ => assert_eq!(said.last()["output"], format!("Printed: {printed}")),
        }
        texts.extend([said.stdout, said.stderr]);
        // The tool gets them, and the parameter of a variable's name is not taken for it.
        let length = std::fs::read_to_string(home.path().join("length")).unwrap();
        assert_eq!(length, format!("{} {}\n", "openai-\n".len() + CANARY.len(), "parameter".len()));
    }
    texts.push(home.executus(&["explain", "r0", "--json"]).expect(0).stdout);
    for text in &texts {
        assert!(!text.contains(CANARY) && !text.contains("more words"), "{text}");
    }
    let mut found = Vec::new();
    search(home.path(), &mut found);
    assert_eq!(found, Vec::<String>::new());
    assert!(home.path().join("said.jsonl").metadata().unwrap().len() > 0);
}

fn search(folder: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            search(&path, found);
        } else {
            let bytes = std::fs::read(&path).unwrap();
            if bytes.windows(CANARY.len()).any(|window| window == CANARY.as_bytes()) {
                found.push(path.display().to_string());
            }
        }
    }
}

#[test]
fn a_sensitive_value_is_in_no_file_and_no_output() {
    let home = Home::new();
    home.playbook(BOOK);
    let output = home
        .command()
        .args(["run", "book.toml", "--json", "--run-id", "r"])
        .env("BOOK_KEY", CANARY)
        .env("EXECUTUS_LOG", "trace")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let length = std::fs::read_to_string(home.path().join("length")).unwrap();
    assert_eq!(length.trim(), CANARY.len().to_string(), "the tool gets the value");
    let said = home.executus(&["explain", "r"]).expect(0);
    let json = home.executus(&["explain", "r", "--json"]).expect(0);
    let texts = [
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
        said.stdout,
        json.stdout,
    ];
    for text in &texts {
        assert!(!text.contains(CANARY), "{text}");
    }
    assert!(texts[3].contains("[redacted]"), "{}", texts[3]);
    let mut found = Vec::new();
    search(home.path(), &mut found);
    assert_eq!(found, Vec::<String>::new());
}
