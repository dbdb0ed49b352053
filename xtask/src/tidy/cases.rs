//! Behaviour cases: `docs/cases.toml` says which are shown, tests carry their ids.
//!
//! A case that is shown must have a test; a case for later says why; a test may not carry an id
//! that the list does not know.

use std::collections::BTreeMap;
use std::path::Path;

use super::scan::{documented, is_case, words};
use crate::error::Error;
use crate::fault::Fault;
use crate::tree::{self, File};

const LIST: &str = "docs/cases.toml";

/// One case of the list.
struct Case {
    id: String,
    title: String,
    /// Why no test shows it yet; `None` when one does.
    later: Option<String>,
}

/// Checks the list against the tests.
pub(crate) fn check(root: &Path, files: &[File]) -> Result<Vec<Fault>, Error> {
    let cases = load(root)?;
    let tests = tests(files);
    let mut faults = Vec::new();
    for case in cases.iter().filter(|c| c.later.is_none() && !tests.contains_key(&c.id)) {
        faults.push(Fault::new(
            LIST,
            format!("{} is said to be shown, and no test carries it", case.id),
            format!(
                "write `/// {}` above the test that shows it, or give the case a `later`",
                case.id
            ),
        ));
    }
    for (id, places) in &tests {
        if !cases.iter().any(|c| c.id == *id) {
            let what = format!("carries {id}, which {LIST} does not know");
            faults.push(Fault::new(
                &places[0],
                what,
                "correct the id, or add the case to the list",
            ));
        }
    }
    Ok(faults)
}

/// Cases for later that a test carries already: not a fault, because a test may show a part.
pub(crate) fn ready(root: &Path, files: &[File]) -> Result<Vec<String>, Error> {
    let tests = tests(files);
    let cases = load(root)?;
    let ready = cases.into_iter().filter(|c| c.later.is_some() && tests.contains_key(&c.id));
    Ok(ready.map(|c| c.id).collect())
}

/// Prints every case with its state and the tests that carry it.
pub(crate) fn list(root: &Path, files: &[File]) -> Result<(), Error> {
    let cases = load(root)?;
    let tests = tests(files);
    let (mut shown, mut untested, mut ready) = (0, 0, 0);
    for case in &cases {
        let places = tests.get(&case.id).map(|p| p.join(" "));
        let state = match (&case.later, places) {
            (None, Some(places)) => {
                shown += 1;
                format!("shown    {places}")
            }
            (None, None) => {
                untested += 1;
                "NO TEST".to_owned()
            }
            (Some(_), Some(places)) => {
                ready += 1;
                format!("later, but has a test: {places}")
            }
            (Some(reason), None) => format!("later    {reason}"),
        };
        println!("{}  {state}  {}", case.id, case.title);
    }
    let later = cases.len() - shown - untested - ready;
    println!(
        "\n{} cases: {shown} shown, {untested} without a test, {later} later, {ready} later with a test (they can be marked shown)",
        cases.len()
    );
    Ok(())
}

/// Ids in the doc comments of tests, with the places that carry them.
fn tests(files: &[File]) -> BTreeMap<String, Vec<String>> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    // The tests of xtask are about ids, not about behaviour.
    for file in files.iter().filter(|f| f.is_rust() && !f.path.starts_with("xtask/")) {
        for item in documented(file).into_iter().filter(|item| item.is_test) {
            for id in words(&item.docs).filter(|w| is_case(w)) {
                found
                    .entry(id.to_owned())
                    .or_default()
                    .push(format!("{}:{}", file.path, item.line));
            }
        }
    }
    found
}

/// Reads the list: a table per group, with `later` for the whole group or for single cases.
fn load(root: &Path) -> Result<Vec<Case>, Error> {
    let wrong = |what: String| Error::Form { place: LIST.to_owned(), what };
    let mut cases: Vec<Case> = Vec::new();
    for (prefix, group) in &tree::table(root, LIST)? {
        let later = group.get("later").and_then(toml::Value::as_str);
        for id in group.get("ids").and_then(toml::Value::as_array).into_iter().flatten() {
            let (Some(id), Some(reason)) = (id.as_str(), later) else {
                return Err(wrong(format!(
                    "{prefix}: `ids` are strings and need a `later` beside them"
                )));
            };
            let later = Some(reason.to_owned());
            cases.push(Case { id: id.to_owned(), title: String::new(), later });
        }
        let named = group.get("cases").and_then(toml::Value::as_table);
        for (id, value) in named.into_iter().flatten() {
            let text = |key| value.get(key).and_then(toml::Value::as_str).map(str::to_owned);
            let title = value.as_str().map(str::to_owned).or_else(|| text("title"));
            let title = title.ok_or_else(|| wrong(format!("{id}: no title")))?;
            cases.push(Case { id: id.clone(), title, later: text("later") });
        }
        if let Some(odd) = cases.iter().find(|c| !is_case(&c.id)) {
            return Err(wrong(format!("`{}` is not an id such as RK-01", odd.id)));
        }
    }
    cases.sort_by(|a, b| a.id.cmp(&b.id));
    match cases.windows(2).find(|pair| pair[0].id == pair[1].id) {
        Some(pair) => Err(wrong(format!("{} is listed twice", pair[0].id))),
        None => Ok(cases),
    }
}

#[cfg(test)]
mod tests {
    use super::{LIST, check};
    use crate::scratch::Scratch;
    use crate::tree;

    const CASES: &str = "\
        [RK]\ntitle = 'Kernel'\n[RK.cases]\nRK-01 = 'alone'\n\
        RK-02 = { title = 'absent', later = 'no such port yet' }\n\
        [CI]\ntitle = 'Invoke'\nlater = 'comes with it'\nids = ['CI-01']\n";

    fn found(list: &str, test: &str) -> Result<Vec<String>, String> {
        let tree = Scratch::with(&[(LIST, list), ("crates/a/tests/it/x.rs", test)]);
        let files = tree::files(tree.root()).unwrap();
        match check(tree.root(), &files) {
            Ok(faults) => Ok(faults.into_iter().map(|f| f.to_string()).collect()),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn a_shown_case_needs_a_test() {
        let faults = found(CASES, "").unwrap();
        assert_eq!(faults.len(), 1, "{faults:?}");
        assert!(faults[0].contains("RK-01 is said to be shown"));
        assert!(found(CASES, "/// RK-01\n#[test]\nfn a() {}\n").unwrap().is_empty());
        assert!(found(CASES, "/// CI-01, RK-01\n#[test]\nfn a() {}\n").unwrap().is_empty());
    }

    #[test]
    fn an_unknown_id_is_found_with_its_line() {
        let faults = found(CASES, "/// RK-01 RK-99\n#[test]\nfn a() {}\n").unwrap();
        assert_eq!(faults.len(), 1, "{faults:?}");
        assert!(faults[0].starts_with("crates/a/tests/it/x.rs:3: carries RK-99"));
    }

    #[test]
    fn a_broken_list_is_refused() {
        assert!(found("[A]\nids = ['RK-01']\n", "").unwrap_err().contains("need a `later`"));
        assert!(found("[A]\nlater = 'x'\nids = ['x']\n", "").unwrap_err().contains("not an id"));
        let twice = "[A]\nlater = 'x'\nids = ['RK-01', 'RK-01']\n";
        assert!(found(twice, "").unwrap_err().contains("listed twice"));
    }
}
