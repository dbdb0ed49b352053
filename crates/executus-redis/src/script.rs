//! Scripts: a source and what it is called by.

use redis::Cmd;

/// A Lua script, known to a server by its digest.
#[derive(Debug, Clone)]
pub struct Script {
    source: &'static str,
    hash: String,
}

impl Script {
    /// The script of this source.
    #[must_use]
    pub fn new(source: &'static str) -> Self {
        Self { hash: redis::Script::new(source).get_hash().to_owned(), source }
    }

    /// The script of these parts, one after the other.
    ///
    /// The text lives as long as the program: for the few scripts of a battery, made once.
    #[must_use]
    pub fn of_parts(parts: &[&str]) -> Self {
        Self::new(parts.concat().leak())
    }

    /// The digest.
    #[must_use]
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// The call by digest.
    pub(crate) fn by_hash(&self, keys: &[&str], args: &[impl AsRef<[u8]>]) -> Cmd {
        Self::command("EVALSHA", &self.hash, keys, args)
    }

    /// The call by source, which leaves the script in the server's cache.
    pub(crate) fn by_source(&self, keys: &[&str], args: &[impl AsRef<[u8]>]) -> Cmd {
        Self::command("EVAL", self.source, keys, args)
    }

    fn command(name: &str, script: &str, keys: &[&str], args: &[impl AsRef<[u8]>]) -> Cmd {
        let bytes = script.len()
            + keys.iter().map(|key| key.len()).sum::<usize>()
            + args.iter().map(|arg| arg.as_ref().len()).sum::<usize>();
        let mut cmd = Cmd::with_capacity(3 + keys.len() + args.len(), bytes + 32);
        cmd.arg(name).arg(script).arg(keys.len());
        for key in keys {
            cmd.arg(*key);
        }
        for arg in args {
            cmd.arg(arg.as_ref());
        }
        cmd
    }
}
