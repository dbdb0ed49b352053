//! Actions in one line.

use executus_audit_files::summary;
use executus_core::Call;
use executus_core::transcript::{SecretPart, SecretSlot};
use serde_json::{Value, json};

fn call(args: Value) -> Call {
    Call { name: "browser".into(), args, ..Call::default() }
}

/// AL-08
#[test]
fn every_part_of_a_summary_is_bounded() {
    let long = "x".repeat(400);
    let parts =
        |args| summary(&call(args)).split(' ').map(|p| p.chars().count()).collect::<Vec<_>>();
    let url = format!("https://e.org/{long}");
    assert_eq!(parts(json!({"action": "go", "url": url})), [2, 80]);
    assert_eq!(parts(json!({"action": "click", "selector": long})), [5, 50]);
    // With its quotes.
    assert_eq!(parts(json!({"action": "type", "text": long})), [4, 30 + 2]);
    assert_eq!(parts(json!({"action": "type", "text": long, "key": "Enter"})), [4, 20 + 2, 1, 5]);
    assert_eq!(parts(json!({"action": long, "other": long})), [30]);
    assert_eq!(
        summary(&call(json!({"action": "type", "selector": "#q", "text": "cats", "key": "Enter"}))),
        "type #q \"cats\" + Enter"
    );
}

/// AL-08
#[test]
fn a_typed_credential_shows_its_name_alone() {
    let mut typed = call(json!({"action": "type", "selector": "#p", "text": "{{password}}"}));
    typed.secrets = vec![SecretSlot {
        pointer: "/text".into(),
        parts: vec![SecretPart::Text("pre".into()), SecretPart::Secret("shop_login".into())],
    }];
    assert_eq!(summary(&typed), "type #p [credential shop_login]");
    let referred = call(json!({"action": "type", "credential": "shop_login", "text": "hunter2"}));
    assert_eq!(summary(&referred), "type [credential shop_login]");
}

#[test]
fn a_summary_is_scrubbed_before_it_is_cut() {
    let told = summary(&call(json!({"text": "api_key=sk-12345678901234567890"})));
    assert_eq!(told, "\"api_key=[redacted]\"");
    assert_eq!(summary(&call(json!({}))), "");
    assert_eq!(summary(&call(json!(["no", "object"]))), "");
}
