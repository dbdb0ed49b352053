//! What the errors of the layers below mean.

use std::error::Error;
use std::io;

use crate::address::Refused;
use crate::connect::NoConnection;
use crate::error::{ConnectFailure, DropKind, HttpError, Part, Phase};

/// A request that got no response.
#[derive(Debug)]
pub(crate) struct Unanswered<'a> {
    pub(crate) address: &'a str,
    /// Whether there was a connection that the request can have left on.
    pub(crate) sent: bool,
    pub(crate) connect_timeout: std::time::Duration,
    pub(crate) max_header_bytes: usize,
}

impl Unanswered<'_> {
    /// Why.
    pub(crate) fn because(&self, error: &(dyn Error + 'static)) -> HttpError {
        let address = self.address.to_owned();
        match find::<NoConnection>(error) {
            Some(NoConnection::TimedOut) => {
                let (phase, limit) = (Phase::Connect, self.connect_timeout);
                return HttpError::Timeout { phase, limit, address };
            }
            Some(NoConnection::Address(Refused { ip, kind })) => {
                return HttpError::Address { address, ip: *ip, kind: *kind };
            }
            Some(NoConnection::Tls(message)) => {
                return HttpError::Tls { address, message: message.clone() };
            }
            Some(NoConnection::Failed { failure, message }) => {
                let (failure, message) = (*failure, message.clone());
                return HttpError::Connect { address, failure, message };
            }
            None => {}
        }
        let hyper = find::<hyper::Error>(error);
        // A kept connection that was closed before it took the request: hyper gave it back whole.
        if hyper.is_some_and(hyper::Error::is_canceled) {
            let kind = DropKind::Closed;
            return HttpError::Dropped { kind, before_head: true, sent: false, address };
        }
        match broken(error) {
            Broken::Head => {
                HttpError::TooLarge { part: Part::Head, limit: self.max_header_bytes, address }
            }
            Broken::Dropped(_) if !self.sent => HttpError::Connect {
                address,
                failure: ConnectFailure::Closed,
                message: "it was closed before the request was sent".to_owned(),
            },
            Broken::Dropped(kind) => {
                HttpError::Dropped { kind, before_head: true, sent: true, address }
            }
            Broken::Protocol(message) => HttpError::Protocol { address, message, sent: self.sent },
        }
    }
}

/// Why a body ended before its end.
pub(crate) fn of_body(error: &hyper::Error, address: &str) -> HttpError {
    let address = address.to_owned();
    match broken(error) {
        Broken::Dropped(kind) => {
            HttpError::Dropped { kind, before_head: false, sent: true, address }
        }
        Broken::Protocol(message) => HttpError::Protocol { address, message, sent: true },
        Broken::Head => {
            let message = "the fields behind its body are too large".to_owned();
            HttpError::Protocol { address, message, sent: true }
        }
    }
}

enum Broken {
    Dropped(DropKind),
    /// The head is too large.
    Head,
    Protocol(String),
}

fn broken(error: &(dyn Error + 'static)) -> Broken {
    let hyper = find::<hyper::Error>(error);
    if let Some(hyper) = hyper {
        if hyper.is_incomplete_message() || hyper.is_closed() {
            return Broken::Dropped(drop_kind(error));
        }
        if hyper.is_parse() {
            // Its accessor for this comes with the server's features only.
            let message = hyper.to_string();
            return if message == "message head is too large" {
                Broken::Head
            } else {
                Broken::Protocol(message)
            };
        }
    }
    if let Some(error) = find::<h2::Error>(error) {
        // This side refuses a head that is too large, or comes in too many pieces.
        if error.is_library()
            && matches!(
                error.reason(),
                Some(h2::Reason::REFUSED_STREAM | h2::Reason::ENHANCE_YOUR_CALM)
            )
        {
            return Broken::Head;
        }
        // A proxy or a server that restarts says one of these; the others are faults.
        return match error.reason() {
            Some(
                h2::Reason::NO_ERROR
                | h2::Reason::CANCEL
                | h2::Reason::INTERNAL_ERROR
                | h2::Reason::REFUSED_STREAM
                | h2::Reason::ENHANCE_YOUR_CALM,
            ) => Broken::Dropped(DropKind::Closed),
            None if error.is_io() => Broken::Dropped(drop_kind(error)),
            Some(_) | None => Broken::Protocol(error.to_string()),
        };
    }
    if let Some(tls) = find::<rustls::Error>(error) {
        return Broken::Protocol(tls.to_string());
    }
    match (find::<io::Error>(error), hyper) {
        (Some(io), _) => match io.kind() {
            io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::Other => {
                Broken::Protocol(io.to_string())
            }
            _ => Broken::Dropped(drop_kind(io)),
        },
        (None, Some(hyper)) if hyper.is_user() => Broken::Dropped(DropKind::Closed),
        (None, Some(hyper)) => Broken::Protocol(hyper.to_string()),
        // The pool could not deliver the connection it had promised.
        (None, None) => Broken::Dropped(DropKind::Closed),
    }
}

fn drop_kind(error: &(dyn Error + 'static)) -> DropKind {
    match find::<io::Error>(error).map(io::Error::kind) {
        Some(io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted) => DropKind::Reset,
        Some(io::ErrorKind::BrokenPipe) => DropKind::BrokenPipe,
        Some(_) | None => DropKind::Closed,
    }
}

/// The first error of this type, among an error and what caused it.
pub(crate) fn find<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        // What an I/O error wraps is not its source: its source is the source of that.
        next = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}
