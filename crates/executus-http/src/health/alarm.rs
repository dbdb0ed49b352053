//! Telling an operator, and not again and again.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use executus_core::Timestamp;

use super::verdict::{HealthStatus, Verdict};

/// A peer is not well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthAlert {
    /// The peer.
    pub target: Arc<str>,
    /// How it is, and why.
    pub verdict: Verdict,
}

/// Tells an operator.
///
/// **Called** by the monitor, at most once in a while for each peer and status: after 5 minutes
/// again for `critical`, 10 for `unhealthy`, 30 for `degraded`. It must not block. **Panics** are
/// logged and disturb nothing.
pub trait OnHealthAlert: Send + Sync {
    /// Tells it.
    fn alert(&self, alert: &HealthAlert);
}

/// How long an alert of this kind is not repeated; `None` for what is no reason to call anybody.
const fn quiet(status: HealthStatus) -> Option<Duration> {
    const MINUTE: u64 = 60;
    match status {
        HealthStatus::Critical => Some(Duration::from_secs(5 * MINUTE)),
        HealthStatus::Unhealthy => Some(Duration::from_secs(10 * MINUTE)),
        HealthStatus::Degraded => Some(Duration::from_secs(30 * MINUTE)),
        HealthStatus::Healthy | HealthStatus::Unknown => None,
    }
}

/// When which alert was given last.
#[derive(Debug, Default)]
pub(super) struct Alarms {
    last: HashMap<(Arc<str>, HealthStatus), Timestamp>,
}

impl Alarms {
    /// Whether this is to be told now; if so, it is taken as told.
    pub(super) fn is_due(
        &mut self,
        target: &Arc<str>,
        status: HealthStatus,
        now: Timestamp,
    ) -> bool {
        let Some(quiet) = quiet(status) else { return false };
        let key = (Arc::clone(target), status);
        if self.last.get(&key).is_some_and(|last| now.since(*last) < quiet) {
            return false;
        }
        self.last.insert(key, now);
        true
    }

    /// Forgets peers that are not looked at any more.
    pub(super) fn retain(&mut self, is_known: impl Fn(&str) -> bool) {
        self.last.retain(|(target, _), _| is_known(target));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_own_quiet_time() {
        let mut alarms = Alarms::default();
        let target: Arc<str> = "a".into();
        let at = |minutes: u64| Timestamp::default().after(Duration::from_secs(minutes * 60));
        for (minute, status, due) in [
            (0, HealthStatus::Critical, true),
            (0, HealthStatus::Unhealthy, true),
            (4, HealthStatus::Critical, false),
            (5, HealthStatus::Critical, true),
            (9, HealthStatus::Unhealthy, false),
            (10, HealthStatus::Unhealthy, true),
            (10, HealthStatus::Degraded, true),
            (39, HealthStatus::Degraded, false),
            (40, HealthStatus::Degraded, true),
            (40, HealthStatus::Healthy, false),
            (40, HealthStatus::Unknown, false),
        ] {
            assert_eq!(alarms.is_due(&target, status, at(minute)), due, "{minute} {status}");
        }
        assert!(alarms.is_due(&"b".into(), HealthStatus::Degraded, at(40)));
        alarms.retain(|target| target == "b");
        assert!(alarms.is_due(&target, HealthStatus::Degraded, at(41)));
    }
}
