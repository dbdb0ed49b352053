//! A slice of the soak of the budget that processes share.

use std::path::Path;

use executus_tests::soak::budget::{Size, run};

/// Two processes of twenty reservers for three seconds, killed, stopped and cut off: never above a
/// limit at any instant, nothing held afterwards, everything that was reported counted once.
/// `soak budget` has eight of 125 for a minute.
#[test]
fn processes_share_a_budget() {
    let program = Path::new(env!("CARGO_BIN_EXE_soak"));
    let size = Size { processes: 2, reservers: 20, seconds: 3 };
    let (figures, broken) = run(program, 11, size).unwrap();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    assert!(figures.holds > 50 && figures.samples > 100, "{figures:?}");
}
