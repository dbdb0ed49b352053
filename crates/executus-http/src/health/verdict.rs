//! How well a peer is, by what is known of it.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::facts::{Facts, ProcessState};

const CPU: f64 = 95.0;
const CPU_HIGH: f64 = 80.0;
const MEMORY: f64 = 95.0;
const MEMORY_HIGH: f64 = 85.0;
const LATENCY_MS: f64 = 5000.0;
const CONTEXT: f64 = 95.0;
const STUCK: Duration = Duration::from_secs(30 * 60);
const RESTARTS: u32 = 3;

/// How well a peer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum HealthStatus {
    /// It is well, perhaps with a warning.
    Healthy,
    /// It works, but not for long or not well.
    Degraded,
    /// It does not do its work.
    Unhealthy,
    /// It is not there.
    Critical,
    /// It could not be looked at.
    Unknown,
}

impl HealthStatus {
    /// The name used in records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Unhealthy => "unhealthy",
            Self::Critical => "critical",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for HealthStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A layer of a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Layer {
    /// Its process.
    Process,
    /// The way to it.
    Network,
    /// What it does.
    Application,
}

/// How well a peer is, and the one rule that says so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// How well.
    pub status: HealthStatus,
    /// In which layer the rule found it; `None` when no rule found anything.
    pub layer: Option<Layer>,
    /// What the rule found; empty when none found anything. Of a healthy peer, a warning.
    pub reason: String,
}

impl Verdict {
    pub(super) fn new(
        status: HealthStatus,
        layer: Option<Layer>,
        reason: impl Into<String>,
    ) -> Self {
        Self { status, layer, reason: reason.into() }
    }

    /// Judges what is known. The worst status that a rule finds counts; of several rules with it,
    /// that of the process comes before that of the network, and this before that of the
    /// application. Only that one rule is told.
    #[must_use]
    pub fn of(facts: &Facts) -> Self {
        critical(facts)
            .or_else(|| unhealthy(facts))
            .or_else(|| degraded(facts))
            .or_else(|| warning(facts))
            .unwrap_or_else(|| Self::new(HealthStatus::Healthy, None, ""))
    }
}

fn critical(facts: &Facts) -> Option<Verdict> {
    let reason = match facts.process.as_ref()?.state {
        ProcessState::Running => return None,
        ProcessState::Stopped => "the process does not run",
        ProcessState::NotFound => "there is no such process",
        ProcessState::OutOfMemory => "the process was ended for want of memory",
    };
    Some(Verdict::new(HealthStatus::Critical, Some(Layer::Process), reason))
}

fn unhealthy(facts: &Facts) -> Option<Verdict> {
    let found =
        |layer, reason: String| Some(Verdict::new(HealthStatus::Unhealthy, Some(layer), reason));
    if let Some(network) = &facts.network {
        if !network.reachable {
            let reason = network.error.clone().unwrap_or_else(|| "unreachable".to_owned());
            return found(Layer::Network, reason);
        }
        if let Some(status) = network.status.filter(|status| *status >= 500) {
            return found(Layer::Network, format!("it answers with status {status}"));
        }
    }
    let down = facts.application.as_ref().is_some_and(|application| !application.runtime_up);
    if down { found(Layer::Application, "its runtime is down".to_owned()) } else { None }
}

fn degraded(facts: &Facts) -> Option<Verdict> {
    let found =
        |layer, reason: String| Some(Verdict::new(HealthStatus::Degraded, Some(layer), reason));
    if let Some(process) = &facts.process {
        if let Some(cpu) = process.cpu_percent.filter(|cpu| *cpu > CPU) {
            return found(Layer::Process, format!("CPU at {cpu:.0} %"));
        }
        if let Some(memory) = process.memory_percent.filter(|memory| *memory > MEMORY) {
            return found(Layer::Process, format!("memory at {memory:.0} %"));
        }
    }
    let latency = facts.network.as_ref().and_then(|network| network.latency_ms);
    if let Some(latency) = latency.filter(|latency| *latency > LATENCY_MS) {
        return found(Layer::Network, format!("it took {latency:.0} ms to answer"));
    }
    let application = facts.application.as_ref()?;
    if let Some(context) = application.context_percent.filter(|context| *context > CONTEXT) {
        return found(Layer::Application, format!("context at {context:.0} %"));
    }
    let stuck = application.longest_execution.filter(|execution| *execution > STUCK)?;
    found(
        Layer::Application,
        format!("an execution has been under way for {} minutes", stuck.as_secs() / 60),
    )
}

fn warning(facts: &Facts) -> Option<Verdict> {
    let process = facts.process.as_ref()?;
    let reason = if let Some(cpu) = process.cpu_percent.filter(|cpu| *cpu > CPU_HIGH) {
        format!("CPU at {cpu:.0} %")
    } else if let Some(memory) = process.memory_percent.filter(|memory| *memory > MEMORY_HIGH) {
        format!("memory at {memory:.0} %")
    } else {
        let restarts = process.restarts.filter(|restarts| *restarts > RESTARTS)?;
        format!("started again {restarts} times")
    };
    Some(Verdict::new(HealthStatus::Healthy, Some(Layer::Process), reason))
}

#[cfg(test)]
mod tests {
    use super::super::facts::{ApplicationFacts, NetworkFacts, ProcessFacts};
    use super::*;

    fn process(cpu: f64, memory: f64, restarts: u32) -> ProcessFacts {
        ProcessFacts {
            cpu_percent: Some(cpu),
            memory_percent: Some(memory),
            restarts: Some(restarts),
            ..ProcessFacts::new(ProcessState::Running)
        }
    }

    fn network(status: u16, latency: f64) -> NetworkFacts {
        let (status, latency_ms) = (Some(status), Some(latency));
        NetworkFacts { reachable: true, status, latency_ms, error: None }
    }

    fn application(up: bool, context: f64, minutes: u64) -> ApplicationFacts {
        ApplicationFacts {
            context_percent: Some(context),
            longest_execution: Some(Duration::from_secs(minutes * 60)),
            ..ApplicationFacts::new(up)
        }
    }

    /// HM-10
    #[test]
    fn the_worst_counts_and_of_equals_the_lowest_layer() {
        use HealthStatus::{Critical, Degraded, Healthy, Unhealthy};
        let gone = |state| Some(ProcessFacts::new(state));
        let away = NetworkFacts {
            reachable: false,
            status: None,
            latency_ms: None,
            error: Some("HTTP timeout".to_owned()),
        };
        let well = || Some(process(1.0, 1.0, 0));
        for (process, network, application, status, reason) in [
            (None, None, None, Healthy, ""),
            (well(), Some(network(200, 5.0)), Some(application(true, 10.0, 1)), Healthy, ""),
            (gone(ProcessState::NotFound), Some(away.clone()), None, Critical, "no such process"),
            (gone(ProcessState::Stopped), None, None, Critical, "does not run"),
            (gone(ProcessState::OutOfMemory), None, None, Critical, "want of memory"),
            (Some(process(99.0, 1.0, 0)), Some(away), None, Unhealthy, "HTTP timeout"),
            (well(), Some(network(500, 1.0)), None, Unhealthy, "status 500"),
            (well(), Some(network(499, 1.0)), None, Healthy, ""),
            (well(), Some(network(200, 1.0)), Some(application(false, 1.0, 1)), Unhealthy, "down"),
            (Some(process(95.1, 99.0, 9)), Some(network(200, 6e3)), None, Degraded, "CPU at 95 %"),
            (Some(process(95.0, 95.0, 0)), None, None, Healthy, "CPU at 95 %"),
            (Some(process(1.0, 96.0, 0)), None, None, Degraded, "memory at 96 %"),
            (well(), Some(network(200, 5001.0)), None, Degraded, "5001 ms"),
            (well(), Some(network(200, 5000.0)), None, Healthy, ""),
            (well(), None, Some(application(true, 96.0, 40)), Degraded, "context at 96 %"),
            (well(), None, Some(application(true, 1.0, 31)), Degraded, "31 minutes"),
            (well(), None, Some(application(true, 95.0, 30)), Healthy, ""),
            (Some(process(80.5, 1.0, 9)), None, None, Healthy, "CPU at 80 %"),
            (Some(process(80.0, 85.5, 9)), None, None, Healthy, "memory at 86 %"),
            (Some(process(80.0, 85.0, 4)), None, None, Healthy, "started again 4 times"),
            (Some(process(80.0, 85.0, 3)), None, None, Healthy, ""),
        ] {
            let facts = Facts { process, network, application };
            let verdict = Verdict::of(&facts);
            assert_eq!(verdict.status, status, "{facts:?}");
            assert!(verdict.reason.contains(reason), "{verdict:?}");
            assert_eq!(verdict.reason.is_empty(), reason.is_empty(), "{verdict:?}");
        }
    }
}
