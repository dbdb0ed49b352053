//! Where files lie, what they are called, and that each is compiled.

use std::collections::BTreeMap;

use crate::fault::Fault;
use crate::tree::File;

/// A table of contents has no room for more.
const LIB_LINES: usize = 60;
/// Names that say nothing about what is inside.
const EMPTY_NAMES: &[&str] =
    &["utils", "util", "helpers", "helper", "common", "manager", "managers", "misc"];

/// Checks module docs, names, `lib.rs`, test layout and forgotten files.
pub(crate) fn check(files: &[File]) -> Vec<Fault> {
    let by_path: BTreeMap<&str, &File> = files.iter().map(|f| (f.path.as_str(), f)).collect();
    let mut faults = Vec::new();
    for file in files.iter().filter(|f| f.is_rust()) {
        let Some((package, place)) = split(&file.path) else { continue };
        faults.extend(docs(file));
        faults.extend(name(file));
        faults.extend(lib(file));
        match place {
            Place::Source(inner) => faults.extend(declared(&by_path, file, package, "src", inner)),
            Place::Tests(inner) => match inner.strip_prefix("it/") {
                Some(inner) => faults.extend(declared(&by_path, file, package, "tests/it", inner)),
                None => faults.push(Fault::new(
                    &file.path,
                    "a second test binary (each is linked and started on its own)",
                    "move it to tests/it/ and declare it in tests/it/main.rs",
                )),
            },
            Place::Other => {}
        }
    }
    faults
}

/// The part of a package a file belongs to, with the path inside that part.
enum Place<'a> {
    Source(&'a str),
    Tests(&'a str),
    Other,
}

/// The package's folder and the place inside it. Packages are `crates/*`, `tests` and `xtask`.
fn split(path: &str) -> Option<(&str, Place<'_>)> {
    let depth = match path.split('/').next() {
        Some("crates") => 2,
        Some("tests" | "xtask") => 1,
        _ => return None,
    };
    let (end, _) = path.match_indices('/').nth(depth - 1)?;
    let (package, inner) = (&path[..end], &path[end + 1..]);
    let place = if let Some(inner) = inner.strip_prefix("src/") {
        Place::Source(inner)
    } else if let Some(inner) = inner.strip_prefix("tests/") {
        Place::Tests(inner)
    } else {
        Place::Other
    };
    Some((package, place))
}

fn docs(file: &File) -> Option<Fault> {
    let first = file.lines().find(|(_, line)| !line.trim().is_empty());
    if first.is_some_and(|(_, line)| line.starts_with("//!")) {
        return None;
    }
    let line = first.map_or(1, |(number, _)| number);
    let fix = "begin the file with `//!`: what the module is for, and what it leaves to others";
    Some(Fault::at(&file.path, line, "no module docs", fix))
}

fn name(file: &File) -> Option<Fault> {
    if file.name() == "mod.rs" {
        let fix = "rename `x/mod.rs` to `x.rs` beside the folder `x`";
        return Some(Fault::new(&file.path, "mod.rs", fix));
    }
    let parts = file.path.split('/').map(|part| part.strip_suffix(".rs").unwrap_or(part));
    let empty = parts.into_iter().find(|part| EMPTY_NAMES.contains(part))?;
    let what = format!("the name `{empty}` says nothing about what is inside");
    Some(Fault::new(&file.path, what, "name it after the thing it holds"))
}

fn lib(file: &File) -> Option<Fault> {
    let count = file.text.lines().count();
    (file.path.ends_with("src/lib.rs") && count > LIB_LINES).then(|| {
        let what = format!("{count} lines; a lib.rs is a table of contents of at most {LIB_LINES}");
        Fault::new(&file.path, what, "move code to modules, keep the story and the re-exports")
    })
}

/// A file nobody declares is never compiled, and its tests never run.
fn declared(
    files: &BTreeMap<&str, &File>,
    file: &File,
    package: &str,
    top: &str,
    inner: &str,
) -> Option<Fault> {
    let (folder, stem) = match inner.strip_suffix(".rs")?.rsplit_once('/') {
        Some((folder, stem)) => (folder, stem),
        None => ("", inner.strip_suffix(".rs")?),
    };
    let is_root = folder.is_empty() && matches!(stem, "lib" | "main");
    let is_binary = folder == "bin" || (folder.starts_with("bin/") && stem == "main");
    if is_root || is_binary {
        return None;
    }
    let top = format!("{package}/{top}");
    // Modules of a binary in a folder, `bin/x/y.rs`, are declared by its main.rs; theirs by them.
    let parents = match folder {
        "" => vec![format!("{top}/lib.rs"), format!("{top}/main.rs")],
        _ if folder.starts_with("bin/") => {
            vec![format!("{top}/{folder}/main.rs"), format!("{top}/{folder}.rs")]
        }
        _ => vec![format!("{top}/{folder}.rs")],
    };
    let parent = parents.iter().find_map(|p| files.get(p.as_str()));
    let declares = parent.is_some_and(|p| {
        p.lines().any(|(_, line)| {
            let line = line.trim_start();
            let line =
                line.strip_prefix("pub(crate) ").or(line.strip_prefix("pub ")).unwrap_or(line);
            let named = line.strip_prefix("mod ").and_then(|rest| rest.strip_prefix(stem));
            named.is_some_and(|rest| rest.starts_with([';', ' ', '{']))
        })
    });
    if declares {
        return None;
    }
    let parent = parent.map_or_else(|| parents.join(" or "), |p| p.path.clone());
    let what = format!("`mod {stem};` stands in no parent: the file is not compiled");
    Some(Fault::new(&file.path, what, format!("declare it in {parent}, or delete the file")))
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::tree::File;

    fn found(files: &[(&str, &str)]) -> Vec<String> {
        let files: Vec<File> = files
            .iter()
            .map(|(path, text)| File { path: (*path).to_owned(), text: (*text).to_owned() })
            .collect();
        check(&files).into_iter().map(|f| f.to_string()).collect()
    }

    #[test]
    fn a_tidy_crate_passes() {
        let files = [
            ("crates/a/src/lib.rs", "//! A.\nmod x;\n#[cfg(test)]\nmod plain;\n"),
            ("crates/a/src/x.rs", "\n//! X.\npub(crate) mod y;\n"),
            ("crates/a/src/x/y.rs", "//! Y.\n"),
            ("crates/a/src/plain.rs", "//! P.\n"),
            ("crates/a/tests/it/main.rs", "//! Tests.\nmod z;\n"),
            ("crates/a/tests/it/z.rs", "//! Z.\n"),
            ("tests/src/lib.rs", "//! S.\n"),
            ("tests/src/bin/sim.rs", "//! S.\n"),
            ("tests/src/bin/bench/main.rs", "//! B.\nmod memory;\n"),
            ("tests/src/bin/bench/memory.rs", "//! M.\n"),
            ("tests/tests/it/main.rs", "//! T.\n"),
            ("crates/a/examples/light.rs", "//! L.\n"),
        ];
        assert_eq!(found(&files), Vec::<String>::new());
    }

    #[test]
    fn a_module_without_docs_is_found_with_its_line() {
        let faults = found(&[("crates/a/src/lib.rs", "\nuse std::fmt;\n")]);
        assert!(faults[0].starts_with("crates/a/src/lib.rs:2: no module docs"), "{faults:?}");
    }

    #[test]
    fn a_forgotten_test_file_is_found() {
        let faults = found(&[
            ("crates/a/tests/it/main.rs", "//! T.\nmod zz;\n"),
            ("crates/a/tests/it/z.rs", "//! Z.\n"),
            ("crates/a/tests/it/zz.rs", "//! Z.\n"),
        ]);
        assert_eq!(faults.len(), 1, "{faults:?}");
        assert!(faults[0].contains("`mod z;`") && faults[0].contains("tests/it/main.rs"));
    }

    #[test]
    fn a_second_test_binary_is_found() {
        let faults = found(&[("crates/a/tests/smoke.rs", "//! S.\n")]);
        assert!(faults[0].contains("second test binary"), "{faults:?}");
    }

    #[test]
    fn names_are_checked() {
        let faults = found(&[
            ("crates/a/src/lib.rs", "//! A.\nmod utils;\nmod x;\n"),
            ("crates/a/src/utils.rs", "//! U.\n"),
            ("crates/a/src/x/mod.rs", "//! X.\n"),
        ]);
        assert!(faults.iter().any(|f| f.contains("`utils` says nothing")), "{faults:?}");
        assert!(faults.iter().any(|f| f.contains("x/mod.rs: mod.rs")), "{faults:?}");
    }

    #[test]
    fn a_long_table_of_contents_is_found() {
        let text = format!("//! A.\n{}", "//\n".repeat(60));
        assert!(found(&[("crates/a/src/lib.rs", &text)])[0].contains("61 lines"));
    }
}
