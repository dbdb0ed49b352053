//! The entries of a link: which row it is, and its digest.
//!
//! An entry is a tag, the numbers that name the row, and 32 bytes of digest. Numbers are written
//! seven bits to a byte, the lowest first; a text follows its length.

use std::str;

use executus_core::digest::Digest;

/// Which row of the file, or what was done with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entry<'a> {
    /// A run began.
    Opened { run: i64 },
    /// Another life of it began.
    Resumed { run: i64 },
    /// A life ended, and the run may go on.
    Suspended { run: i64 },
    /// The run ended for good.
    Closed { run: i64 },
    /// A record of a run.
    Record { run: i64, seq: i64 },
    /// A note.
    Note { id: &'a str },
    /// The journal of a run was removed; its records stay.
    Purged { run: i64 },
    /// What a run and its records say was erased; the rows stay.
    Erased { run: i64 },
    /// What a note says was erased.
    ErasedNote { id: &'a str },
    /// A run was dropped, with so many of its records from before the chain.
    Dropped { run: i64, unchained: i64 },
    /// A note was dropped.
    DroppedNote { id: &'a str, unchained: bool },
    /// The beginning of the chain was dropped, up to this place.
    Sealed { last: i64 },
}

impl<'a> Entry<'a> {
    pub(crate) fn write(self, out: &mut Vec<u8>) {
        let (tag, numbers, id) = match self {
            Self::Opened { run } => (1, [Some(run), None], None),
            Self::Resumed { run } => (2, [Some(run), None], None),
            Self::Suspended { run } => (3, [Some(run), None], None),
            Self::Closed { run } => (4, [Some(run), None], None),
            Self::Record { run, seq } => (5, [Some(run), Some(seq)], None),
            Self::Note { id } => (6, [None, None], Some(id)),
            Self::Purged { run } => (7, [Some(run), None], None),
            Self::Erased { run } => (8, [Some(run), None], None),
            Self::ErasedNote { id } => (9, [None, None], Some(id)),
            Self::Dropped { run, unchained } => (10, [Some(run), Some(unchained)], None),
            Self::DroppedNote { id, unchained } => {
                (11, [Some(i64::from(unchained)), None], Some(id))
            }
            Self::Sealed { last } => (12, [Some(last), None], None),
        };
        out.push(tag);
        numbers.into_iter().flatten().for_each(|number| write_number(out, number));
        if let Some(id) = id {
            write_number(out, i64::try_from(id.len()).unwrap_or(i64::MAX));
            out.extend_from_slice(id.as_bytes());
        }
    }

    /// Reads the first entry of some; `None` when it is none.
    fn read(bytes: &mut &'a [u8]) -> Option<Self> {
        let (tag, rest) = bytes.split_first()?;
        *bytes = rest;
        let run = |bytes: &mut &'a [u8]| read_number(bytes);
        Some(match tag {
            1 => Self::Opened { run: run(bytes)? },
            2 => Self::Resumed { run: run(bytes)? },
            3 => Self::Suspended { run: run(bytes)? },
            4 => Self::Closed { run: run(bytes)? },
            5 => Self::Record { run: run(bytes)?, seq: read_number(bytes)? },
            6 => Self::Note { id: read_text(bytes)? },
            7 => Self::Purged { run: run(bytes)? },
            8 => Self::Erased { run: run(bytes)? },
            9 => Self::ErasedNote { id: read_text(bytes)? },
            10 => Self::Dropped { run: run(bytes)?, unchained: read_number(bytes)? },
            11 => {
                let unchained = read_number(bytes)? != 0;
                Self::DroppedNote { unchained, id: read_text(bytes)? }
            }
            12 => Self::Sealed { last: read_number(bytes)? },
            _ => return None,
        })
    }
}

/// The entries of a link, each with its digest; `None` where they cannot be read.
pub(crate) struct Entries<'a>(&'a [u8]);

impl<'a> Entries<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Option<(Entry<'a>, Digest)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let mut read = || {
            let entry = Entry::read(&mut self.0)?;
            let (digest, rest) = self.0.split_first_chunk::<32>()?;
            self.0 = rest;
            Some((entry, Digest::from_bytes(*digest)))
        };
        let item = read();
        if item.is_none() {
            self.0 = &[];
        }
        Some(item)
    }
}

fn write_number(out: &mut Vec<u8>, number: i64) {
    let mut left = number.cast_unsigned();
    while left >= 0x80 {
        out.push((left & 0x7f) as u8 | 0x80);
        left >>= 7;
    }
    out.push((left & 0x7f) as u8);
}

fn read_number(bytes: &mut &[u8]) -> Option<i64> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number.cast_signed());
        }
    }
    None
}

fn read_text<'a>(bytes: &mut &'a [u8]) -> Option<&'a str> {
    let len = usize::try_from(read_number(bytes)?).ok()?;
    let (text, rest) = bytes.split_at_checked(len)?;
    *bytes = rest;
    str::from_utf8(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Entry<'static>; 13] = [
        Entry::Opened { run: 1 },
        Entry::Resumed { run: 127 },
        Entry::Suspended { run: 128 },
        Entry::Closed { run: i64::MAX },
        Entry::Record { run: 300, seq: 70_000 },
        Entry::Note { id: "r/1/0" },
        Entry::Purged { run: 5 },
        Entry::Erased { run: 6 },
        Entry::ErasedNote { id: "" },
        Entry::Dropped { run: -1, unchained: 0 },
        Entry::DroppedNote { id: "ü", unchained: false },
        Entry::DroppedNote { id: "x", unchained: true },
        Entry::Sealed { last: 9 },
    ];

    fn written() -> Vec<u8> {
        let mut out = Vec::new();
        for (at, entry) in ALL.into_iter().enumerate() {
            entry.write(&mut out);
            out.extend_from_slice(&[u8::try_from(at).unwrap(); 32]);
        }
        out
    }

    #[test]
    fn what_was_written_is_read() {
        let bytes = written();
        let read: Vec<_> = Entries::new(&bytes).map(Option::unwrap).collect();
        assert_eq!(read.len(), ALL.len());
        for (at, (entry, digest)) in read.into_iter().enumerate() {
            assert_eq!(entry, ALL[at]);
            assert_eq!(digest, Digest::from_bytes([u8::try_from(at).unwrap(); 32]));
        }
    }

    #[test]
    fn whatever_else_is_there_ends_it_without_a_panic() {
        let bytes = written();
        for len in 0..bytes.len() {
            assert!(Entries::new(&bytes[..len]).count() <= ALL.len());
        }
        for byte in 0..=u8::MAX {
            let other: Vec<u8> = bytes.iter().map(|b| b ^ byte).collect();
            let _ = Entries::new(&other).count();
        }
        assert_eq!(Entries::new(&[0xff; 64]).collect::<Vec<_>>(), [None]);
    }
}
