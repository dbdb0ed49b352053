//! The keys that sign tokens, by name.

use std::collections::BTreeMap;
use std::fmt;

use executus_core::secret::Secret;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use thiserror::Error;

use super::{Mac, Token, canonical};

/// The shortest key, in bytes.
pub const MIN_KEY_BYTES: usize = 32;
/// The longest name of a key, in bytes.
pub const MAX_KID_BYTES: usize = 64;
/// The most keys that are known at a time.
const MAX_KEYS: usize = 64;

/// A key that cannot be used. Never shows the key.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum KeyError {
    /// It is too short to be safe.
    #[error("the key `{kid}` has {bytes} bytes; expected at least {MIN_KEY_BYTES}, at random")]
    Short {
        /// Its name.
        kid: String,
        /// Its length.
        bytes: usize,
    },
    /// Its name is none.
    #[error(
        "`{kid}` is no name of a key; expected 1 to {MAX_KID_BYTES} letters, digits, `.`, `_`, `-`"
    )]
    Name {
        /// What was given, shortened.
        kid: String,
    },
    /// There is another key with this name.
    #[error("there is another key `{kid}`; a new key needs a new name")]
    Taken {
        /// Its name.
        kid: String,
    },
    /// It signs: it cannot be given up before another one does.
    #[error("the key `{kid}` is the one that signs; rotate to another one first")]
    Current {
        /// Its name.
        kid: String,
    },
    /// There are too many.
    #[error("there are {MAX_KEYS} keys; retire one whose tokens have expired")]
    Full,
}

/// The keys, one of which signs. `Debug` shows their names.
pub(super) struct Keys {
    current: String,
    known: BTreeMap<String, Hmac<Sha256>>,
}

impl Keys {
    pub(super) fn new(kid: &str, key: &Secret) -> Result<Self, KeyError> {
        let mut keys = Self { current: kid.to_owned(), known: BTreeMap::new() };
        keys.rotate(kid, key)?;
        Ok(keys)
    }

    pub(super) fn rotate(&mut self, kid: &str, key: &Secret) -> Result<(), KeyError> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if !(1..=MAX_KID_BYTES).contains(&kid.len()) || !kid.bytes().all(plain) {
            return Err(KeyError::Name { kid: super::shown(kid) });
        }
        let key = key.expose().as_bytes();
        if key.len() < MIN_KEY_BYTES {
            return Err(KeyError::Short { kid: kid.to_owned(), bytes: key.len() });
        }
        if self.known.contains_key(kid) {
            return Err(KeyError::Taken { kid: kid.to_owned() });
        }
        if self.known.len() >= MAX_KEYS {
            return Err(KeyError::Full);
        }
        // A key of any length makes one; the error is for algorithms that are choosy.
        let hmac = Hmac::new_from_slice(key)
            .map_err(|_| KeyError::Short { kid: kid.to_owned(), bytes: key.len() })?;
        self.known.insert(kid.to_owned(), hmac);
        self.current = kid.to_owned();
        Ok(())
    }

    pub(super) fn retire(&mut self, kid: &str) -> Result<bool, KeyError> {
        if kid == self.current {
            return Err(KeyError::Current { kid: kid.to_owned() });
        }
        Ok(self.known.remove(kid).is_some())
    }

    pub(super) fn current(&self) -> &str {
        &self.current
    }

    pub(super) fn knows(&self, kid: &str) -> bool {
        self.known.contains_key(kid)
    }

    /// The signature of a token's fields; `None` when its key is not known, or they are too deep.
    pub(super) fn sign(&self, token: &Token) -> Option<Mac> {
        let mut hmac = self.known.get(&token.kid)?.clone();
        hmac.update(canonical::fields(token)?.as_bytes());
        Some(Mac(hmac.finalize().into_bytes().into()))
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys")
            .field("current", &self.current)
            .field("known", &self.known.keys().collect::<Vec<_>>())
            .finish()
    }
}
