//! The faults of the kernel in their longer form.

use executus_testkit::faulty::{Fault, Site};

use super::{Asked, Report, crashes, faults, polls, siblings};

/// More calls at each site than any of these lives makes.
const NTHS: u64 = 12;

pub(super) fn soak(asked: Asked) -> Report {
    let mut violations = Vec::new();
    let panicked = faults::panics(&[Fault::Panic, Fault::PanicEarly, Fault::PanicInDrop], NTHS);
    let missed = Site::ALL.iter().filter(|site| !panicked.sites.contains(site));
    violations.extend(missed.map(|site| format!("nothing panicked at {site}")));
    let (handles, tasks) = (polls::dropped_handles(), polls::dead_tasks());
    let (once, twice) = (crashes::between_phases(false), crashes::between_phases(true));
    let together = siblings::beside(asked.count);
    let done = format!(
        "{} lives with {} panics, {} handles and {} tasks gone at another poll, {} crashes between \
         phases, {} broken runs beside {} siblings",
        panicked.runs,
        panicked.fired,
        handles.runs,
        tasks.runs,
        once.runs + 2 * twice.runs,
        together.broken_runs,
        asked.count,
    );
    violations.extend(panicked.violations);
    violations.extend(handles.violations);
    violations.extend(tasks.violations);
    violations.extend(once.violations);
    violations.extend(twice.violations);
    violations.extend(together.violations);
    Report { done, violations }
}
