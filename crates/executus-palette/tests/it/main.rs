//! The palette, on real folders and real runs.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod agents;
mod bad_skills;
mod conformance;
mod limits;
mod skills;
mod support;
