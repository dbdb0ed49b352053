//! What each failure means for the next attempt.

use super::*;

fn said(code: &str, message: &str) -> Complaint {
    Complaint { message: message.to_owned(), code: code.to_owned(), retry_after: None }
}

fn kind(failure: &Failure) -> &'static str {
    match (&failure.error, failure.again) {
        (ModelError::Unavailable { .. }, true) => "away",
        (ModelError::RateLimited { .. }, true) => "too fast",
        (ModelError::ContextOverflow { .. }, false) => "overflow",
        (ModelError::Rejected { .. }, false) => "refused",
        (ModelError::Malformed { .. }, true) => "malformed",
        (ModelError::Malformed { .. }, false) => "too large",
        (error, again) => panic!("{error:?}, again: {again}"),
    }
}

#[test]
fn a_status_says_whether_to_ask_again() {
    for (status, code, message, expected) in [
        (400, "", "no such field", "refused"),
        (400, "", "This model's maximum context length is 8192 tokens", "overflow"),
        (401, "invalid_api_key", "", "refused"),
        (404, "", "", "refused"),
        (301, "", "", "refused"),
        (408, "", "", "away"),
        (409, "", "", "away"),
        (413, "", "", "overflow"),
        (429, "rate_limit_exceeded", "", "too fast"),
        // A server that has one type for everything.
        (429, "invalid_request_error", "", "too fast"),
        (429, "insufficient_quota", "", "refused"),
        (500, "invalid_request_error", "", "away"),
        (500, "", "the context window of the worker is gone", "away"),
        (529, "overloaded_error", "", "away"),
    ] {
        let failure = Failure::of_status(status, said(code, message), None);
        assert_eq!(kind(&failure), expected, "{status} {code} {message}");
    }
}

#[test]
fn an_error_in_a_stream_says_it_by_its_code() {
    for (code, expected) in [
        ("", "away"),
        ("overloaded_error", "away"),
        ("server_error", "away"),
        ("503", "away"),
        ("99", "away"),
        ("rate_limit_error", "too fast"),
        ("429", "too fast"),
        ("invalid_request_error", "refused"),
        ("authentication_error", "refused"),
        ("PERMISSION_DENIED", "refused"),
        ("insufficient_quota", "refused"),
        ("402", "refused"),
        ("context_length_exceeded", "overflow"),
    ] {
        assert_eq!(kind(&Failure::in_stream(said(code, "so"))), expected, "{code}");
    }
}

/// Whoever is away may say for how long, as one who limits the rate does.
#[test]
fn the_time_to_come_back_is_kept_with_every_failure() {
    let (head, body) = (Duration::from_secs(3), Duration::from_secs(4));
    for status in [429, 503] {
        let complaint = || Complaint { retry_after: Some(body), ..Complaint::default() };
        assert_eq!(Failure::of_status(status, complaint(), Some(head)).after, Some(head));
        assert_eq!(Failure::of_status(status, complaint(), None).after, Some(body));
    }
    let limited = Complaint { retry_after: Some(body), ..said("429", "") };
    assert_eq!(Failure::in_stream(limited).after, Some(body));
}
