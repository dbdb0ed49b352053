//! The chain from its beginning: the links first, then the rows that they name.

use std::collections::{HashMap, HashSet};

use executus_core::digest::Digest;
use executus_sqlite::rusqlite::{self, Connection};

use super::rows::Rows;
use super::{Damage, Flaw, Place, Verification, flaw, totals};
use crate::anchor::Tail;
use crate::chain::entry::{Entries, Entry};
use crate::chain::{self, Head, Origin, Seal};

/// What was done with rows, by what the chain says.
#[derive(Debug, Default)]
pub(super) struct Acts {
    /// Runs, each with the count of its records from before the chain.
    pub(super) dropped: HashMap<i64, i64>,
    /// Notes, and whether they were from before the chain.
    pub(super) dropped_notes: HashMap<String, bool>,
    /// Runs, each with the digest of what is left of its spec.
    pub(super) erased: HashMap<i64, Digest>,
    pub(super) erased_notes: HashSet<String>,
    /// Runs without their journal.
    pub(super) purged: HashSet<i64>,
    sealed: Option<(i64, Digest)>,
}

impl Acts {
    fn add(&mut self, entry: Entry<'_>, digest: Digest) {
        match entry {
            Entry::Dropped { run, unchained } => drop(self.dropped.insert(run, unchained)),
            Entry::DroppedNote { id, unchained } => {
                self.dropped_notes.insert(id.to_owned(), unchained);
            }
            Entry::Erased { run } => drop(self.erased.insert(run, digest)),
            Entry::ErasedNote { id } => drop(self.erased_notes.insert(id.to_owned())),
            Entry::Purged { run } => drop(self.purged.insert(run)),
            Entry::Sealed { last } => self.sealed = Some((last, digest)),
            Entry::Opened { .. }
            | Entry::Resumed { .. }
            | Entry::Suspended { .. }
            | Entry::Closed { .. }
            | Entry::Record { .. }
            | Entry::Note { .. } => {}
        }
    }
}

/// Looks at everything. The tail is left to whoever knows the anchor.
pub(super) fn scan(connection: &Connection) -> rusqlite::Result<Verification> {
    let origin = Origin::read(connection)?;
    let seal = Seal::read(connection)?;
    let base = seal.as_ref().map_or_else(|| origin.head(), |seal| seal.head);
    let mut acts = Acts::default();
    let (good, broken) = links(connection, base, &mut acts)?;
    let mut rows = Rows::new(connection, &acts);
    let mut flaw = rows_until(connection, base, good, &mut rows)?;
    if flaw.is_none() {
        flaw = broken.or_else(|| unsealed(seal.as_ref(), &acts));
    }
    if flaw.is_none() {
        flaw = rows.standing()?;
    }
    if flaw.is_none() {
        flaw = totals::check(connection, &origin, seal.as_ref(), &acts, &rows)?;
    }
    let dropped = totals::dropped(&origin, seal.as_ref(), &acts);
    let before = origin.runs + origin.records + origin.notes;
    let before = before - dropped.runs - dropped.records - dropped.notes;
    Ok(Verification {
        entries: good.count.cast_unsigned(),
        head: good.digest,
        dropped: base.count.cast_unsigned(),
        before_chain: u64::try_from(before).unwrap_or(0),
        erased: (acts.erased.len() + acts.erased_notes.len()) as u64,
        bytes: rows.bytes,
        flaw,
        tail: Tail::Unknown,
    })
}

/// Follows the links. How far they hold, and what is wrong with the next.
fn links(
    connection: &Connection,
    base: Head,
    acts: &mut Acts,
) -> rusqlite::Result<(Head, Option<Flaw>)> {
    let mut statement = connection
        .prepare_cached("SELECT first, count, entries, head FROM chain ORDER BY first")?;
    let mut links = statement.query([])?;
    let mut head = base;
    while let Some(link) = links.next()? {
        let (first, count): (i64, i64) = (link.get(0)?, link.get(1)?);
        let entries = link.get_ref(2)?.as_blob()?;
        let after = chain::next(&head, count, entries);
        let kept = link.get_ref(3)?.as_blob()?;
        let mut found = 0;
        let mut readable = true;
        for entry in Entries::new(entries) {
            found += 1;
            readable &= entry.is_some();
        }
        let goes_on = first == head.count + 1 && kept == after.digest.as_bytes().as_slice();
        if !goes_on || !readable || found != count {
            let broken = flaw(Some(head.count + 1), Place::Chain, Damage::Rewritten);
            return Ok((head, Some(broken)));
        }
        Entries::new(entries).flatten().for_each(|(entry, digest)| acts.add(entry, digest));
        head = after;
    }
    Ok((head, None))
}

/// Compares the rows of the links that hold.
fn rows_until(
    connection: &Connection,
    base: Head,
    good: Head,
    rows: &mut Rows<'_>,
) -> rusqlite::Result<Option<Flaw>> {
    let mut statement =
        connection.prepare_cached("SELECT entries FROM chain WHERE first <= ?1 ORDER BY first")?;
    let mut links = statement.query([good.count])?;
    let mut at = base.count;
    while let Some(link) = links.next()? {
        for (entry, digest) in Entries::new(link.get_ref(0)?.as_blob()?).flatten() {
            at += 1;
            if let Some(flaw) = rows.check(at, entry, &digest)? {
                return Ok(Some(flaw));
            }
        }
    }
    Ok(None)
}

/// A seal that the chain does not know, or the other way round.
fn unsealed(seal: Option<&Seal>, acts: &Acts) -> Option<Flaw> {
    let kept = seal.map(|seal| (seal.head.count, seal.digest()));
    (kept != acts.sealed).then(|| flaw(None, Place::Chain, Damage::Rewritten))
}
