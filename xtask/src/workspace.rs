//! What `cargo metadata` says about the workspace's own packages.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::command;
use crate::error::Error;

/// A package of the workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Package {
    pub(crate) name: String,
    /// Path of its `Cargo.toml`, relative to the workspace.
    pub(crate) manifest: String,
    /// Whether others can link to it (a library target exists).
    pub(crate) is_library: bool,
    pub(crate) dependencies: Vec<Dependency>,
}

/// One entry of a dependency table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    pub(crate) kind: Kind,
}

/// The table an entry stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Normal,
    Build,
    Dev,
}

impl Package {
    /// The folder of the manifest, relative to the workspace.
    pub(crate) fn folder(&self) -> &str {
        self.manifest.strip_suffix("/Cargo.toml").unwrap_or("")
    }
}

/// The folder of the workspace's manifest.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

/// The workspace's packages, by name. Needs neither network nor a build.
pub(crate) fn packages(root: &Path) -> Result<Vec<Package>, Error> {
    let args = ["metadata", "--no-deps", "--format-version", "1", "--locked"];
    let text = command::capture(root, "cargo", &args)?;
    let value = json("cargo metadata", &text)?;
    let mut packages: Vec<Package> =
        array(&value, "packages").iter().map(|p| package(root, p)).collect();
    packages.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(packages)
}

/// The folder that cargo builds into.
pub(crate) fn target(root: &Path) -> Result<PathBuf, Error> {
    let args = ["metadata", "--no-deps", "--format-version", "1"];
    let text = command::capture(root, "cargo", &args)?;
    let value = json("cargo metadata", &text)?;
    Ok(self::text(&value, "target_directory").into())
}

fn package(root: &Path, value: &Value) -> Package {
    let is_library = array(value, "targets").iter().any(|target| {
        array(target, "kind").iter().any(|k| matches!(k.as_str(), Some("lib" | "proc-macro")))
    });
    let dependencies = array(value, "dependencies").iter().map(|d| Dependency {
        name: text(d, "name"),
        kind: match d.get("kind").and_then(Value::as_str) {
            Some("dev") => Kind::Dev,
            Some("build") => Kind::Build,
            _ => Kind::Normal,
        },
    });
    Package {
        name: text(value, "name"),
        manifest: crate::shown(root, Path::new(&text(value, "manifest_path"))),
        is_library,
        dependencies: dependencies.collect(),
    }
}

/// Parses JSON; `place` names its origin in the error.
pub(crate) fn json(place: &str, text: &str) -> Result<Value, Error> {
    serde_json::from_str(text)
        .map_err(|e| Error::Form { place: place.to_owned(), what: format!("not JSON: {e}") })
}

/// The array under a key; a missing one is empty.
pub(crate) fn array<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The string under a key; a missing one is empty.
pub(crate) fn text(value: &Value, key: &str) -> String {
    value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}
