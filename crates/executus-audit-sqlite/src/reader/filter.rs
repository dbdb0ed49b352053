//! Filters as SQL.

use executus_core::Timestamp;
use executus_sqlite::rusqlite::types::Value as SqlValue;

use crate::cursor::List;
use crate::error::QueryError;
use crate::note::NoteFilter;
use crate::query::RunFilter;
use crate::search::Search;

/// What follows the columns: which rows, and in which order. One row more than the limit is asked
/// for: it tells whether there is another page.
pub(super) struct Selection {
    pub(super) sql: String,
    pub(super) values: Vec<SqlValue>,
}

pub(super) fn runs(filter: &RunFilter) -> Result<Selection, QueryError> {
    check(filter.limit, filter.offset, filter.since, filter.until)?;
    let mut all = Conditions::default();
    all.add("run_id = ?", filter.run.as_ref().map(|run| text(run.as_str())));
    all.add("status = ?", filter.status.map(|status| text(status.as_str())));
    all.add("(status IS NULL) = ?", filter.open.then_some(SqlValue::Integer(1)));
    all.add("caller_id = ?", filter.caller.as_deref().map(text));
    all.add("started_at >= ?", filter.since.map(time));
    all.add("started_at < ?", filter.until.map(time));
    if let Some(after) = &filter.after {
        let (at, id) = after.of(List::Runs)?;
        all.add("(started_at, run_id) > (?, ?)", [SqlValue::Integer(at), text(id)]);
    }
    Ok(all.selection("started_at, run_id", filter.limit, filter.offset))
}

pub(super) fn notes(filter: &NoteFilter) -> Result<Selection, QueryError> {
    check(filter.limit, 0, filter.since, filter.until)?;
    let mut all = Conditions::default();
    all.add("run_id = ?", filter.run.as_ref().map(|run| text(run.as_str())));
    all.add("kind = ?", filter.kind.as_deref().map(text));
    all.add("at >= ?", filter.since.map(time));
    all.add("at < ?", filter.until.map(time));
    if let Some(after) = &filter.after {
        let (at, id) = after.of(List::Notes)?;
        all.add("(at, id) > (?, ?)", [SqlValue::Integer(at), text(id)]);
    }
    Ok(all.selection("at, id", filter.limit, 0))
}

/// The first value is the expression, `?1`.
pub(super) fn search(search: &Search) -> Result<Selection, QueryError> {
    check(search.limit, 0, search.since, search.until)?;
    let words = crate::search::expression(&search.text)?;
    let mut all = Conditions { values: vec![SqlValue::Text(words)], ..Conditions::default() };
    all.add("run_id = ?", search.run.as_ref().map(|run| text(run.as_str())));
    all.add("at >= ?", search.since.map(time));
    all.add("at < ?", search.until.map(time));
    if let Some(after) = &search.after {
        let (at, id) = after.of(List::Hits)?;
        all.add("(at, id) > (?, ?)", [SqlValue::Integer(at), text(id)]);
    }
    Ok(all.selection("at, id", search.limit, 0))
}

/// Refuses what means nothing.
fn check(
    limit: Option<i64>,
    offset: i64,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
) -> Result<(), QueryError> {
    for (field, value) in [("limit", limit.unwrap_or(0)), ("offset", offset)] {
        if value < 0 {
            return Err(QueryError::Negative { field, value });
        }
    }
    match (since, until) {
        (Some(since), Some(until)) if until < since => Err(QueryError::Reversed { since, until }),
        _ => Ok(()),
    }
}

#[derive(Default)]
struct Conditions {
    sql: String,
    values: Vec<SqlValue>,
}

impl Conditions {
    /// Adds a condition that has values.
    fn add(&mut self, condition: &str, values: impl IntoIterator<Item = SqlValue>) {
        let before = self.values.len();
        self.values.extend(values);
        if self.values.len() > before {
            self.sql.push_str(if self.sql.is_empty() { " WHERE " } else { " AND " });
            self.sql.push_str(condition);
        }
    }

    fn selection(mut self, order: &str, limit: Option<i64>, offset: i64) -> Selection {
        let sql = format!("{} ORDER BY {order} LIMIT ? OFFSET ?", self.sql);
        let limit = limit.map_or(-1, |limit| limit.saturating_add(1));
        self.values.extend([SqlValue::Integer(limit), SqlValue::Integer(offset)]);
        Selection { sql, values: self.values }
    }
}

fn text(text: &str) -> SqlValue {
    SqlValue::Text(text.to_owned())
}

fn time(time: Timestamp) -> SqlValue {
    SqlValue::Integer(time.as_micros())
}
