//! Events as text for an HTTP response of the type `text/event-stream`.

use crate::event::StreamEvent;

/// The type of the response.
pub const CONTENT_TYPE: &str = "text/event-stream";

/// A comment: sent while nothing happens, it keeps proxies from closing the connection.
pub const KEEP_ALIVE: &str = ": keep-alive\n\n";

/// One event as it goes over the line.
#[must_use]
pub fn frame(event: &StreamEvent) -> String {
    let mut out = String::with_capacity(event.data.len() + event.kind.len() + 40);
    if let Some(id) = event.id {
        out.push_str("id: ");
        out.push_str(&id.to_string());
        out.push('\n');
    }
    out.push_str("event: ");
    // A line end within a field would begin another one.
    out.extend(event.kind.chars().filter(|c| !matches!(c, '\r' | '\n')));
    out.push('\n');
    for line in lines(&event.data) {
        out.push_str("data: ");
        out.push_str(line);
        out.push('\n');
    }
    out.push('\n');
    out
}

/// The lines of a text; each of `\r\n`, `\n` and `\r` ends one.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.split('\n').flat_map(|line| line.strip_suffix('\r').unwrap_or(line).split('\r'))
}

/// What a reader has seen last, from the `Last-Event-ID` field of its request: 0, from the
/// beginning, when there is none or it is no number.
#[must_use]
pub fn last_event_id(field: Option<&str>) -> u64 {
    let digits = field.map(str::trim).filter(|id| id.bytes().all(|byte| byte.is_ascii_digit()));
    digits.and_then(|digits| digits.parse().ok()).unwrap_or(0)
}
