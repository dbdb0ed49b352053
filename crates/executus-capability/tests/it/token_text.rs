//! The text of a token: one for each, and nothing that was changed is valid.

use std::time::Duration;

use executus_capability::constraint::Constraints;
use executus_capability::token::{Grant, MAX_TOKEN_BYTES, Token, TokenAuthority, TokenError};
use executus_capability::{CapabilityId, Principal};
use executus_core::secret::Secret;
use executus_core::{Clock, Timestamp};
use proptest::prelude::*;
use serde_json::{Value, json};

const KEY: &str = "0123456789abcdef0123456789abcdef";
const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

fn authority() -> TokenAuthority {
    let clock = Clock::starting_at(Timestamp::from_micros(1_700_000_000_000_000));
    TokenAuthority::new("k1", &Secret::new(KEY), clock).unwrap()
}

fn issue(authority: &TokenAuthority, principal: &str, constraints: Constraints) -> Token {
    let (principal, close) = (Principal::user(principal), CapabilityId::new("a.b").unwrap());
    authority.issue(Grant::new(&principal, &close).constraints(constraints)).unwrap()
}

fn sample(authority: &TokenAuthority) -> Token {
    let constraints = json!({"max_rows": 5, "scope": {"region": "eu"}, "x": [1.5, -0.0, null]});
    issue(authority, "ada", serde_json::from_value(constraints).unwrap())
}

/// The base64url of bytes, beside the code under test.
fn base64url(bytes: &[u8]) -> String {
    let bits: String = bytes.iter().map(|byte| format!("{byte:08b}")).collect();
    let digits = bits.as_bytes().chunks(6).map(|digit| {
        let digit = format!("{:0<6}", std::str::from_utf8(digit).unwrap());
        char::from(ALPHABET[usize::from_str_radix(&digit, 2).unwrap()])
    });
    digits.collect()
}

fn malformed(text: &str) -> bool {
    matches!(Token::decode(text), Err(TokenError::Malformed { .. }))
}

#[tokio::test(start_paused = true)]
async fn a_token_is_read_back_from_its_text() {
    let authority = authority();
    let token = sample(&authority);
    let text = token.encode();
    let read = Token::decode(&text).unwrap();
    assert_eq!(read, token);
    assert_eq!(read.encode(), text);
    authority.verify(&read, &Principal::user("ada"), &read.capability_id).unwrap();
    assert!(text.bytes().all(|byte| byte == b'.' || ALPHABET.contains(&byte)), "{text}");

    let json = serde_json::to_value(&token).unwrap();
    assert_eq!(json, Value::String(text));
    assert_eq!(serde_json::from_value::<Token>(json).unwrap(), token);
    assert!(serde_json::from_value::<Token>(json!("x.y")).is_err());
}

#[tokio::test(start_paused = true)]
async fn texts_that_are_not_written_so_are_refused() {
    let token = sample(&authority());
    let text = token.encode();
    let (fields, mac) = text.split_once('.').unwrap();
    assert_eq!((mac.len(), fields.len() % 4 == 1), (43, false));
    // The last digit of 32 bytes carries two bits that must be zero.
    let last = ALPHABET.iter().position(|&digit| digit == mac.as_bytes()[42]).unwrap();
    let loose = char::from(ALPHABET[last ^ 1]);
    let standard = text.replace('-', "+").replace('_', "/");
    for variant in [
        String::new(),
        ".".into(),
        "..".into(),
        fields.to_owned(),
        format!("{fields}."),
        format!(".{mac}"),
        format!("{fields}.{}", &mac[..42]),
        format!("{fields}.{}", &mac[..40]),
        format!("{fields}.{mac}A"),
        format!("{fields}.{mac}AAAA"),
        format!("{fields}.{}{loose}", &mac[..42]),
        format!("{text}="),
        format!("{fields}=.{mac}"),
        format!("{fields}==.{mac}"),
        format!("{fields}.{mac}."),
        format!("{fields}.{mac}.{mac}"),
        format!(" {text}"),
        format!("{text}\n"),
        format!("{}\n{}", &text[..76], &text[76..]),
        format!("{text}\0"),
        format!("{fields}A.{mac}"),
        format!("é{text}"),
        "A".repeat(MAX_TOKEN_BYTES + 1),
        format!("{fields}.{}", "A".repeat(MAX_TOKEN_BYTES)),
    ] {
        assert!(malformed(&variant), "{variant}");
    }
    assert!(standard == text || malformed(&standard));
}

#[tokio::test(start_paused = true)]
async fn the_same_fields_in_another_form_are_refused() {
    let token = sample(&authority());
    let text = token.encode();
    let (_, mac) = text.split_once('.').unwrap();
    let form = |json: &str| format!("{}.{mac}", base64url(json.as_bytes()));
    let json = format!(
        concat!(
            r#"{{"ancestors":[],"capability_id":"a.b","constraints":{{"max_rows":5,"#,
            r#""scope":{{"region":"eu"}},"x":[1.5,-0.0,null]}},"expires_at":{},"issued_at":{},"#,
            r#""kid":"k1","principal_id":"ada","purpose":"executus.token.1","token_id":"{}"}}"#
        ),
        token.expires_at.as_micros(),
        token.issued_at.as_micros(),
        token.token_id,
    );
    assert_eq!(form(&json), text, "the form is this one");
    for (from, to) in [
        (",", ", "),
        ("{\"anc", " {\"anc"),
        ("\"ada\"", "\"\\u0061da\""),
        ("1.5", "1.50"),
        ("1.5", "15e-1"),
        ("-0.0", "-0"),
        ("\"max_rows\":5", "\"max_rows\":5.0"),
        ("\"max_rows\":5", "\"max_rows\":1,\"max_rows\":5"),
        ("\"max_rows\":5,", ""),
        ("\"kid\":\"k1\"", "\"kid\":\"k0\",\"kid\":\"k1\""),
        ("\"ancestors\":[],", ""),
        ("\"kid\":\"k1\",", "\"kid\":\"k1\",\"more\":1,"),
        ("executus.token.1", "executus.token.2"),
        ("\"purpose\":\"executus.token.1\",", ""),
        ("\"a.b\"", "\"A.b\""),
        ("\"a.b\"", "null"),
        ("[1.5", "[1e400"),
    ] {
        let other = form(&json.replacen(from, to, 1));
        assert_ne!(other, text);
        // Either no token, or another one: never this one in a second form.
        assert!(Token::decode(&other).map_or(true, |read| read != token), "{from} as {to}");
    }
    let deep = form(&format!("{}{}", "[".repeat(5000), "]".repeat(5000)));
    assert!(malformed(&deep));
}

#[tokio::test(start_paused = true)]
async fn no_single_bit_of_the_text_can_be_changed() {
    let authority = authority();
    let token = sample(&authority);
    let text = token.encode();
    let ada = Principal::user("ada");
    let mut read_but_refused = 0;
    for at in 0..text.len() {
        for bit in 0..8 {
            let mut bytes = text.clone().into_bytes();
            bytes[at] ^= 1 << bit;
            let Ok(text) = String::from_utf8(bytes) else { continue };
            if let Ok(forged) = Token::decode(&text) {
                let told = authority.verify(&forged, &ada, &token.capability_id);
                assert!(told.is_err(), "bit {bit} of byte {at}");
                read_but_refused += 1;
            }
        }
    }
    assert!(read_but_refused > 100, "{read_but_refused} were tokens, of a signature that is none");
}

fn value() -> impl Strategy<Value = Value> {
    let plain = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    plain.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map(any::<String>(), inner, 0..4)
                .prop_map(|fields| fields.into_iter().collect()),
        ]
    })
}

fn constraints() -> impl Strategy<Value = Constraints> {
    let fields = proptest::collection::btree_map(any::<String>(), value(), 0..4);
    fields.prop_map(|fields| Constraints::new(fields.into_iter().collect()))
}

proptest! {
    #[test]
    fn every_token_is_read_back_and_valid(
        principal in "\\PC{1,20}|[\\x00-\\x7f]{1,20}", constraints in constraints(),
    ) {
        let authority = authority();
        let token = issue(&authority, &principal, constraints);
        let read = Token::decode(&token.encode()).unwrap();
        prop_assert_eq!(&read, &token);
        authority.verify(&read, &Principal::user(principal), &read.capability_id).unwrap();
    }

    #[test]
    fn no_other_text_is_the_same_token(
        place in any::<proptest::sample::Index>(), drop in 0_usize..3, put in "[A-Za-z0-9_=. -]{0,3}",
    ) {
        let token = sample(&authority());
        let text = token.encode();
        let at = place.index(text.len() + 1);
        let changed = format!("{}{put}{}", &text[..at], &text[(at + drop).min(text.len())..]);
        match Token::decode(&changed) {
            Ok(read) => {
                prop_assert_eq!(read.encode(), changed.clone());
                prop_assert_eq!(read == token, changed == text);
            }
            Err(error) => prop_assert_eq!(error.code(), "token_malformed"),
        }
    }

    #[test]
    fn any_text_is_a_token_or_an_error(text in "\\PC*|[A-Za-z0-9_-]*\\.[A-Za-z0-9_-]{43}") {
        if let Ok(token) = Token::decode(&text) {
            prop_assert_eq!(token.encode(), text);
        }
    }

    #[test]
    fn a_changed_field_is_noticed(
        which in 0_usize..8, text in "\\PC{1,8}", seconds in 1_u64..1_000_000, more in constraints(),
    ) {
        let authority = authority();
        let token = sample(&authority);
        let mut forged = token.clone();
        let later = Duration::from_secs(seconds);
        match which {
            0 => forged.token_id = text,
            1 => forged.kid.push_str(&text),
            2 => forged.principal_id = text.into(),
            3 => forged.capability_id = CapabilityId::new("a.c").unwrap(),
            4 => forged.constraints = more,
            5 => forged.issued_at = forged.issued_at.before(later),
            6 => forged.expires_at = forged.expires_at.after(later),
            _ => forged.ancestors.push(text),
        }
        prop_assume!(forged != token);
        let principal = Principal::user(forged.principal_id.clone());
        let told = authority.verify(&forged, &principal, &forged.capability_id);
        let expected = if which == 1 { "token_unknown_key" } else { "token_signature" };
        prop_assert_eq!(told.unwrap_err().code(), expected);
    }
}
