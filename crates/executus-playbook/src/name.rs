//! Names of parameters, tools and steps, and the nearest one to a misspelt name.

/// The longest name.
pub(crate) const MAX_NAME_BYTES: usize = 64;

/// Whether this is a name that a placeholder can bind: a letter or `_`, then letters, digits, `_`
/// and `-`, all ASCII, at most 64.
#[must_use]
pub fn is_name(text: &str) -> bool {
    text.len() <= MAX_NAME_BYTES
        && text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

/// Whether an environment variable can have this name.
pub(crate) fn is_environment_name(text: &str) -> bool {
    is_name(text) && !text.contains('-')
}

/// What a name is, for diagnostics.
pub(crate) const NAME: &str =
    "a name: a letter or `_`, then letters, digits, `_` and `-`, at most 64 in all";

/// The candidate nearest to `word`, when it is near enough to be meant.
pub(crate) fn nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    if word.len() > MAX_NAME_BYTES {
        return None;
    }
    let (distance, best) = candidates
        .into_iter()
        .map(|candidate| (distance(word, candidate), candidate))
        .min_by_key(|(distance, _)| *distance)?;
    (distance <= (best.len() / 3).max(1)).then_some(best)
}

/// Insertions, deletions, replacements and swaps of neighbours that lead from one to the other.
fn distance(from: &str, to: &str) -> usize {
    let (from, to): (Vec<_>, Vec<_>) = (from.chars().collect(), to.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut previous: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in to.iter().enumerate() {
            let mut cost =
                (previous[j] + usize::from(a != b)).min(previous[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *a == to[j - 1] && from[i - 1] == *b {
                cost = cost.min(before[j - 1] + 1);
            }
            row.push(cost);
        }
        before = std::mem::replace(&mut previous, row);
    }
    previous.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_understood_and_another_word_is_not() {
        let keys = ["name", "model", "params", "limits", "tool", "step"];
        assert_eq!(nearest("nmae", keys), Some("name"));
        assert_eq!(nearest("parameters", keys), None);
        assert_eq!(nearest("limit", keys), Some("limits"));
        assert_eq!(nearest("", keys), None);
        assert_eq!(nearest("x", []), None);
    }

    #[test]
    fn names() {
        for good in ["a", "_x", "Repo-2", "max_count"] {
            assert!(is_name(good), "{good}");
        }
        for bad in ["", "2x", "a b", "é", "a.b", "-a", &"x".repeat(65)] {
            assert!(!is_name(bad), "{bad}");
        }
    }
}
