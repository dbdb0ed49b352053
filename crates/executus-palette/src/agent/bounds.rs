//! A child's limits, inside those of the run that starts it.

use executus_core::port::PaletteError;
use executus_core::{Limits, Tally, ToolContext};

use crate::lineage::Spent;

/// The limits of a child: its own, or what is left of its parent's where that is less. Its deadline is
/// core's matter.
pub(crate) fn inside(
    own: &Limits,
    context: &ToolContext,
    children: Spent,
) -> Result<Limits, PaletteError> {
    let limits = &context.spec().limits;
    let used = Spent::of(&context.tally());
    let tokens = limits.max_tokens.saturating_sub(used.tokens).saturating_sub(children.tokens);
    if tokens == 0 {
        return Err(none_left("token_limit", "tokens"));
    }
    let cost = limits
        .max_cost_micros
        .map(|most| most.saturating_sub(used.cost_micros).saturating_sub(children.cost_micros));
    if cost == Some(0) {
        return Err(none_left("cost_limit", "money"));
    }
    let max_cost_micros = match (own.max_cost_micros, cost) {
        (Some(own), Some(left)) => Some(own.min(left)),
        (own, left) => own.or(left),
    };
    Ok(Limits { max_tokens: own.max_tokens.min(tokens), max_cost_micros, ..own.clone() })
}

fn none_left(code: &str, what: &str) -> PaletteError {
    PaletteError::Denied {
        code: code.to_owned(),
        message: format!("this run has no {what} left for an agent; go on without it"),
    }
}

impl Spent {
    /// What a run itself used.
    pub(crate) fn of(tally: &Tally) -> Self {
        Self { tokens: tally.tokens(), cost_micros: tally.cost_micros }
    }
}
