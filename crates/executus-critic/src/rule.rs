//! The rules, and what they find.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What a critic looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Rule {
    /// Nothing happens.
    Idle,
    /// One call with one result is made again and again.
    SameCall,
    /// One tool is called again and again.
    SameTool,
    /// Calls fail in a row.
    Errors,
    /// Tokens are used, and nothing new comes of it.
    Tokens,
    /// A signal from outside the critic: a guard's, say.
    Signal,
}

impl Rule {
    /// The name used in records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::SameCall => "same_call",
            Self::SameTool => "same_tool",
            Self::Errors => "errors",
            Self::Tokens => "tokens",
            Self::Signal => "signal",
        }
    }
}

/// Which tier was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Tier {
    Soft,
    Hard,
}

/// What a rule found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) rule: Rule,
    pub(crate) tier: Tier,
    /// What was found, in words.
    pub(crate) what: String,
    /// Which episode of the rule this is: a verdict on one that is over counts for nothing.
    pub(crate) episode: u64,
}

impl Finding {
    /// What the model is told.
    pub(crate) fn nudge(&self) -> String {
        let what = &self.what;
        match self.rule {
            Rule::Idle => format!(
                "{what}. If that was not worth the wait, take a shorter way; if nothing more can be \
                 done, give your answer with what you have."
            ),
            Rule::SameCall | Rule::SameTool => format!(
                "{what}. Doing the same again will not help: try something else, or give your \
                 answer with what you have."
            ),
            Rule::Errors => format!(
                "{what}. Read the errors, change your approach, or give your answer with what you \
                 have."
            ),
            Rule::Tokens => format!(
                "{what}. Decide what is still missing and get that, or give your answer with what \
                 you have."
            ),
            Rule::Signal => what.clone(),
        }
    }
}

/// A duration for people: whole seconds from ten seconds on.
pub(crate) fn said(duration: Duration) -> String {
    if duration.as_secs() >= 10 || duration.subsec_millis() == 0 {
        format!("{} s", duration.as_secs())
    } else {
        format!("{} ms", duration.as_millis())
    }
}
