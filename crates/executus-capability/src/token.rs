//! Tokens: what a policy's decision becomes, so that it can be shown later and not be changed.

use std::fmt;
use std::sync::Arc;

use executus_core::Timestamp;
use executus_core::text::bounded_to;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;

use crate::capability::CapabilityId;
use crate::constraint::Constraints;

mod authority;
mod base64url;
mod canonical;
mod error;
mod keys;
mod ledger;
mod narrow;
mod text;

pub use authority::{Delegation, Grant, TokenAuthority};
pub use error::TokenError;
pub use keys::{KeyError, MAX_KID_BYTES, MIN_KEY_BYTES};
pub use text::MAX_TOKEN_BYTES;

/// A signed permission: this principal may perform this capability within these constraints, until
/// this time.
///
/// It is worth something only to the [`TokenAuthority`] that signed it: its fields may be read and
/// changed by anybody, but [`verify`](TokenAuthority::verify) refuses one that was changed anywhere.
/// Its text ([`encode`](Self::encode)) is a credential, though one that serves its principal alone;
/// `Debug` shows the fields and hides the signature. Serialized, it is its text.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Token {
    /// Its own name: 128 bits, 122 of them random, as 32 hexadecimal digits.
    pub token_id: String,
    /// Which key signed it.
    pub kid: String,
    /// Who may show it.
    pub principal_id: Arc<str>,
    /// What it is for.
    pub capability_id: CapabilityId,
    /// What it narrows an invocation to.
    pub constraints: Constraints,
    /// Since when it is valid.
    pub issued_at: Timestamp,
    /// When it is valid no longer: at this very microsecond it is not.
    pub expires_at: Timestamp,
    /// The tokens it was delegated from, the first one first; empty for one that was granted.
    pub ancestors: Vec<String>,
    pub(crate) mac: Mac,
}

impl Token {
    /// The token it was delegated from; `None` for one that was granted.
    #[must_use]
    pub fn parent(&self) -> Option<&str> {
        self.ancestors.last().map(String::as_str)
    }

    /// The token as text: base64url without padding, fit for a header or an address. A token that
    /// was issued has one text, which [`decode`](Self::decode) reads back.
    ///
    /// A token whose fields were changed so that it is too large or too deep to be one gives a text
    /// that no longer decodes.
    #[must_use]
    pub fn encode(&self) -> String {
        text::encode(self)
    }

    /// The token that a text stands for.
    ///
    /// It reads what [`encode`](Self::encode) wrote and nothing else: no padding, no other alphabet,
    /// no spaces, no second form of the same token. It does not verify.
    ///
    /// # Errors
    /// [`TokenError::Malformed`].
    pub fn decode(text: &str) -> Result<Self, TokenError> {
        text::decode(text)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("token_id", &self.token_id)
            .field("kid", &self.kid)
            .field("principal_id", &self.principal_id)
            .field("capability_id", &self.capability_id)
            .field("constraints", &self.constraints)
            .field("issued_at", &self.issued_at)
            .field("expires_at", &self.expires_at)
            .field("ancestors", &self.ancestors)
            .finish_non_exhaustive()
    }
}

impl From<Token> for String {
    fn from(token: Token) -> Self {
        token.encode()
    }
}

impl TryFrom<String> for Token {
    type Error = TokenError;

    fn try_from(text: String) -> Result<Self, TokenError> {
        Self::decode(&text)
    }
}

/// A signature: HMAC-SHA256. It is compared in a time that does not tell where two differ.
#[derive(Clone, Copy)]
pub(crate) struct Mac(pub(crate) [u8; 32]);

impl PartialEq for Mac {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

/// A text in a message: on one line and not long.
fn shown(text: &str) -> String {
    bounded_to(text.escape_debug().to_string(), 80)
}
