//! The first byte says how a stream is framed, the second how it is cut. Whatever comes: no panic,
//! the same events however it is cut, none of them longer than allowed.
#![no_main]

use executus_http::events::{Events, Framing, TooLong};
use libfuzzer_sys::fuzz_target;

const LIMIT: usize = 64;

fn read<'a>(
    framing: Framing,
    limit: usize,
    pieces: impl Iterator<Item = &'a [u8]>,
) -> (Vec<String>, Result<(), TooLong>) {
    let mut events = Events::new(framing, limit);
    let mut read = Vec::new();
    let mut each = |event: &str| {
        read.push(event.to_owned());
        Ok(())
    };
    let mut ended = Ok(());
    for piece in pieces {
        ended = events.push(piece, &mut each);
        if ended.is_err() {
            break;
        }
    }
    if ended.is_ok() {
        ended = events.finish(&mut each);
    }
    (read, ended)
}

fuzz_target!(|data: &[u8]| {
    let [kind, cut, stream @ ..] = data else { return };
    let framing = if kind % 2 == 0 { Framing::Sse } else { Framing::Lines };
    let limit = if kind % 4 < 2 { LIMIT } else { stream.len() + 1 };
    let (events, ended) = read(framing, limit, std::iter::once(stream));
    let pieces = stream.chunks(usize::from(*cut).max(1));
    assert_eq!(read(framing, limit, pieces), (events.clone(), ended), "however it is cut");
    let longest = events.iter().map(String::len).max().unwrap_or_default();
    // A broken byte is one, and what stands for it three; lines of one event have a newline between
    // them.
    assert!(longest <= 4 * limit + 3, "{longest} of {limit}");
    if limit > stream.len() {
        assert_eq!(ended, Ok(()), "nothing is too long");
        let blank = |event: &&String| event.trim().is_empty();
        assert_eq!(events.iter().find(blank), None, "an event says something");
    }
});
