//! The host, killed and resumed.

use std::path::{Path, PathBuf};
use std::process::Command;

use executus_tests::soak::{Asked, kill9};

/// CK-04, FN-05: `soak kill9` kills 1,000 times, with a budget that processes share.
#[test]
fn a_killed_host_loses_nothing() {
    let report = kill9::watch(Asked { seed: 9, count: 10 }, &host(), false);
    assert!(report.violations.is_empty(), "{}: {:#?}", report.done, report.violations);
}

/// The host beside this package's own programs; whoever builds only this package has none yet.
fn host() -> PathBuf {
    let soak = Path::new(env!("CARGO_BIN_EXE_soak"));
    let host = soak.with_file_name("executus");
    if !host.is_file() {
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "-q", "-p", "executus", "--bin", "executus"]);
        assert!(build.status().is_ok_and(|status| status.success()), "the host does not build");
    }
    host
}
