//! Calls that somebody has to approve: asking, waiting, and what an answer means.

use std::sync::Arc;

use super::{Next, Run};
use crate::record::Answer;
use crate::time::Timestamp;
use crate::transcript::{Acted, CallOutcome};

/// A call of the current step that somebody was asked to approve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    /// The call within the step.
    pub call: u32,
    /// Until when an answer counts.
    pub until: Timestamp,
    /// What was said; `None` while the call waits.
    pub answer: Option<Arc<Answer>>,
}

/// What became of a call that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It may be made.
    Approved,
    /// It may not be made.
    Denied,
    /// Nobody said anything in time: it may not be made.
    Expired,
}

/// What calls of the step were asked for, in call order. Small while there are none, as in most runs.
#[derive(Debug, Clone, Default)]
pub(super) struct Approvals(Option<Box<Asked>>);

#[derive(Debug, Clone, Default)]
struct Asked(Vec<Approval>);

impl Approvals {
    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    pub(super) fn clear(&mut self) {
        if self.0.is_some() {
            self.0 = None;
        }
    }

    pub(super) fn as_slice(&self) -> &[Approval] {
        self.0.as_ref().map_or(&[], |asked| &asked.0)
    }

    fn make(&mut self) -> &mut Vec<Approval> {
        &mut self.0.get_or_insert_default().0
    }
}

impl Approval {
    /// What was decided; `None` while the call waits.
    ///
    /// An answer that was given later than [`until`](Self::until) is none.
    #[must_use]
    pub fn verdict(&self) -> Option<Verdict> {
        let answer = self.answer.as_ref()?;
        Some(match answer.approved {
            _ if answer.given_at > self.until => Verdict::Expired,
            true => Verdict::Approved,
            false => Verdict::Denied,
        })
    }
}

impl Run {
    /// The calls of the current step that somebody was asked to approve, in call order.
    #[must_use]
    pub fn approvals(&self) -> &[Approval] {
        self.state.approvals.as_slice()
    }

    /// What a call of the current step was asked for with; `None` when it was not.
    #[must_use]
    pub fn approval(&self, call: u32) -> Option<&Approval> {
        let approvals = self.approvals();
        let at = approvals.binary_search_by_key(&call, |approval| approval.call);
        at.ok().map(|at| &approvals[at])
    }

    /// When the first call that waits is denied for want of an answer, if nothing else can be done
    /// before somebody answers. An interrupted run waits as the life that goes on with it would.
    #[must_use]
    pub fn waits(&self) -> Option<Timestamp> {
        if self.end().is_some_and(|end| end.stop.status.is_terminal()) {
            return None;
        }
        let mut until = None;
        for (call, open) in (0..).zip(&self.state.open) {
            if open.answer.is_some() {
                continue;
            }
            let waiting = self.approval(call).filter(|approval| approval.answer.is_none())?;
            until = Some(until.map_or(waiting.until, |until: Timestamp| until.min(waiting.until)));
        }
        until
    }

    /// Whether a call of the run waits for this answer.
    #[must_use]
    pub fn is_awaited(&self, answer: &Answer) -> bool {
        let asked = self.approval(answer.call).filter(|_| answer.step == self.state.step);
        asked.is_some_and(|approval| approval.answer.is_none())
    }

    /// What is to be done about a step of which something was asked.
    #[cold]
    pub(super) fn act_or_wait(&self) -> Next {
        let step = self.state.step;
        if self.waits().is_some() { Next::Wait { step } } else { Next::Act { step } }
    }

    /// Whether a call may begin: it was not asked for, or it was approved.
    pub(super) fn may_begin(&self, call: u32) -> bool {
        let asked = self.approval(call);
        asked.is_none_or(|approval| approval.verdict() == Some(Verdict::Approved))
    }

    /// Whether a call may be answered so: what was not approved can only have failed.
    pub(super) fn may_end(&self, acted: &Acted) -> bool {
        match self.approval(acted.call).map(Approval::verdict) {
            None | Some(Some(Verdict::Approved)) => true,
            Some(None) => false,
            Some(Some(Verdict::Denied | Verdict::Expired)) => {
                matches!(acted.outcome, CallOutcome::Failed(_))
            }
        }
    }

    /// Takes in that a call awaits approval.
    pub(super) fn asked(&mut self, step: u32, call: u32, until: Timestamp) -> bool {
        if self.plan() != (Next::Act { step }) {
            return false;
        }
        let state = &mut self.state;
        let open = state.open.get(call as usize);
        if open.is_none_or(|open| open.answer.is_some() || open.started) {
            return false;
        }
        match state.approvals.as_slice().binary_search_by_key(&call, |approval| approval.call) {
            Ok(_) => false,
            Err(at) => {
                state.approvals.make().insert(at, Approval { call, until, answer: None });
                true
            }
        }
    }

    /// Takes in what was said to a call that waits.
    pub(super) fn answered(&mut self, answer: &Arc<Answer>) -> bool {
        let step = answer.step;
        let plan = self.plan();
        if plan != (Next::Act { step }) && plan != (Next::Wait { step }) {
            return false;
        }
        if self.state.approvals.is_empty() {
            return false;
        }
        let mut approvals = self.state.approvals.make().iter_mut();
        match approvals.find(|approval| approval.call == answer.call) {
            Some(approval) if approval.answer.is_none() => {
                approval.answer = Some(Arc::clone(answer));
                true
            }
            Some(_) | None => false,
        }
    }
}
