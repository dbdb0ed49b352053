//! Rules over the source tree that no compiler checks.
//!
//! Each rule is a function from the files to its findings, so that its test can plant one.

mod cases;
mod guarantees;
mod layout;
mod scan;
mod words;

use std::path::Path;

use crate::error::Error;
use crate::fault::{Fault, verdict};
use crate::tree::{self, File};

/// Checks every rule over the workspace.
pub(crate) fn run(root: &Path) -> Result<(), Error> {
    let files = tree::files(root)?;
    println!("tidy: {} files", files.len());
    let ready = cases::ready(root, &files)?;
    if !ready.is_empty() {
        println!("tidy: later in docs/cases.toml, but a test carries it: {}", ready.join(", "));
    }
    verdict("tidy", check(root, &files)?)
}

/// Prints every behaviour case with its state and its tests.
pub(crate) fn list_cases(root: &Path) -> Result<(), Error> {
    cases::list(root, &tree::files(root)?)
}

fn check(root: &Path, files: &[File]) -> Result<Vec<Fault>, Error> {
    let mut faults = layout::check(files);
    faults.extend(words::check(files));
    faults.extend(guarantees::check(files));
    faults.extend(cases::check(root, files)?);
    Ok(faults)
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::{tree, workspace};

    #[test]
    fn the_workspace_is_tidy() {
        let root = workspace::root();
        let files = tree::files(&root).unwrap();
        let faults = check(&root, &files).unwrap();
        let told: Vec<String> = faults.iter().map(ToString::to_string).collect();
        assert!(faults.is_empty(), "{}", told.join("\n"));
    }
}
