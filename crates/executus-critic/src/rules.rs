//! The rules over what is reported of a run. Pure: time comes as data.

#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

use executus_core::digest::{Digest, Hasher};
use executus_core::text::bounded_to;
use executus_core::transcript::{Acted, CallOutcome, Reply};

use crate::activity::Activity;
use crate::config::CriticConfig;
use crate::rule::{Finding, Rule, Tier};
use crate::streak::Streak;

/// How many results are known to have been seen before.
const SEEN: usize = 4096;
/// How many decisions in a row may come to nothing, whatever they use.
const FRUITLESS: u32 = 3;
/// How many calls a judge is told of.
const RECENT: usize = 12;

/// See the module.
#[derive(Debug)]
pub(crate) struct Rules {
    config: CriticConfig,
    pub(crate) activity: Activity,
    /// The calls of the step under way: a digest of what each asks for.
    calls: HashMap<u32, Digest>,
    same_call: Streak,
    last_call: Option<Digest>,
    same_tool: Streak,
    last_tool: Option<String>,
    errors: Streak,
    tokens: Streak,
    /// Decisions since a call last brought something new.
    fruitless: u32,
    seen: HashSet<Digest>,
    recent: VecDeque<String>,
    extensions: u32,
    over: bool,
}

impl Rules {
    pub(crate) fn new(config: CriticConfig, soft_timeout: Duration) -> Self {
        let (soft, hard) = config.idle(soft_timeout);
        Self {
            config,
            activity: Activity::new(soft, hard),
            calls: HashMap::new(),
            same_call: Streak::default(),
            last_call: None,
            same_tool: Streak::default(),
            last_tool: None,
            errors: Streak::default(),
            tokens: Streak::default(),
            fruitless: 0,
            seen: HashSet::new(),
            recent: VecDeque::new(),
            extensions: 0,
            over: false,
        }
    }

    /// A step begins: the model is asked.
    pub(crate) fn step(&mut self, now: Duration, step: u32) {
        self.activity.happened(now);
        self.activity.wait_for_model(step);
    }

    /// A tool is called.
    pub(crate) fn tool(&mut self, now: Duration, name: &str) {
        self.activity.happened(now);
        self.activity.called(name);
    }

    /// A step was decided.
    pub(crate) fn decided(&mut self, now: Duration, reply: &Reply) -> Option<Finding> {
        self.activity.happened(now);
        if reply.calls.is_empty() {
            // The final answer: whatever it took, the run is over.
            self.over = true;
            return None;
        }
        self.calls.clear();
        for (index, call) in (0..).zip(&reply.calls) {
            let mut asked = Hasher::new();
            asked.text(&call.name);
            asked.json(&call.args);
            self.calls.insert(index, asked.finish());
        }
        let usage = &reply.usage;
        let used = usage
            .input_tokens
            .saturating_add(usage.output_tokens)
            .saturating_add(usage.thinking_tokens);
        self.fruitless += 1;
        // A long history costs much with every step: only what comes to nothing again counts.
        let tiers = self.config.tokens.filter(|_| self.fruitless >= FRUITLESS);
        let tier = self.tokens.grow(used, tiers)?;
        let total = self.tokens.total();
        let what = format!("{total} tokens were used since a call last brought something new");
        Some(Finding { rule: Rule::Tokens, tier, what, episode: self.tokens.episode() })
    }

    /// A call was answered. The hardest of what the rules find comes out.
    pub(crate) fn acted(&mut self, now: Duration, acted: &Acted) -> Option<Finding> {
        self.activity.happened(now);
        self.activity.answered(&acted.name);
        self.remember(acted);
        let whole = self.whole(acted);
        let findings = [self.errors(acted), self.same_call(acted, whole), self.same_tool(acted)];
        if matches!(acted.outcome, CallOutcome::Output(_)) && self.is_new(whole) {
            self.tokens.end();
            self.fruitless = 0;
        }
        findings.into_iter().flatten().reduce(|a, b| if b.tier > a.tier { b } else { a })
    }

    /// What was asked and what came of it.
    fn whole(&self, acted: &Acted) -> Digest {
        let mut whole = Hasher::new();
        match self.calls.get(&acted.call) {
            Some(asked) => whole.text(&asked.to_string()),
            None => whole.text(&acted.name),
        }
        match &acted.outcome {
            CallOutcome::Output(output) => {
                whole.text(&output.text);
                if let Some(data) = &output.data {
                    whole.json(data);
                }
            }
            CallOutcome::Failed(error) => whole.text(&error.to_string()),
            CallOutcome::Unknown => whole.text("unknown"),
        }
        whole.finish()
    }

    fn is_new(&mut self, whole: Digest) -> bool {
        if self.seen.len() >= SEEN {
            self.seen.clear();
        }
        self.seen.insert(whole)
    }

    fn errors(&mut self, acted: &Acted) -> Option<Finding> {
        if matches!(acted.outcome, CallOutcome::Output(_)) {
            self.errors.end();
            return None;
        }
        let tier = self.errors.grow(1, self.config.errors)?;
        let what = format!("The last {} calls failed", self.errors.total());
        Some(Finding { rule: Rule::Errors, tier, what, episode: self.errors.episode() })
    }

    fn same_call(&mut self, acted: &Acted, whole: Digest) -> Option<Finding> {
        if self.last_call.replace(whole) != Some(whole) {
            self.same_call.end();
        }
        let tier = self.same_call.grow(1, self.config.same_call)?;
        let (name, times) = (&acted.name, self.same_call.total());
        let what = format!(
            "`{name}` was called {times} times in a row with the same arguments and the same result"
        );
        Some(Finding { rule: Rule::SameCall, tier, what, episode: self.same_call.episode() })
    }

    fn same_tool(&mut self, acted: &Acted) -> Option<Finding> {
        if self.last_tool.as_deref() != Some(&*acted.name) {
            self.last_tool = Some(acted.name.to_string());
            self.same_tool.end();
        }
        let tier = self.same_tool.grow(1, self.config.same_tool)?;
        let (name, times) = (&acted.name, self.same_tool.total());
        let what = format!("`{name}` was called {times} times in a row");
        Some(Finding { rule: Rule::SameTool, tier, what, episode: self.same_tool.episode() })
    }

    fn remember(&mut self, acted: &Acted) {
        let came = match &acted.outcome {
            CallOutcome::Output(output) => format!("answered: {}", output.text),
            CallOutcome::Failed(error) => format!("failed: {error}"),
            CallOutcome::Unknown => "outcome unknown".to_owned(),
        };
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        let (step, name, took) = (acted.step, &acted.name, acted.duration_ms);
        let line = format!("step {step}: {name} ({took} ms) {came}");
        self.recent.push_back(bounded_to(line, 400));
    }

    /// The newest calls and what came of them, oldest first.
    pub(crate) fn recent(&self) -> impl Iterator<Item = &str> {
        self.recent.iter().map(String::as_str)
    }

    /// Whether what was found is still so.
    pub(crate) fn holds(&self, finding: &Finding) -> bool {
        let episode = match finding.rule {
            Rule::Idle => self.activity.episode(),
            Rule::SameCall => self.same_call.episode(),
            Rule::SameTool => self.same_tool.episode(),
            Rule::Errors => self.errors.episode(),
            Rule::Tokens => self.tokens.episode(),
            Rule::Signal => finding.episode,
        };
        !self.over && episode == finding.episode
    }

    /// Gives the rule's tiers once more, if that may still be done.
    pub(crate) fn extend(&mut self, now: Duration, rule: Rule) -> bool {
        if self.extensions >= self.config.max_extensions {
            return false;
        }
        self.extensions += 1;
        match rule {
            Rule::Idle => self.activity.extend(now),
            Rule::SameCall => self.same_call.extend(),
            Rule::SameTool => self.same_tool.extend(),
            Rule::Errors => self.errors.extend(),
            Rule::Tokens => self.tokens.extend(),
            Rule::Signal => {}
        }
        true
    }

    /// When to look at the clock again; `None` when nothing is left to say.
    pub(crate) fn next_look(&self) -> Option<Duration> {
        self.activity.next_look().filter(|_| self.config.idle)
    }

    /// Looks at the clock.
    pub(crate) fn look(&mut self, now: Duration) -> Option<Finding> {
        if self.over || !self.config.idle { None } else { self.activity.look(now) }
    }

    /// Whether a finding at this tier ends the run.
    pub(crate) fn is_hard(finding: &Finding) -> bool {
        finding.tier == Tier::Hard
    }
}
