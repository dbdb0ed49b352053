//! Whatever comes, whole or in pieces: no panic, frames that are bounded, and no known secret in one.
#![no_main]

use executus_capability::firewall::{Screen, ScreenRequest};
use executus_capability::{
    Capability, CapabilityId, Constraints, Firewall, Mode, Principal, Safety,
};
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};

const SECRET: &str = "Zq7 Kp2,Wx9-Lm4";
const MODES: [Mode; 4] = [Mode::HandleOnly, Mode::Summary, Mode::Table, Mode::Raw];

fn screen(value: &Value, pieces: Option<&[Value]>) {
    let id = CapabilityId::new("a.b").expect("an id");
    let capability = Capability::new(id, Safety::Read, "");
    let principal = Principal::user("ada").role("admin");
    let constraints = Constraints::default();
    for mode in MODES {
        let request = ScreenRequest {
            mode,
            constraints: &constraints,
            capability: &capability,
            principal: &principal,
            handle: None,
            action_id: "a",
        };
        let firewall = Firewall::default();
        let mut frames = vec![firewall.screen(value, &request).expect("a frame")];
        if let Some(pieces) = pieces {
            let mut chunks = firewall.chunks(&request).expect("a stream");
            frames.extend(pieces.iter().map(|piece| chunks.push(piece, false).expect("a frame")));
            frames.push(chunks.finish().expect("a frame"));
        }
        for frame in frames {
            let text = serde_json::to_string(&frame).expect("JSON");
            assert!(text.len() < 3 << 20, "a frame is bounded");
            assert!(!text.contains(SECRET), "{mode}: {text}");
        }
    }
}

fuzz_target!(|data: &[u8]| {
    // As JSON, and as a text that has the secret somewhere, in pieces of a length.
    if let Ok(value) = serde_json::from_slice::<Value>(data) {
        screen(&json!([{"password": SECRET}, value, {"note": SECRET}]), None);
    }
    let [at, len, text @ ..] = data else { return };
    let mut text = String::from_utf8_lossy(text).into_owned();
    text.insert_str(text.floor_char_boundary(usize::from(*at)), SECRET);
    let mut pieces = vec![json!({"token": SECRET})];
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let cut = rest.ceil_char_boundary(usize::from(*len).max(1));
        pieces.push(json!(rest[..cut]));
        rest = &rest[cut..];
    }
    screen(&json!({"secret": SECRET, "text": text}), Some(&pieces));

    // However it is cut, the same comes out.
    let whole = [json!({"token": SECRET}), json!(text)];
    assert_eq!(running(&pieces), running(&whole));
});

fn running(pieces: &[Value]) -> String {
    let id = CapabilityId::new("a.b").expect("an id");
    let request = ScreenRequest {
        mode: Mode::Raw,
        constraints: &Constraints::default(),
        capability: &Capability::new(id, Safety::Read, ""),
        principal: &Principal::user("ada").role("admin"),
        handle: None,
        action_id: "a",
    };
    let mut chunks = Firewall::default().chunks(&request).expect("a stream");
    let pushed = pieces.iter().map(|piece| chunks.push(piece, false).expect("a frame").raw);
    let mut shown: Vec<_> = pushed.collect();
    shown.push(chunks.finish().expect("a frame").raw);
    shown.iter().flatten().filter_map(Value::as_str).collect()
}
