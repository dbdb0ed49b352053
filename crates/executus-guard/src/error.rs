//! Settings that mean nothing.

use thiserror::Error;

/// A setting of a guard that means nothing.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A number is out of its bounds.
    #[error("guard.{field} is {value}; give it a value from {least} to {most}")]
    Bounds {
        /// The field.
        field: &'static str,
        /// What it was set to.
        value: u64,
        /// The least it may be.
        least: u64,
        /// The most it may be.
        most: u64,
    },
    /// A pattern of hosts cannot be read.
    #[error("guard.{field}: `{pattern}` is no host; write `example.com`, `*.example.com` or `*`")]
    Host {
        /// The field.
        field: &'static str,
        /// What was written.
        pattern: String,
    },
    /// An expression cannot be read.
    #[error("guard.{field}: `{pattern}` is no expression: {message}")]
    Expression {
        /// The field.
        field: &'static str,
        /// What was written.
        pattern: String,
        /// What is wrong with it.
        message: String,
    },
    /// A file that is to be protected cannot be read.
    #[error("guard.protect: {path} cannot be read: {message}")]
    Protect {
        /// The file.
        path: String,
        /// What happened.
        message: String,
    },
}

pub(crate) fn bounded(
    field: &'static str,
    value: u64,
    least: u64,
    most: u64,
) -> Result<(), ConfigError> {
    if (least..=most).contains(&value) {
        Ok(())
    } else {
        Err(ConfigError::Bounds { field, value, least, most })
    }
}
