//! The capability layer against its cases and its contracts.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod budget;
mod deadline;
mod dry_run;
mod firewall;
mod firewall_corpus;
mod firewall_stream;
mod grant;
mod handle;
mod invoke;
mod policy;
mod policy_rules;
mod records;
mod registry;
mod rules;
mod settling;
mod stream;
mod support;
mod token;
mod token_delegation;
mod token_text;
mod tool;
