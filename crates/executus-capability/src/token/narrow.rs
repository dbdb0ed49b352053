//! What a delegated token may be narrowed to.

use serde_json::Value;

use super::TokenError;
use crate::constraint::Constraints;

/// The constraints of a token, changed where `asked` names one; never wider than they were.
pub(super) fn narrowed(held: &Constraints, asked: &Constraints) -> Result<Constraints, TokenError> {
    let mut fields = held.fields().clone();
    for (name, value) in asked.fields() {
        if !allows(held, asked, name, value)? {
            return Err(TokenError::Wider { field: super::shown(name) });
        }
        fields.insert(name.clone(), value.clone());
    }
    let narrowed = Constraints::new(fields);
    // What was issued with a constraint that means nothing is not handed on.
    narrowed.check()?;
    Ok(narrowed)
}

/// Whether this value allows no more than what is held.
fn allows(
    held: &Constraints,
    asked: &Constraints,
    name: &str,
    value: &Value,
) -> Result<bool, TokenError> {
    Ok(match name {
        Constraints::MAX_ROWS => at_most(asked.max_rows()?, held.max_rows()?),
        Constraints::INVOKE_TIMEOUT_S => at_most(asked.invoke_timeout()?, held.invoke_timeout()?),
        Constraints::ALLOWED_FIELDS => match (asked.allowed_fields()?, held.allowed_fields()?) {
            (_, None) => true,
            (None, Some(_)) => false,
            (Some(asked), Some(held)) => asked.iter().all(|field| held.contains(field)),
        },
        Constraints::SCOPE => {
            let asked = asked.scope()?;
            held.scope()?.iter().all(|(field, value)| asked.get(field) == Some(value))
        }
        // Nobody here knows which way another one is narrower.
        _ => held.fields().get(name) == Some(value),
    })
}

/// Whether a limit is no higher than another; none is the highest.
fn at_most<T: PartialOrd>(asked: Option<T>, held: Option<T>) -> bool {
    match (asked, held) {
        (_, None) => true,
        (None, Some(_)) => false,
        (Some(asked), Some(held)) => asked <= held,
    }
}
