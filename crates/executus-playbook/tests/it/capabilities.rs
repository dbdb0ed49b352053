//! Capabilities, their principal and their policy, as a file says them.

use executus_core::Effect;
use executus_playbook::capability::{ModeDef, SafetyDef, SensitivityDef};
use executus_playbook::{Body, RunFile, StepKind};
use std::time::Duration;

use crate::bad_files::{HERE, refused};

/// A file whose every line is one of a kind, up to its capabilities.
const GOOD: &str = r#"kind = "agent"
name = "support"
model = "a:b"
prompt = "Close it."

[principal]
id = "ada"
kind = "service"
roles = ["reader", "writer"]
attributes = { tenant = "acme" }

[policy]
rules = "policy.toml"
justification = "closing tickets on request"
budget_tokens = 5000
invoke_timeout = "20s"
denial_ends_run = true
search = true

[[tool]]
name = "close_ticket"
description = "Closes it"
kind = "process"
argv = ["true", "{id}"]
[tool.params]
id = { type = "string", description = "which" }

[[tool]]
name = "close_ticket_old"
kind = "process"
argv = ["false", "{id}"]
[tool.params]
id = { type = "string" }

[[tool]]
name = "look"
kind = "process"
argv = ["ls"]
effect = "read_only"

[[tool]]
name = "put"
kind = "process"
argv = ["cp"]
effect = "idempotent"

[[capability]]
id = "tickets.close"
name = "Close a ticket"
safety = "write"
sensitivity = "pii"
allowed_fields = ["id", "state"]
tags = ["tickets"]
mode = "table"
max_rows = 20
drivers = ["close_ticket", "close_ticket_old"]

[[capability]]
id = "files.list.all"
description = "Lists files"
safety = "read" # of files
drivers = ["look"]

[[capability]]
id = "files.put"
safety = "destructive"
drivers = ["put"]
idempotent = true
"#;

#[test]
fn everything_is_read() {
    let file = RunFile::parse("good.toml", GOOD).unwrap();
    let def = file.capabilities.as_ref().unwrap();
    let principal = &def.principal;
    assert_eq!(principal.id.as_deref(), Some("ada"));
    assert!(principal.is_service);
    assert_eq!(principal.roles, ["reader", "writer"]);
    assert_eq!(principal.attributes, [("tenant".to_owned(), "acme".to_owned())]);
    let policy = &def.policy;
    assert_eq!(policy.rules.as_deref(), Some("policy.toml"));
    assert_eq!(policy.justification, "closing tickets on request");
    assert_eq!(policy.budget_tokens, Some(5000));
    assert_eq!(policy.invoke_timeout, Some(Duration::from_secs(20)));
    assert!(policy.denial_ends_run && policy.search);

    let [close, list, put] = def.all.as_slice() else { panic!("{:?}", def.all) };
    assert_eq!((&*close.id, &*close.name), ("tickets.close", "Close a ticket"));
    assert_eq!((close.safety, close.sensitivity), (SafetyDef::Write, SensitivityDef::Pii));
    assert_eq!(close.allowed_fields, ["id", "state"]);
    assert_eq!((close.mode, close.max_rows), (ModeDef::Table, Some(20)));
    let drivers: Vec<_> = close.drivers.iter().map(|tool| &*tool.name).collect();
    assert_eq!(drivers, ["close_ticket", "close_ticket_old"]);
    assert_eq!(&*close.tool.name, "tickets__close");
    assert_eq!(close.tool.description, "Closes it");
    assert_eq!((close.tool.effect, close.tool.timeout), (Effect::Once, None));
    assert_eq!(close.tool.params, close.drivers[0].params);

    assert_eq!((&*list.name, &*list.tool.name), ("files.list.all", "files__list__all"));
    assert_eq!((list.mode, list.max_rows), (ModeDef::Summary, None));
    assert_eq!((&*list.tool.description, list.tool.effect), ("Lists files", Effect::ReadOnly));
    assert_eq!((put.safety, put.tool.effect), (SafetyDef::Destructive, Effect::Idempotent));

    assert_eq!(file.driven("look").map(|def| &*def.id), Some("files.list.all"));
    assert!(file.driven("files__put").is_none());
}

/// One line of the good file is replaced; message and expectation must contain these words.
#[rustfmt::skip]
const CHANGED: &[(&str, &str, &str, &str)] = &[
    // The principal.
    ("[principal]", "principal = §3\n[x]", "`principal` is an integer", "a table"),
    ("id = \"ada\"", "§ids = \"ada\"", "unknown key `ids`", "`id`"),
    ("id = \"ada\"", "id = §\"\"", "`id` is empty", "a name"),
    ("id = \"ada\"", "id = \"a§\\nb\"", "control character", "one line"),
    ("kind = \"service\"", "kind = §\"robot\"", "unknown kind `robot`", "`service`"),
    ("roles = [\"reader\", \"writer\"]", "roles = §\"reader\"", "`roles` is a text", "an array"),
    ("roles = [\"reader\", \"writer\"]", "roles = [§3]", "`roles` is an integer", "an array"),
    ("attributes = { tenant = \"acme\" }", "attributes = { tenant = §1 }", "`tenant` is an integer", "a text"),
    // The policy.
    ("rules = \"policy.toml\"", "rules = §[]", "`rules` is an array", "a file of rules"),
    ("rules = \"policy.toml\"", "§rule = \"policy.toml\"", "unknown key `rule`", "`rules`"),
    ("budget_tokens = 5000", "budget_tokens = §0", "`budget_tokens` is 0", "above zero"),
    ("budget_tokens = 5000", "budget_tokens = §9007199254740992", "`budget_tokens` is 9007199254740992", "at most"),
    ("invoke_timeout = \"20s\"", "invoke_timeout = §20", "`invoke_timeout` is an integer", "\"90s\""),
    ("invoke_timeout = \"20s\"", "invoke_timeout = §\"25h\"", "more than a day", "24h"),
    ("denial_ends_run = true", "denial_ends_run = §\"yes\"", "`denial_ends_run` is a text", "true or false"),
    // The capabilities.
    ("id = \"tickets.close\"", "id = §\"tickets\"", "`tickets` is no id", "joined by dots"),
    ("id = \"tickets.close\"", "id = §\"Tickets.close\"", "`Tickets.close` is no id", "lower-case"),
    ("id = \"tickets.close\"", "id = §\"tickets..close\"", "is no id", "segments"),
    ("id = \"tickets.close\"", "id = §\"1.close\"", "is no id", "segments"),
    ("id = \"tickets.close\"", "id = §\"a.b2345678901234567890123456789012345678901234567890123456789012\"", "is no id", "at most 64"),
    ("id = \"files.put\"", "id = §\"tickets.close\"", "a second capability is called `tickets.close`", "of its own"),
    ("id = \"files.put\"", "id = §\"files.list__all\"", "would both be the tool `files__list__all`", "differs"),
    ("name = \"Close a ticket\"", "name = §7", "`name` is an integer", "a name"),
    ("safety = \"write\"", "safety = §\"wirte\"", "unknown safety `wirte`", "`write`"),
    ("sensitivity = \"pii\"", "sensitivity = §\"high\"", "unknown sensitivity `high`", "`pci`"),
    ("allowed_fields = [\"id\", \"state\"]", "allowed_fields = [§\"\"]", "`allowed_fields` is empty", "names of fields"),
    ("mode = \"table\"", "mode = §\"list\"", "unknown mode `list`", "`handle_only`"),
    ("max_rows = 20", "max_rows = §-1", "`max_rows` is -1", "above zero"),
    ("drivers = [\"look\"]", "drivers = §[]", "`drivers` is empty", "an array of names"),
    ("drivers = [\"look\"]", "drivers = §\"look\"", "`drivers` is a text", "an array of names"),
    ("drivers = [\"look\"]", "drivers = [§\"loook\"]", "no [[tool]] is called `loook`", "`look`"),
    ("drivers = [\"look\"]", "drivers = [§\"fly\"]", "no [[tool]] is called `fly`", "close_ticket"),
    ("drivers = [\"look\"]", "drivers = [\"look\", §\"look\"]", "is there twice", "once"),
    ("drivers = [\"look\"]", "drivers = [§\"put\"]", "`put` is `idempotent`", "effect = \"read_only\""),
    ("drivers = [\"look\"]", "drivers = [§\"close_ticket\"]", "`close_ticket` is `once`", "effect = \"read_only\""),
    ("drivers = [\"put\"]", "drivers = [§\"close_ticket\"]", "`close_ticket` is `once`", "effect = \"idempotent\""),
    ("drivers = [\"put\"]", "drivers = [\"put\", \"look\", §\"close_ticket\"]", "`close_ticket` is `once`", "idempotent"),
    ("drivers = [\"close_ticket\", \"close_ticket_old\"]", "drivers = [\"close_ticket\", §\"put\"]", "`put` takes other parameters than `close_ticket`", "the same"),
    ("idempotent = true", "idempotent = §1", "`idempotent` is an integer", "true or false"),
    // Tools beside them.
    ("name = \"put\"", "name = §\"expand_handle\"", "`expand_handle` is reserved", "another name"),
    ("name = \"look\"", "name = §\"invoke_capability\"", "`invoke_capability` is reserved", "another name"),
];

#[test]
fn a_mistake_is_told_at_its_place() {
    for (line, changed, message, expected) in CHANGED {
        let marked = GOOD.replacen(&format!("\n{line}\n"), &format!("\n{changed}\n"), 1);
        assert!(marked.contains(HERE), "no line `{line}`");
        let error = refused(changed, &marked);
        assert!(error.message.contains(message), "{changed}: {error}");
        assert!(error.expected.contains(expected), "{changed}: {error}");
    }
}

#[test]
fn what_is_missing_is_told_at_its_table() {
    for (line, message) in [
        ("id = \"files.put\"", "has no `id`"),
        ("safety = \"destructive\"", "has no `safety`"),
        ("drivers = [\"put\"]", "has no `drivers`"),
    ] {
        let text = GOOD.replacen(&format!("{line}\n"), "", 1);
        let (before, last) = text.rsplit_once("[[capability]]").unwrap();
        let error = refused(line, &format!("{before}§[[capability]]{last}"));
        assert!(error.message.contains(message), "{error}");
    }
}

#[test]
fn a_policy_without_a_capability_is_refused() {
    let head = "kind = \"agent\"\nname = \"a\"\nmodel = \"a:b\"\nprompt = \"p\"\n";
    for table in ["policy", "principal"] {
        let error = refused(table, &format!("{head}[§{table}]\n"));
        assert!(error.message.contains("says nothing without a capability"), "{error}");
    }
    let error = refused("none", &format!("{head}capability = §[]\n"));
    assert!(error.message.contains("there are no capabilities"), "{error}");
}

#[test]
fn a_tool_may_not_be_called_like_a_capabilitys() {
    let clash = "[[tool]]\nname = \"files__put\"\nkind = \"process\"\nargv = [\"cp\"]\n";
    let text = format!("{}\n{clash}", GOOD.replacen("\"files.put\"", "§\"files.put\"", 1));
    let error = refused("clash", &text);
    assert!(error.message.contains("called like another tool"), "{error}");
}

const BOOK: &str = r#"kind = "playbook"
name = "book"

[policy]
denial_ends_run = true

[[tool]]
name = "look"
kind = "process"
argv = ["ls", "{folder}"]
effect = "read_only"
[tool.params]
folder = { type = "string" }

[[capability]]
id = "files.list"
safety = "read"
drivers = ["look"]

[[step]]
id = "list"
tool = "files__list"
args = { folder = "." }
on_failure = "abort"
"#;

#[test]
fn a_step_calls_a_capability_like_a_tool() {
    let file = RunFile::parse("book.toml", BOOK).unwrap();
    let Body::Playbook(book) = &file.body else { panic!() };
    let StepKind::Call { tool, args } = &book.steps[0].kind else { panic!() };
    assert_eq!((&*tool.name, args.len()), ("files__list", 1));
}

#[test]
fn a_step_cannot_pass_a_capability_by() {
    let text = BOOK.replacen("tool = \"files__list\"", "tool = §\"look\"", 1);
    let error = refused("driver", &text);
    assert_eq!(error.message, "`look` is a driver of `files.list`");
    assert!(error.expected.contains("`files__list`"), "{error}");

    let text = BOOK.replacen("folder = \".\"", "folder = \".\", §depth = 1", 1);
    let error = refused("argument", &text);
    assert!(error.message.contains("takes no argument `depth`"), "{error}");

    let text = BOOK.replacen("denial_ends_run", "§search", 1);
    let error = refused("search", &text);
    assert!(error.message.contains("`search` is for an agent"), "{error}");
}
