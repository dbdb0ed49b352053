//! An anchor in a file, sealed with a key.
//!
//! The file has two places of 128 bytes, written in turn: a write that a power cut tears leaves the
//! one before. Each holds the mark, a running number and an HMAC-SHA256 of both. It is synced when
//! it is made, not at each write: it may be behind, which is what an anchor may be.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fmt, fs};

use executus_core::digest::Digest;
use hmac::{Hmac, KeyInit as _, Mac as _};
use parking_lot::Mutex;
use sha2::Sha256;

use super::{Anchor, AnchorError, Mark};

/// What such a file begins with.
const MAGIC: &[u8; 8] = b"exAnchr1";
/// The bytes of one place, and those of it that are used.
const PLACE: usize = 128;
const USED: usize = 8 + 8 + 16 + 8 + 32;
const SEALED: usize = USED + 32;

/// The key of an anchor. `Debug` hides it.
#[derive(Clone)]
pub struct AnchorKey(Hmac<Sha256>);

impl fmt::Debug for AnchorKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AnchorKey([redacted])")
    }
}

impl AnchorKey {
    /// The bytes that a key needs.
    pub const LEAST: usize = 32;

    /// A key of these bytes.
    ///
    /// # Errors
    /// [`AnchorError::ShortKey`] for fewer than 32.
    pub fn new(secret: &[u8]) -> Result<Self, AnchorError> {
        let short = AnchorError::ShortKey { least: Self::LEAST, found: secret.len() };
        if secret.len() < Self::LEAST {
            return Err(short);
        }
        Hmac::new_from_slice(secret).map(Self).map_err(|_| short)
    }

    /// The key in a file: its content, without white space around it. Keep it where those who can
    /// write the audit cannot read it.
    ///
    /// # Errors
    /// [`AnchorError::Failed`] when it cannot be read, [`AnchorError::ShortKey`].
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, AnchorError> {
        let path = path.as_ref();
        let content = fs::read(path).map_err(|error| failed(path, error))?;
        Self::new(content.trim_ascii())
    }
}

/// An anchor in a file beside or, better, away from the audit. It is made when it is not there.
pub struct FileAnchor {
    path: PathBuf,
    key: AnchorKey,
    /// Opened with the first use.
    file: Mutex<Option<File>>,
}

impl fmt::Debug for FileAnchor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileAnchor").field("path", &self.path).finish_non_exhaustive()
    }
}

/// What the file holds.
struct Kept {
    mark: Mark,
    number: u64,
    place: u64,
}

impl FileAnchor {
    /// An anchor in this file, under this key.
    pub fn new(path: impl Into<PathBuf>, key: AnchorKey) -> Self {
        Self { path: path.into(), key, file: Mutex::default() }
    }

    /// The newest mark, and where it stands; `None` for an empty file.
    fn kept(&self, file: &mut File) -> Result<Option<Kept>, AnchorError> {
        let mut bytes = Vec::with_capacity(2 * PLACE);
        let read = file.seek(SeekFrom::Start(0)).and_then(|_| file.read_to_end(&mut bytes));
        read.map_err(|error| failed(&self.path, error))?;
        if bytes.is_empty() {
            return Ok(None);
        }
        let kept = (0..2).zip(bytes.chunks(PLACE));
        let kept = kept.filter_map(|(place, bytes)| self.open(place, bytes));
        match kept.max_by_key(|kept| kept.number) {
            Some(kept) => Ok(Some(kept)),
            None => Err(AnchorError::WrongKey { place: self.path.display().to_string() }),
        }
    }

    /// The mark in some bytes, if the key is that of their seal.
    fn open(&self, place: u64, bytes: &[u8]) -> Option<Kept> {
        let (used, rest) = bytes.get(..SEALED)?.split_at(USED);
        let mut hmac = self.key.0.clone();
        hmac.update(used);
        hmac.verify_slice(rest).ok()?;
        let used = used.strip_prefix(MAGIC)?;
        let (number, used) = used.split_first_chunk()?;
        let (file, used) = used.split_first_chunk()?;
        let (count, used) = used.split_first_chunk()?;
        let (head, _) = used.split_first_chunk()?;
        let mark = Mark {
            file: *file,
            count: u64::from_le_bytes(*count),
            head: Digest::from_bytes(*head),
        };
        Some(Kept { mark, number: u64::from_le_bytes(*number), place })
    }

    fn put(&self, file: &mut File, mark: &Mark, number: u64, place: u64) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(PLACE);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&number.to_le_bytes());
        bytes.extend_from_slice(&mark.file);
        bytes.extend_from_slice(&mark.count.to_le_bytes());
        bytes.extend_from_slice(mark.head.as_bytes());
        let mut hmac = self.key.0.clone();
        hmac.update(&bytes);
        bytes.extend_from_slice(&hmac.finalize().into_bytes());
        bytes.resize(PLACE, 0);
        file.seek(SeekFrom::Start(place * PLACE as u64))?;
        file.write_all(&bytes)
    }

    /// Does something with the file, making it where it is not.
    fn with<T>(
        &self,
        work: impl FnOnce(&mut File) -> Result<T, AnchorError>,
    ) -> Result<T, AnchorError> {
        let mut file = self.file.lock();
        let open = || {
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true).truncate(false);
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            options.open(&self.path).map_err(|error| failed(&self.path, error))
        };
        let file = match &mut *file {
            Some(file) => file,
            none => none.insert(open()?),
        };
        work(file)
    }
}

impl Anchor for FileAnchor {
    fn write(&self, mark: &Mark) -> Result<(), AnchorError> {
        self.with(|file| {
            let kept = self.kept(file)?;
            let (number, place) = match &kept {
                // Another process was quicker.
                Some(kept) if kept.mark.file == mark.file && kept.mark.count >= mark.count => {
                    return Ok(());
                }
                Some(kept) => (kept.number + 1, 1 - kept.place),
                None => (1, 0),
            };
            let written = self.put(file, mark, number, place).and_then(|()| match kept {
                Some(_) => Ok(()),
                None => file.sync_all(),
            });
            written.map_err(|error| failed(&self.path, error))
        })
    }

    fn replace(&self, mark: &Mark) -> Result<(), AnchorError> {
        self.with(|file| {
            let put = file.set_len(0).and_then(|()| self.put(file, mark, 1, 0));
            put.and_then(|()| file.sync_all()).map_err(|error| failed(&self.path, error))
        })
    }

    fn read(&self) -> Result<Option<Mark>, AnchorError> {
        // Whoever only looks makes nothing.
        let mut file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(&self.path, error)),
        };
        Ok(self.kept(&mut file)?.map(|kept| kept.mark))
    }
}

fn failed(path: &Path, error: io::Error) -> AnchorError {
    AnchorError::Failed { place: path.display().to_string(), source: Arc::new(error) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(count: u64) -> Mark {
        Mark { file: [7; 16], count, head: Digest::of_json(&serde_json::json!(count)) }
    }

    fn key(byte: u8) -> AnchorKey {
        AnchorKey::new(&[byte; 32]).unwrap()
    }

    fn anchor() -> (tempfile::TempDir, FileAnchor) {
        let folder = tempfile::tempdir().unwrap();
        let anchor = FileAnchor::new(folder.path().join("audit.anchor"), key(1));
        (folder, anchor)
    }

    #[test]
    fn the_newest_mark_is_kept() {
        let (_folder, anchor) = anchor();
        assert_eq!(anchor.read().unwrap(), None);
        for count in [1, 2, 3, 9, 4] {
            anchor.write(&mark(count)).unwrap();
        }
        assert_eq!(anchor.read().unwrap(), Some(mark(9)));
        anchor.replace(&mark(2)).unwrap();
        assert_eq!(anchor.read().unwrap(), Some(mark(2)));
    }

    #[test]
    fn a_torn_write_leaves_the_one_before() {
        let (_folder, anchor) = anchor();
        for count in 1..=4 {
            anchor.write(&mark(count)).unwrap();
        }
        let whole = fs::read(&anchor.path).unwrap();
        for at in PLACE..PLACE + SEALED {
            let mut torn = whole.clone();
            torn[at] ^= 1;
            fs::write(&anchor.path, &torn).unwrap();
            assert_eq!(anchor.read().unwrap(), Some(mark(3)));
        }
    }

    #[test]
    fn another_key_opens_nothing_and_changes_nothing() {
        let (_folder, anchor) = anchor();
        anchor.write(&mark(1)).unwrap();
        let other = FileAnchor::new(&anchor.path, key(2));
        assert!(matches!(other.read(), Err(AnchorError::WrongKey { .. })));
        assert!(matches!(other.write(&mark(2)), Err(AnchorError::WrongKey { .. })));
        assert_eq!(anchor.read().unwrap(), Some(mark(1)));
    }

    #[test]
    fn a_key_has_32_bytes_and_is_not_shown() {
        assert!(matches!(AnchorKey::new(&[1; 31]), Err(AnchorError::ShortKey { found: 31, .. })));
        assert!(!format!("{:?}", key(65)).contains('A'.to_string().repeat(8).as_str()));
    }
}
