//! A ratchet on file length: long files are where a design stops being readable.
//!
//! A file over the limit needs an entry in `xtask/size.toml` with the lines it may have and why.
//! An entry may not stay far above its file, so a file that shrank cannot quietly grow again.

use std::path::Path;

use crate::error::Error;
use crate::fault::{Fault, verdict};
use crate::tree::{self, File};

const SOURCE_LIMIT: usize = 450;
const TEST_LIMIT: usize = 700;
/// How far an exception may stand above its file before it must be lowered.
const SLACK: usize = 50;
const RATCHET: &str = "xtask/size.toml";

#[derive(Debug)]
struct Exception {
    path: String,
    lines: usize,
    reason: String,
}

/// Prints the figures and checks the limits.
pub(crate) fn run(root: &Path) -> Result<(), Error> {
    let files: Vec<File> = tree::files(root)?.into_iter().filter(File::is_rust).collect();
    for (name, tests) in [("source", false), ("tests", true)] {
        let mut counts: Vec<usize> =
            files.iter().filter(|f| f.is_test() == tests).map(lines).collect();
        counts.sort_unstable();
        if let (Some(median), Some(p90), Some(max)) =
            (quantile(&counts, 50), quantile(&counts, 90), counts.last())
        {
            println!("size: {name}: {} files, median {median}, p90 {p90}, max {max}", counts.len());
        }
    }
    verdict("size", check(root, &files)?)
}

/// What is too long, and which exceptions are no longer needed.
pub(crate) fn check(root: &Path, files: &[File]) -> Result<Vec<Fault>, Error> {
    let exceptions = exceptions(root)?;
    let mut faults = Vec::new();
    for file in files.iter().filter(|f| f.is_rust()) {
        let limit = if file.is_test() { TEST_LIMIT } else { SOURCE_LIMIT };
        let count = lines(file);
        let exception = exceptions.iter().find(|e| e.path == file.path);
        match exception {
            None if count > limit => faults.push(Fault::new(
                &file.path,
                format!("{count} lines, {limit} are allowed"),
                format!(
                    "split it by what its parts are for, or add an entry with a reason to {RATCHET}"
                ),
            )),
            Some(e) if count > e.lines => faults.push(Fault::new(
                &file.path,
                format!("{count} lines, its exception allows {}", e.lines),
                "split it; the ratchet goes one way",
            )),
            Some(e) if e.lines > count + SLACK || count <= limit.saturating_sub(SLACK) => {
                faults.push(Fault::new(
                    RATCHET,
                    format!("{} has {count} lines, its exception allows {}", file.path, e.lines),
                    "lower the ratchet: set `lines` to what the file has, or remove the entry",
                ));
            }
            None | Some(_) => {}
        }
    }
    for e in &exceptions {
        if e.reason.trim().is_empty() {
            faults.push(Fault::new(
                RATCHET,
                format!("{}: no reason", e.path),
                "say why it is long",
            ));
        }
        if !files.iter().any(|f| f.path == e.path) {
            let what = format!("{}: no such file", e.path);
            faults.push(Fault::new(RATCHET, what, "remove the entry"));
        }
    }
    Ok(faults)
}

fn lines(file: &File) -> usize {
    file.text.lines().count()
}

/// The smallest value that at least `percent` of the sorted values do not exceed.
fn quantile(sorted: &[usize], percent: usize) -> Option<usize> {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied()
}

fn exceptions(root: &Path) -> Result<Vec<Exception>, Error> {
    let table = tree::table(root, RATCHET)?;
    let entries = table.get("file").and_then(toml::Value::as_array);
    entries.into_iter().flatten().map(exception).collect()
}

fn exception(entry: &toml::Value) -> Result<Exception, Error> {
    let text = |key| entry.get(key).and_then(toml::Value::as_str).map(str::to_owned);
    let lines = entry.get("lines").and_then(toml::Value::as_integer);
    match (text("path"), lines.and_then(|n| usize::try_from(n).ok()), text("reason")) {
        (Some(path), Some(lines), Some(reason)) => Ok(Exception { path, lines, reason }),
        _ => Err(Error::Form {
            place: RATCHET.to_owned(),
            what: format!("an entry needs `path`, `lines` and `reason`: {entry:?}"),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::{RATCHET, check, quantile};
    use crate::scratch::Scratch;
    use crate::tree;

    fn faults(lines: usize, path: &str, ratchet: &str) -> Vec<String> {
        let tree = Scratch::with(&[(path, &"x\n".repeat(lines)), (RATCHET, ratchet)]);
        let files = tree::files(tree.root()).unwrap();
        check(tree.root(), &files).unwrap().into_iter().map(|f| f.what).collect()
    }

    #[test]
    fn a_long_file_is_found() {
        assert_eq!(faults(451, "crates/a/src/x.rs", ""), ["451 lines, 450 are allowed"]);
        assert!(faults(450, "crates/a/src/x.rs", "").is_empty());
        assert!(faults(700, "crates/a/tests/it/x.rs", "").is_empty());
        assert!(faults(460, "docs/x.md", "").is_empty());
    }

    #[test]
    fn an_exception_is_a_ratchet() {
        let entry = "[[file]]\npath = 'crates/a/src/x.rs'\nlines = 600\nreason = 'one table'\n";
        assert!(faults(600, "crates/a/src/x.rs", entry).is_empty());
        assert!(faults(550, "crates/a/src/x.rs", entry).is_empty());
        assert_eq!(faults(601, "crates/a/src/x.rs", entry).len(), 1);
        assert_eq!(faults(549, "crates/a/src/x.rs", entry).len(), 1);
        assert_eq!(faults(10, "crates/a/src/y.rs", entry), ["crates/a/src/x.rs: no such file"]);
    }

    #[test]
    fn quantiles_are_values_that_occur() {
        assert_eq!(quantile(&[], 50), None);
        assert_eq!(quantile(&[1], 90), Some(1));
        assert_eq!(quantile(&[1, 2, 3, 4], 50), Some(2));
        assert_eq!(quantile(&(1..=10).collect::<Vec<_>>(), 90), Some(9));
    }

    #[test]
    fn the_workspace_keeps_to_the_limits() {
        let root = crate::workspace::root();
        let files = tree::files(&root).unwrap();
        assert_eq!(check(&root, &files).unwrap(), []);
    }
}
