//! Streams, whole and in pieces.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::{Events, Framing, TooLong};

const LIMIT: usize = 1 << 20;

fn read<'a>(
    framing: Framing,
    chunks: impl IntoIterator<Item = &'a [u8]>,
) -> Result<Vec<String>, TooLong> {
    let mut events = Events::new(framing, LIMIT);
    let mut read = Vec::new();
    let mut each = |data: &str| {
        read.push(data.to_owned());
        Ok(())
    };
    for chunk in chunks {
        events.push(chunk, &mut each)?;
    }
    events.finish(&mut each)?;
    Ok(read)
}

fn sse(stream: &str) -> Vec<String> {
    read(Framing::Sse, [stream.as_bytes()]).unwrap()
}

#[test]
fn events_have_data() {
    assert_eq!(sse("data: a\n\ndata: b\n\n"), ["a", "b"]);
    assert_eq!(sse("data:a\n\n"), ["a"], "the space is not needed");
    assert_eq!(sse("data:  a\n\n"), [" a"], "one space is no part of it");
    assert_eq!(sse("data: a\ndata: b\n\n"), ["a\nb"], "lines of one event are one text");
    assert_eq!(sse("\u{feff}data: a\n\n"), ["a"], "a mark of the byte order may come first");
}

#[test]
fn what_is_no_data_is_skipped() {
    assert_eq!(sse(": a comment\n\n"), [""; 0]);
    assert_eq!(sse("event: ping\nid: 1\nretry: 5\ndata: a\nother\n\n"), ["a"]);
    assert_eq!(sse("\n\n\ndata: a\n\n\n\n"), ["a"]);
    assert_eq!(sse("data:\n\ndata: \n\ndata\n\n"), [""; 0], "empty data say nothing");
    assert_eq!(sse("database: a\n\n"), [""; 0]);
}

#[test]
fn lines_end_in_three_ways() {
    for end in ["\n", "\r\n", "\r"] {
        let stream = ["data: a", "", "data: b", "data: c", "", ": d", ""].join(end);
        assert_eq!(sse(&stream), ["a", "b\nc"], "{end:?}");
    }
}

#[test]
fn a_last_event_may_lack_its_end() {
    assert_eq!(sse("data: a\n\ndata: b\n"), ["a", "b"]);
    assert_eq!(sse("data: a\n\ndata: b"), ["a", "b"]);
    assert_eq!(read(Framing::Lines, [&b"{}\n[]"[..]]).unwrap(), ["{}", "[]"]);
}

#[test]
fn lines_are_events() {
    let read = |stream: &str| read(Framing::Lines, [stream.as_bytes()]).unwrap();
    assert_eq!(read("{\"a\":1}\n{\"b\":2}\r\n\n  \n{}\n"), ["{\"a\":1}", "{\"b\":2}", "{}"]);
    assert_eq!(read("data: a\n\n"), ["data: a"]);
    assert_eq!(read(""), [""; 0]);
}

#[test]
fn characters_may_come_in_pieces() {
    let stream = "data: äö€😀\n\n".as_bytes();
    assert_eq!(read(Framing::Sse, stream.chunks(1)).unwrap(), ["äö€😀"]);
    assert_eq!(read(Framing::Sse, [&b"data: \xff\xfe!\n\n"[..]]).unwrap(), ["\u{fffd}\u{fffd}!"]);
}

#[test]
fn what_an_event_means_is_for_the_reader_to_say() {
    let mut events = Events::new(Framing::Sse, LIMIT);
    let mut seen = 0;
    let ended = events.push(b"data: a\n\ndata: b\n\n", &mut |_| {
        seen += 1;
        Err(TooLong { limit: 7 })
    });
    assert_eq!((ended, seen), (Err(TooLong { limit: 7 }), 1));
}

#[test]
fn lines_have_a_longest_length() {
    let chunk = vec![b'a'; 64 << 10];
    for framing in [Framing::Sse, Framing::Lines] {
        let chunks = std::iter::repeat_n(&*chunk, LIMIT / chunk.len());
        let fits = read(framing, chunks.clone()).unwrap();
        assert_eq!(fits.len(), usize::from(framing == Framing::Lines));
        let error = read(framing, chunks.chain([&b"a"[..]])).unwrap_err();
        assert_eq!(error, TooLong { limit: LIMIT });
    }
}

#[test]
fn events_have_a_longest_length_too() {
    let line = format!("data: {}\n", "a".repeat(1 << 16));
    let lines = std::iter::repeat_n(line.as_bytes(), LIMIT / (1 << 16) + 1);
    assert!(read(Framing::Sse, lines).is_err());
}

proptest! {
    /// However a stream is cut into chunks, it has the same events.
    #[test]
    fn any_split_gives_the_same_events(
        blocks in vec(vec("[^\r\n\u{feff}]{0,12}", 1..4), 0..6),
        end in select(vec!["\n", "\r\n", "\r"]),
        comments in vec("[^\r\n]{0,8}", 6),
        is_ended: bool,
        cuts in vec(any::<Index>(), 0..16),
    ) {
        let mut stream = String::new();
        for (block, comment) in blocks.iter().zip(&comments) {
            for line in block {
                stream.push_str(&format!("data: {line}{end}: {comment}{end}event: x{end}"));
            }
            stream.push_str(end);
        }
        if !is_ended {
            stream.truncate(stream.trim_end_matches(['\r', '\n']).len());
        }
        let expected: Vec<_> = blocks
            .iter()
            .map(|lines| lines.join("\n"))
            .filter(|data| !data.trim().is_empty())
            .collect();
        let bytes = stream.as_bytes();
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let chunks = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]);
        prop_assert_eq!(read(Framing::Sse, chunks).unwrap(), expected);
    }

    /// Nothing that is sent makes it panic, and splits do not matter for garbage either.
    #[test]
    fn garbage_is_read_the_same_however_it_is_cut(
        bytes in vec(select(b"data: \r\n{}\xc3\xa4\xff:e".to_vec()), 0..64),
        size in 1_usize..9,
        framing in select(vec![Framing::Sse, Framing::Lines]),
    ) {
        let whole = read(framing, [&*bytes]).unwrap();
        prop_assert_eq!(read(framing, bytes.chunks(size)).unwrap(), whole);
    }
}
