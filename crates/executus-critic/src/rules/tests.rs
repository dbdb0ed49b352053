//! The rules against a slow reference that looks at the whole history each time.

use std::time::Duration;

use executus_core::transcript::{Acted, CallOutcome, Reply};
use executus_core::{ToolError, ToolOutput, Usage};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::config::Tiers;

/// One step: a call, what came of it, and what the decision used.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Step {
    tool: u8,
    arg: u8,
    came: u8,
    used: u64,
}

impl Step {
    fn failed(self) -> bool {
        self.came == 0
    }

    fn same(self, other: Self) -> bool {
        (self.tool, self.arg, self.came) == (other.tool, other.arg, other.came)
    }
}

fn config() -> CriticConfig {
    CriticConfig {
        same_call: Some(Tiers::new(3, 5)),
        same_tool: Some(Tiers::new(4, 9)),
        errors: Some(Tiers::new(2, 6)),
        tokens: Some(Tiers::new(50, 120)),
        ..CriticConfig::default()
    }
}

fn feed(rules: &mut Rules, step: Step) -> [Option<(Rule, Tier)>; 2] {
    let name = format!("tool{}", step.tool);
    let usage = Usage { input_tokens: step.used, ..Usage::default() };
    let reply = Reply::call(name.clone(), json!({"arg": step.arg})).using(usage);
    let outcome = match step.came {
        0 => CallOutcome::Failed(ToolError::failed("no")),
        came => CallOutcome::Output(ToolOutput::text(came.to_string())),
    };
    let (step, call, id) = (1, 0, "".into());
    let acted = Acted { step, call, id, name: name.into(), outcome, duration_ms: 0 };
    let decided = rules.decided(Duration::ZERO, &reply);
    let acted = rules.acted(Duration::ZERO, &acted);
    [decided, acted].map(|found| found.map(|found| (found.rule, found.tier)))
}

/// How long the newest run of steps is for which this holds, each with the one before it.
fn length(history: &[Step], goes_on: impl Fn(Step, Step) -> bool) -> u64 {
    let pairs = history.windows(2).rev();
    1 + pairs.take_while(|pair| goes_on(pair[0], pair[1])).count() as u64
}

fn tier(length: u64, tiers: Tiers) -> Option<Tier> {
    match length {
        length if length == tiers.soft => Some(Tier::Soft),
        length if length == tiers.hard => Some(Tier::Hard),
        _ => None,
    }
}

/// What the rules over calls find for the newest step.
fn calls(history: &[Step]) -> Option<(Rule, Tier)> {
    let newest = *history.last()?;
    let config = config();
    let errors = newest.failed().then(|| length(history, |a, b| a.failed() && b.failed()));
    let found = [
        (Rule::Errors, errors, config.errors),
        (Rule::SameCall, Some(length(history, Step::same)), config.same_call),
        (Rule::SameTool, Some(length(history, |a, b| a.tool == b.tool)), config.same_tool),
    ];
    let found =
        found.into_iter().filter_map(|(rule, length, tiers)| Some((rule, tier(length?, tiers?)?)));
    found.reduce(|a, b| if b.1 > a.1 { b } else { a })
}

/// Whether the step at this place brought something new.
fn is_new(history: &[Step], at: usize) -> bool {
    !history[at].failed() && !history[..at].iter().any(|step| step.same(history[at]))
}

/// What the rule over tokens has found by the newest decision, whose call has not been answered.
fn tokens(history: &[Step]) -> Option<Tier> {
    let answered = history.len() - 1;
    let from = (0..answered).rev().find(|at| is_new(history, *at)).map_or(0, |at| at + 1);
    let (mut told, mut sum, mut newest) = (None, 0, None);
    for (nth, step) in history[from..].iter().enumerate() {
        sum += step.used;
        newest = match told {
            None if nth >= 2 && sum >= 50 => Some(Tier::Soft),
            Some(Tier::Soft) if sum >= 120 => Some(Tier::Hard),
            _ => None,
        };
        told = newest.or(told);
    }
    newest
}

fn step() -> impl Strategy<Value = Step> {
    (0..2_u8, 0..2_u8, 0..3_u8, 0..30_u64).prop_map(|(tool, arg, came, used)| Step {
        tool,
        arg,
        came,
        used,
    })
}

/// Stretches of one step, so that streaks are as likely as changes.
fn history() -> impl Strategy<Value = Vec<Step>> {
    let stretch = (step(), 1..8_usize).prop_map(|(step, times)| vec![step; times]);
    prop::collection::vec(stretch, 1..12).prop_map(|stretches| stretches.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_rules_find_what_the_whole_history_says(history in history()) {
        let mut rules = Rules::new(config(), Duration::from_secs(90));
        for at in 0..history.len() {
            let [decided, acted] = feed(&mut rules, history[at]);
            let so_far = &history[..=at];
            prop_assert_eq!(decided, tokens(so_far).map(|tier| (Rule::Tokens, tier)));
            prop_assert_eq!(acted, calls(so_far));
        }
    }

    /// However long it takes: as long as something happens before the soft tier, nothing is found.
    #[test]
    fn a_run_in_which_things_happen_is_not_idle(gaps in prop::collection::vec(0..90_000_u64, 1..60)) {
        let mut rules = Rules::new(CriticConfig::default(), Duration::from_secs(90));
        let mut now = 0;
        for gap in gaps {
            for look in [now, now + gap / 2, now + gap] {
                prop_assert_eq!(rules.look(Duration::from_millis(look)), None);
            }
            now += gap;
            rules.step(Duration::from_millis(now), 1);
        }
    }

    /// Looked at whenever it asks to be, an idle run is found at both tiers to the moment.
    #[test]
    fn an_idle_run_is_found_in_time(
        happens in prop::collection::vec(1..400_000_u64, 0..6),
        soft in 1..100_u64,
        more in 1..200_u64,
    ) {
        let (soft, hard) = (Duration::from_secs(soft), Duration::from_secs(soft + more));
        let config = CriticConfig { hard_idle: Some(hard), ..CriticConfig::default() };
        let mut rules = Rules::new(config, soft);
        let mut last = Duration::ZERO;
        for gap in happens {
            let next = last + Duration::from_millis(gap);
            let mut found = Vec::new();
            while let Some(at) = rules.activity.next_look().filter(|at| *at < next) {
                found.extend(rules.look(at).map(|finding| (at, finding.tier)));
            }
            let mut expected = vec![(last + soft, Tier::Soft), (last + hard, Tier::Hard)];
            expected.retain(|(at, _)| *at < next);
            prop_assert_eq!(found, expected);
            rules.tool(next, "look");
            last = next;
        }
    }
}
