//! The binary as a process, on real files, repositories and databases.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod agent;
mod approval;
mod auditing;
mod blocked;
mod budget;
mod cancel;
mod capability;
mod configuration;
mod delivery;
mod doctor;
mod ending;
mod examples;
mod guardrails;
mod idempotency;
mod outside;
mod palette;
mod records;
mod recovery;
mod replay;
mod report;
mod resume;
mod secrets;
mod support;
mod tail;
mod terminal;
mod usage;
