//! Every dependency of a library is classified: may its types appear in public signatures?
//!
//! The table is `xtask/public-deps.toml`, the reasons are in `docs/public-dependencies.md`. A new
//! dependency must be put on one side, and the types of a private one must not be named in a
//! public item, a `From` impl or an error's `#[from]`.

use std::collections::BTreeSet;
use std::path::Path;

use crate::error::Error;
use crate::fault::{Fault, verdict};
use crate::tree::{self, File};
use crate::workspace::{self, Kind, Package};

const TABLE: &str = "xtask/public-deps.toml";
const PAGE: &str = "docs/public-dependencies.md";
/// Packages nobody links to.
const NO_API: &[&str] = &["executus", "executus-tests", "xtask"];

/// Checks the classification and the signatures.
pub(crate) fn run(root: &Path) -> Result<(), Error> {
    let classes = Classes::load(root)?;
    let packages = workspace::packages(root)?;
    let files = tree::files(root)?;
    let page = tree::read(root, PAGE)?;
    let faults = check(&classes, &packages, &files, &page);
    println!(
        "api: {} public and {} private dependencies",
        classes.public.len(),
        classes.private.len()
    );
    verdict("api", faults)
}

struct Classes {
    public: BTreeSet<String>,
    private: BTreeSet<String>,
}

impl Classes {
    fn load(root: &Path) -> Result<Self, Error> {
        let table = tree::table(root, TABLE)?;
        let keys = |section: &str| {
            let entries = table.get(section).and_then(toml::Value::as_table);
            entries.into_iter().flat_map(toml::Table::keys).cloned().collect::<BTreeSet<_>>()
        };
        Ok(Self { public: keys("public"), private: keys("private") })
    }
}

fn check(classes: &Classes, packages: &[Package], files: &[File], page: &str) -> Vec<Fault> {
    let own: BTreeSet<&str> = packages.iter().map(|p| p.name.as_str()).collect();
    let mut used = BTreeSet::new();
    let mut faults = Vec::new();
    for package in packages.iter().filter(|p| p.is_library && !NO_API.contains(&p.name.as_str())) {
        let mut hidden = Vec::new();
        for dependency in package.dependencies.iter().filter(|d| d.kind == Kind::Normal) {
            let name = dependency.name.as_str();
            if own.contains(name) {
                continue;
            }
            used.insert(name);
            if classes.private.contains(name) {
                hidden.push(name.replace('-', "_"));
            } else if !classes.public.contains(name) {
                faults.push(Fault::new(
                    &package.manifest,
                    format!("dependency `{name}` is not classified"),
                    format!("add it to [private] in {TABLE}, or to [public] there and to {PAGE} if its types must appear in signatures"),
                ));
            }
        }
        let source = format!("{}/src/", package.folder());
        for file in files.iter().filter(|f| f.is_rust() && f.path.starts_with(&source)) {
            faults.extend(file.lines().filter_map(|(number, line)| {
                let name = hidden.iter().find(|name| exposes(line, name))?;
                Some(Fault::at(
                    &file.path,
                    number,
                    format!("names the private dependency `{name}` in a public item"),
                    "wrap it in a type of the crate; an error keeps the cause as a boxed source or text",
                ))
            }));
        }
    }
    for name in classes.public.union(&classes.private) {
        if classes.public.contains(name) && classes.private.contains(name) {
            faults.push(Fault::new(TABLE, format!("`{name}` stands on both sides"), "choose one"));
        }
        if !used.contains(name.as_str()) {
            let what = format!("no library depends on `{name}`");
            faults.push(Fault::new(TABLE, what, "remove the entry"));
        }
    }
    for name in classes.public.iter().filter(|n| !page.contains(&format!("`{n}`"))) {
        let what = format!("`{name}` is public in {TABLE} and not told here");
        faults.push(Fault::new(PAGE, what, "say which of its types appear, and why"));
    }
    faults
}

/// Whether a line puts a path into the crate `name` where callers see it. Only paths written in
/// full are seen: imports are told apart by review.
fn exposes(line: &str, name: &str) -> bool {
    let line = line.trim_start();
    let path = format!("{name}::");
    if line.starts_with("pub ") {
        return line.contains(&path);
    }
    (line.starts_with("impl") && line.contains(&format!("From<{path}")))
        || line.contains(&format!("#[from] {path}"))
}

#[cfg(test)]
mod tests {
    use super::{Classes, check, exposes};
    use crate::tree::File;
    use crate::workspace::{Dependency, Kind, Package};

    fn found(dependency: &str, source: &str, page: &str) -> Vec<String> {
        let classes = Classes {
            public: ["serde".to_owned()].into(),
            private: ["rusqlite".to_owned()].into(),
        };
        let names = ["serde", "rusqlite", dependency];
        let dependencies = names.map(|n| Dependency { name: n.to_owned(), kind: Kind::Normal });
        let package = Package {
            name: "executus-sqlite".to_owned(),
            manifest: "crates/executus-sqlite/Cargo.toml".to_owned(),
            is_library: true,
            dependencies: dependencies.to_vec(),
        };
        let file =
            File { path: "crates/executus-sqlite/src/lib.rs".to_owned(), text: source.to_owned() };
        check(&classes, &[package], &[file], page).into_iter().map(|f| f.to_string()).collect()
    }

    #[test]
    fn an_unclassified_dependency_is_found() {
        assert_eq!(found("serde", "", "`serde`").len(), 0);
        let faults = found("hyper", "", "`serde`");
        assert!(faults[0].contains("`hyper` is not classified"), "{faults:?}");
    }

    #[test]
    fn a_private_type_in_a_public_item_is_found_with_its_line() {
        let faults = found("serde", "//! x\npub fn c(c: rusqlite::Connection) {}\n", "`serde`");
        assert!(faults[0].starts_with("crates/executus-sqlite/src/lib.rs:2: "), "{faults:?}");
    }

    #[test]
    fn a_public_dependency_without_its_reason_is_found() {
        assert!(found("serde", "", "")[0].contains("not told here"));
    }

    #[test]
    fn what_counts_as_exposed() {
        assert!(exposes("impl From<rusqlite::Error> for E {", "rusqlite"));
        assert!(exposes("    Store(#[from] rusqlite::Error),", "rusqlite"));
        assert!(!exposes("fn open() -> rusqlite::Result<()> {", "rusqlite"));
        assert!(!exposes("pub(crate) fn open() -> rusqlite::Result<()> {", "rusqlite"));
    }
}
