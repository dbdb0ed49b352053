//! Run files and playbooks from the outside.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod bad_files;
mod good_files;
mod inputs;
mod models;
mod playbook;
mod properties;
mod recovery;
mod support;
