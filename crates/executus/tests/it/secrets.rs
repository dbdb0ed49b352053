//! A sensitive parameter reaches its tool and nothing else.

use std::path::Path;

use crate::support::Home;

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
