//! One directory, held open: whatever is done in it stays in it.
//!
//! Every file is opened relative to the directory, and no link is followed: one that somebody
//! planted leads nowhere.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, linkat, mkdirat, openat, renameat, unlinkat};
use rustix::io::Errno;

/// How the names of files begin that are not whole yet.
const TEMP: &str = ".tmp-";
/// How often another name is tried for a temporary file.
const TRIES: u32 = 100;

/// A durable file that has no name of its own yet.
pub(crate) struct Staged(String);

pub(crate) struct Folder {
    handle: OwnedFd,
    path: PathBuf,
}

impl Folder {
    /// Opens the directory of all runs, making it where it is not.
    pub(crate) fn root(path: &Path) -> io::Result<Self> {
        if !path.is_dir() {
            std::fs::create_dir_all(path)?;
            // Its name is durable before anything in it is.
            if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
                File::open(parent)?.sync_all()?;
            }
        }
        let handle = openat(CWD, path, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        Ok(Self { handle, path: path.to_owned() })
    }

    /// Opens a directory in it. `make`: makes it where it is not; else that is `None`.
    pub(crate) fn child(&self, name: &str, make: bool) -> io::Result<Option<Self>> {
        if make {
            match mkdirat(&self.handle, name, Mode::from_raw_mode(0o700)) {
                Ok(()) => self.sync()?,
                Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let path = self.path.join(name);
        match openat(&self.handle, name, flags, Mode::empty()) {
            Ok(handle) => Ok(Some(Self { handle, path })),
            Err(Errno::NOENT) if !make => Ok(None),
            Err(Errno::LOOP | Errno::NOTDIR) => {
                let what = "a link or a file is where a run's directory belongs; remove it";
                Err(io::Error::new(io::ErrorKind::NotADirectory, what))
            }
            Err(error) => Err(error.into()),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Reads a file; `None` when there is none.
    pub(crate) fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let mut file = match openat(&self.handle, name, flags, Mode::empty()) {
            Ok(file) => regular(file)?,
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }

    /// Opens a file to be written at its end.
    pub(crate) fn append_to(&self, name: &str) -> io::Result<File> {
        let write = OFlags::RDWR | OFlags::APPEND | OFlags::CREATE;
        let flags = write | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        regular(openat(&self.handle, name, flags, Mode::from_raw_mode(0o600))?)
    }

    /// Gives a durable file a name that is free. Whether it was; the temporary name stays if not.
    /// Durable after [`sync`](Self::sync).
    pub(crate) fn name(&self, staged: &Staged, name: &str) -> io::Result<bool> {
        match linkat(&self.handle, &staged.0, &self.handle, name, AtFlags::empty()) {
            Ok(()) => Ok(true),
            Err(Errno::EXIST) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Writes a file in place of the one that may be there: all of it, or nothing.
    pub(crate) fn replace(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let staged = self.stage(bytes)?;
        if let Err(error) = renameat(&self.handle, &staged.0, &self.handle, name) {
            self.discard(staged);
            return Err(error.into());
        }
        self.sync()
    }

    /// Makes the names in it durable.
    pub(crate) fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::fsync(&self.handle)?)
    }

    /// Removes what was not finished when a process died.
    pub(crate) fn tidy(&self) -> io::Result<()> {
        for entry in rustix::fs::Dir::read_from(&self.handle)? {
            let entry = entry?;
            if let Ok(name) = entry.file_name().to_str()
                && name.starts_with(TEMP)
            {
                self.remove(name);
            }
        }
        Ok(())
    }

    /// Makes a durable file under a temporary name.
    pub(crate) fn stage(&self, bytes: &[u8]) -> io::Result<Staged> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        for _ in 0..TRIES {
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            let name = format!("{TEMP}{}-{count}", std::process::id());
            let mut file: File =
                match openat(&self.handle, &name, flags, Mode::from_raw_mode(0o600)) {
                    Ok(file) => file.into(),
                    Err(Errno::EXIST) => continue,
                    Err(error) => return Err(error.into()),
                };
            return match file.write_all(bytes).and_then(|()| file.sync_data()) {
                Ok(()) => Ok(Staged(name)),
                Err(error) => {
                    self.remove(&name);
                    Err(error)
                }
            };
        }
        Err(io::Error::new(io::ErrorKind::AlreadyExists, "no name is free for a temporary file"))
    }

    /// Takes the temporary name away.
    pub(crate) fn discard(&self, staged: Staged) {
        self.remove(&staged.0);
    }

    /// What is left is taken by the next start of the run.
    fn remove(&self, name: &str) {
        let _ = unlinkat(&self.handle, name, AtFlags::empty());
    }
}

/// A file, and no pipe or device that somebody put in its place.
fn regular(handle: OwnedFd) -> io::Result<File> {
    let file = File::from(handle);
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => {
            let what = "something that is no file is where one belongs; remove it";
            Err(io::Error::new(io::ErrorKind::InvalidInput, what))
        }
    }
}
