//! What a model reads of a frame or a page.

use std::fmt::Write as _;

use executus_core::ToolOutput;
use executus_core::text::bounded_to;
use serde_json::{Map, Value, json};

use crate::frame::Frame;
use crate::handle::Page;

/// A frame as text, bounded, and as data without what it shows.
pub(super) fn frame(frame: &Frame, max_text: usize) -> ToolOutput {
    let mut text = frame.facts.join("\n");
    lines(&mut text, &frame.rows);
    if let Some(raw) = &frame.raw {
        line(&mut text, &raw.to_string());
    }
    notes(&mut text, &frame.warnings);
    let mut text = bounded_to(text, max_text);
    if let Some(handle) = &frame.handle {
        let (id, rows) = (&handle.id, handle.row_count);
        line(&mut text, &format!("the whole result, {rows} rows, is behind the handle {id}"));
    }
    if text.is_empty() {
        text.push_str("done; there is nothing to show");
    }
    let data = json!({
        "action_id": frame.action_id,
        "mode": frame.mode,
        "handle": frame.handle.as_ref().map(|handle| &handle.id),
        "fact_count": frame.facts.len(),
        "row_count": frame.rows.len(),
        "warning_count": frame.warnings.len(),
    });
    ToolOutput { text, data: Some(data), artifacts: Vec::new() }
}

/// A page as text, bounded, and as data without its rows.
pub(super) fn page(page: &Page, max_text: usize) -> ToolOutput {
    let mut text = String::new();
    lines(&mut text, &page.rows);
    notes(&mut text, &page.warnings);
    let mut text = bounded_to(text, max_text);
    let (count, total, offset) = (page.rows.len(), page.total, page.offset);
    let mut place = format!("{count} rows from {offset} of {total}");
    if let Some(next) = page.next_offset {
        let _ = write!(place, "; the next page is at offset {next}");
    }
    line(&mut text, &place);
    let data = json!({
        "row_count": count, "offset": offset, "total": total, "next_offset": page.next_offset,
    });
    ToolOutput { text, data: Some(data), artifacts: Vec::new() }
}

fn lines(text: &mut String, rows: &[Map<String, Value>]) {
    for row in rows {
        // A map of JSON values is always written.
        line(text, &serde_json::to_string(row).unwrap_or_default());
    }
}

fn notes(text: &mut String, warnings: &[String]) {
    for warning in warnings {
        line(text, &format!("note: {warning}"));
    }
}

fn line(text: &mut String, line: &str) {
    if !text.is_empty() {
        text.push('\n');
    }
    text.push_str(line);
}
