//! Whether two records of a run changed places: an edit that is told by its name.

use executus_core::digest::Digest;
use executus_sqlite::rusqlite::{self, Connection, params};

use super::rows::{Kept, RECORD, record};
use crate::chain::entry::{Entries, Entry};
use crate::chain::row::Salt;

/// The record of the run that this one changed places or contents with.
pub(super) fn partner(
    connection: &Connection,
    run: i64,
    seq: i64,
    salt: Option<Salt>,
) -> rusqlite::Result<Option<u64>> {
    let Some(salt) = salt else { return Ok(None) };
    let digests = digests(connection, run)?;
    let Some(mine) = read(connection, run, seq)? else { return Ok(None) };
    let own = digests.iter().find(|(of, _)| *of == seq).map(|(_, digest)| *digest);
    for (other, digest) in &digests {
        if *other == seq {
            continue;
        }
        let Some(theirs) = read(connection, run, *other)? else { continue };
        let fits = |row: &Kept, at, digest| {
            Some(Kept { seq: at, ..row.clone() }.digest(run, &salt)) == digest
        };
        // Both ways: one that was only copied over the other is an edit.
        let rows = fits(&mine, *other, Some(*digest)) && fits(&theirs, seq, own);
        let with = |row: &Kept, body: &Kept| Kept { body: body.body.clone(), ..row.clone() };
        let bodies = || {
            fits(&with(&theirs, &mine), *other, Some(*digest))
                && fits(&with(&mine, &theirs), seq, own)
        };
        if rows || bodies() {
            return Ok(Some(other.cast_unsigned()));
        }
    }
    Ok(None)
}

fn read(connection: &Connection, run: i64, seq: i64) -> rusqlite::Result<Option<Kept>> {
    let mut statement =
        connection.prepare_cached(&format!("{RECORD} WHERE run = ?1 AND seq = ?2"))?;
    let mut rows = statement.query(params![run, seq])?;
    match rows.next()? {
        Some(row) => record(row),
        None => Ok(None),
    }
}

/// The digests of a run's records, by the chain.
pub(super) fn digests(connection: &Connection, run: i64) -> rusqlite::Result<Vec<(i64, Digest)>> {
    let mut statement = connection.prepare_cached("SELECT entries FROM chain ORDER BY first")?;
    let mut links = statement.query([])?;
    let mut digests = Vec::new();
    while let Some(link) = links.next()? {
        for (entry, digest) in Entries::new(link.get_ref(0)?.as_blob()?).flatten() {
            match entry {
                Entry::Record { run: of, seq } if of == run => digests.push((seq, digest)),
                _ => {}
            }
        }
    }
    Ok(digests)
}
