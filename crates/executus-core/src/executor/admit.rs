//! Admission: the gates that a run passes before its first step.

use std::sync::Arc;

use super::delegate::PaletteTool;
use super::life::{Flow, Life};
use super::shared::{interrupted, stop};
use super::stops::within;
use crate::isolate::{Panicked, isolate};
use crate::port::{Amounts, AuditError, BudgetError, RunStart};
use crate::record::{Fact, Gate, Stop};
use crate::spec::Limits;
use crate::status::{ErrorKind, RunError, RunStatus};
use crate::tool::Tool;

impl Life {
    pub(crate) async fn admit(&mut self, gate: Gate) -> Flow {
        match gate {
            Gate::Record => self.start_record().await,
            Gate::Resolve => self.resolve().await,
            Gate::Reserve => self.reserve().await,
            Gate::Watch => self.watch().await,
        }
    }

    pub(crate) fn start(&self) -> RunStart {
        RunStart {
            spec: Arc::clone(self.run.spec()),
            attempt: self.run.attempt(),
            at: self.started_at,
        }
    }

    async fn refuse(&mut self, gate: Gate, stop: Stop, unknown: bool) -> Flow {
        self.note(Fact::Refused { gate, stop, unknown }).await
    }

    /// Starts the audit record. Cut by its own limit alone: a cancel must be recorded too.
    async fn start_record(&mut self) -> Flow {
        let executor = Arc::clone(self.shared.executor());
        let Some(audit) = &executor.ports.audit else { return self.pass(Gate::Record).await };
        let start = self.start();
        let answer = within(isolate(|| audit.start(&start)), executor.config.port_limit).await;
        let error = match answer {
            Some(Ok(Ok(recorder))) => {
                if let Some(log) = &mut self.log
                    && let Err(error) = log.attach(recorder).await
                {
                    error
                } else {
                    return self.pass(Gate::Record).await;
                }
            }
            Some(Ok(Err(AuditError::Closed { outcome }))) if self.run.attempt() > 1 => {
                // An earlier life ended and was recorded; only its last facts were lost.
                self.recorded_end = true;
                let outcome = self.shared.claim(|| *outcome);
                return Err(Stop { status: outcome.status, error: outcome.error.clone() });
            }
            Some(Ok(Err(error))) => {
                RunError::new(ErrorKind::Audit, error.to_string()).retryable(error.retry())
            }
            Some(Err(panicked)) => RunError::new(ErrorKind::Audit, format!("the audit {panicked}")),
            None => RunError::new(ErrorKind::Audit, "the audit did not start a record in time"),
        };
        if self.run.attempt() > 1 {
            // What is kept can wait until the audit is back: no audit, no run, but none lost.
            self.postponed = Some(error.message);
            return Err(interrupted());
        }
        // A trail that began can still be closed, even if it takes no records.
        self.unrecorded = self.log.as_ref().is_none_or(|log| !log.attached());
        let stop = Stop { status: RunStatus::Error, error: Some(error) };
        self.refuse(Gate::Record, stop, false).await
    }

    async fn pass(&mut self, gate: Gate) -> Flow {
        self.note(Fact::Admitted(gate)).await
    }

    /// Turns the names that the run may delegate to into tools.
    async fn resolve(&mut self) -> Flow {
        let executor = Arc::clone(self.shared.executor());
        let Some(palette) = &executor.ports.palette else { return self.pass(Gate::Resolve).await };
        let start = self.start();
        let names = self.setup.as_ref().map(|setup| setup.palette.clone()).unwrap_or_default();
        let mut effect = isolate(|| palette.resolve(&start, &names));
        let attempt = self.stops.attempt(&mut effect, Some(executor.config.port_limit)).await;
        if let Some(stop) = attempt.stop {
            return Err(stop);
        }
        let error = match attempt.result {
            Some(Ok(Ok(entries))) => {
                let tools = entries.into_iter().map(|entry| {
                    Arc::new(PaletteTool::new(Some(Arc::clone(palette)), entry)) as Arc<dyn Tool>
                });
                match self.tools.and(tools) {
                    Ok(tools) => {
                        self.tools = tools;
                        return self.pass(Gate::Resolve).await;
                    }
                    Err(error) => error.to_string(),
                }
            }
            Some(Ok(Err(error))) => error.to_string(),
            Some(Err(panicked)) => format!("the palette {panicked}"),
            None => "the palette did not answer in time".into(),
        };
        let stop = stop(RunStatus::Error, ErrorKind::Palette, error);
        self.refuse(Gate::Resolve, stop, false).await
    }

    /// Asks for the hold. Its id is known before: an answer that never came is released by it.
    async fn reserve(&mut self) -> Flow {
        let executor = Arc::clone(self.shared.executor());
        let Some(budget) = &executor.ports.budget else { return self.pass(Gate::Reserve).await };
        let limits = &self.run.spec().limits;
        let asked = self.setup.as_ref().and_then(|setup| setup.reserve);
        let ask = asked.unwrap_or_else(|| whole(limits));
        let hold = self.run.hold_id();
        let caller = Arc::clone(&self.run.spec().caller_id);
        let mut effect = isolate(|| budget.reserve(&hold, &caller, ask));
        let attempt = self.stops.attempt(&mut effect, Some(executor.config.port_limit)).await;
        match (attempt.result, attempt.stop) {
            (Some(Ok(Ok(()))), None) => self.pass(Gate::Reserve).await,
            (Some(Ok(Ok(()))), Some(stop)) => {
                self.pass(Gate::Reserve).await?;
                Err(stop)
            }
            (Some(Ok(Err(error))), stopped) => {
                let stop = stopped.unwrap_or_else(|| budget_stop(&error));
                self.refuse(Gate::Reserve, stop, !error.is_refusal()).await
            }
            (answer, stopped) => {
                let message = match answer {
                    Some(Err(Panicked(message))) => format!("the budget panicked: {message}"),
                    Some(Ok(_)) | None => "the budget did not answer in time".into(),
                };
                let stop =
                    stopped.unwrap_or_else(|| stop(RunStatus::Error, ErrorKind::Budget, message));
                self.refuse(Gate::Reserve, stop, true).await
            }
        }
    }

    /// Starts the critic.
    async fn watch(&mut self) -> Flow {
        let executor = Arc::clone(self.shared.executor());
        let Some(critic) = &executor.ports.critic else { return self.pass(Gate::Watch).await };
        let start = self.start();
        let mut soft_timeout = self.run.spec().limits.soft_timeout;
        if soft_timeout.is_zero() {
            tracing::warn!(run = %start.spec.run_id, "soft_timeout is 0; the critic gets 90 s");
            soft_timeout = Limits::SOFT_TIMEOUT;
        }
        let mut effect = isolate(|| critic.monitor(&start, soft_timeout));
        let attempt = self.stops.attempt(&mut effect, Some(executor.config.port_limit)).await;
        let error = match (attempt.result, attempt.stop) {
            (Some(Ok(Ok(watcher))), stopped) => {
                self.watcher = watcher;
                self.pass(Gate::Watch).await?;
                let directive = self.ask_watcher(|watcher| watcher.directive()).flatten();
                let asked = directive.and_then(|directive| self.stops.follow(directive));
                return stopped.or(asked).map_or(Ok(()), Err);
            }
            (_, Some(stop)) => return Err(stop),
            (Some(Ok(Err(error))), None) => error.to_string(),
            (Some(Err(panicked)), None) => format!("the critic {panicked}"),
            (None, None) => "the critic did not answer in time".into(),
        };
        let stop = stop(RunStatus::Error, ErrorKind::Critic, error);
        self.refuse(Gate::Watch, stop, false).await
    }
}

/// Everything that the limits allow.
fn whole(limits: &Limits) -> Amounts {
    Amounts {
        tokens: limits.max_tokens,
        runtime_ms: super::shared::millis(limits.hard_timeout),
        cost_micros: limits.max_cost_micros.unwrap_or(0),
        runs: 1,
    }
}

/// How a run ends that the budget refuses.
pub(crate) fn budget_stop(error: &BudgetError) -> Stop {
    let status = match error {
        BudgetError::Exceeded { .. } => RunStatus::BudgetExceeded,
        BudgetError::Closed { .. }
        | BudgetError::Unknown { .. }
        | BudgetError::Invalid { .. }
        | BudgetError::Limit { .. }
        | BudgetError::Account { .. }
        | BudgetError::Unavailable { .. } => RunStatus::Error,
    };
    let error = RunError::new(ErrorKind::Budget, error.to_string()).retryable(error.retry());
    Stop { status, error: Some(error) }
}
