//! Paging: where a page ends, and the next one begins.

use std::fmt::{self, Write as _};
use std::str::{self, FromStr};

use executus_core::Timestamp;

use crate::error::QueryError;

/// A place in a list, after which its next page begins.
///
/// It is opaque: keep its text, and give it back with the same filter. It stays right when rows are
/// added, erased or dropped meanwhile: nothing is shown twice, and nothing left out that was there
/// all the time.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Cursor {
    list: List,
    at: i64,
    id: String,
}

/// Which list a cursor belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum List {
    Runs = 1,
    Notes = 2,
    Hits = 3,
}

/// Some items of a list, and where the next ones begin.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    /// The items, in the order of the list.
    pub items: Vec<T>,
    /// Give it as `after` for what follows; `None` at the end of the list.
    pub next: Option<Cursor>,
}

impl Cursor {
    pub(crate) fn new(list: List, at: Timestamp, id: &str) -> Self {
        Self { list, at: at.as_micros(), id: id.to_owned() }
    }

    /// What the rows after it are compared with; an error when it belongs to another list.
    pub(crate) fn of(&self, list: List) -> Result<(i64, &str), QueryError> {
        if self.list == list { Ok((self.at, &self.id)) } else { Err(no_cursor(&self.to_string())) }
    }
}

impl<T> Page<T> {
    /// The page of `rows`, of which one more than the limit was asked for.
    pub(crate) fn cut(
        mut items: Vec<T>,
        limit: Option<i64>,
        cursor: impl FnOnce(&T) -> Cursor,
    ) -> Self {
        let limit = limit.and_then(|limit| usize::try_from(limit).ok());
        let next = match limit {
            Some(limit) if items.len() > limit => {
                items.truncate(limit);
                items.last().map(cursor)
            }
            _ => None,
        };
        Self { items, next }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02x}{:016x}", self.list as u8, self.at)?;
        self.id.bytes().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for Cursor {
    type Err = QueryError;

    fn from_str(text: &str) -> Result<Self, QueryError> {
        parse(text).ok_or_else(|| no_cursor(text))
    }
}

fn parse(text: &str) -> Option<Cursor> {
    let pairs = text.as_bytes().chunks(2).map(|pair| {
        let pair = str::from_utf8(pair).ok().filter(|pair| pair.len() == 2)?;
        // A sign would pass as a digit.
        let plain = pair.bytes().all(|byte| byte.is_ascii_hexdigit());
        plain.then(|| u8::from_str_radix(pair, 16).ok())?
    });
    let bytes = pairs.collect::<Option<Vec<_>>>()?;
    let (list, rest) = bytes.split_first()?;
    let (at, id) = rest.split_first_chunk::<8>()?;
    let list = match list {
        1 => List::Runs,
        2 => List::Notes,
        3 => List::Hits,
        _ => return None,
    };
    let id = str::from_utf8(id).ok()?.to_owned();
    Some(Cursor { list, at: i64::from_be_bytes(*at), id })
}

fn no_cursor(text: &str) -> QueryError {
    let mut cursor = String::new();
    for char in text.chars().take(80) {
        let _ = write!(cursor, "{}", char.escape_debug());
    }
    QueryError::Cursor { cursor }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_was_written() {
        for (at, id) in [(0, ""), (i64::MIN, "x"), (1_800_000_000_000_000, "läuft/7")] {
            let cursor = Cursor::new(List::Notes, Timestamp::from_micros(at), id);
            assert_eq!(cursor.to_string().parse::<Cursor>().unwrap(), cursor);
            assert_eq!(cursor.of(List::Notes).unwrap(), (at, id));
            assert!(matches!(cursor.of(List::Runs), Err(QueryError::Cursor { .. })));
        }
    }

    #[test]
    fn whatever_else_is_none() {
        let good = Cursor::new(List::Runs, Timestamp::from_micros(7), "run").to_string();
        for len in 0..18 {
            assert!(good[..len].parse::<Cursor>().is_err());
        }
        for bad in ["+1", "zz", "09000000000000000761", "0100000000000000ff\u{e9}", "é"] {
            let error = bad.parse::<Cursor>().unwrap_err();
            assert!(matches!(error, QueryError::Cursor { .. }), "{error:?}");
        }
        let long = "9".repeat(1000).parse::<Cursor>().unwrap_err();
        assert!(long.to_string().len() < 200, "{long}");
    }
}
