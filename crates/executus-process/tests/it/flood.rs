//! More output than anybody wants.

use std::time::Duration;

use executus_core::ToolError;
use executus_process::OutputLimits;
use serde_json::json;

use crate::support::{call, limited, message, resident_kib, script, tool};

#[tokio::test]
async fn an_endless_output_is_ended_by_the_timeout_in_bounded_memory() {
    let before = resident_kib();
    let result = call(limited(&["yes"], Duration::from_millis(400)), json!({})).await;
    assert_eq!(result, Err(ToolError::Timeout { limit_ms: 400 }));
    let grown = resident_kib() - before;
    assert!(grown < 64 * 1024, "{grown} KiB more");
}

#[tokio::test]
async fn what_is_over_the_cap_is_counted_and_discarded() {
    let limits = OutputLimits { stdout: 40, stderr: 10 };
    let output = call(tool(&["seq", "1", "100000"]).output_limits(limits), json!({})).await;
    let output = output.unwrap();
    assert_eq!(output.text, "1\n2\n3\n4\n5\n… [cut, 588895 bytes in all]");
    let data = output.data.unwrap();
    assert_eq!((&data["stdout_bytes"], &data["stdout_cut"]), (&json!(588_895), &json!(true)));
}

#[tokio::test]
async fn a_flood_of_broken_text_is_no_longer_than_the_cap() {
    let limits = OutputLimits { stdout: 3000, stderr: 3000 };
    let binary = |then: &str| {
        let script = format!("head -c 5000 /dev/zero | tr '\\0' '\\377' {then}");
        call(tool(&["sh", "-c", &script]).output_limits(limits), json!({}))
    };
    let output = binary("").await.unwrap();
    assert!(output.text.ends_with("\u{fffd}… [cut, 5000 bytes in all]"), "{}", output.text);
    assert!(output.text.len() <= 3000, "{} bytes", output.text.len());
    let data = output.data.unwrap();
    assert_eq!((&data["stdout_bytes"], &data["stdout_cut"]), (&json!(5000), &json!(true)));
    // As much of it as of any other complaint.
    let said = message(binary(">&2; exit 1").await);
    assert!(said.len() < 2200, "{} bytes", said.len());
}

#[tokio::test]
async fn a_flood_on_standard_error_does_not_block_the_child() {
    let output = script("yes oops | head -c 4000000 >&2; echo out").await.unwrap();
    assert_eq!(output.text, "out");
    assert_eq!(output.data.unwrap()["stderr_bytes"], json!(4_000_000));
    let said = message(script("yes oops | head -c 4000000 >&2; echo last >&2; exit 1").await);
    assert!(said.ends_with("oops\nlast") && said.len() < 2200, "{} bytes", said.len());
}

#[tokio::test]
async fn both_outputs_are_read_at_once() {
    let output = script("seq 200000 >&2 & seq 200000; wait").await.unwrap();
    let data = output.data.unwrap();
    assert_eq!(
        (&data["stdout_bytes"], &data["stderr_bytes"]),
        (&json!(1_288_895), &json!(1_288_895))
    );
}
