//! Which program is the server.

use std::env;
use std::path::PathBuf;

const NAMES: [&str; 2] = ["redis-server", "valkey-server"];

/// The server's program, or what to type to have one.
pub(super) fn server() -> Result<PathBuf, String> {
    if let Some(named) = env::var_os("EXECUTUS_REDIS_SERVER") {
        return Ok(named.into());
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = env::split_paths(&path).collect();
    let found = NAMES.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    found.into_iter().find(|program| program.is_file()).ok_or_else(|| {
        "there is no redis-server and no valkey-server on the PATH: `cargo xtask setup` installs \
         one (by hand: apt-get install redis-server), or name one by EXECUTUS_REDIS_SERVER"
            .into()
    })
}
