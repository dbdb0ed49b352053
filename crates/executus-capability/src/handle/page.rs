//! A page of a result, under the constraints of its handle.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::{HandleError, Page, Query};
use crate::constraint::Constraints;
use crate::firewall::Limits;
use crate::firewall::known::Known;
use crate::firewall::redact::Redactor;
use crate::firewall::rows::{Narrow, Rows, VALUE, row};
use crate::firewall::show::cell;
use crate::firewall::size::{json_bytes, row_bytes};

/// How many rows of a result are in the scope of constraints.
pub(super) fn row_count(data: &Value, constraints: &Constraints) -> Result<usize, HandleError> {
    let narrow = Narrow::of(constraints)?;
    Ok(Rows::of(data).items.iter().filter(|item| narrow.admits(item)).count())
}

/// Reads a page; `most` rows of it at most.
pub(super) fn page(
    data: &Arc<Value>,
    constraints: &Constraints,
    query: &Query,
    limits: &Limits,
    most: usize,
) -> Result<Page, HandleError> {
    query.check()?;
    let mut narrow = Narrow::of(constraints)?;
    check_filter(&narrow, query)?;
    check_fields(&narrow, query)?;
    if !query.fields.is_empty() {
        narrow.fields = Some(query.fields.clone());
    }
    let most = most.min(narrow.max_rows.unwrap_or(most));
    let most = query.limit.map_or(most, |limit| most.min(limit.try_into().unwrap_or(most)));
    let offset = usize::try_from(query.offset).unwrap_or(usize::MAX);

    let known = [Known::of(data)];
    let mut redactor = Redactor::new(&known, limits.depth);
    let rows = Rows::of(data).items.iter();
    // A page does not count what was replaced on others.
    let mut filter = Redactor::new(&known, limits.depth);
    let matching: Vec<&Value> = rows
        .filter(|item| narrow.admits(item) && matches(item, &query.filter, &mut filter))
        .collect();

    let mut page = Page {
        rows: Vec::new(),
        offset: query.offset,
        total: count(matching.len()),
        next_offset: None,
        warnings: Vec::new(),
    };
    let mut left = limits.raw_bytes;
    let mut read = 0;
    for item in matching.iter().skip(offset).take(most) {
        let mut shown = match redactor.row(item, &narrow, 1) {
            Value::Object(fields) => fields,
            Value::Null => Map::new(),
            other => Map::from_iter([(VALUE.to_owned(), other)]),
        };
        let mut bytes = row_bytes(&shown);
        if bytes > limits.raw_bytes {
            shown = cut(shown, limits);
            bytes = row_bytes(&shown);
            let warning = "values of a row that does not fit into a page were cut";
            page.warnings.push(warning.to_owned());
        }
        // What does not fit any more is on the next page.
        match left.checked_sub(bytes) {
            Some(rest) => left = rest,
            None if read == 0 => left = 0,
            None => break,
        }
        read += 1;
        page.rows.push(shown);
    }
    let next = offset.saturating_add(read);
    page.next_offset = (read > 0 && next < matching.len()).then(|| count(next));
    page.warnings.dedup();
    redactor.warn(&mut page.warnings);
    Ok(page)
}

/// A filter must not contradict the scope, nor look at what may not be seen.
fn check_filter(narrow: &Narrow, query: &Query) -> Result<(), HandleError> {
    for (field, wanted) in &query.filter {
        match narrow.scope.get(field) {
            Some(value) if value == wanted => {}
            Some(_) => return Err(HandleError::Scope { field: shortened(field) }),
            None if narrow.allows(field) => {}
            None => return Err(HandleError::Field { field: shortened(field) }),
        }
    }
    Ok(())
}

fn check_fields(narrow: &Narrow, query: &Query) -> Result<(), HandleError> {
    match query.fields.iter().find(|field| !narrow.allows(field)) {
        Some(field) => Err(HandleError::Field { field: shortened(field) }),
        None => Ok(()),
    }
}

/// Whether a row has what the filter says, as far as the row is shown.
fn matches(item: &Value, filter: &Map<String, Value>, redactor: &mut Redactor<'_, '_>) -> bool {
    if filter.is_empty() {
        return true;
    }
    let fields = row(item);
    let pair = crate::firewall::known::is_pair(&fields);
    filter.iter().all(|(name, wanted)| match fields.get(name) {
        Some(value) if value.is_array() || value.is_object() => false,
        Some(value) => redactor.field(name, value, pair, 2) == *wanted,
        None => wanted.is_null(),
    })
}

/// The row with its values cut, and as many of them as fit into a page.
fn cut(fields: Map<String, Value>, limits: &Limits) -> Map<String, Value> {
    let mut left = limits.raw_bytes;
    let cut = fields.into_iter().map(|(name, value)| (name, cell(value, limits.cell)));
    let fits = cut.take_while(|(name, value)| {
        let rest = left.checked_sub(name.len() + json_bytes(value));
        left = rest.unwrap_or_default();
        rest.is_some()
    });
    fits.collect()
}

fn shortened(field: &str) -> String {
    executus_core::text::bounded_to(crate::firewall::scrub_text(field), 80)
}

fn count(rows: usize) -> u64 {
    u64::try_from(rows).unwrap_or(u64::MAX)
}
