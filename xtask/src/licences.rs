//! Licences and sources of third-party crates, by the list in `deny.toml`.
//!
//! cargo-deny does it when it is installed. Otherwise the same list is checked here from
//! `cargo metadata`, so that the rule holds on a machine without the tool.

use std::path::Path;

use serde_json::Value;

use crate::command;
use crate::error::Error;
use crate::fault::{Fault, verdict};
use crate::tree;
use crate::workspace::{array, json, text};

/// The parts of cargo-deny's verdict that need no advisory database.
const DENY: &[&str] = &["deny", "check", "licenses", "bans", "sources"];
const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Checks with cargo-deny, or with the list alone.
pub(crate) fn run(root: &Path) -> Result<(), Error> {
    if command::works(root, "cargo", &["deny", "--version"]) {
        return command::must(root, "cargo", DENY, &[]);
    }
    let policy = tree::table(root, "deny.toml")?;
    let allowed = strings(&policy, "licenses", "allow");
    let mut args = vec!["metadata", "--format-version", "1", "--locked"];
    let targets = strings(&policy, "graph", "targets");
    for target in &targets {
        args.extend(["--filter-platform", target.as_str()]);
    }
    let value = json("cargo metadata", &command::capture(root, "cargo", &args)?)?;
    let packages = array(&value, "packages");
    println!(
        "licences: {} packages against deny.toml (cargo-deny is not installed)",
        packages.len()
    );
    verdict("licences", packages.iter().flat_map(|p| check(p, &allowed)).collect())
}

fn strings(table: &toml::Table, section: &str, key: &str) -> Vec<String> {
    let list = table.get(section).and_then(|s| s.get(key)).and_then(toml::Value::as_array);
    list.into_iter().flatten().filter_map(|v| v.as_str().map(str::to_owned)).collect()
}

fn check(package: &Value, allowed: &[String]) -> Vec<Fault> {
    let name = format!("{} {}", text(package, "name"), text(package, "version"));
    let mut faults = Vec::new();
    // A package without a source is of this workspace.
    let source = package.get("source").and_then(Value::as_str);
    if source.is_some_and(|s| s != CRATES_IO) {
        faults.push(Fault::new(
            &name,
            format!("comes from {}", source.unwrap_or_default()),
            "depend on a release on crates.io",
        ));
    }
    let licence = text(package, "license");
    if licence.is_empty() {
        faults.push(Fault::new(
            &name,
            "names no licence expression",
            "read its licence file; if it is allowed, choose another crate or teach xtask/src/licences.rs the exception",
        ));
    } else if !permits(&licence, allowed) {
        faults.push(Fault::new(
            &name,
            format!("licence `{licence}` is not allowed"),
            "choose another crate, or add the licence to deny.toml with a reason",
        ));
    }
    faults
}

/// Whether an SPDX expression can be met with the allowed licences alone.
fn permits(expression: &str, allowed: &[String]) -> bool {
    // The slash is the old way of writing OR.
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut parser = Spdx { words: &words, at: 0, allowed };
    let verdict = parser.any();
    verdict && parser.at == words.len()
}

/// `any := all ("OR" all)*`, `all := one ("AND" one)*`, `one := "(" any ")" | id ["WITH" id]`.
struct Spdx<'a> {
    words: &'a [&'a str],
    at: usize,
    allowed: &'a [String],
}

impl Spdx<'_> {
    fn take(&mut self, word: &str) -> bool {
        let found = self.words.get(self.at).is_some_and(|w| w.eq_ignore_ascii_case(word));
        self.at += usize::from(found);
        found
    }

    fn any(&mut self) -> bool {
        let mut verdict = self.all();
        while self.take("OR") {
            verdict |= self.all();
        }
        verdict
    }

    fn all(&mut self) -> bool {
        let mut verdict = self.one();
        while self.take("AND") {
            verdict &= self.one();
        }
        verdict
    }

    fn one(&mut self) -> bool {
        if self.take("(") {
            let verdict = self.any();
            return self.take(")") && verdict;
        }
        let mut id = self.words.get(self.at).copied().unwrap_or_default().to_owned();
        self.at += 1;
        if self.take("WITH") {
            id = format!("{id} WITH {}", self.words.get(self.at).copied().unwrap_or_default());
            self.at += 1;
        }
        self.allowed.contains(&id)
    }
}

#[cfg(test)]
mod tests {
    use super::{check, permits};
    use serde_json::json;

    fn allowed() -> Vec<String> {
        ["MIT", "Apache-2.0", "Unicode-3.0", "Apache-2.0 WITH LLVM-exception"]
            .map(str::to_owned)
            .to_vec()
    }

    #[test]
    fn expressions_are_evaluated() {
        let cases = [
            ("MIT", true),
            ("MIT OR GPL-3.0", true),
            ("MIT/Apache-2.0", true),
            ("GPL-3.0", false),
            ("MIT AND GPL-3.0", false),
            ("(MIT OR Apache-2.0) AND Unicode-3.0", true),
            ("(GPL-2.0 OR LGPL-2.1) AND MIT", false),
            ("Apache-2.0 WITH LLVM-exception OR GPL-2.0", true),
            ("GPL-2.0 WITH Classpath-exception-2.0", false),
            ("(MIT", false),
            ("MIT MIT", false),
        ];
        for (expression, expected) in cases {
            assert_eq!(permits(expression, &allowed()), expected, "{expression}");
        }
    }

    #[test]
    fn a_foreign_source_and_a_missing_licence_are_found() {
        let package = json!({ "name": "x", "version": "1.0.0", "license": null,
            "source": "git+https://example.org/x" });
        let whats: Vec<String> = check(&package, &allowed()).into_iter().map(|f| f.what).collect();
        assert_eq!(whats, ["comes from git+https://example.org/x", "names no licence expression"]);
    }
}
