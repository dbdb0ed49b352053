//! Events as text.

use executus_core::RunStatus;
use executus_stream::{StreamEvent, sse};

fn event(id: Option<u64>, kind: &str, data: &str) -> StreamEvent {
    StreamEvent { id, kind: kind.into(), data: data.into() }
}

#[test]
fn an_event_is_a_block_of_fields() {
    assert_eq!(
        sse::frame(&event(Some(7), "acted", r#"{"tool":"look"}"#)),
        "id: 7\nevent: acted\ndata: {\"tool\":\"look\"}\n\n"
    );
    assert_eq!(
        sse::frame(&StreamEvent::complete(RunStatus::Ok)),
        "event: complete\ndata: {\"status\":\"ok\"}\n\n"
    );
}

#[test]
fn no_text_makes_a_field_or_an_event_of_its_own() {
    let frame = sse::frame(&event(None, "a\nid: 9", "1\r\n2\r3\n\nid: 9"));
    assert_eq!(frame, "event: aid: 9\ndata: 1\ndata: 2\ndata: 3\ndata: \ndata: id: 9\n\n");
}

/// SF-09
#[test]
fn a_missing_or_strange_last_event_id_is_the_beginning() {
    for (field, id) in [
        (None, 0),
        (Some(""), 0),
        (Some("abc"), 0),
        (Some("-1"), 0),
        (Some("+1"), 0),
        (Some("1.5"), 0),
        (Some("99999999999999999999999"), 0),
        (Some("٣"), 0),
        (Some("42"), 42),
        (Some(" 42 "), 42),
    ] {
        assert_eq!(sse::last_event_id(field), id, "{field:?}");
    }
}
