//! Search: records and notes by the words in them.

mod index;
mod words;

use executus_core::{RunId, Timestamp};
use serde_json::Value;

use crate::audit::SqliteAudit;
use crate::cursor::Cursor;
use crate::error::QueryError;
use crate::job::Work;

pub(crate) use index::{Index, Indexed};
pub(crate) use words::expression;

/// What to look for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Search {
    /// Words, all of which must be there; `"some words"` in quotes must stand one after the other,
    /// and `begin*` stands for all words that begin so. Neither case nor accents count, nor does
    /// punctuation. What is searched are the texts and whole numbers that a record or a note says,
    /// as they are kept: scrubbed.
    pub text: String,
    /// In the records and notes of this run alone.
    pub run: Option<RunId>,
    /// Of this time or later.
    pub since: Option<Timestamp>,
    /// From before this time. It must not lie before `since`.
    pub until: Option<Timestamp>,
    /// At most so many; `None` for all.
    pub limit: Option<i64>,
    /// Those after this place: the `next` of the page before.
    pub after: Option<Cursor>,
}

/// Something that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    /// When it happened.
    pub at: Timestamp,
    /// The run that it belongs to.
    pub run_id: Option<RunId>,
    /// Which record or note.
    pub place: HitPlace,
    /// What kind of fact or note it is.
    pub kind: String,
    /// What it says.
    pub body: Value,
}

/// Where something was found.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum HitPlace {
    /// In a record of the run.
    Record {
        /// Its number there.
        seq: u64,
    },
    /// In a note.
    Note {
        /// Its id.
        id: String,
    },
}

/// What a search found, by time and place: the newest last.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Found {
    /// The hits.
    pub hits: Vec<Hit>,
    /// Give it as `after` for what follows; `None` at the end.
    pub next: Option<Cursor>,
    /// Entries of the chain that are not in the index yet, and were not searched: 0 from
    /// [`SqliteAudit::search`] but for what was recorded meanwhile.
    pub behind: u64,
}

impl SqliteAudit {
    /// Searches everything that was durable when it was called. The index is brought up to date
    /// first, in small transactions between those of the runs: recording pays nothing for it
    /// before somebody searches, and the first search of a large file takes a while.
    ///
    /// What was erased or dropped is not found, and nothing of it is left in the index.
    ///
    /// # Errors
    /// See [`QueryError`]; [`QueryError::NoWords`] for a text without any.
    ///
    /// # Cancellation
    /// What was put into the index stays there.
    pub async fn search(&self, search: Search) -> Result<Found, QueryError> {
        expression(&search.text)?;
        self.index().await?;
        self.ask(move |reader| reader.search(&search)).await
    }

    /// Brings the index up to date, as a search does: for a host that does so in a quiet hour.
    ///
    /// # Errors
    /// See [`QueryError`].
    pub async fn index(&self) -> Result<(), QueryError> {
        let upto = self.ask(|reader| reader.mark()).await?.count;
        loop {
            let indexed = self.wait_for(|answer| Work::Index(Index::default(), answer)).await;
            let indexed = indexed.map_err(QueryError::failed)?;
            if indexed.is_whole || indexed.place >= upto && !indexed.has_old {
                return Ok(());
            }
        }
    }
}
