//! A token as text: its canonical JSON and its signature, both in base64url, with a dot between.

use std::sync::Arc;

use executus_core::Timestamp;
use serde::Deserialize;

use super::{Mac, Token, TokenError, base64url, canonical};
use crate::capability::CapabilityId;
use crate::constraint::Constraints;

/// The longest text of a token, in bytes.
pub const MAX_TOKEN_BYTES: usize = 16 * 1024;

/// The fields of a token as they are read. What is optional here, or written otherwise, does not
/// come out of [`encode`] as it went in, and is refused by that.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    ancestors: Vec<String>,
    capability_id: CapabilityId,
    constraints: Constraints,
    expires_at: Timestamp,
    issued_at: Timestamp,
    kid: String,
    principal_id: Arc<str>,
    #[serde(rename = "purpose")]
    _purpose: String,
    token_id: String,
}

pub(super) fn encode(token: &Token) -> String {
    let fields = canonical::fields(token).unwrap_or_default();
    let mut text = base64url::encode(fields.as_bytes());
    text.push('.');
    text.push_str(&base64url::encode(&token.mac.0));
    text
}

pub(super) fn decode(text: &str) -> Result<Token, TokenError> {
    let malformed = |what| move || TokenError::Malformed { what };
    if text.len() > MAX_TOKEN_BYTES {
        return Err(malformed("it is longer than 16 KiB")());
    }
    let (fields, mac) = text.split_once('.').ok_or_else(malformed("it has no dot"))?;
    let mac = base64url::decode(mac).ok_or_else(malformed("its signature is no base64url"))?;
    let mac = mac.try_into().map_err(|_| malformed("its signature is not of 32 bytes")())?;
    let fields = base64url::decode(fields).ok_or_else(malformed("it is no base64url"))?;
    let fields: Fields = serde_json::from_slice(&fields)
        .map_err(|_| malformed("its fields are not those of a token")())?;
    let token = Token {
        token_id: fields.token_id,
        kid: fields.kid,
        principal_id: fields.principal_id,
        capability_id: fields.capability_id,
        constraints: fields.constraints,
        issued_at: fields.issued_at,
        expires_at: fields.expires_at,
        ancestors: fields.ancestors,
        mac: Mac(mac),
    };
    // One text per token: another order, a space, a name given twice would be a second one.
    if encode(&token) == text {
        Ok(token)
    } else {
        Err(malformed("it is not written as tokens are")())
    }
}
