//! The disk: whether there is room, and whether it may be written to.

use std::fs::{self, OpenOptions};
use std::path::Path;

use rustix::fs::statvfs;

use super::Finding;

const MIB: u64 = 1 << 20;
/// With less than this, runs fail soon.
const LEAST: u64 = 100 * MIB;
/// With less than this, somebody should know.
const LITTLE: u64 = 1024 * MIB;

/// The disk that a file lies on, or will.
pub(super) fn look_at(path: &Path) -> Finding {
    let there = |folder: &&Path| folder.is_dir();
    let here = Path::new(".");
    let folder = path.ancestors().skip(1).find(there).unwrap_or(here);
    let folder = if folder.as_os_str().is_empty() { here } else { folder };
    let what = "disk";
    let shown = folder.display();
    let probe = folder.join(format!(".executus-doctor-{}", std::process::id()));
    let written = OpenOptions::new().write(true).create_new(true).open(&probe);
    // What cannot be removed could not be made either.
    let _ = fs::remove_file(&probe);
    if let Err(error) = written {
        let help = "let this user write there, or name a database elsewhere with --db PATH";
        return Finding::ill(what, format!("{shown} cannot be written to: {error}"), help);
    }
    match statvfs(folder) {
        Ok(found) => judge(&shown.to_string(), found.f_bavail.saturating_mul(found.f_frsize)),
        Err(error) => Finding::odd(what, format!("{shown}: {error}"), "look at the disk"),
    }
}

fn judge(folder: &str, free: u64) -> Finding {
    let text = format!("{} MiB free in {folder}", free / MIB);
    match free {
        ..LEAST => Finding::ill("disk", text, "make room: a run that cannot be recorded ends"),
        LEAST..LITTLE => Finding::odd("disk", text, "make room before it is full"),
        LITTLE.. => Finding::well("disk", text),
    }
}

#[cfg(test)]
mod tests {
    use super::super::How;
    use super::*;

    #[test]
    fn little_room_is_told() {
        for (free, how) in [(0, How::Ill), (LEAST, How::Odd), (LITTLE, How::Well)] {
            assert_eq!(judge("/x", free).how, how);
        }
    }
}
