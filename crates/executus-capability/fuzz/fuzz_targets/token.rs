//! Any text is a token in its one form, or an error; and no token but the issued one is valid.
#![no_main]

use std::sync::OnceLock;

use executus_capability::constraint::Constraints;
use executus_capability::token::{Grant, Token, TokenAuthority};
use executus_capability::{CapabilityId, Principal};
use executus_core::secret::Secret;
use executus_core::{Clock, Timestamp};
use libfuzzer_sys::fuzz_target;
use serde_json::json;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

struct Fixture {
    authority: TokenAuthority,
    ada: Principal,
    close: CapabilityId,
    issued: Token,
}

fn fixture() -> &'static Fixture {
    static FIXTURE: OnceLock<Fixture> = OnceLock::new();
    FIXTURE.get_or_init(|| {
        let clock = Clock::starting_at(Timestamp::default());
        let key = Secret::new("0123456789abcdef0123456789abcdef");
        let authority = TokenAuthority::new("k1", &key, clock).expect("a key");
        let ada = Principal::user("ada");
        let close = CapabilityId::new("tickets.close").expect("an id");
        let constraints = json!({"max_rows": 5, "scope": {"region": "eu"}, "x": [1.5, null]});
        let constraints: Constraints = serde_json::from_value(constraints).expect("constraints");
        let grant = Grant::new(&ada, &close).constraints(constraints);
        let issued =
            authority.issue(grant.lifetime(TokenAuthority::MAX_LIFETIME)).expect("a token");
        Fixture { authority, ada, close, issued }
    })
}

/// base64url without padding, so that the fuzzer gets behind it.
fn base64url(bytes: &[u8]) -> String {
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let block = group.iter().fold(0_u32, |block, &byte| block << 8 | u32::from(byte));
        let block = block << (8 * (3 - group.len()));
        for place in 0..=group.len() {
            text.push(char::from(ALPHABET[(block >> (18 - 6 * place) & 63) as usize]));
        }
    }
    text
}

fn check(text: &str) {
    let Fixture { authority, ada, close, issued } = fixture();
    let Ok(token) = Token::decode(text) else { return };
    assert_eq!(token.encode(), text, "a token has one text");
    assert_eq!(Token::decode(text).as_ref(), Ok(&token));
    let valid = authority.verify(&token, ada, close).is_ok();
    assert_eq!(valid, token == *issued, "only what was issued is valid");
}

fuzz_target!(|data: &[u8]| {
    // As a text, as the fields of one, and as a change of the one that was issued.
    if let Ok(text) = std::str::from_utf8(data) {
        check(text);
    }
    let issued = fixture().issued.encode();
    check(&issued);
    let (_, mac) = issued.split_once('.').expect("a dot");
    check(&format!("{}.{mac}", base64url(data)));
    if let [at, to, insert @ ..] = data {
        let at = usize::from(*at) * issued.len() / 256;
        let to = (at + usize::from(*to)).min(issued.len());
        let insert = String::from_utf8_lossy(insert);
        check(&format!("{}{insert}{}", &issued[..at], &issued[to..]));
    }
});
