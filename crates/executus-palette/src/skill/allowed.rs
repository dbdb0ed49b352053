//! The words of `allowed-tools`.

/// The tools of a text, between blanks and commas; within parentheses both belong to the tool, as in
/// `Bash(git add:*)`.
pub(super) fn words(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut depth = 0_usize;
    for c in text.chars() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 && (c.is_whitespace() || c == ',') {
            words.push(String::new());
        } else if let Some(word) = words.last_mut() {
            word.push(c);
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn blanks_and_commas_part_tools() {
        assert_eq!(words("Read, Grep  Bash(git add:*, x)"), ["Read", "Grep", "Bash(git add:*, x)"]);
        assert_eq!(words(" \n "), [""; 0]);
        assert_eq!(words("a) b"), ["a)", "b"]);
    }
}
