//! What a child reads.

use executus_core::Template;
use executus_process::{Answer, ProcessTool, Task};
use serde_json::json;

use crate::support::{call, message, much, tool};

fn text(answer: Answer) -> String {
    match answer {
        Answer::Text(text) => text,
        other => panic!("expected a text, found {other:?}"),
    }
}

#[tokio::test]
async fn an_input_is_read_to_its_end() {
    let output = Task::new("cat").input("one\ntwo").run().await.unwrap();
    assert_eq!(text(output.answer), "one\ntwo");
    // Whoever writes while it is read must be read meanwhile.
    let output = Task::new("cat").input(much()).run().await.unwrap();
    assert_eq!(output.stdout_bytes, 4_000_000);
    let output = Task::new("wc").args(["-c"]).input(vec![0; 1_000_000]).run().await.unwrap();
    assert_eq!(text(output.answer).trim(), "1000000");
}

#[tokio::test]
async fn without_an_input_it_is_empty() {
    assert_eq!(text(Task::new("cat").run().await.unwrap().answer), "");
    assert_eq!(text(Task::new("cat").input("").run().await.unwrap().answer), "");
}

#[tokio::test]
async fn a_small_input_need_not_be_read() {
    // It has gone into the pipe before the child is there.
    for _ in 0..20 {
        let script = ["-c", "read line; echo $line"];
        let output = Task::new("sh").args(script).input("one\ntwo\n").run().await.unwrap();
        assert_eq!(text(output.answer), "one");
    }
}

#[tokio::test]
async fn a_tool_has_an_input_with_places() {
    let reading = |argv: &[&str], input| tool(argv).input(Template::parse(input));
    let many = "{x}".repeat(40);
    let output = call(reading(&["cat"], "<{x}>"), json!({"x": "a b\n; $(id) \0"})).await;
    assert_eq!(output.unwrap().text, "<a b\n; $(id) \0>");
    let said = message(call(reading(&["true"], &many), json!({"x": "y".repeat(100_000)})).await);
    assert_eq!(said, executus_process::DROPPED);
    let unbound = reading(&["cat"], "{nobody}").build().map(|tool: ProcessTool| drop(tool));
    assert!(unbound.is_err());
}
