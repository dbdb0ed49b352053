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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    prop_compose! {
        fn some()(
            rows in proptest::option::of(0_u64..9),
            seconds in proptest::option::of(1_u64..9),
            names in proptest::option::of(proptest::sample::subsequence(vec!["a", "b", "c"], 0..=3)),
            scope in proptest::option::of(proptest::collection::btree_map("[xy]", 0_u8..2, 0..3)),
        ) -> Constraints {
            let given = [
                (Constraints::MAX_ROWS, json!(rows)), (Constraints::ALLOWED_FIELDS, json!(names)),
                (Constraints::SCOPE, json!(scope)), (Constraints::INVOKE_TIMEOUT_S, json!(seconds)),
            ];
            given.into_iter().fold(Constraints::default(), |all, (name, value)| all.with(name, value))
        }
    }

    fn at_most<T: PartialOrd>(tight: Option<T>, loose: Option<T>) -> bool {
        loose.is_none_or(|loose| tight.is_some_and(|tight| tight <= loose))
    }

    proptest! {
        #[test]
        fn both_hold(asked in some(), imposed in some()) {
            let scopes = (asked.scope().unwrap(), imposed.scope().unwrap());
            let clash = scopes.0.iter().any(|(name, value)| {
                scopes.1.get(name).is_some_and(|other| other != value)
            });
            let tight = asked.tightened(&imposed);
            prop_assert_eq!(tight.is_err(), clash);
            let Ok(tight) = tight else { return Ok(()) };
            for loose in [&asked, &imposed] {
                prop_assert!(at_most(tight.max_rows().unwrap(), loose.max_rows().unwrap()));
                prop_assert!(at_most(
                    tight.invoke_timeout().unwrap(), loose.invoke_timeout().unwrap(),
                ));
                let fields = tight.allowed_fields().unwrap();
                let within = loose.allowed_fields().unwrap().is_none_or(|loose| {
                    fields.is_some_and(|fields| fields.iter().all(|field| loose.contains(field)))
                });
                prop_assert!(within);
                let scope = tight.scope().unwrap();
                let held = loose.scope().unwrap();
                prop_assert!(held.iter().all(|(name, value)| scope.get(name) == Some(value)));
            }
            prop_assert_eq!(tight.tightened(&imposed).unwrap(), tight, "once is enough");
        }
    }

    #[test]
    fn what_means_nothing_is_not_combined() {
        let bad = Constraints::default().with("max_rows", -1);
        assert!(matches!(bad.tightened(&Constraints::default()), Err(TightenError::Constraint(_))));
        assert!(matches!(Constraints::default().tightened(&bad), Err(TightenError::Constraint(_))));
    }
}
