//! An inverted index, and BM25 over it.

use std::cmp::{Ordering, Reverse};
use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::sync::Arc;

use super::words::{weighted, words};
use crate::capability::Capability;

/// How soon more of the same word counts no more.
const K1: f64 = 1.2;
/// How much a long text is held against it.
const B: f64 = 0.75;
/// How much of a query counts.
const MAX_WORDS: usize = 64;
const MAX_QUERY_BYTES: usize = 4096;

/// From each word to the documents that have it. Documents are numbered.
#[derive(Debug, Default)]
pub(super) struct Index {
    postings: HashMap<String, Vec<Posting>>,
    /// By document: what its length does to a word's count.
    norms: Vec<f64>,
}

/// That a document has a word, and how often, weighted.
#[derive(Debug, Clone, Copy)]
struct Posting {
    document: u32,
    count: u32,
}

/// A document that was found. The greater one is the better.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hit {
    pub(super) document: u32,
    pub(super) score: f64,
}

impl Ord for Hit {
    fn cmp(&self, other: &Self) -> Ordering {
        self.score.total_cmp(&other.score).then(other.document.cmp(&self.document))
    }
}

impl PartialOrd for Hit {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Hit {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Hit {}

/// The postings of one word of a query that are still to be read, and the word's weight.
struct Cursor<'a> {
    idf: f64,
    postings: &'a [Posting],
}

impl Index {
    /// The index of these documents, which are numbered as they stand.
    pub(super) fn of(capabilities: &[Arc<Capability>]) -> Self {
        let mut postings: HashMap<String, Vec<Posting>> = HashMap::new();
        let mut lengths = Vec::with_capacity(capabilities.len());
        for (document, capability) in (0_u32..).zip(capabilities) {
            let mut counts: BTreeMap<String, u32> = BTreeMap::new();
            for (word, weight) in weighted(capability) {
                let count = counts.entry(word).or_default();
                *count = count.saturating_add(weight);
            }
            lengths.push(counts.values().map(|count| f64::from(*count)).sum::<f64>());
            for (word, count) in counts {
                postings.entry(word).or_default().push(Posting { document, count });
            }
        }
        let average = lengths.iter().sum::<f64>() / (lengths.len().max(1) as f64);
        let norm = |length: f64| K1 * (1.0 - B + B * length / average);
        Self { postings, norms: lengths.into_iter().map(norm).collect() }
    }

    /// The best documents, the best first, and how many postings were read for it.
    pub(super) fn search(&self, query: &str, limit: usize) -> (Vec<Hit>, usize) {
        let mut cursors = self.cursors(query);
        let mut best: BinaryHeap<Reverse<Hit>> = BinaryHeap::new();
        let mut read = 0;
        if limit == 0 {
            return (Vec::new(), read);
        }
        // All lists go by document: the next one is the least that any of them has.
        let next = |cursors: &[Cursor<'_>]| {
            cursors.iter().filter_map(|cursor| Some(cursor.postings.first()?.document)).min()
        };
        while let Some(document) = next(&cursors) {
            let norm = self.norms.get(document as usize).copied().unwrap_or(K1);
            let mut score = 0.0;
            for cursor in &mut cursors {
                if let Some((posting, rest)) = cursor.postings.split_first()
                    && posting.document == document
                {
                    let count = f64::from(posting.count);
                    score += cursor.idf * count * (K1 + 1.0) / (count + norm);
                    cursor.postings = rest;
                    read += 1;
                }
            }
            let hit = Hit { document, score };
            if best.len() < limit {
                best.push(Reverse(hit));
            } else if let Some(mut worst) = best.peek_mut()
                && worst.0 < hit
            {
                worst.0 = hit;
            }
        }
        // Ascending of the reversed: the best comes first.
        let hits = best.into_sorted_vec().into_iter().map(|Reverse(hit)| hit).collect();
        (hits, read)
    }

    /// The lists of a query's words, in the order in which the words first come.
    fn cursors(&self, query: &str) -> Vec<Cursor<'_>> {
        let query = &query[..query.floor_char_boundary(MAX_QUERY_BYTES)];
        let mut sought: Vec<String> = Vec::new();
        for word in words(query) {
            if sought.len() == MAX_WORDS {
                break;
            }
            if !sought.contains(&word) {
                sought.push(word);
            }
        }
        let documents = self.norms.len() as f64;
        let cursor = |word: &String| {
            let postings = self.postings.get(word)?.as_slice();
            let having = postings.len() as f64;
            let idf = (1.0 + (documents - having + 0.5) / (having + 0.5)).ln();
            Some(Cursor { idf, postings })
        };
        sought.iter().filter_map(cursor).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::capability::{CapabilityId, Safety};

    /// BM25 as it is written down: every document is looked at, no index.
    fn reference(capabilities: &[Arc<Capability>], query: &str) -> Vec<(usize, f64)> {
        let mut sought: Vec<String> = Vec::new();
        words(query).for_each(|word| {
            if !sought.contains(&word) {
                sought.push(word);
            }
        });
        let documents: Vec<Vec<_>> =
            capabilities.iter().map(|capability| weighted(capability).collect()).collect();
        let count = |document: &[(String, u32)], word: &str| -> f64 {
            let same = document.iter().filter(|(found, _)| found == word);
            same.map(|(_, weight)| f64::from(*weight)).sum()
        };
        let length = |document: &[(String, u32)]| -> f64 {
            document.iter().map(|(_, weight)| f64::from(*weight)).sum()
        };
        let all = documents.len() as f64;
        let average = documents.iter().map(|document| length(document)).sum::<f64>() / all;
        let mut scores = Vec::new();
        for (at, document) in documents.iter().enumerate() {
            let mut score = 0.0;
            for word in &sought {
                let here = count(document, word);
                if here == 0.0 {
                    continue;
                }
                let having = documents.iter().filter(|other| count(other, word) > 0.0).count();
                let having = having as f64;
                let idf = (1.0 + (all - having + 0.5) / (having + 0.5)).ln();
                let norm = K1 * (1.0 - B + B * length(document) / average);
                score += idf * here * (K1 + 1.0) / (here + norm);
            }
            if score > 0.0 {
                scores.push((at, score));
            }
        }
        scores.sort_by(|(a, x), (b, y)| y.total_cmp(x).then(a.cmp(b)));
        scores
    }

    fn word() -> impl Strategy<Value = &'static str> {
        // Few words, so that they meet.
        let words =
            ["ticket", "tickets", "close", "open", "policy", "policies", "a", "b", "status"];
        proptest::sample::select(words.to_vec())
    }

    fn text(words: std::ops::Range<usize>) -> impl Strategy<Value = String> {
        proptest::collection::vec(word(), words).prop_map(|words| words.join(" "))
    }

    prop_compose! {
        fn capabilities()(
            parts in proptest::collection::vec((word(), text(0..3), text(0..9), text(0..3)), 1..40),
        ) -> Vec<Arc<Capability>> {
            let make = |(at, (area, name, description, tag)): (usize, _)| {
                let id = CapabilityId::new(&format!("{area}.n{at:03}")).unwrap();
                let mut capability = Capability::new(id, Safety::Read, description);
                capability.name = name;
                capability.tags = vec![tag];
                Arc::new(capability)
            };
            let mut capabilities: Vec<_> = parts.into_iter().enumerate().map(make).collect();
            capabilities.sort_by(|a, b| a.id.cmp(&b.id));
            capabilities
        }
    }

    proptest! {
        #[test]
        fn the_ranking_is_that_of_the_reference(
            capabilities in capabilities(), query in text(0..6), limit in 0_usize..50,
        ) {
            let (hits, _) = Index::of(&capabilities).search(&query, limit);
            let found: Vec<_> = hits.iter().map(|hit| (hit.document as usize, hit.score)).collect();
            let mut expected = reference(&capabilities, &query);
            expected.truncate(limit);
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn only_postings_of_the_words_are_read() {
        let make = |at: usize| {
            let id = CapabilityId::new(&format!("area-{}.action-{at:05}", at % 100)).unwrap();
            let of = if at.is_multiple_of(500) { "rare needle" } else { "plain hay" };
            Arc::new(Capability::new(id, Safety::Read, format!("does a thing with {of}")))
        };
        let mut capabilities: Vec<_> = (0..10_000).map(make).collect();
        capabilities.sort_by(|a, b| a.id.cmp(&b.id));
        let index = Index::of(&capabilities);
        let (hits, read) = index.search("needle", 5);
        assert_eq!((hits.len(), read), (5, 20));
        let (hits, read) = index.search("rare needle of needles 00500", usize::MAX);
        // 20 of each of the two words, and the one with the number.
        assert_eq!((hits.len(), read), (20, 41));
        assert_eq!(capabilities[hits[0].document as usize].id.as_str(), "area-0.action-00500");
        let (hits, read) = index.search("absent", 5);
        assert_eq!((hits.len(), read), (0, 0));
    }
}
