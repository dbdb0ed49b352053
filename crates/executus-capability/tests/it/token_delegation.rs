//! Delegation only narrows.

use std::time::Duration;

use executus_capability::constraint::Constraints;
use executus_capability::token::{Delegation, Grant, Token, TokenAuthority, TokenError};
use executus_capability::{CapabilityId, Principal};
use executus_core::{Clock, Timestamp};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

const HOUR: Duration = Duration::from_secs(3600);

fn authority() -> TokenAuthority {
    TokenAuthority::random(Clock::starting_at(Timestamp::default())).unwrap()
}

fn close() -> CapabilityId {
    CapabilityId::new("tickets.close").unwrap()
}

fn constraints(fields: Value) -> Constraints {
    serde_json::from_value(fields).unwrap()
}

fn root(authority: &TokenAuthority, fields: Value) -> Token {
    let ada = Principal::user("ada");
    authority.issue(Grant::new(&ada, &close()).constraints(constraints(fields))).unwrap()
}

/// What ada's token becomes when she hands it to bob.
fn hand_on(authority: &TokenAuthority, parent: &Token, fields: Value) -> Result<Token, TokenError> {
    authority.delegate(Delegation {
        parent,
        from: &Principal::user(parent.principal_id.clone()),
        to: &Principal::user("bob"),
        constraints: constraints(fields),
        lifetime: None,
    })
}

#[tokio::test(start_paused = true)]
async fn what_is_not_named_is_inherited_and_what_is_named_narrows() {
    let authority = authority();
    let held = json!({
        "max_rows": 10, "allowed_fields": ["a", "b"], "scope": {"region": "eu"},
        "invoke_timeout_s": 5, "other": {"x": 1},
    });
    let parent = root(&authority, held.clone());
    let same = hand_on(&authority, &parent, json!({})).unwrap();
    assert_eq!(serde_json::to_value(&same.constraints).unwrap(), held);
    assert_eq!((same.expires_at, &same.capability_id), (parent.expires_at, &close()));
    authority.verify(&same, &Principal::user("bob"), &close()).unwrap();

    let asked = json!({
        "max_rows": 0, "allowed_fields": [], "scope": {"region": "eu", "tenant": 7},
        "invoke_timeout_s": 0.5, "other": {"x": 1},
    });
    let narrow = hand_on(&authority, &parent, asked.clone()).unwrap();
    assert_eq!(serde_json::to_value(&narrow.constraints).unwrap(), asked);
}

#[tokio::test(start_paused = true)]
async fn what_would_allow_more_is_refused_by_name() {
    let authority = authority();
    let parent = root(
        &authority,
        json!({
            "max_rows": 10, "allowed_fields": ["a", "b"], "scope": {"region": "eu"},
            "invoke_timeout_s": 5, "other": 1,
        }),
    );
    for (field, wider) in [
        ("max_rows", json!(11)),
        ("max_rows", json!(null)),
        ("allowed_fields", json!(["a", "c"])),
        ("allowed_fields", json!(null)),
        ("scope", json!({})),
        ("scope", json!({"region": "us"})),
        ("scope", json!({"tenant": 7})),
        ("scope", json!(null)),
        ("invoke_timeout_s", json!(5.5)),
        ("invoke_timeout_s", json!(null)),
        ("other", json!(2)),
        ("other", json!(null)),
        ("unheard_of", json!(1)),
    ] {
        let error = hand_on(&authority, &parent, json!({field: wider})).unwrap_err();
        assert_eq!(error, TokenError::Wider { field: field.into() }, "{wider}");
    }
    for (field, bad) in [
        ("max_rows", json!(-1)),
        ("allowed_fields", json!("a")),
        ("scope", json!([])),
        ("invoke_timeout_s", json!(0)),
    ] {
        let error = hand_on(&authority, &parent, json!({field: bad})).unwrap_err();
        assert!(matches!(&error, TokenError::Constraint(error) if error.field == field));
        assert_eq!(error.code(), "invalid_constraint");
    }
    let broken = root(&authority, json!({"invoke_timeout_s": "5"}));
    let error = hand_on(&authority, &broken, json!({})).unwrap_err();
    assert_eq!(error.code(), "invalid_constraint", "it is not handed on either");
}

#[tokio::test(start_paused = true)]
async fn a_delegated_token_does_not_outlive_its_parent() {
    let authority = authority();
    let parent = root(&authority, json!({}));
    let until = |lifetime| {
        let (from, to) = (Principal::user("ada"), Principal::user("bob"));
        let (parent, constraints) = (&parent, Constraints::default());
        authority.delegate(Delegation { parent, from: &from, to: &to, constraints, lifetime })
    };
    let wider = TokenError::Wider { field: "expires_at".into() };
    assert_eq!(until(Some(HOUR)).unwrap().expires_at, parent.expires_at);
    assert_eq!(until(Some(HOUR + Duration::from_micros(1))), Err(wider.clone()));
    assert_eq!(until(Some(Duration::MAX)), Err(wider));
    tokio::time::advance(Duration::from_secs(600)).await;
    let child = until(Some(Duration::from_secs(60))).unwrap();
    assert_eq!(child.expires_at.since(child.issued_at), Duration::from_secs(60));
    tokio::time::advance(HOUR).await;
    assert_eq!(until(None).unwrap_err().code(), "token_expired");
}

#[tokio::test(start_paused = true)]
async fn only_its_principal_hands_a_token_on_and_not_for_ever() {
    let authority = authority();
    let mut token = root(&authority, json!({}));
    let mut forged = token.clone();
    forged.constraints = constraints(json!({"max_rows": 5}));
    assert_eq!(hand_on(&authority, &forged, json!({})), Err(TokenError::Signature));
    let stolen = authority.delegate(Delegation {
        parent: &token,
        from: &Principal::user("bob"),
        to: &Principal::user("bob"),
        constraints: Constraints::default(),
        lifetime: None,
    });
    assert_eq!(stolen.unwrap_err().code(), "token_principal");
    for _ in 0..TokenAuthority::MAX_DELEGATIONS {
        token = hand_on(&authority, &token, json!({})).unwrap();
    }
    let error = hand_on(&authority, &token, json!({})).unwrap_err();
    assert_eq!(error.code(), "token_unfit");
    assert!(error.to_string().contains("handed on 8 times"), "{error}");
}

fn limit() -> impl Strategy<Value = Option<Value>> {
    prop_oneof![
        Just(None),
        Just(Some(json!(null))),
        (0_u64..4).prop_map(|n| Some(json!(n))),
        Just(Some(json!(-1))),
    ]
}

fn fields() -> impl Strategy<Value = Option<Value>> {
    let some = proptest::sample::subsequence(vec!["a", "b", "c"], 0..=3);
    prop_oneof![Just(None), some.prop_map(|names| Some(json!(names)))]
}

fn scope() -> impl Strategy<Value = Option<Value>> {
    let values = proptest::collection::btree_map("[xy]", 0_u8..2, 0..3);
    prop_oneof![Just(None), values.prop_map(|scope| Some(json!(scope)))]
}

prop_compose! {
    fn some_constraints()(
        rows in limit(), fields in fields(), scope in scope(), timeout in limit(),
        other in proptest::option::of(0_u8..2),
    ) -> Value {
        let given = [
            ("max_rows", rows), ("allowed_fields", fields), ("scope", scope),
            ("invoke_timeout_s", timeout), ("other", other.map(Value::from)),
        ];
        let given = given.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
        Value::Object(given.collect::<Map<_, _>>())
    }
}

/// What a token allows, asked of it one thing at a time: so many rows, this field, a row with these
/// values, so many seconds. Written without the code under test.
fn allowed(token: &Token) -> Vec<bool> {
    let held = token.constraints.fields();
    let at_most = |name: &str, asked: f64| {
        held.get(name).and_then(Value::as_f64).is_none_or(|most| asked <= most)
    };
    let field = |name: &str| match held.get("allowed_fields") {
        Some(Value::Array(names)) => names.iter().any(|held| held == name),
        _ => true,
    };
    let row = |row: &Value| match held.get("scope") {
        Some(Value::Object(scope)) => scope.iter().all(|(name, value)| row[name] == *value),
        _ => true,
    };
    let mut allowed = Vec::new();
    for asked in 0..5 {
        allowed.push(at_most("max_rows", f64::from(asked)));
        allowed.push(at_most("invoke_timeout_s", f64::from(asked)));
    }
    allowed.extend(["a", "b", "c"].map(field));
    for x in 0..2 {
        for y in 0..2 {
            allowed.push(row(&json!({"x": x, "y": y})));
        }
    }
    for value in [json!(null), json!(0), json!(1)] {
        allowed.push(held.get("other").unwrap_or(&Value::Null) == &value);
    }
    allowed
}

proptest! {
    #[test]
    fn chains_of_delegations_only_narrow(
        first in some_constraints(), steps in proptest::collection::vec(some_constraints(), 1..8),
    ) {
        let authority = authority();
        let mut token = root(&authority, first);
        for step in steps {
            let Ok(child) = hand_on(&authority, &token, step) else { continue };
            let holds = |(child, parent): (bool, bool)| !child || parent;
            let both = allowed(&child).into_iter().zip(allowed(&token));
            prop_assert!(both.into_iter().all(holds), "{token:?} became {child:?}");
            prop_assert!(child.expires_at <= token.expires_at);
            prop_assert_eq!(&child.capability_id, &token.capability_id);
            token = child;
        }
    }
}
