//! Files that are there as a whole, or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;

use executus_core::RunId;

/// Puts a file into a folder, in place of one that is there: written under another name, synced,
/// renamed, and the folder synced. Creates the folder. Blocks its thread.
pub(crate) fn replace(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let part = folder.join(format!(".{}.part", RunId::random()));
    let written = write(&part, bytes).and_then(|()| fs::rename(&part, folder.join(name)));
    if written.is_err() {
        // What cannot be removed is told by the first error.
        let _ = fs::remove_file(&part);
    }
    written?;
    File::open(folder)?.sync_all()
}

fn write(part: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(part)?;
    file.write_all(bytes)?;
    file.sync_all()
}
