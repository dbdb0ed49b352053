//! Every numbered guarantee of a port is named by a test.
//!
//! A port's docs state them as `- **A1** …`. A test, or a function of the conformance kit that
//! every implementation runs, names the ids it shows in its doc comment.

use std::collections::BTreeMap;

use super::scan::{documented, is_guarantee, words};
use crate::fault::Fault;
use crate::tree::File;

const PORTS: &str = "crates/executus-core/src/port";
const KIT: &str = "crates/executus-testkit/src/conformance";

/// Checks that guarantees and tests name each other.
pub(crate) fn check(files: &[File]) -> Vec<Fault> {
    let mut stated: BTreeMap<&str, String> = BTreeMap::new();
    let mut faults = Vec::new();
    for file in files.iter().filter(|f| f.is_rust() && f.path.starts_with(PORTS)) {
        for (number, id) in file.lines().filter_map(|(n, line)| Some((n, statement(line)?))) {
            let place = format!("{}:{number}", file.path);
            if let Some(first) = stated.get(id) {
                let what = format!("guarantee {id} is stated a second time; first in {first}");
                faults.push(Fault::new(place, what, "give each port a letter of its own"));
            } else {
                stated.insert(id, place);
            }
        }
    }
    let mut shown: BTreeMap<String, String> = BTreeMap::new();
    for file in files.iter().filter(|f| f.is_rust() && f.path.starts_with("crates/") || f.is_test())
    {
        let kit = file.path.starts_with(KIT);
        for item in documented(file).into_iter().filter(|item| item.is_test || kit) {
            for id in words(&item.docs).filter(|w| is_guarantee(w)) {
                shown
                    .entry(id.to_owned())
                    .or_insert_with(|| format!("{}:{}", file.path, item.line));
            }
        }
    }
    for (id, place) in &stated {
        if !shown.contains_key(*id) {
            let fix =
                format!("write `/// {id}` above the test or conformance function that shows it");
            faults.push(Fault::new(place, format!("no test names guarantee {id}"), fix));
        }
    }
    for (id, place) in &shown {
        // A letter no port uses is just a word.
        let used = stated.keys().any(|s| s.chars().next() == id.chars().next());
        if used && !stated.contains_key(id.as_str()) {
            let what = format!("names guarantee {id}, which no port states");
            faults.push(Fault::new(place, what, "correct the id, or state the guarantee"));
        }
    }
    faults
}

/// The id of a line of docs of the form `- **A1** …`.
fn statement(line: &str) -> Option<&str> {
    let text = line.trim_start();
    let text = text.strip_prefix("///").or(text.strip_prefix("//!"))?;
    let (id, _) = text.trim_start().strip_prefix("- **")?.split_once("**")?;
    let id = id.trim_end_matches(['.', ':']);
    is_guarantee(id).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::tree::File;

    fn found(port: &str, test: &str) -> Vec<String> {
        let file = |path: &str, text: &str| File { path: path.to_owned(), text: text.to_owned() };
        check(&[
            file("crates/executus-core/src/port/audit.rs", port),
            file("crates/executus-core/tests/it/audit.rs", test),
        ])
        .into_iter()
        .map(|f| f.to_string())
        .collect()
    }

    #[test]
    fn a_guarantee_without_a_test_is_found_with_its_line() {
        let port = "/// - **A1** order kept\n/// - **A2** durable\n";
        let faults = found(port, "/// A1\n#[test]\nfn a() {}\n");
        assert_eq!(faults.len(), 1, "{faults:?}");
        assert!(faults[0].starts_with("crates/executus-core/src/port/audit.rs:2: no test names"));
        assert!(found(port, "/// A1, A2: both\n#[test]\nfn a() {}\n").is_empty());
    }

    #[test]
    fn docs_on_something_else_do_not_count() {
        assert_eq!(found("/// - **A1** x\n", "/// A1\nfn a() {}\n").len(), 1);
    }

    #[test]
    fn an_id_that_no_port_states_is_found() {
        let faults = found("/// - **A1** x\n", "/// A1 A7 Z3\n#[test]\nfn a() {}\n");
        assert_eq!(faults.len(), 1, "{faults:?}");
        assert!(faults[0].contains("names guarantee A7"));
    }

    #[test]
    fn an_id_stated_twice_is_found() {
        let faults = found("/// - **A1** x\n/// - **A1** y\n", "/// A1\n#[test]\nfn a() {}\n");
        assert!(faults[0].contains("a second time"), "{faults:?}");
    }
}
