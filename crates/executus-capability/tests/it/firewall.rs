//! The firewall: what each mode shows of a whole result.

use executus_capability::firewall::{FirewallError, Screen, ScreenRequest, allowed_mode};
use executus_capability::handle::HandleRef;
use executus_capability::{
    Capability, CapabilityId, Constraints, Firewall, Frame, Mode, Principal, Safety,
};
use executus_core::Timestamp;
use executus_core::text::REDACTED;
use serde_json::{Map, Value, json};

/// Who asks for what, and may see what.
pub(crate) struct Asked {
    pub(crate) principal: Principal,
    pub(crate) mode: Mode,
    pub(crate) constraints: Constraints,
    capability: Capability,
    handle: HandleRef,
}

impl Asked {
    pub(crate) fn new(mode: Mode) -> Self {
        let id = CapabilityId::new("things.list").unwrap();
        Self {
            principal: Principal::user("ada"),
            mode,
            constraints: Constraints::default(),
            capability: Capability::new(id, Safety::Read, "lists things"),
            handle: HandleRef {
                id: "0123".into(),
                expires_at: Timestamp::default(),
                row_count: 1,
                bytes: 1,
            },
        }
    }

    pub(crate) fn admin(mode: Mode) -> Self {
        let new = Self::new(mode);
        Self { principal: new.principal.clone().role("admin"), ..new }
    }

    pub(crate) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.constraints = self.constraints.with(name, value);
        self
    }

    pub(crate) fn request(&self) -> ScreenRequest<'_> {
        ScreenRequest {
            mode: self.mode,
            constraints: &self.constraints,
            capability: &self.capability,
            principal: &self.principal,
            handle: Some(&self.handle),
            action_id: "act-1",
        }
    }

    pub(crate) fn shown(&self, raw: &Value) -> Frame {
        Firewall::default().screen(raw, &self.request()).unwrap()
    }
}

fn rows(count: usize) -> Value {
    (0..count)
        .map(|n| json!({"id": n, "state": if n % 3 == 0 { "open" } else { "done" }}))
        .collect()
}

const REPLACED: &str = "sensitive values were replaced";

/// FW-01
#[test]
fn raw_is_for_admins_and_others_get_a_summary_with_a_handle() {
    let raw = json!({"note": "token=abcdefgh12", "id": 7});
    let frame = Asked::new(Mode::Raw).shown(&raw);
    assert_eq!((frame.mode, frame.raw.as_ref()), (Mode::Summary, None));
    assert_eq!(frame.facts, ["id: 7", "note: token=[redacted]"]);
    assert_eq!(frame.handle.unwrap().id, "0123");

    let frame = Asked::admin(Mode::Raw).shown(&raw);
    assert_eq!((frame.mode, frame.handle), (Mode::Raw, None));
    assert_eq!(frame.raw, Some(json!({"note": "token=[redacted]", "id": 7})));
    for mode in [Mode::HandleOnly, Mode::Summary, Mode::Table] {
        assert_eq!(allowed_mode(&Principal::user("ada"), mode), mode);
    }
}

/// FW-02
#[test]
fn values_of_sensitive_fields_are_replaced() {
    for name in [
        "email",
        "phone",
        "card_number",
        "ssn",
        "social_security_number",
        "cvv",
        "credit_card",
        "password",
        "secret",
        "Email",
        "PHONE",
        "Card-Number",
        "creditCard",
        "PassWord",
    ] {
        for value in [json!("v-1"), json!(4711), json!(["v-1"]), json!({"a": "v-1"}), json!(true)] {
            let raw = json!([{"id": 1, name: value, "deep": {name: [value]}}]);
            let frame = Asked::admin(Mode::Raw).shown(&raw);
            let expected = json!([{"id": 1, name: REDACTED, "deep": {name: REDACTED}}]);
            assert_eq!(
                (frame.raw, frame.warnings.as_slice()),
                (Some(expected), &[REPLACED.into()][..])
            );
            let frame = Asked::new(Mode::Table).shown(&raw);
            assert_eq!(Value::from(frame.rows[0].clone())[name], REDACTED);
            let frame = Asked::new(Mode::Summary).shown(&raw);
            assert!(!frame.facts.concat().contains("v-1"), "{:?}", frame.facts);
            assert_eq!(frame.warnings, [REPLACED]);
        }
    }
}

/// FW-03
#[test]
fn only_the_sensitive_part_of_a_text_is_replaced_with_one_warning() {
    for (text, expected) in [
        ("to bob@example.com, twice bob@example.com", "to [redacted], twice [redacted]"),
        ("use Bearer abcdef.123456 here", "use Bearer [redacted] here"),
        ("jwt eyJhbGciOi.eyJzdWIiOi.c2ln here", "jwt [redacted] here"),
        ("api_key=12345678 here", "api_key=[redacted] here"),
        ("api_key=1234567 here", "api_key=1234567 here"),
        ("at postgres://bob:hunter2@db/x here", "at postgres://[redacted]@db/x here"),
    ] {
        let frame = Asked::admin(Mode::Raw).shown(&json!({"a": text, "b": [text]}));
        assert_eq!(frame.raw, Some(json!({"a": expected, "b": [expected]})));
        let replaced = usize::from(text != expected);
        assert_eq!(frame.warnings.len(), replaced);
        let frame = Asked::new(Mode::Summary).shown(&json!(text));
        assert_eq!(
            (frame.facts.as_slice(), frame.warnings.len()),
            (&[expected.into()][..], replaced)
        );
        let frame = Asked::new(Mode::Table).shown(&json!([{"a": text}]));
        assert_eq!(Value::from(frame.rows[0].clone()), json!({"a": expected}));
    }
}

/// FW-05
#[test]
fn a_table_has_fifty_rows_of_twenty_fields_or_fewer() {
    let wide: Map<String, Value> = (0..30).map(|n| (format!("f{n:02}"), json!(n))).collect();
    let raw: Value = (0..80).map(|_| wide.clone()).collect();
    let table = Asked::new(Mode::Table);
    let frame = table.shown(&raw);
    assert_eq!((frame.rows.len(), frame.rows[0].len()), (50, 20));
    assert_eq!(frame.rows[0].keys().next_back().unwrap(), "f19");
    assert_eq!(
        frame.warnings,
        ["50 of 80 rows are shown", "20 of up to 30 fields of a row are shown"]
    );
    assert!(frame.handle.is_some() && frame.facts.is_empty());
    for (most, shown) in [(7, 7), (0, 0), (500, 50)] {
        assert_eq!(Asked::new(Mode::Table).with("max_rows", most).shown(&raw).rows.len(), shown);
    }
    let service = Asked { principal: Principal::service("cron"), ..table };
    assert_eq!(service.shown(&raw).rows.len(), 80);
    // The same below a field, and of a list of anything.
    let frame = Asked::new(Mode::Table).shown(&json!({"total": 60, "rows": rows(60)}));
    assert_eq!(frame.rows.len(), 50);
    let frame = Asked::new(Mode::Table).shown(&json!([1, "a", [["token", "x"]]]));
    let shown: Value = frame.rows.into_iter().collect();
    assert_eq!(shown, json!([{"value": 1}, {"value": "a"}, {"value": [["token", REDACTED]]}]));
}

#[test]
fn long_values_of_a_table_are_cut_after_they_were_scrubbed() {
    let long = format!("{} token=abcdefgh12", "x".repeat(990));
    let raw = json!([{"a": long, "b": vec![1; 2000], "c": {"d": "y".repeat(2000)}, "e": [1]}]);
    let frame = Asked::new(Mode::Table).shown(&raw);
    let row = Value::from(frame.rows[0].clone());
    assert_eq!(row["a"], format!("{} token=[re…", "x".repeat(990)));
    assert_eq!(
        (&row["b"], &row["c"]),
        (&json!("[list of 2000 items]"), &json!("[object of 1 fields]"))
    );
    assert_eq!(row["e"], json!([1]));
}

/// FW-06
#[test]
fn a_summary_has_twenty_facts_and_four_thousand_characters() {
    let fields = |count: usize, len: usize| -> Value {
        let field = |n| (format!("f{n:02}"), Value::from("é".repeat(len)));
        Value::Object((0..count).map(field).collect())
    };
    let frame = Asked::new(Mode::Summary).shown(&fields(20, 10));
    assert_eq!((frame.facts.len(), frame.warnings.len()), (20, 0));
    assert_eq!(frame.facts[19], format!("f19: {}", "é".repeat(10)));

    let frame = Asked::new(Mode::Summary).shown(&fields(33, 10));
    assert_eq!(frame.facts.len(), 20);
    assert_eq!(frame.facts[18], format!("f18: {}", "é".repeat(10)));
    assert_eq!(frame.facts[19], "14 more facts are not shown");

    // 15 facts of 265 characters are 3975.
    let frame = Asked::new(Mode::Summary).shown(&fields(18, 260));
    assert_eq!(frame.facts.len(), 15);
    assert!(frame.facts.iter().all(|fact| fact.chars().count() == 265));
    assert_eq!(frame.warnings, ["3 facts do not fit into 4000 characters"]);

    let frame = Asked::new(Mode::Summary).shown(&json!("é".repeat(5000)));
    assert_eq!(frame.facts.concat().chars().count(), 4000);
    assert_eq!(frame.warnings, ["the text has 5000 characters; its beginning is shown"]);
}

#[test]
fn a_summary_tells_what_rows_have_in_common() {
    let raw = json!({"total": 80, "data": rows(80), "token": "x"});
    let frame = Asked::new(Mode::Summary).shown(&raw);
    assert_eq!(
        frame.facts,
        [
            "80 rows",
            "fields: id, state",
            "id: 80 numbers from 0 to 79",
            "state: 27 × open, 53 × done",
            "token: [redacted]",
            "total: 80",
        ]
    );
    let raw = json!([
        {"a": null, "b": true, "c": "1"}, {"b": false, "c": "2", "email": "x"}, {"c": "3", "d": [1]},
        {"c": "4", "e": {}}, {"c": "5"}, {"c": "6"}, 7,
    ]);
    assert_eq!(
        Asked::new(Mode::Summary).shown(&raw).facts,
        [
            "7 rows",
            "fields: a, b, c, email, d, e, value",
            "a: nothing",
            "b: 1 true, 1 false",
            "c: 6 texts, more than 5 different ones",
            "email: 1 sensitive values",
            "d: 1 lists",
            "e: 1 objects",
            "value: 1 numbers from 7 to 7",
        ]
    );
    for (raw, expected) in
        [(json!(null), "no result"), (json!([]), "0 rows"), (json!(5), "value: 5")]
    {
        assert_eq!(Asked::new(Mode::Summary).shown(&raw).facts, [expected]);
    }
}

/// FW-07
#[test]
fn a_raw_result_is_whole_up_to_its_cap() {
    let raw = json!({"a": "x".repeat(4001), "token": "abcdefgh12"});
    let frame = Asked::admin(Mode::Raw).shown(&raw);
    assert_eq!(frame.raw, Some(json!({"a": "x".repeat(4001), "token": REDACTED})));
    assert_eq!(frame.warnings, ["the raw result has 4030 characters", REPLACED]);
    let frame = Asked::admin(Mode::Raw).shown(&json!("x".repeat(3998)));
    assert!(frame.warnings.is_empty());

    let fits = "x".repeat((1 << 20) - 2);
    assert_eq!(Asked::admin(Mode::Raw).shown(&json!(fits)).raw, Some(json!(fits)));
    let frame = Asked::admin(Mode::Raw).shown(&json!(format!("{fits}é")));
    assert_eq!(frame.raw.unwrap().as_str().unwrap().len(), (1 << 20) - 1);
    assert_eq!(frame.warnings, ["of the raw result 1048575 bytes are shown, as text"]);
    let frame = Asked::admin(Mode::Raw).shown(&json!(vec!["x".repeat(1000); 5000]));
    assert_eq!(frame.raw.unwrap().as_str().unwrap().len(), 1 << 20);
}

#[test]
fn a_handle_alone_shows_nothing_else() {
    let asked = Asked::new(Mode::HandleOnly);
    let frame = asked.shown(&rows(3));
    assert!(frame.handle.is_some() && frame.is_final && frame.warnings.is_empty());
    assert!(frame.facts.is_empty() && frame.rows.is_empty() && frame.raw.is_none());
    let request = ScreenRequest { handle: None, ..asked.request() };
    let frame = Firewall::default().screen(&rows(3), &request).unwrap();
    assert_eq!(frame.warnings, ["the result was not kept; ask for a summary"]);
}

#[test]
fn constraints_hold_for_what_is_shown() {
    let raw = json!([
        {"id": 1, "region": "eu", "name": "Ann"}, {"id": 2, "region": "us", "name": "Bob"},
        {"id": 3, "region": "eu", "name": "Cid"}, "Eve",
    ]);
    for mode in [Mode::Summary, Mode::Table, Mode::Raw] {
        let asked = Asked::admin(mode).with("allowed_fields", vec!["region", "id"]);
        let frame = asked.with("scope", json!({"region": "eu"})).shown(&raw);
        let text = serde_json::to_string(&frame).unwrap();
        for hidden in ["Ann", "Bob", "Eve", "us", "name", "2"] {
            assert!(
                !text.replace("[\"2 rows", "[\"").contains(&format!("\"{hidden}")),
                "{hidden}: {text}"
            );
        }
        let warnings = frame.warnings.join(", ");
        assert!(warnings.contains("outside of the scope") && warnings.contains("not allowed"));
    }
    let none = Asked::new(Mode::Table).with("allowed_fields", json!([])).shown(&raw);
    assert!(none.rows.is_empty());
    let text = Asked::new(Mode::Summary).with("scope", json!({"a": 1})).shown(&json!("text"));
    assert_eq!(text.facts, ["no result"]);
    for bad in [json!({"max_rows": -1}), json!({"scope": []}), json!({"allowed_fields": "id"})] {
        let constraints: Constraints = serde_json::from_value(bad).unwrap();
        let asked = Asked { constraints, ..Asked::new(Mode::Table) };
        for error in [
            Firewall::default().screen(&raw, &asked.request()).map(|_| ()).unwrap_err(),
            Firewall::default().chunks(&asked.request()).map(|_| ()).unwrap_err(),
        ] {
            assert_eq!(error.code(), "invalid_constraint");
        }
    }
    assert_eq!(FirewallError::Ended.code(), "firewall");
}
