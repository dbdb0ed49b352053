//! Text that must not be in the tree: paths of one machine, notes to self, keys.
//!
//! This file is the only one that may contain them.

use crate::fault::Fault;
use crate::tree::File;

const ITSELF: &str = "xtask/src/tidy/words.rs";

/// Texts, with what to do instead.
const FORBIDDEN: &[(&str, &str)] = &[
    ("/work/", "a path of one machine: make it relative or a parameter"),
    ("shared/docs", "a path of one machine: say it here, in docs/"),
    ("/root/", "a path of one machine: make it relative or a parameter"),
    ("/Users/", "a path of one machine: make it relative or a parameter"),
    ("PRIVATE KEY-----", "a key: make one at run time"),
];

/// Words, found only where no letter, digit or `_` touches them.
const NOTES: &[&str] = &["TODO", "FIXME", "XXX"];

/// Beginnings of keys, with the number of letters and digits that must follow.
const KEYS: &[(&str, usize)] = &[("AKIA", 16), ("ghp_", 36), ("github_pat_", 40), ("xoxb-", 10)];

/// Checks every line of every file.
pub(crate) fn check(files: &[File]) -> Vec<Fault> {
    let lines = files
        .iter()
        .filter(|f| f.path != ITSELF)
        .flat_map(|f| f.lines().map(move |(number, line)| (f, number, line)));
    lines.flat_map(|(f, number, line)| line_faults(&f.path, number, line)).collect()
}

fn line_faults(path: &str, number: usize, line: &str) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (text, fix) in FORBIDDEN.iter().filter(|(text, _)| line.contains(text)) {
        faults.push(Fault::at(path, number, format!("contains `{text}`"), fix));
    }
    for note in NOTES.iter().filter(|note| has_word(line, note)) {
        let fix = "do it now, or write down as a fact what is left out and why";
        faults.push(Fault::at(path, number, format!("contains `{note}`"), fix));
    }
    for (start, _) in KEYS.iter().filter(|(start, more)| has_key(line, start, *more)) {
        let what = format!("looks like a key (`{start}…`)");
        faults.push(Fault::at(path, number, what, "make one at run time, and revoke this one"));
    }
    faults
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        !line[..at].ends_with(is_word) && !line[at + word.len()..].starts_with(is_word)
    })
}

fn has_key(line: &str, start: &str, more: usize) -> bool {
    line.match_indices(start).any(|(at, _)| {
        let rest = &line[at + start.len()..];
        !line[..at].ends_with(is_word) && rest.chars().take_while(|c| is_word(*c)).count() >= more
    })
}

#[cfg(test)]
mod tests {
    use super::{check, line_faults};
    use crate::tree::File;

    #[test]
    fn forbidden_text_is_found_with_its_line() {
        let file = File { path: "docs/x.md".to_owned(), text: "a\nsee /work/x\n".to_owned() };
        let faults = check(&[file]);
        assert_eq!(faults.len(), 1);
        assert_eq!(faults[0].place, "docs/x.md:2");
    }

    #[test]
    fn a_note_is_a_word_of_its_own() {
        assert_eq!(line_faults("x", 1, "// TODO: later").len(), 1);
        assert_eq!(line_faults("x", 1, "(FIXME)").len(), 1);
        assert!(line_faults("x", 1, "AUTODOCS, TODOS and XXX1").is_empty());
    }

    #[test]
    fn a_key_needs_its_length() {
        assert_eq!(line_faults("x", 1, &format!("k = \"AKIA{}\"", "A1".repeat(8))).len(), 1);
        assert!(line_faults("x", 1, "the prefix AKIA alone").is_empty());
        assert_eq!(line_faults("x", 1, "-----BEGIN RSA PRIVATE KEY-----").len(), 1);
    }
}
