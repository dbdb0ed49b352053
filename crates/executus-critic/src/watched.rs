//! One run under watch: what its watcher, the critic's task and the host share.

use std::collections::VecDeque;
use std::time::Duration;

use executus_core::port::{Directive, RunStart};
use executus_core::text::{bounded_to, scrub};
use executus_core::transcript::{Acted, Reply};
use executus_core::{Clock, RunId, Timestamp, Usage};
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use crate::config::CriticConfig;
use crate::judge::{Case, Judge, Opinion};
use crate::rule::{Finding, Rule};
use crate::rules::Rules;
use crate::verdict::{Judged, OnVerdict, Verdict, VerdictBy};

/// How many texts may wait for the next step.
const WAITING: usize = 256;
/// How much of a task a judge reads.
const TASK: usize = 4000;

/// See the module.
#[derive(Debug)]
pub(crate) struct Watched {
    pub(crate) run: RunId,
    name: String,
    task: String,
    clock: Clock,
    began: Instant,
    max_nudges: u32,
    judge: Option<Judge>,
    listener: Option<OnVerdict>,
    directive: watch::Sender<Directive>,
    /// There is a question, or the alarm has to be set anew.
    stirred: Notify,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    rules: Rules,
    steering: VecDeque<String>,
    nudges: u32,
    /// What the judge is to be asked about.
    question: Option<Finding>,
    asking: bool,
    asked: u32,
    tokens: u64,
}

impl Watched {
    pub(crate) fn new(
        start: &RunStart,
        config: CriticConfig,
        soft_timeout: Duration,
        judge: Option<Judge>,
        listener: Option<OnVerdict>,
    ) -> Self {
        let max_nudges = config.max_nudges;
        let task = start.spec.brief.as_ref().map_or("", |brief| brief.prompt.as_str());
        Self {
            run: start.spec.run_id.clone(),
            name: start.spec.name.to_string(),
            task: bounded_to(task.to_owned(), TASK),
            clock: Clock::starting_at(start.at),
            began: Instant::now(),
            max_nudges,
            judge,
            listener,
            directive: watch::Sender::new(Directive::default()),
            stirred: Notify::new(),
            state: Mutex::new(State {
                rules: Rules::new(config, soft_timeout),
                steering: VecDeque::new(),
                nudges: 0,
                question: None,
                asking: false,
                asked: 0,
                tokens: 0,
            }),
        }
    }

    fn now(&self) -> Duration {
        self.began.elapsed()
    }

    pub(crate) fn step(&self, step: u32) {
        self.follow(|rules, now| {
            rules.step(now, step);
            None
        });
    }

    pub(crate) fn tool(&self, name: &str) {
        self.follow(|rules, now| {
            rules.tool(now, name);
            None
        });
    }

    pub(crate) fn decided(&self, reply: &Reply) {
        self.follow(|rules, now| rules.decided(now, reply));
    }

    pub(crate) fn acted(&self, acted: &Acted) {
        self.follow(|rules, now| rules.acted(now, acted));
    }

    /// Something happens of which no rule knows: a piece of an answer, progress of a tool.
    pub(crate) fn touch(&self) {
        self.follow(|rules, now| {
            rules.activity.happened(now);
            None
        });
    }

    fn follow(&self, follow: impl FnOnce(&mut Rules, Duration) -> Option<Finding>) {
        let now = self.now();
        let mut state = self.state.lock();
        let alarmed = state.rules.activity.is_told();
        let finding = follow(&mut state.rules, now);
        let judged = finding.and_then(|finding| self.found(&mut state, finding));
        drop(state);
        if alarmed {
            self.stirred.notify_one();
        }
        self.tell(judged);
    }

    /// Looks at the clock.
    pub(crate) fn look(&self) {
        let now = self.now();
        let mut state = self.state.lock();
        let finding = state.rules.look(now);
        let judged = finding.and_then(|finding| self.found(&mut state, finding));
        drop(state);
        self.tell(judged);
    }

    /// When to look at the clock again.
    pub(crate) async fn alarm(&self) {
        let next = self.state.lock().rules.next_look();
        match next.and_then(|next| self.began.checked_add(next)) {
            Some(at) => tokio::time::sleep_until(at).await,
            None => std::future::pending().await,
        }
    }

    pub(crate) async fn stirred(&self) {
        self.stirred.notified().await;
    }

    /// What is done about what a rule found: at once, or after the judge was asked.
    fn found(&self, state: &mut State, finding: Finding) -> Option<Judged> {
        let verdict = if Rules::is_hard(&finding) {
            Verdict::Stop(finding.what.clone())
        } else if self.may_ask(state) {
            state.question = Some(finding);
            self.stirred.notify_one();
            return None;
        } else {
            Verdict::Nudge(finding.nudge())
        };
        Some(self.pass(state, &finding, VerdictBy::Rule, verdict))
    }

    fn may_ask(&self, state: &State) -> bool {
        let Some(judge) = &self.judge else { return false };
        let limits = &judge.limits;
        state.question.is_none()
            && !state.asking
            && state.asked < limits.calls
            && state.tokens < limits.tokens
    }

    /// What the judge is to be asked, if there is a question.
    pub(crate) fn question(&self) -> Option<(Judge, Finding, Case)> {
        let judge = self.judge.clone()?;
        let mut state = self.state.lock();
        let finding = state.question.take()?;
        state.asking = true;
        state.asked += 1;
        let case = Case {
            name: self.name.clone(),
            task: self.task.clone(),
            found: finding.what.clone(),
            running: self.now(),
            recent: state.rules.recent().map(str::to_owned).collect(),
        };
        Some((judge, finding, case))
    }

    /// The judge has spoken, or not.
    pub(crate) fn judged(&self, finding: &Finding, opinion: Opinion) {
        let now = self.now();
        let mut state = self.state.lock();
        state.asking = false;
        let Usage { input_tokens, output_tokens, thinking_tokens, .. } = opinion.usage;
        for used in [input_tokens, output_tokens, thinking_tokens] {
            state.tokens = state.tokens.saturating_add(used);
        }
        let mut judged = match opinion.verdict {
            Err(why) => {
                let mut judged = self.said(finding, VerdictBy::Judge, Verdict::Continue);
                judged.void = Some(why);
                judged
            }
            Ok(verdict) if !state.rules.holds(finding) => {
                let mut judged = self.said(finding, VerdictBy::Judge, verdict);
                judged.void = Some("the run has moved on".to_owned());
                judged
            }
            Ok(Verdict::Extend) if !state.rules.extend(now, finding.rule) => {
                let mut judged = self.said(finding, VerdictBy::Judge, Verdict::Extend);
                judged.void = Some("it has had all the time that may be given".to_owned());
                judged
            }
            Ok(verdict) => self.pass(&mut state, finding, VerdictBy::Judge, verdict),
        };
        drop(state);
        judged.usage = opinion.usage;
        self.tell(Some(judged));
    }

    /// Makes a verdict count.
    fn pass(
        &self,
        state: &mut State,
        finding: &Finding,
        by: VerdictBy,
        verdict: Verdict,
    ) -> Judged {
        let mut judged = self.said(finding, by, verdict);
        match &judged.verdict {
            Verdict::Nudge(_) if state.nudges >= self.max_nudges => {
                judged.void = Some("it has been nudged as often as it may be".to_owned());
            }
            Verdict::Nudge(text) => {
                state.nudges += 1;
                if !queue(state, text.clone()) {
                    judged.void = Some("too many texts wait for the next step".to_owned());
                }
            }
            Verdict::Stop(why) => self.stop(why),
            Verdict::Continue | Verdict::Extend => {}
        }
        judged
    }

    /// Stops the run. The first reason counts.
    fn stop(&self, why: &str) {
        let reason = format!("the critic stopped the run: {why}");
        self.directive.send_modify(|directive| {
            directive.stop.get_or_insert(reason);
        });
    }

    /// A verdict as it is recorded. A judge may quote what it read: no secret of it is repeated.
    fn said(&self, finding: &Finding, by: VerdictBy, verdict: Verdict) -> Judged {
        let clean = |text: String| match by {
            VerdictBy::Judge => scrub(&text).into_owned(),
            VerdictBy::Rule => text,
        };
        Judged {
            run_id: self.run.clone(),
            at: self.at(),
            rule: finding.rule,
            found: finding.what.clone(),
            by,
            verdict: match verdict {
                Verdict::Nudge(text) => Verdict::Nudge(clean(text)),
                Verdict::Stop(text) => Verdict::Stop(clean(text)),
                Verdict::Continue | Verdict::Extend => verdict,
            },
            void: None,
            usage: Usage::default(),
        }
    }

    fn at(&self) -> Timestamp {
        self.clock.now()
    }

    fn tell(&self, judged: Option<Judged>) {
        let Some(judged) = judged else { return };
        let (verdict, rule) = (judged.verdict.as_str(), judged.rule.as_str());
        tracing::info!(run = %judged.run_id, verdict, rule, void = ?judged.void, "{}", judged.found);
        if let Some(listener) = &self.listener {
            listener.tell(&judged);
        }
    }

    /// Somebody outside found something.
    pub(crate) fn signal(&self, what: &str, hard: bool) {
        let what = bounded_to(what.to_owned(), Verdict::MAX_TEXT);
        let tier = if hard { crate::rule::Tier::Hard } else { crate::rule::Tier::Soft };
        let finding = Finding { rule: Rule::Signal, tier, what, episode: 0 };
        let verdict = match hard {
            true => Verdict::Stop(finding.what.clone()),
            false => Verdict::Nudge(finding.nudge()),
        };
        let mut state = self.state.lock();
        let judged = self.pass(&mut state, &finding, VerdictBy::Rule, verdict);
        drop(state);
        self.tell(Some(judged));
    }

    /// Queues a text of the host's; whether there was room.
    pub(crate) fn steer(&self, text: &str) -> bool {
        queue(&mut self.state.lock(), text.to_owned())
    }

    pub(crate) fn move_deadline(&self, deadline: Option<Timestamp>) {
        self.directive.send_modify(|directive| directive.deadline = deadline);
    }

    /// The texts for the next step.
    pub(crate) fn drain(&self) -> Vec<String> {
        self.state.lock().steering.drain(..).collect()
    }

    pub(crate) fn directive(&self) -> watch::Receiver<Directive> {
        self.directive.subscribe()
    }
}

fn queue(state: &mut State, text: String) -> bool {
    let room = state.steering.len() < WAITING;
    if room {
        state.steering.push_back(text);
    }
    room
}
