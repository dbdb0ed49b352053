//! What a critic says of a run, and how a judge's answer is read.

use std::fmt;
use std::sync::Arc;

use executus_core::{RunId, Timestamp, Usage};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::rule::Rule;

/// What is to become of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "verdict", content = "text")]
#[non_exhaustive]
pub enum Verdict {
    /// It goes on.
    Continue,
    /// It goes on, and its model reads this before the next step.
    Nudge(String),
    /// It goes on, and the rule's tiers count from here.
    Extend,
    /// It ends, for this reason.
    Stop(String),
}

impl Verdict {
    /// The name used in records.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Continue => "continue",
            Self::Nudge(_) => "nudge",
            Self::Extend => "extend",
            Self::Stop(_) => "stop",
        }
    }

    /// The longest text of a judge.
    pub(crate) const MAX_TEXT: usize = 1000;

    /// Reads a judge's answer: one JSON object with `verdict`, and `text` for a nudge or a stop, and
    /// nothing else. A fence of code around it is taken off. `None` for anything else.
    pub(crate) fn parse(answer: &str) -> Option<Self> {
        let answer = answer.trim();
        let answer = match answer.strip_prefix("```") {
            Some(fenced) => fenced.strip_prefix("json").unwrap_or(fenced).strip_suffix("```")?,
            None => answer,
        };
        let Value::Object(fields) = serde_json::from_str(answer.trim()).ok()? else { return None };
        if fields.keys().any(|key| key != "verdict" && key != "text") {
            return None;
        }
        let text = match fields.get("text") {
            Some(Value::String(text)) => text.trim(),
            Some(Value::Null) | None => "",
            Some(_) => return None,
        };
        let said = !text.is_empty() && text.len() <= Self::MAX_TEXT;
        match fields.get("verdict")?.as_str()? {
            "continue" => Some(Self::Continue),
            "extend" => Some(Self::Extend),
            "nudge" if said => Some(Self::Nudge(text.to_owned())),
            "stop" if said => Some(Self::Stop(text.to_owned())),
            _ => None,
        }
    }
}

/// Who came to a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum VerdictBy {
    /// A rule.
    Rule,
    /// The judge.
    Judge,
}

/// A verdict, and what became of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Judged {
    /// The run.
    pub run_id: RunId,
    /// When.
    pub at: Timestamp,
    /// What was looked at.
    pub rule: Rule,
    /// What was found.
    pub found: String,
    /// Who came to the verdict.
    pub by: VerdictBy,
    /// The verdict.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// Why the verdict changes nothing: the run has moved on, there are no extensions left, the
    /// judge's answer could not be read. `None` for one that counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub void: Option<String>,
    /// What the judge used.
    #[serde(default)]
    pub usage: Usage,
}

/// Is told every verdict, from the run's task or the critic's: it does not wait. A panic is logged.
#[derive(Clone)]
pub struct OnVerdict(Arc<dyn Fn(&Judged) + Send + Sync>);

impl OnVerdict {
    /// Calls this.
    pub fn new(listen: impl Fn(&Judged) + Send + Sync + 'static) -> Self {
        Self(Arc::new(listen))
    }

    pub(crate) fn tell(&self, judged: &Judged) {
        if let Err(panicked) = executus_core::isolate::call(|| (self.0)(judged)) {
            tracing::warn!(run = %judged.run_id, panic = %panicked.0, "a listener to verdicts panicked");
        }
    }
}

impl fmt::Debug for OnVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnVerdict")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_strictly() {
        let nudge = || Some(Verdict::Nudge("try b".into()));
        let cases = [
            (r#"{"verdict":"continue"}"#, Some(Verdict::Continue)),
            (r#" {"verdict":"extend","text":"why"} "#, Some(Verdict::Extend)),
            (r#"{"verdict":"nudge","text":"try b"}"#, nudge()),
            ("```json\n{\"verdict\":\"nudge\",\"text\":\"try b\"}\n```", nudge()),
            (r#"{"verdict":"stop","text":"hopeless"}"#, Some(Verdict::Stop("hopeless".into()))),
            (r#"{"verdict":"stop"}"#, None),
            (r#"{"verdict":"stop","text":"  "}"#, None),
            (r#"{"verdict":"STOP","text":"x"}"#, None),
            (r#"{"verdict":"stop","text":7}"#, None),
            (r#"{"verdict":"stop","text":"x","sure":true}"#, None),
            (r#"[{"verdict":"stop","text":"x"}]"#, None),
            (r#"{"verdict":"stop","text":"x"} and more"#, None),
            ("Stop it, I think.", None),
            ("", None),
        ];
        for (answer, verdict) in cases {
            assert_eq!(Verdict::parse(answer), verdict, "{answer}");
        }
    }
}
