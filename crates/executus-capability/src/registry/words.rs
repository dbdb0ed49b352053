//! Texts as the words that are looked for.

use crate::capability::Capability;

/// The words of a text: letters and digits between everything else, in lower case, singular.
pub(super) fn words(text: &str) -> impl Iterator<Item = String> {
    let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.map(|word| singular(word.to_lowercase()))
}

/// The words of a capability with the weight of where they stand.
pub(super) fn weighted(capability: &Capability) -> impl Iterator<Item = (String, u32)> {
    let tags = capability.tags.iter().map(|tag| (tag.as_str(), 2));
    let texts = [
        (capability.id.as_str(), 3),
        (capability.name.as_str(), 2),
        (capability.description.as_str(), 1),
    ];
    texts
        .into_iter()
        .chain(tags)
        .flat_map(|(text, weight)| words(text).map(move |word| (word, weight)))
}

/// A word without the `s` of a plural: what Harman's s-stemmer does to English.
fn singular(mut word: String) -> String {
    if word.len() <= 3 || !word.ends_with('s') {
        return word;
    }
    if let Some(stem) = word.strip_suffix("ies")
        && !stem.ends_with(['e', 'a'])
    {
        return format!("{stem}y");
    }
    if !word.ends_with("us") && !word.ends_with("ss") {
        word.pop();
    }
    word
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn words_are_lower_case_and_singular() {
        let words: Vec<_> = words("Close_TICKETS; 3 policies, the status-address É.x").collect();
        let expected = ["close", "ticket", "3", "policy", "the", "status", "address", "é", "x"];
        assert_eq!(words, expected);
    }
}
