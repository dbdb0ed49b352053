//! Who may depend on whom, and how many crates a program pulls with the core and with models.
//!
//! The direction is: core ← everything. A battery depends on core, on its support crate, and on
//! nothing beside; drivers may also use the capability layer and the breaker. Composition is a
//! host's work, so only the host and the test package see everything.

use std::collections::BTreeSet;
use std::path::Path;

use crate::command;
use crate::error::Error;
use crate::fault::{Fault, verdict};
use crate::workspace::{self, Kind, Package};

/// Normal and build dependencies each crate may have inside the workspace.
///
/// Crates that do not exist yet have their row already: the direction is decided by the design,
/// not by the first one who needs an edge.
const TABLE: &[(&str, &[&str])] = &[
    ("executus-core", &[]),
    ("executus-testkit", &["executus-core"]),
    ("executus-capability", &["executus-core"]),
    ("executus-circuit", &["executus-core"]),
    ("executus-http", &["executus-core", "executus-capability", "executus-circuit"]),
    ("executus-process", &["executus-core", "executus-capability", "executus-circuit"]),
    // Servers over HTTP are asked through the one client; those that are children get the one
    // allow-list of variables.
    (
        "executus-mcp",
        &[
            "executus-core",
            "executus-capability",
            "executus-circuit",
            "executus-http",
            "executus-process",
        ],
    ),
    // All HTTP goes through one client: its limits, and later its breaker and address policy.
    ("executus-models", &["executus-core", "executus-http"]),
    ("executus-palette", &["executus-core"]),
    ("executus-playbook", &["executus-core"]),
    ("executus-guard", &["executus-core"]),
    ("executus-critic", &["executus-core"]),
    ("executus-sqlite", &["executus-core"]),
    ("executus-audit-sqlite", &["executus-core", "executus-sqlite"]),
    ("executus-audit-files", &["executus-core"]),
    ("executus-checkpoint-sqlite", &["executus-core", "executus-sqlite"]),
    ("executus-redis", &["executus-core"]),
    ("executus-budget-redis", &["executus-core", "executus-redis"]),
    // Implements the store trait that the breaker defines.
    ("executus-circuit-redis", &["executus-core", "executus-redis", "executus-circuit"]),
    // Webhooks go through the one client: its limits and its address policy. The outbox is a file.
    ("executus-deliver", &["executus-core", "executus-http", "executus-sqlite"]),
    ("executus-stream", &["executus-core"]),
];

/// Packages that compose the others and may use any of them; nothing may depend on these.
const HOSTS: &[&str] = &["executus", "executus-tests", "xtask"];

/// What tests of any crate may use beside the crate's own row.
const TEST_ONLY: &[&str] = &["executus-core", "executus-testkit"];

/// The most crates that a package may pull, itself included: a light host with the core alone, and
/// a hello world with a provider.
const BARS: &[(&str, &str, &[&str], usize)] = &[
    ("executus-core", "without default features", &["--no-default-features"], 40),
    ("executus-core", "with default features", &[], 50),
    ("executus-models", "with default features", &[], 175),
];

/// Checks the edges and the crate counts.
pub(crate) fn run(root: &Path) -> Result<(), Error> {
    let packages = workspace::packages(root)?;
    let mut faults = edges(&packages);
    println!("deps: {} workspace packages, edges checked", packages.len());
    for (package, features, flags, bar) in BARS {
        let count = pulled(root, package, flags)?;
        println!("deps: {package} {features}: {count} crates (at most {bar})");
        if count > *bar {
            faults.push(Fault::new(
                format!("crates/{package}/Cargo.toml"),
                format!("pulls {count} crates {features}, {bar} are allowed"),
                format!("drop a dependency or put it behind a feature; `cargo tree -e normal -p {package}` shows who brings what"),
            ));
        }
    }
    verdict("deps", faults)
}

/// The edges that the table does not have, and the packages it does not know.
fn edges(packages: &[Package]) -> Vec<Fault> {
    let names: BTreeSet<&str> = packages.iter().map(|p| p.name.as_str()).collect();
    let mut faults = Vec::new();
    for package in packages {
        if HOSTS.contains(&package.name.as_str()) {
            continue;
        }
        let Some((_, row)) = TABLE.iter().find(|(name, _)| *name == package.name) else {
            faults.push(Fault::new(
                &package.manifest,
                format!("`{}` is not in the table of workspace crates", package.name),
                "add a row to TABLE in xtask/src/deps.rs that says what it may depend on",
            ));
            continue;
        };
        for dependency in package.dependencies.iter().filter(|d| names.contains(d.name.as_str())) {
            let name = dependency.name.as_str();
            let allowed = row.contains(&name)
                || name == package.name
                || (dependency.kind == Kind::Dev && TEST_ONLY.contains(&name));
            if !allowed {
                let has =
                    if row.is_empty() { "no workspace crate".to_owned() } else { row.join(", ") };
                faults.push(Fault::new(
                    &package.manifest,
                    format!(
                        "`{}` may not have `{name}` as a {}; allowed: {has}",
                        package.name,
                        match dependency.kind {
                            Kind::Normal => "dependency",
                            Kind::Build => "build dependency",
                            Kind::Dev => "dev-dependency (executus-testkit aside)",
                        },
                    ),
                    "move the code that needs it to the host or to executus-tests, or down into executus-core",
                ));
            }
        }
    }
    faults
}

/// Counts the unique packages (name and version) in the tree of normal dependencies.
fn pulled(root: &Path, package: &str, flags: &[&str]) -> Result<usize, Error> {
    let mut args = vec!["tree", "--locked", "-e", "normal", "--prefix", "none", "-p", package];
    args.extend_from_slice(flags);
    Ok(unique(&command::capture(root, "cargo", &args)?))
}

/// A line is `name vVERSION` with notes behind: a path, `(*)` or `(proc-macro)`.
fn unique(tree: &str) -> usize {
    let key = |line: &str| {
        let mut words = line.split_whitespace();
        Some((words.next()?.to_owned(), words.next()?.to_owned()))
    };
    tree.lines().filter_map(key).collect::<BTreeSet<_>>().len()
}

#[cfg(test)]
mod tests {
    use super::{edges, unique};
    use crate::workspace::{Dependency, Kind, Package, packages, root};

    fn package(name: &str, dependencies: &[(&str, Kind)]) -> Package {
        Package {
            name: name.to_owned(),
            manifest: format!("crates/{name}/Cargo.toml"),
            is_library: true,
            dependencies: dependencies
                .iter()
                .map(|(name, kind)| Dependency { name: (*name).to_owned(), kind: *kind })
                .collect(),
        }
    }

    #[test]
    fn a_battery_on_a_battery_is_found() {
        let found = edges(&[
            package("executus-core", &[]),
            package("executus-sqlite", &[("executus-core", Kind::Normal)]),
            package("executus-playbook", &[("executus-sqlite", Kind::Normal)]),
        ]);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].place, "crates/executus-playbook/Cargo.toml");
        assert!(found[0].what.contains("`executus-sqlite` as a dependency"));
    }

    #[test]
    fn the_core_may_use_the_kit_in_tests_only() {
        let kit = package("executus-testkit", &[("executus-core", Kind::Normal)]);
        let tests = package("executus-core", &[("executus-testkit", Kind::Dev)]);
        assert_eq!(edges(&[kit.clone(), tests]), []);
        let product = package("executus-core", &[("executus-testkit", Kind::Normal)]);
        assert_eq!(edges(&[kit, product]).len(), 1);
    }

    #[test]
    fn nothing_may_depend_on_the_host() {
        let host = package("executus", &[]);
        let found = edges(&[host, package("executus-stream", &[("executus", Kind::Build)])]);
        assert!(found[0].what.contains("build dependency"), "{found:?}");
    }

    #[test]
    fn a_crate_without_a_row_is_found() {
        let found = edges(&[package("executus-new", &[])]);
        assert!(found[0].what.contains("not in the table"));
    }

    #[test]
    fn a_crate_named_twice_counts_once() {
        let tree = "a v1.0.0 (/x)\nb v2.0.0\nb v2.0.0 (*)\nb v1.0.0\nc v1.0.0 (proc-macro)\n\n";
        assert_eq!(unique(tree), 4);
    }

    #[test]
    fn the_workspace_keeps_to_the_table() {
        assert_eq!(edges(&packages(&root()).unwrap()), []);
    }
}
