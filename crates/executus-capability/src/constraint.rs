//! What a token narrows an invocation to.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use thiserror::Error;

mod tighten;

pub use tighten::TightenError;

/// The constraints of a token: a JSON object, signed as it stands.
///
/// Known are `max_rows` (an integer), `allowed_fields` (a list of names; an empty one lets see none),
/// `scope` (an object whose fields every row must have), and `invoke_timeout_s` (seconds per
/// attempt). One of these that is null is as good as absent. Others are kept and signed, for drivers
/// to read.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Constraints(Map<String, Value>);

/// A constraint that means nothing.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the constraint `{field}` is {found}; expected {expected}")]
pub struct ConstraintError {
    /// Which.
    pub field: &'static str,
    /// What it is, shortened.
    pub found: String,
    /// What it must be.
    pub expected: &'static str,
}

impl Constraints {
    /// The most rows.
    pub const MAX_ROWS: &'static str = "max_rows";
    /// The fields that may be seen.
    pub const ALLOWED_FIELDS: &'static str = "allowed_fields";
    /// What every row must have.
    pub const SCOPE: &'static str = "scope";
    /// Seconds per attempt.
    pub const INVOKE_TIMEOUT_S: &'static str = "invoke_timeout_s";

    const KNOWN: [&'static str; 4] =
        [Self::MAX_ROWS, Self::ALLOWED_FIELDS, Self::SCOPE, Self::INVOKE_TIMEOUT_S];

    /// These constraints.
    #[must_use]
    pub const fn new(fields: Map<String, Value>) -> Self {
        Self(fields)
    }

    /// The constraints as a JSON object.
    #[must_use]
    pub const fn fields(&self) -> &Map<String, Value> {
        &self.0
    }

    /// With this constraint.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.0.insert(name.into(), value.into());
        self
    }

    /// The most rows; `None` for no limit of the token's own.
    ///
    /// # Errors
    /// What is no whole number of at least 0.
    pub fn max_rows(&self) -> Result<Option<usize>, ConstraintError> {
        self.read(Self::MAX_ROWS, "a whole number of at least 0", |value| {
            usize::try_from(value.as_u64()?).ok()
        })
    }

    /// The fields that may be seen; `None` for all.
    ///
    /// # Errors
    /// What is no list of texts.
    pub fn allowed_fields(&self) -> Result<Option<Vec<String>>, ConstraintError> {
        self.read(Self::ALLOWED_FIELDS, "a list of names", |value| {
            value.as_array()?.iter().map(|name| name.as_str().map(str::to_owned)).collect()
        })
    }

    /// What every row must have, by field.
    ///
    /// # Errors
    /// What is no object of texts, numbers and booleans.
    pub fn scope(&self) -> Result<BTreeMap<String, Value>, ConstraintError> {
        let scope = self.read(Self::SCOPE, "an object of texts, numbers and booleans", |value| {
            let fields = value.as_object()?.iter();
            let plain =
                |value: &Value| value.is_string() || value.is_number() || value.is_boolean();
            fields
                .map(|(name, value)| plain(value).then(|| (name.clone(), value.clone())))
                .collect()
        });
        Ok(scope?.unwrap_or_default())
    }

    /// How long one attempt may take, and the gap between two chunks of a stream; `None` for no
    /// limit of the token's own.
    ///
    /// # Errors
    /// What is no number above 0, or more than a day.
    pub fn invoke_timeout(&self) -> Result<Option<Duration>, ConstraintError> {
        const DAY: f64 = 86_400.0;
        self.read(Self::INVOKE_TIMEOUT_S, "a number of seconds above 0, at most a day", |value| {
            let seconds = value.as_f64().filter(|seconds| *seconds > 0.0 && *seconds <= DAY)?;
            Duration::try_from_secs_f64(seconds).ok().filter(|limit| !limit.is_zero())
        })
    }

    /// Whether each of those that are known means something.
    ///
    /// # Errors
    /// The first that does not.
    pub fn check(&self) -> Result<(), ConstraintError> {
        self.max_rows()?;
        self.allowed_fields()?;
        self.scope()?;
        self.invoke_timeout()?;
        Ok(())
    }

    fn read<T>(
        &self,
        field: &'static str,
        expected: &'static str,
        read: impl FnOnce(&Value) -> Option<T>,
    ) -> Result<Option<T>, ConstraintError> {
        match self.0.get(field) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => read(value).map(Some).ok_or_else(|| ConstraintError {
                field,
                found: executus_core::text::bounded_to(value.to_string(), 80),
                expected,
            }),
        }
    }
}
