//! Any query of a handle is a page under its constraints, or an error with a code.
#![no_main]

use std::sync::OnceLock;

use executus_capability::handle::{
    Expansion, HandleRef, HandleStore, MemoryHandles, NewHandle, Query,
};
use executus_capability::{CapabilityId, Constraints, Principal};
use executus_core::Timestamp;
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};

/// A store with one result, whose futures never wait.
fn fixture() -> &'static (MemoryHandles, HandleRef) {
    static FIXTURE: OnceLock<(MemoryHandles, HandleRef)> = OnceLock::new();
    FIXTURE.get_or_init(|| {
        let region = |n| if n % 2 == 0 { "eu" } else { "us" };
        let row = |n| {
            json!({"id": n, "region": region(n), "state": "open", "password": "Zq7Kp2Wx9Lm4",
                   "note": "is Zq7Kp2Wx9Lm4", "hidden": "H-H-H", "value": null})
        };
        let constraints = json!({
            "max_rows": 7, "scope": {"region": "eu"},
            "allowed_fields": ["id", "region", "state", "note", "password", "value"],
        });
        let new = NewHandle {
            data: (0..40).map(row).collect::<Value>().into(),
            principal_id: "ada".into(),
            capability_id: CapabilityId::new("a.b").expect("an id"),
            constraints: serde_json::from_value::<Constraints>(constraints).expect("constraints"),
            now: Timestamp::default(),
        };
        let handles = MemoryHandles::default();
        let stored = ready(handles.store(new)).expect("room");
        (handles, stored)
    })
}

fn ready<T>(future: impl Future<Output = T>) -> T {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::pin!(future).poll(&mut context) {
        std::task::Poll::Ready(value) => value,
        std::task::Poll::Pending => panic!("nothing waits here"),
    }
}

fn check(query: &Query) {
    let (handles, handle) = fixture();
    let ada = Principal::user("ada");
    let ask = Expansion { id: &handle.id, principal: Some(&ada), query, now: Timestamp::default() };
    match ready(handles.expand(&ask)) {
        Ok(page) => {
            assert!(page.rows.len() <= 7 && page.total <= 20);
            assert!(
                page.rows.iter().all(|row| row.get("region").is_none_or(|region| region == "eu"))
            );
            let text = serde_json::to_string(&page).expect("JSON");
            assert!(!text.contains("Zq7") && !text.contains("H-H-H"), "{text}");
            if let Some(next) = page.next_offset {
                assert!(next > query.offset, "paging goes on");
            }
        }
        Err(error) => {
            let code = error.code();
            let expected = ["invalid_constraint", "field_not_allowed", "scope_conflict"];
            assert!(expected.contains(&code) && error.to_string().len() < 400, "{error}");
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let Ok(value) = serde_json::from_slice::<Value>(data) else { return };
    match Query::read(&value) {
        Ok(query) => check(&query),
        Err(error) => assert!(error.to_string().len() < 300, "{error}"),
    }
    // What was not read from JSON, but deserialized.
    if let Ok(query) = serde_json::from_value::<Query>(value) {
        check(&query);
    }
});
