//! Two sets of constraints that both hold.

use serde_json::Value;
use thiserror::Error;

use super::{ConstraintError, Constraints};

/// Why two sets of constraints cannot both hold.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TightenError {
    /// One of them means nothing.
    #[error(transparent)]
    Constraint(#[from] ConstraintError),
    /// They want a field to have two values.
    #[error("the scope `{field}` cannot be what is asked for: another value is imposed")]
    Scope {
        /// The field.
        field: String,
    },
}

impl Constraints {
    /// These constraints and those that are imposed on them: the smaller limits, the fields that
    /// both let see, the scopes of both. Of another constraint that both have, the imposed one.
    ///
    /// # Errors
    /// [`TightenError`] for a constraint that means nothing, and for scopes that differ.
    pub fn tightened(&self, imposed: &Self) -> Result<Self, TightenError> {
        self.check()?;
        imposed.check()?;
        let mut fields = self.0.clone();
        // A limit that is absent may also be written as null.
        fields.retain(|name, value| !(value.is_null() && Self::KNOWN.contains(&name.as_str())));
        for (name, value) in &imposed.0 {
            let value = match name.as_str() {
                known if value.is_null() && Self::KNOWN.contains(&known) => continue,
                Self::MAX_ROWS => match (self.max_rows()?, imposed.max_rows()?) {
                    (Some(asked), Some(most)) => Value::from(asked.min(most)),
                    _ => value.clone(),
                },
                Self::INVOKE_TIMEOUT_S => match (self.invoke_timeout()?, imposed.invoke_timeout()?)
                {
                    (Some(asked), Some(most)) if asked <= most => continue,
                    _ => value.clone(),
                },
                Self::ALLOWED_FIELDS => match (self.allowed_fields()?, imposed.allowed_fields()?) {
                    (Some(asked), Some(mut allowed)) => {
                        allowed.retain(|field| asked.contains(field));
                        Value::from(allowed)
                    }
                    _ => value.clone(),
                },
                Self::SCOPE => {
                    let mut scope = self.scope()?;
                    for (field, value) in imposed.scope()? {
                        if scope.get(&field).is_some_and(|asked| *asked != value) {
                            return Err(TightenError::Scope { field });
                        }
                        scope.insert(field, value);
                    }
                    scope.into_iter().collect()
                }
                _ => value.clone(),
            };
            fields.insert(name.clone(), value);
        }
        Ok(Self(fields))
    }
}
