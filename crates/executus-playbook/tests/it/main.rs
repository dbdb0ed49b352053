//! Run files and playbooks from the outside.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod bad_files;
mod bad_steps;
mod capabilities;
mod extract;
mod good_files;
mod hand_over;
mod inputs;
mod models;
mod palette;
mod playbook;
mod properties;
mod structuring;
mod support;
mod tools;
