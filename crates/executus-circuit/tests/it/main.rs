//! The breaker against its cases and its contracts.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[cfg(executus_loom)]
mod loom;

#[cfg(not(executus_loom))]
mod alert;
#[cfg(not(executus_loom))]
mod away;
#[cfg(not(executus_loom))]
mod conformance;
#[cfg(not(executus_loom))]
mod dispatch;
#[cfg(not(executus_loom))]
mod grace;
#[cfg(not(executus_loom))]
mod grace_schedules;
#[cfg(not(executus_loom))]
mod lease;
#[cfg(not(executus_loom))]
mod memory;
#[cfg(not(executus_loom))]
mod operator;
#[cfg(not(executus_loom))]
mod policy;
#[cfg(not(executus_loom))]
mod probe;
#[cfg(not(executus_loom))]
mod reference;
#[cfg(not(executus_loom))]
mod stored;
#[cfg(not(executus_loom))]
mod support;
#[cfg(not(executus_loom))]
mod trip;
