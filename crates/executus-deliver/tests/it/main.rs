//! Deliveries to real files, servers and mailboxes, and an outbox that is killed.
#![cfg(all(feature = "aws-lc-rs", feature = "outbox", feature = "webhook"))]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod artifacts;
mod chat;
mod conformance;
mod deadline;
#[cfg(feature = "email")]
mod email;
mod files;
mod outbox;
mod receiver;
mod runs;
mod secrets;
#[cfg(feature = "email")]
mod smtp;
mod support;
mod webhook;
