//! Names of keys: all of one namespace in one slot.

use std::fmt;
use std::sync::Arc;

use crate::error::RedisError;

/// A prefix of keys, hash-tagged: in a cluster all keys of a namespace are on one shard, so that a
/// script may touch several of them.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Namespace(Arc<str>);

impl Namespace {
    /// The longest name, in bytes.
    pub const MAX: usize = 64;

    /// A namespace of this name: letters, digits, `.`, `_`, `-`, at most [`Self::MAX`] bytes.
    ///
    /// # Errors
    /// [`RedisError::Config`] for another character, an empty name or one too long.
    pub fn new(name: &str) -> Result<Self, RedisError> {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if name.is_empty() || name.len() > Self::MAX || !name.chars().all(fits) {
            return Err(RedisError::Config {
                what: format!(
                    "{name:?} is no namespace: use 1 to {} of letters, digits, '.', '_', '-'",
                    Self::MAX
                ),
            });
        }
        Ok(Self(format!("{{{name}}}").into()))
    }

    /// The prefix of the keys of one battery: `{name}:battery:`.
    #[must_use]
    pub fn prefix(&self, battery: &str) -> String {
        format!("{}:{battery}:", self.0)
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.trim_start_matches('{').trim_end_matches('}'))
    }
}

impl fmt::Debug for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Namespace({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::Namespace;

    #[test]
    fn keys_carry_one_hash_tag() {
        let space = Namespace::new("fleet-1.eu").unwrap();
        assert_eq!(space.prefix("budget"), "{fleet-1.eu}:budget:");
        assert_eq!(space.to_string(), "fleet-1.eu");
        for bad in ["", "a{b", "a}b", "a b", "ä", &"x".repeat(65)] {
            assert!(Namespace::new(bad).is_err(), "{bad}");
        }
    }
}
