//! What the fuzz targets call: the readers, without a network.

use executus_core::{ModelError, Reply};
use executus_http::events::Events;

use crate::dialect;
use crate::draft::Draft;
use crate::failure::Failure;
use crate::name::Provider;

/// Reads an answer that comes in these pieces, with at most so many bytes of text and of arguments.
/// The visible text is given to `say`.
///
/// # Errors
/// What the run would be told.
pub fn streamed<'a>(
    provider: Provider,
    pieces: impl Iterator<Item = &'a [u8]>,
    max: usize,
    say: &mut dyn FnMut(&str),
) -> Result<Reply, ModelError> {
    let dialect = dialect::of(provider);
    let mut draft = Draft::new(max);
    let mut events = Events::new(dialect.framing(), max);
    let mut reader = dialect.reader();
    let mut take = |data: &str| {
        if reader.is_over() || draft.is_full() {
            return Ok(());
        }
        reader.event(data, &mut draft, say)
    };
    let read = || -> Result<(), Failure> {
        for piece in pieces {
            events.push(piece, &mut take)?;
        }
        events.finish(&mut take)
    };
    let read = { read }();
    finish(read, draft)
}

/// Reads an answer that comes whole.
///
/// # Errors
/// What the run would be told.
pub fn whole(provider: Provider, body: &[u8], max: usize) -> Result<Reply, ModelError> {
    let dialect = dialect::of(provider);
    let value = serde_json::from_slice(body).unwrap_or_default();
    let _ = dialect.complaint(&value);
    let mut draft = Draft::new(max);
    let read = dialect.whole(&value, &mut draft);
    finish(read, draft)
}

fn finish(read: Result<(), Failure>, draft: Draft) -> Result<Reply, ModelError> {
    read.and_then(|()| draft.finish("provider", "model")).map_err(|failure| failure.error)
}
