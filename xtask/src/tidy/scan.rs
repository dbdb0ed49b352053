//! Reads tests and their doc comments out of Rust text, line by line.
//!
//! No parser: a test is a function with an attribute whose path ends in `test` and, before or
//! after it, `///` lines. rustfmt keeps both at line starts.

use crate::tree::File;

/// A function with docs.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Documented {
    /// Line of the item itself.
    pub(crate) line: usize,
    pub(crate) docs: String,
    pub(crate) is_test: bool,
}

/// All items of a file that have doc comments, and the tests among them.
pub(crate) fn documented(file: &File) -> Vec<Documented> {
    let mut found = Vec::new();
    let (mut docs, mut is_test) = (String::new(), false);
    let mut attribute = String::new();
    for (number, line) in file.lines() {
        let line = line.trim();
        if !attribute.is_empty() || line.starts_with("#[") {
            attribute.push_str(line);
            if balanced(&attribute) {
                is_test |= marks_test(&attribute);
                attribute.clear();
            }
        } else if let Some(text) = line.strip_prefix("///") {
            docs.push_str(text);
            docs.push('\n');
        } else if !line.is_empty() && !line.starts_with("//") {
            if !docs.is_empty() {
                let docs = std::mem::take(&mut docs);
                found.push(Documented { line: number, docs, is_test });
            }
            is_test = false;
        }
    }
    found
}

/// Whether every bracket is closed. Brackets in strings would mislead it; attributes have none.
fn balanced(text: &str) -> bool {
    text.matches('[').count() <= text.matches(']').count()
}

/// `#[test]`, `#[tokio::test(…)]`, `#[rstest]`: the path's last segment ends in `test`.
fn marks_test(attribute: &str) -> bool {
    let inner = attribute.trim_start_matches("#[").trim_start();
    let path = inner.split(['(', ']', '=', ' ']).next().unwrap_or_default();
    path.ends_with("test")
}

/// The words of a text that could be ids: letters, digits and inner hyphens.
pub(crate) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').filter(|w| !w.is_empty())
}

/// `RK-01`: two capitals, a hyphen, two digits.
pub(crate) fn is_case(word: &str) -> bool {
    let b = word.as_bytes();
    b.len() == 5
        && b[..2].iter().all(u8::is_ascii_uppercase)
        && b[2] == b'-'
        && b[3..].iter().all(u8::is_ascii_digit)
}

/// `A1`: one capital and a number.
pub(crate) fn is_guarantee(word: &str) -> bool {
    let b = word.as_bytes();
    (2..=3).contains(&b.len())
        && b[0].is_ascii_uppercase()
        && b[1] != b'0'
        && b[1..].iter().all(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use super::{documented, is_case, is_guarantee, words};
    use crate::tree::File;

    fn scan(text: &str) -> Vec<(usize, bool)> {
        let file = File { path: "x.rs".to_owned(), text: text.to_owned() };
        documented(&file).into_iter().map(|d| (d.line, d.is_test)).collect()
    }

    #[test]
    fn a_test_is_told_by_its_attribute() {
        assert_eq!(scan("/// A1\n#[test]\nfn a() {}\n"), [(3, true)]);
        assert_eq!(scan("#[test]\n/// A1\nfn a() {}\n"), [(3, true)]);
        let spread = "/// A1\n#[tokio::test(\n  flavor = \"x\",\n)]\nasync fn a() {}\n";
        assert_eq!(scan(spread), [(5, true)]);
        assert_eq!(scan("/// A1\n#[cfg(test)]\nfn a() {}\n"), [(3, false)]);
        assert_eq!(scan("/// A1\nfn a() {}\n#[test]\nfn b() {}\n"), [(2, false)]);
    }

    #[test]
    fn ids_are_whole_words() {
        let found: Vec<&str> = words("RK-01, (CK-02): UTF-8 A1/A2.").collect();
        assert_eq!(found, ["RK-01", "CK-02", "UTF-8", "A1", "A2"]);
        assert!(is_case("RK-01") && !is_case("UTF-8") && !is_case("RK-1") && !is_case("rk-01"));
        assert!(is_guarantee("A1") && is_guarantee("B12") && !is_guarantee("A0"));
        assert!(!is_guarantee("AB1") && !is_guarantee("A"));
    }
}
