//! Secrets in every disguise that the firewall knows, and inputs made to overwhelm it.

use executus_capability::firewall::{Limits, Screen, ScreenChunks, scrub_text};
use executus_capability::handle::{Expansion, HandleStore, MemoryHandles, NewHandle, Query};
use executus_capability::{CapabilityId, Firewall, Frame, Mode};
use executus_core::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::firewall::Asked;

/// Looks like nothing: only the field that holds it tells that it is a secret.
const CANARY: &str = "Zq7 Kp2/Wx9\"Lm4,é-Tr";

pub(crate) fn base64(text: &[u8], alphabet: &[u8; 2]) -> String {
    let mut digits: Vec<u8> = (b'A'..=b'Z').chain(b'a'..=b'z').chain(b'0'..=b'9').collect();
    digits.extend(alphabet);
    let mut out = String::new();
    for group in text.chunks(3) {
        let bits = group.iter().fold(0_u32, |bits, &byte| bits << 8 | u32::from(byte));
        let bits = bits << (8 * (3 - group.len()));
        for place in 0..=group.len() {
            out.push(char::from(digits[(bits >> (18 - 6 * place) & 63) as usize]));
        }
    }
    out
}

fn percent(text: &str, all: bool) -> String {
    let plain = |byte: u8| !all && byte.is_ascii_alphanumeric();
    let one =
        |byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02x}") };
    text.bytes().map(one).collect()
}

fn escaped(text: &str) -> String {
    let quoted = Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

/// The canary in each form.
fn disguises() -> Vec<String> {
    let mut forms = vec![
        CANARY.to_owned(),
        escaped(CANARY),
        escaped(&escaped(CANARY)),
        format!("{CANARY:?}"),
        CANARY.escape_default().to_string(),
        percent(CANARY, false),
        percent(CANARY, true),
        percent(CANARY, false).replace("%20", "+"),
        percent(&escaped(CANARY), false),
    ];
    for alphabet in [b"+/", b"-_"] {
        for before in ["", "u", "u:", "usr"] {
            forms.push(base64(format!("{before}{CANARY}").as_bytes(), alphabet));
            forms.push(format!("{}==", base64(format!("{before}{CANARY}:").as_bytes(), alphabet)));
        }
        forms.push(base64(format!("{{\"x\":\"{}\"}}", escaped(CANARY)).as_bytes(), alphabet));
    }
    forms
}

/// Parts of the forms that give them away.
fn gives_away(text: &str) -> Option<String> {
    let mut parts = vec!["Kp2".to_owned(), "Wx9".to_owned(), "Lm4".to_owned(), "%4bp2".to_owned()];
    for skip in 0..3 {
        // The digits that the canary alone decides, whatever stands before it.
        let bytes = &CANARY.as_bytes()[skip..skip + 9];
        parts.push(base64(bytes, b"+/"));
        parts.push(base64(bytes, b"-_"));
    }
    parts.push(percent("Kp2/Wx9", true));
    parts.into_iter().find(|part| text.contains(part))
}

#[test]
fn every_disguise_is_looked_through() {
    for form in disguises() {
        for text in [form.clone(), format!("a {form} b"), format!("https://h/p?q={form}&x=1")] {
            let raw = json!({"password": CANARY, "note": text, text.clone(): 1, "l": [[text]]});
            for mode in [Mode::Summary, Mode::Table, Mode::Raw] {
                let frame = Asked::admin(mode).shown(&raw);
                let shown = serde_json::to_string(&frame).unwrap();
                assert_eq!(gives_away(&shown), None, "{form}: {shown}");
                assert!(shown.contains("[redacted]"));
            }
        }
    }
}

#[test]
fn errors_panics_and_debug_output_are_scrubbed() {
    #[derive(Debug)]
    #[expect(dead_code, reason = "read by Debug alone")]
    struct Config {
        user: &'static str,
        password: Option<&'static str>,
        api_key: String,
        headers: Vec<(&'static str, &'static str)>,
    }
    let config = Config {
        user: "bob",
        password: Some("hunter2 \"hunter2\""),
        api_key: "hunter2hunter2".into(),
        headers: vec![("Authorization", "Bearer hunter2hunter2")],
    };
    let nested = serde_json::to_string(&json!({"body": json!({"token": "a hunter2"}).to_string()}));
    for text in [
        "GET https://bob:hunter2@example.com/x?page=2: 500".to_owned(),
        "GET https://example.com/x?access_token=hunter2hunter2&page=2: 500".to_owned(),
        "GET https://example.com/x?q=password%3Dhunter2hunter2: 500".to_owned(),
        format!("{config:?}"),
        format!("{config:#?}"),
        format!("{:?}", format!("{config:?}")),
        format!("{:?}", json!({"password": "hunter2hunter2", "x": [{"secret": "hunter2 h"}]})),
        "panicked at 'called `Result::unwrap()` on Err(password: \"hunter2 hunter2\")'".to_owned(),
        format!("config: {}", base64(b"{\"password\":\"hunter2hunter2\"}", b"+/")),
        nested.unwrap(),
        "-----BEGIN OPENSSH PRIVATE KEY\x2d----\nhunter2\n-----END OPENSSH PRIVATE KEY\x2d----"
            .to_owned(),
    ] {
        let shown = scrub_text(&text);
        assert!(!shown.contains("hunter2") && shown.contains("[redacted]"), "{text}\n{shown}");
        assert!(!shown.contains("aHVudGVyM"), "{shown}");
    }
    let harmless = "no such file: /var/lib/data (os error 2), 3 tokens: ok, at 50%";
    assert_eq!(scrub_text(harmless), harmless);
}

#[test]
fn a_mebibyte_of_stress_is_screened() {
    let units = [
        "a",
        "=",
        "a=",
        "token:",
        "token=\"",
        "token='a' ",
        "@",
        "a@",
        "a@b.",
        "a@b.cd ",
        "://",
        "a://b:",
        "eyJ",
        "eyJ.",
        "%",
        "%4",
        "%41",
        "%25",
        "\\",
        "\\\"",
        "\\u0041",
        "+a ",
        "-----BEGIN ",
        "Bearer ",
        "aGVsbG8",
        "token:Some(",
        "é",
        " ",
        "Zq7 Kp2/Wx9\"Lm4,é-T",
    ];
    for unit in units {
        let text = unit.repeat((1 << 20) / unit.len());
        let raw = json!({"password": CANARY, "note": text});
        let frame = Asked::admin(Mode::Raw).shown(&raw);
        // What is cut is text, in which each quote and backslash takes two bytes.
        assert!(serde_json::to_string(&frame).unwrap().len() <= (2 << 20) + 1000);
    }
}

#[test]
fn frames_are_bounded_whatever_comes() {
    let names: Value = (0..50_000)
        .map(|n| (format!("name{n}"), json!(n)))
        .collect::<serde_json::Map<_, _>>()
        .into();
    let mut deep = json!("x");
    for _ in 0..120 {
        deep = json!({"a": [deep]});
    }
    for raw in [
        json!("x".repeat(3 << 20)),
        json!(vec!["x y\n".repeat(1000); 500]),
        json!([{"x".repeat(1 << 20): "y".repeat(1 << 20)}]),
        (0..500).map(|_| json!({"text": "x".repeat(5000), "more": "y".repeat(5000)})).collect(),
        json!(vec![json!({}); 100_000]),
        names,
        deep,
    ] {
        for (mode, most) in
            [(Mode::HandleOnly, 300), (Mode::Summary, 17_000), (Mode::Table, 300_000)]
        {
            let bytes = serde_json::to_string(&Asked::new(mode).shown(&raw)).unwrap().len();
            assert!(bytes <= most, "{mode}: {bytes}");
        }
        let bytes = serde_json::to_string(&Asked::admin(Mode::Raw).shown(&raw)).unwrap().len();
        assert!(bytes <= (1 << 21) + 1000, "{bytes}");
    }
}

/// Texts with the canary in some form, and others.
fn text() -> impl Strategy<Value = String> {
    let harmless = prop::sample::select(vec![
        "", "a", " b ", "é", "\n", "=", "x y", "\"", "\\", ",", "%", "1",
    ]);
    let form = prop::sample::select(disguises());
    let part = prop_oneof![3 => harmless.prop_map(str::to_owned), 1 => form];
    // What stands beside a form must not become part of it.
    prop::collection::vec(part, 0..6).prop_map(|parts| parts.join(" "))
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        4 => text().prop_map(Value::from),
        1 => any::<i32>().prop_map(Value::from),
        1 => prop::sample::select(vec![json!(null), json!(true), json!(1.5)]),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        let name = prop_oneof![
            4 => prop::sample::select(vec!["id", "name", "note", "value", "rows", "text", "password"]).prop_map(str::to_owned),
            1 => text(),
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(name, inner, 0..6)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// A value that names the canary as a secret somewhere.
fn planted() -> impl Strategy<Value = Value> {
    let field = prop::sample::select(vec!["password", "token", "Cookie", "client_secret"]);
    (value(), field, 0_u8..3).prop_map(|(value, field, how)| match how {
        0 => json!({"a": value, field: CANARY}),
        1 => json!([value, {field: {"deep": [CANARY]}}]),
        _ => json!({"rows": [{"x": value}, {"name": field, "value": CANARY}], "n": 2}),
    })
}

fn shown(frame: &Frame) -> String {
    serde_json::to_string(frame).unwrap()
}

proptest! {
    #[test]
    fn no_canary_is_in_any_frame(raw in planted(), fields in prop::option::of(0_u8..2)) {
        for mode in [Mode::HandleOnly, Mode::Summary, Mode::Table, Mode::Raw] {
            let mut asked = Asked::admin(mode);
            match fields {
                Some(0) => asked = asked.with("allowed_fields", vec!["value", "x", "a"]),
                Some(_) => asked = asked.with("scope", json!({"name": "password"})),
                None => {}
            }
            let shown = shown(&asked.shown(&raw));
            prop_assert_eq!(gives_away(&shown), None, "{}", shown);
        }
    }

    #[test]
    fn no_canary_is_on_any_page(raw in planted(), limit in 1_u64..4, filter in prop::option::of(value())) {
        let handles = MemoryHandles::default();
        let asked = Asked::new(Mode::Summary);
        let new = NewHandle {
            data: raw.into(),
            principal_id: "ada".into(),
            capability_id: CapabilityId::new("a.b").unwrap(),
            constraints: asked.constraints.clone(),
            now: Timestamp::default(),
        };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let handle = handles.store(new).await.unwrap();
            let mut query = Query { limit: Some(limit), ..Query::default() };
            if let Some(filter) = filter {
                query.filter.insert("name".into(), filter);
            }
            loop {
                let ask = Expansion {
                    id: &handle.id,
                    principal: Some(&asked.principal),
                    query: &query,
                    now: Timestamp::default(),
                };
                let Ok(page) = handles.expand(&ask).await else { return Ok(()) };
                let text = serde_json::to_string(&page).unwrap();
                prop_assert_eq!(gives_away(&text), None, "{}", text);
                prop_assert_eq!(Firewall::default().page(page.clone()).unwrap().rows, page.rows);
                let Some(next) = page.next_offset else { return Ok(()) };
                query.offset = next;
            }
        })?;
    }

    #[test]
    fn no_canary_is_in_a_stream(pieces in prop::collection::vec(value(), 0..6), first in planted()) {
        for mode in [Mode::Summary, Mode::Table, Mode::Raw] {
            let asked = Asked::admin(mode);
            let mut chunks = Firewall::default().chunks(&asked.request()).unwrap();
            let mut text = shown(&chunks.push(&first, false).unwrap());
            for piece in &pieces {
                text += &shown(&chunks.push(piece, false).unwrap());
            }
            text += &shown(&chunks.finish().unwrap());
            prop_assert_eq!(gives_away(&text), None, "{}", text);
        }
    }

    #[test]
    fn no_canary_is_in_a_running_text_however_it_is_cut(
        text in text(),
        mut cuts in prop::collection::vec(0_usize..400, 0..30),
        field in prop::option::of(prop::sample::select(vec!["delta", "text"])),
    ) {
        cuts.sort_unstable();
        let raw = Asked::admin(Mode::Raw);
        let run = |cuts: &[usize]| {
            let limits = Limits { held_bytes: 1000, ..Limits::default() };
            let mut chunks = Firewall::new(limits).chunks(&raw.request()).unwrap();
            chunks.push(&json!({"password": CANARY}), false).unwrap();
            let mut out = String::new();
            let mut from = 0;
            let mut push = |chunks: &mut dyn ScreenChunks, piece: &str, last| {
                let piece = field.map_or(json!(piece), |field| json!({field: piece}));
                let raw = chunks.push(&piece, last).unwrap().raw.unwrap_or_default();
                let part = field.map_or(&raw, |field| &raw[field]);
                out.push_str(part.as_str().unwrap_or_default());
            };
            for &cut in cuts {
                let cut = text.floor_char_boundary(cut.min(text.len()));
                push(&mut *chunks, &text[from..cut], false);
                from = cut;
            }
            push(&mut *chunks, &text[from..], true);
            out
        };
        let whole = run(&[]);
        prop_assert_eq!(gives_away(&whole), None, "{}", whole);
        prop_assert_eq!(run(&cuts), whole);
    }
}
