//! Why a token is refused, or not issued.

use thiserror::Error;

use crate::constraint::ConstraintError;

/// Why a token is refused, or not issued. Each has a stable [`code`](Self::code).
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TokenError {
    /// It, or one it was delegated from, was revoked.
    #[error("the token `{token_id}` was revoked; ask for another one")]
    Revoked {
        /// Which one was revoked.
        token_id: String,
    },
    /// Its time is over.
    #[error("the token expired at {expires_at}, it is {now}; ask for another one")]
    Expired {
        /// When.
        expires_at: executus_core::Timestamp,
        /// The time at which it was shown.
        now: executus_core::Timestamp,
    },
    /// Its signature is not that of its fields: it was changed or made up.
    #[error("the token's signature does not fit its fields; show it as it was issued")]
    Signature,
    /// It is signed with a key that is not, or no longer, known.
    #[error("the token is signed with the key `{kid}`, which is not known; ask for another one")]
    UnknownKey {
        /// Which key.
        kid: String,
    },
    /// It is somebody else's.
    #[error("the token is not for `{principal}`; only the principal it was issued to may show it")]
    Principal {
        /// Who showed it.
        principal: String,
    },
    /// It is for something else.
    #[error("the token is not for `{capability}`; ask for one that is")]
    Capability {
        /// What it was shown for.
        capability: String,
    },
    /// The text is no token.
    #[error("the text is no token: {what}; show it as it was issued")]
    Malformed {
        /// What is wrong with it.
        what: &'static str,
    },
    /// A delegated token would allow more than the one it is delegated from.
    #[error(
        "`{field}` would allow more than the token that is delegated; narrow it or leave it out"
    )]
    Wider {
        /// Which field or constraint.
        field: String,
    },
    /// A constraint means nothing.
    #[error(transparent)]
    Constraint(#[from] ConstraintError),
    /// It cannot be issued like this.
    #[error("no token can be issued: {field} is {found}; expected {expected}")]
    Unfit {
        /// What of it.
        field: &'static str,
        /// What it is, shortened.
        found: String,
        /// What it must be.
        expected: String,
    },
}

impl TokenError {
    /// The reason as a name that stays: `token_revoked`, `token_expired`, `token_signature`,
    /// `token_unknown_key`, `token_principal`, `token_capability`, `token_malformed`, `token_wider`,
    /// `invalid_constraint`, `token_unfit`.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Revoked { .. } => "token_revoked",
            Self::Expired { .. } => "token_expired",
            Self::Signature => "token_signature",
            Self::UnknownKey { .. } => "token_unknown_key",
            Self::Principal { .. } => "token_principal",
            Self::Capability { .. } => "token_capability",
            Self::Malformed { .. } => "token_malformed",
            Self::Wider { .. } => "token_wider",
            Self::Constraint(_) => "invalid_constraint",
            Self::Unfit { .. } => "token_unfit",
        }
    }
}
