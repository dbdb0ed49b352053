//! Scenarios over whole runs: what must be shown of the kernel, as it is asked for.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod machine;
