//! Whether a failure speaks of a credential.

use std::fmt;

/// A failure that another credential may help against.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FailureClass {
    /// The credential is not good, or not good for this.
    Auth,
    /// It is good, and was used too much.
    RateLimit,
}

/// What programs say of a bad credential. Each begins a word.
const AUTH_WORDS: [&str; 22] = [
    "unauthorized",
    "unauthorised",
    "unauthenticated",
    "not authenticated",
    "authentication",
    "authorization",
    "auth error",
    "oauth",
    "forbidden",
    "access denied",
    "credential",
    "api key",
    "api_key",
    "api-key",
    "apikey",
    "invalid token",
    "expired token",
    "token expired",
    "token has expired",
    "not logged in",
    "log in",
    "login",
];

impl FailureClass {
    /// What a status and a text say of the credential: 401, 402, 403 and 503 that it is bad, 429
    /// that it was used too much, any other status from 400 what the text says.
    #[must_use]
    pub fn of(status: u16, text: &str) -> Option<Self> {
        match status {
            401 | 402 | 403 | 503 => Some(Self::Auth),
            429 => Some(Self::RateLimit),
            400.. if says_auth(text) => Some(Self::Auth),
            _ => None,
        }
    }

    /// Its name in records: `auth` or `rate_limit`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::RateLimit => "rate_limit",
        }
    }
}

impl fmt::Display for FailureClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

fn says_auth(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    AUTH_WORDS.iter().any(|word| {
        text.match_indices(word).any(|(at, _)| {
            !text[..at].ends_with(|before: char| before.is_alphanumeric() || before == '_')
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SP-07
    #[test]
    fn statuses_and_words_tell_of_credentials() {
        let auth = Some(FailureClass::Auth);
        for (status, text, expected) in [
            (503, "", auth),
            (401, "", auth),
            (402, "", auth),
            (403, "", auth),
            (403, "rate limit", auth),
            (429, "", Some(FailureClass::RateLimit)),
            (429, "Unauthorized", Some(FailureClass::RateLimit)),
            (500, "Error: Invalid API key · please run /login", auth),
            (500, "x-api-key missing", auth),
            (400, "OAuth token has expired", auth),
            (502, "the proxy says: Unauthorized", auth),
            (504, "AUTHENTICATION failed", auth),
            (500, "no such file", None),
            // Not a word of its own.
            (500, "the catalogin is broken, chapikeys", None),
            (500, "the author said no", None),
            (400, "", None),
            (404, "not found", None),
            (200, "unauthorized", None),
            (204, "", None),
            (301, "login", None),
            (0, "forbidden", None),
            (399, "forbidden", None),
        ] {
            assert_eq!(FailureClass::of(status, text), expected, "{status} {text}");
        }
    }
}
