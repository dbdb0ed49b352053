//! Tokens: issued, verified, handed on, revoked, and refused.

use std::time::Duration;

use executus_capability::constraint::Constraints;
use executus_capability::token::{
    Delegation, Grant, KeyError, MAX_TOKEN_BYTES, Token, TokenAuthority, TokenError,
};
use executus_capability::{CapabilityId, Principal};
use executus_core::secret::Secret;
use executus_core::{Clock, Timestamp};
use serde_json::{Value, json};
use tokio::time::advance;

const KEY: &str = "0123456789abcdef0123456789abcdef";
const HOUR: Duration = Duration::from_secs(3600);
const SECOND: Duration = Duration::from_secs(1);

fn authority() -> TokenAuthority {
    let clock = Clock::starting_at(Timestamp::from_micros(1_700_000_000_000_000));
    TokenAuthority::new("k1", &Secret::new(KEY), clock).unwrap()
}

fn id(text: &str) -> CapabilityId {
    CapabilityId::new(text).unwrap()
}

fn close() -> CapabilityId {
    id("tickets.close")
}

fn ada() -> Principal {
    Principal::user("ada")
}

fn constraints(fields: Value) -> Constraints {
    serde_json::from_value(fields).unwrap()
}

fn issue(authority: &TokenAuthority, fields: Value) -> Token {
    let constraints = constraints(fields);
    authority.issue(Grant::new(&ada(), &close()).constraints(constraints).lifetime(HOUR)).unwrap()
}

fn code(authority: &TokenAuthority, token: &Token) -> &'static str {
    authority.verify(token, &ada(), &close()).map_or_else(|error| error.code(), |()| "valid")
}

/// A token with one thing changed.
fn changed(token: &Token, change: impl FnOnce(&mut Token)) -> Token {
    let mut token = token.clone();
    change(&mut token);
    token
}

/// TP-01
#[tokio::test(start_paused = true)]
async fn of_several_faults_the_first_in_order_is_told() {
    let authority = authority();
    let token = issue(&authority, json!({"max_rows": 3}));
    let bob = Principal::user("bob");
    let told = |token: &Token, who: &Principal, what: &CapabilityId| {
        authority.verify(token, who, what).map_or_else(|error| error.code(), |()| "valid")
    };
    let forged = changed(&token, |token| token.constraints = constraints(json!({"max_rows": 4})));
    assert_eq!(told(&token, &ada(), &close()), "valid");
    assert_eq!(told(&token, &ada(), &id("tickets.open")), "token_capability");
    assert_eq!(told(&token, &bob, &id("tickets.open")), "token_principal");
    assert_eq!(told(&forged, &bob, &id("tickets.open")), "token_signature");
    let unknown = changed(&forged, |token| token.kid = "k2".into());
    assert_eq!(told(&unknown, &bob, &id("tickets.open")), "token_unknown_key");
    advance(HOUR).await;
    assert_eq!(told(&forged, &bob, &id("tickets.open")), "token_expired");
    assert_eq!(told(&token, &ada(), &close()), "token_expired");
    assert!(authority.revoke(&token.token_id));
    assert_eq!(told(&forged, &bob, &id("tickets.open")), "token_revoked");
    assert_eq!(told(&unknown, &bob, &id("tickets.open")), "token_revoked");
}

/// TP-03
#[tokio::test(start_paused = true)]
async fn a_token_without_a_life_time_has_expired() {
    let authority = authority();
    let token = authority.issue(Grant::new(&ada(), &close()).lifetime(Duration::ZERO)).unwrap();
    assert_eq!(token.expires_at, token.issued_at);
    assert_eq!(code(&authority, &token), "token_expired");

    let token = authority.issue(Grant::new(&ada(), &close())).unwrap();
    assert_eq!(token.expires_at.since(token.issued_at), HOUR);
}

/// TP-03
#[tokio::test(start_paused = true)]
async fn a_token_expires_at_its_very_time() {
    let authority = authority();
    let token = issue(&authority, json!({}));
    advance(HOUR - SECOND).await;
    assert_eq!(code(&authority, &token), "valid");
    advance(SECOND - Duration::from_micros(1)).await;
    assert_eq!(code(&authority, &token), "valid");
    advance(Duration::from_micros(1)).await;
    assert_eq!(code(&authority, &token), "token_expired");
    advance(SECOND).await;
    assert_eq!(code(&authority, &token), "token_expired");
}

/// TP-04
#[tokio::test(start_paused = true)]
async fn all_tokens_of_a_principal_are_revoked_once() {
    let authority = authority();
    let tokens = [(); 3].map(|()| issue(&authority, json!({})));
    let bobs = authority.issue(Grant::new(&Principal::user("bob"), &close())).unwrap();
    assert!(authority.revoke(&tokens[0].token_id));
    assert_eq!(authority.revoke_principal("ada"), 2);
    assert_eq!(authority.revoke_principal("ada"), 0);
    assert_eq!(authority.revoke_principal("nobody"), 0);
    for token in &tokens {
        assert_eq!(code(&authority, token), "token_revoked");
    }
    authority.verify(&bobs, &Principal::user("bob"), &close()).unwrap();
    // One that is issued afterwards is not concerned, one that has expired needs no revoking.
    let later = issue(&authority, json!({}));
    assert_eq!(code(&authority, &later), "valid");
    advance(HOUR).await;
    assert_eq!(authority.revoke_principal("ada"), 0);
}

/// TP-04
#[tokio::test(start_paused = true)]
async fn a_token_is_revoked_once_and_stays_revoked() {
    let authority = authority();
    let token = issue(&authority, json!({}));
    let text = token.encode();
    assert!(authority.revoke(&token.token_id));
    assert!(!authority.revoke(&token.token_id));
    // The same token shown again, as it was or anew from its text.
    for replayed in [token, Token::decode(&text).unwrap()] {
        assert_eq!(code(&authority, &replayed), "token_revoked");
    }
    for text in ["", "nobody's", &"z".repeat(32), &"0".repeat(33)] {
        assert!(!authority.revoke(text), "{text} is no id of a token");
    }
    assert!(authority.revoke(&"0".repeat(32)), "one that another process issued");
}

/// TP-04
#[tokio::test(start_paused = true)]
async fn what_was_delegated_falls_with_what_it_came_from() {
    let authority = authority();
    let (bob, eve) = (Principal::user("bob"), Principal::user("eve"));
    let root = issue(&authority, json!({}));
    let delegate = |parent: &Token, from: &Principal, to: &Principal| {
        let constraints = Constraints::default();
        authority.delegate(Delegation { parent, from, to, constraints, lifetime: None })
    };
    let child = delegate(&root, &ada(), &bob).unwrap();
    let grandchild = delegate(&child, &bob, &eve).unwrap();
    let other = delegate(&root, &ada(), &eve).unwrap();
    assert_eq!(grandchild.ancestors, [root.token_id.clone(), child.token_id.clone()]);
    assert_eq!((root.parent(), other.parent()), (None, Some(&*root.token_id)));
    assert_eq!(authority.revoke_principal("bob"), 1);
    let told = |token: &Token, who: &Principal| authority.verify(token, who, &close());
    assert!(told(&root, &ada()).is_ok() && told(&other, &eve).is_ok());
    let by = |token: &Token| Err(TokenError::Revoked { token_id: token.token_id.clone() });
    assert_eq!(told(&child, &bob), by(&child));
    assert_eq!(told(&grandchild, &eve), by(&child));
    assert!(authority.revoke(&root.token_id));
    assert_eq!(told(&other, &eve), by(&root));
    assert_eq!(delegate(&other, &eve, &bob).unwrap_err(), by(&root).unwrap_err());
}

/// DL-09
#[tokio::test(start_paused = true)]
async fn an_edited_deadline_fails_verification() {
    let authority = authority();
    let token = issue(&authority, json!({"invoke_timeout_s": 5}));
    for edited in [json!({"invoke_timeout_s": 6}), json!({"invoke_timeout_s": 5.0}), json!({})] {
        let forged = changed(&token, |token| token.constraints = constraints(edited));
        assert_eq!(code(&authority, &forged), "token_signature");
    }
}

#[tokio::test(start_paused = true)]
async fn a_character_that_moves_to_the_next_field_is_noticed() {
    let authority = authority();
    let pipe = Principal::user("ab|c");
    let token = authority.issue(Grant::new(&pipe, &close())).unwrap();
    let moved = [
        ("ab", json!({"c": "", "x": "d"}), json!({"c": "x", "": "d"})),
        ("ab", json!({"s": ["ab", "c"]}), json!({"s": ["a", "bc"]})),
        ("ab", json!({"s": ["a,b"]}), json!({"s": ["a", "b"]})),
        ("ab", json!({"s": "a\",\"t\":\"b"}), json!({"s": "a", "t": "b"})),
        ("ab", json!({"s": "1"}), json!({"s": 1})),
        ("ab", json!({"s": null}), json!({})),
        ("ab", json!({"s": {"t": {}}}), json!({"s": {}, "t": {}})),
    ];
    let forged = changed(&token, |token| token.principal_id = "a|bc".into());
    let told = authority.verify(&forged, &Principal::user("a|bc"), &close());
    assert_eq!(told, Err(TokenError::Signature));
    for (who, before, after) in moved {
        let principal = Principal::user(who);
        let constraints_before = constraints(before);
        let token = authority
            .issue(Grant::new(&principal, &close()).constraints(constraints_before))
            .unwrap();
        let forged = changed(&token, |token| token.constraints = constraints(after));
        authority.verify(&token, &principal, &close()).unwrap();
        let told = authority.verify(&forged, &principal, &close());
        assert_eq!(told, Err(TokenError::Signature), "{:?}", forged.constraints);
    }
    // From one field into another one.
    let first = issue(&authority, json!({}));
    let forged = changed(&first, |token| token.ancestors = vec![token.token_id.clone()]);
    assert_eq!(code(&authority, &forged), "token_signature");
    let forged = changed(&first, |token| token.issued_at = token.expires_at);
    assert_eq!(code(&authority, &forged), "token_signature");
    let forged = changed(&first, |token| token.expires_at = token.expires_at.after(HOUR));
    assert_eq!(code(&authority, &forged), "token_signature");
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_rotated_still_verifies_until_it_is_retired() {
    let authority = authority();
    let old = issue(&authority, json!({}));
    authority.rotate("k2", &Secret::new(KEY.replace('0', "x"))).unwrap();
    assert_eq!(authority.current_kid(), "k2");
    let new = issue(&authority, json!({}));
    assert_eq!((old.kid.as_str(), new.kid.as_str()), ("k1", "k2"));
    assert_eq!((code(&authority, &old), code(&authority, &new)), ("valid", "valid"));
    // A signature is worth something under its own key alone.
    let forged = changed(&old, |token| token.kid = "k2".into());
    assert_eq!(code(&authority, &forged), "token_signature");
    assert_eq!(authority.retire("k2"), Err(KeyError::Current { kid: "k2".into() }));
    assert_eq!((authority.retire("k1"), authority.retire("k1")), (Ok(true), Ok(false)));
    assert_eq!((code(&authority, &old), code(&authority, &new)), ("token_unknown_key", "valid"));
    // Another authority with the same key knows the same tokens, one with another key none.
    assert_eq!(code(&self::authority(), &old), "valid");
    let stranger = TokenAuthority::random(Clock::system()).unwrap();
    assert_eq!(code(&stranger, &old), "token_expired");
}

#[tokio::test(start_paused = true)]
async fn keys_that_cannot_be_used_are_refused() {
    let clock = Clock::system();
    let new = |kid: &str, key: &str| TokenAuthority::new(kid, &Secret::new(key), clock).map(|_| ());
    assert_eq!(new("k", &KEY[1..]), Err(KeyError::Short { kid: "k".into(), bytes: 31 }));
    for kid in ["", "a b", "é", &"k".repeat(65), "a\n"] {
        assert!(matches!(new(kid, KEY), Err(KeyError::Name { .. })), "{kid:?}");
    }
    let taken = authority().rotate("k1", &Secret::new(KEY.replace('0', "x")));
    assert_eq!(taken, Err(KeyError::Taken { kid: "k1".into() }));
    let authority = authority();
    let full = (2..100).find_map(|n| authority.rotate(&format!("k{n}"), &Secret::new(KEY)).err());
    assert_eq!(full, Some(KeyError::Full));
}

#[tokio::test(start_paused = true)]
async fn neither_keys_nor_signatures_are_in_debug_output_or_errors() {
    let authority = authority();
    let token = issue(&authority, json!({}));
    let text = token.encode();
    let mac = text.rsplit('.').next().unwrap();
    let shown = [
        format!("{authority:?}"),
        format!("{token:#?}"),
        format!("{:?}", Grant::new(&ada(), &close())),
        format!("{:?}", authority.verify(&token, &Principal::user("x"), &close())),
        format!("{:?}", Token::decode(&text[1..])),
        format!("{:?}", TokenAuthority::new("k", &Secret::new("hunter2"), Clock::system())),
    ];
    for shown in shown {
        for secret in [KEY, mac, "hunter2", "mac"] {
            assert!(!shown.contains(secret), "{secret} is in {shown}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_issued_is_refused_by_name() {
    let authority = authority();
    let field = |grant: Grant<'_>| match authority.issue(grant) {
        Err(TokenError::Unfit { field, .. }) => field,
        other => panic!("{other:?}"),
    };
    let (ada, close) = (ada(), close());
    let grant = || Grant::new(&ada, &close);
    let longest = TokenAuthority::MAX_LIFETIME;
    authority.issue(grant().lifetime(longest)).unwrap();
    assert_eq!(field(grant().lifetime(longest + Duration::from_nanos(1))), "the life time");
    assert_eq!(field(grant().lifetime(Duration::MAX)), "the life time");
    for name in ["", &"x".repeat(513)] {
        assert_eq!(field(Grant::new(&Principal::user(name), &close)), "the principal's name");
    }
    let deep = (0..32).fold(json!(1), |inner, _| json!([inner]));
    let flat = deep[0].clone();
    authority.issue(grant().constraints(Constraints::default().with("x", flat))).unwrap();
    for large in [deep, json!("x".repeat(MAX_TOKEN_BYTES))] {
        let constraints = Constraints::default().with("x", large);
        assert_eq!(field(grant().constraints(constraints)), "what its constraints come to");
    }
}
