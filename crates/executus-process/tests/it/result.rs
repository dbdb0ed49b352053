//! What a call answers.

use executus_core::ToolError;
use executus_process::strip_escapes;
use serde_json::json;

use crate::support::{call, message, script, tool};

#[tokio::test]
async fn the_text_is_standard_output_without_its_last_newline() {
    let output = script("printf 'one\\ntwo\\n'; echo careful >&2").await.unwrap();
    assert_eq!(output.text, "one\ntwo");
    assert_eq!(
        output.data.unwrap(),
        json!({"exit_code": 0, "stdout_bytes": 8, "stderr_bytes": 8, "stderr": "careful\n"})
    );
}

#[tokio::test]
async fn a_non_zero_exit_is_an_error_with_the_end_of_standard_error() {
    let said = message(script("echo fine; echo first >&2; echo worst >&2; exit 3").await);
    assert_eq!(said, "`sh` ended with exit code 3: first\nworst");
    // Some programs complain on standard output.
    assert_eq!(message(script("echo oh; exit 1").await), "`sh` ended with exit code 1: oh");
    assert_eq!(message(script("exit 1").await), "`sh` ended with exit code 1");
    let said = message(script("kill -9 $$").await);
    assert_eq!(said, "`sh` ended with signal 9 (SIGKILL)");
}

#[tokio::test]
async fn a_complaint_is_short_and_safe_to_print() {
    let said =
        message(script("seq 100000 >&2; printf '\\033[31mred\\033[0m\\n' >&2; exit 1").await);
    assert!(said.len() < 2200, "{} bytes", said.len());
    assert!(said.ends_with("\n100000\nred"), "{said}");
    let first = said.lines().nth(1).unwrap();
    assert!(first.len() >= 5, "begins in the middle of a line: {first}");
}

#[tokio::test]
async fn partial_output_with_exit_0_is_the_result() {
    assert_eq!(script("printf '{\"a\": [1,'").await.unwrap().text, "{\"a\": [1,");
}

#[tokio::test]
async fn escapes_and_broken_text_stay_in_the_result() {
    let output = script("printf '\\033]0;title\\007\\033[1mbold\\033[0m'").await.unwrap();
    assert_eq!(output.text, "\u{1b}]0;title\u{7}\u{1b}[1mbold\u{1b}[0m");
    assert_eq!(strip_escapes(&output.text), "bold");
    assert_eq!(script("printf 'a\\377b'").await.unwrap().text, "a\u{fffd}b");
}

#[tokio::test]
async fn standard_input_is_closed() {
    assert_eq!(call(tool(&["cat"]), json!({})).await.unwrap().text, "");
}

#[tokio::test]
async fn the_child_leads_a_group_of_its_own() {
    let output = script("echo $$; cut -d' ' -f5 /proc/$$/stat").await.unwrap();
    let (pid, group) = output.text.split_once('\n').unwrap();
    assert_eq!(pid, group);
}

#[tokio::test]
async fn an_early_closed_output_does_not_end_the_call() {
    let result = script("exec >&- 2>&-; sleep 0.1; exit 4").await;
    let Err(ToolError::Failed { message, retryable }) = result else { panic!("{result:?}") };
    assert_eq!((&*message, retryable), ("`sh` ended with exit code 4", false));
}
