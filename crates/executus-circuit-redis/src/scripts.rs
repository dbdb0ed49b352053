//! The scripts, each behind the clock and what all of them know of a record.

use executus_redis::Script;

/// The server's own clock.
const CLOCK: &str = include_str!("script/clock.lua");
const BREAKER: &str = include_str!("script/breaker.lua");
const LEASE: &str = include_str!("script/lease.lua");

/// The scripts of circuits.
#[derive(Debug)]
pub(crate) struct Scripts {
    pub(crate) admit: Script,
    pub(crate) result: Script,
    pub(crate) observe: Script,
    pub(crate) force: Script,
    pub(crate) merge: Script,
    pub(crate) revoke: Script,
    pub(crate) snapshot: Script,
}

impl Scripts {
    pub(crate) fn new() -> Self {
        Self::on(CLOCK)
    }

    /// The scripts on a clock of another kind: tests have one that they can set.
    pub(crate) fn on(clock: &str) -> Self {
        let of = |source: &str| Script::of_parts(&[clock, BREAKER, source]);
        Self {
            admit: of(include_str!("script/admit.lua")),
            result: of(include_str!("script/result.lua")),
            observe: of(include_str!("script/observe.lua")),
            force: of(include_str!("script/force.lua")),
            merge: of(include_str!("script/merge.lua")),
            revoke: of(include_str!("script/revoke.lua")),
            snapshot: of(include_str!("script/snapshot.lua")),
        }
    }
}

/// The scripts of leases.
#[derive(Debug)]
pub(crate) struct LeaseScripts {
    pub(crate) acquire: Script,
    pub(crate) renew: Script,
    pub(crate) release: Script,
}

impl LeaseScripts {
    pub(crate) fn new() -> Self {
        let of = |source: &str| Script::of_parts(&[CLOCK, LEASE, source]);
        Self {
            acquire: of(include_str!("script/acquire.lua")),
            renew: of(include_str!("script/renew.lua")),
            release: of(include_str!("script/release.lua")),
        }
    }
}
