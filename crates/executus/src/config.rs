//! `executus.toml`: what holds for every run on this machine or in this project.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;
use executus_http::{AddressPolicy, Network, NetworkError};
use serde::Deserialize;

use crate::fault::Fault;

mod budget;
mod deliver;
mod keeping;

pub(crate) use budget::BudgetConfig;
#[cfg(feature = "email")]
pub(crate) use deliver::EncryptionText;
pub(crate) use deliver::{Mailbox, OutboxTable, TargetConfig, Url, Way};
pub(crate) use keeping::{AuditConfig, CheckpointConfig, Keeping};

const NAME: &str = "executus.toml";
/// A longer file is no configuration.
const MAX_BYTES: u64 = 1 << 20;

/// What the file says; what it leaves out has its default.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    /// The database of runs, from the file's folder on.
    pub(crate) db: Option<PathBuf>,
    /// Where tools may go over HTTP.
    pub(crate) http: HttpConfig,
    /// What callers may spend.
    pub(crate) budget: BudgetConfig,
    /// Where results go.
    pub(crate) deliver: Vec<TargetConfig>,
    /// Where they wait.
    pub(crate) outbox: OutboxTable,
    /// Whether runs can be resumed.
    checkpoint: CheckpointConfig,
    /// How records are kept.
    audit: AuditConfig,
    /// The file that says so; `None` where there is none.
    #[serde(skip)]
    pub(crate) source: Option<PathBuf>,
}

/// Where requests of tools may go, and those to servers of tools.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct HttpConfig {
    allow: Vec<Listed>,
    deny: Vec<Listed>,
    public_only: bool,
}

/// A network as the file writes it.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
struct Listed(Network);

impl TryFrom<String> for Listed {
    type Error = NetworkError;

    fn try_from(text: String) -> Result<Self, NetworkError> {
        text.parse().map(Self)
    }
}

impl HttpConfig {
    /// The same as a client takes it. What is denied stays so, whatever a tool allows.
    pub(crate) fn policy(&self) -> AddressPolicy {
        let base =
            if self.public_only { AddressPolicy::public() } else { AddressPolicy::private() };
        let allowed = self.allow.iter().fold(base, |policy, Listed(net)| policy.allow(*net));
        self.deny.iter().fold(allowed, |policy, Listed(net)| policy.deny(*net))
    }
}

impl Config {
    /// The file that was named; else the nearest one, from the working directory up; else the one
    /// in the XDG configuration folder; else nothing but defaults.
    ///
    /// # Errors
    /// A file that was named and is not there, cannot be read, or says what means nothing.
    pub(crate) fn find(named: Option<&Path>) -> Result<Self, Fault> {
        if let Some(named) = named {
            return Self::read(named)?.ok_or_else(|| {
                Fault::usage(format!("{}: no such file", named.display()))
                    .help("name a file with --config PATH, or leave it out")
            });
        }
        for path in places() {
            if let Some(found) = Self::read(&path)? {
                tracing::debug!(path = %path.display(), "configuration");
                return Ok(found);
            }
        }
        Ok(Self::default())
    }

    /// How what is kept is kept.
    pub(crate) fn keeping(&self) -> Keeping {
        Keeping { checkpoint: self.checkpoint.clone(), audit: self.audit.clone() }
    }

    /// A file; `None` where there is none.
    fn read(path: &Path) -> Result<Option<Self>, Fault> {
        let refused = |why: &dyn std::fmt::Display| {
            Fault::usage(format!("cannot read {}: {why}", path.display()))
        };
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if is_absent(&error) => return Ok(None),
            Err(error) => return Err(refused(&error)),
        };
        let mut text = String::new();
        let read = file.take(MAX_BYTES + 1).read_to_string(&mut text);
        let read = read.map_err(|error| refused(&error))?;
        if read as u64 > MAX_BYTES {
            return Err(refused(&format_args!("it has more than {MAX_BYTES} bytes")));
        }
        let mut config = Self::parse(&text)
            .map_err(|(place, mistake)| Fault::usage(mistake).at(told(path, place)))?;
        let folder = path.parent().unwrap_or(Path::new(""));
        if let Some(db) = &mut config.db {
            *db = folder.join(&db);
        }
        config.source = Some(path.to_owned());
        config.audit.lies_in(folder);
        config.outbox.lies_in(folder);
        config.deliver.iter_mut().for_each(|target| target.lies_in(folder));
        Ok(Some(config))
    }

    fn parse(text: &str) -> Result<Self, ((usize, usize), String)> {
        toml::from_str(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            (line_and_column(text, at), error.message().trim_end().replace('\n', "; "))
        })
    }
}

/// Where a file may lie, the nearest place first.
fn places() -> Vec<PathBuf> {
    let here = std::env::current_dir().unwrap_or_default();
    let mut places: Vec<_> = here.ancestors().map(|folder| folder.join(NAME)).collect();
    if let Ok(folders) = etcetera::base_strategy::Xdg::new() {
        places.push(folders.config_dir().join("executus").join(NAME));
    }
    places
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn told(path: &Path, (line, column): (usize, usize)) -> String {
    format!("{}:{line}:{column}", path.display())
}

/// A place in a text, both from 1; columns are characters.
fn line_and_column(text: &str, at: usize) -> (usize, usize) {
    let before = &text[..text.floor_char_boundary(at)];
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[start..].chars().count() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_file_is_all_defaults() {
        assert_eq!(Config::parse("").unwrap().db, None);
    }

    #[test]
    fn networks_are_allowed_and_denied() {
        let policy = |text: &str| Config::parse(text).unwrap().http.policy();
        let goes = |policy: &AddressPolicy, ip: &str| policy.check(ip.parse().unwrap()).is_ok();
        let all = policy("");
        assert!(goes(&all, "10.0.0.1") && goes(&all, "127.0.0.1") && !goes(&all, "169.254.1.1"));
        let public = policy("[http]\npublic_only = true\nallow = [\"10.1.0.0/16\"]");
        assert!(
            goes(&public, "9.9.9.9") && goes(&public, "10.1.0.1") && !goes(&public, "10.0.0.1")
        );
        let denied = policy("[http]\ndeny = [\"10.0.0.0/8\"]\nallow = [\"10.1.0.0/16\"]");
        assert!(goes(&denied, "127.0.0.1") && !goes(&denied, "10.1.0.1"));
    }

    #[test]
    fn a_mistake_has_its_place() {
        for (text, place, part) in [
            ("db = 3", (1, 6), "invalid type"),
            ("\n dp = \"x\"", (2, 2), "unknown field `dp`, expected"),
            ("ä = [", (1, 1), ""),
            ("[http]\nalow = []", (2, 1), "unknown field `alow`, expected"),
            ("[http]\npublic_only = 1", (2, 15), "invalid type"),
            ("[http]\ndeny = [\"::/0\", \"localhost\"]", (2, 8), "`localhost` is no network"),
            ("[http]\nallow = \"::/0\"", (2, 9), "invalid type"),
        ] {
            let (at, message) = Config::parse(text).unwrap_err();
            assert!(message.contains(part), "{text:?}: {message}");
            assert!(at == place || part.is_empty(), "{text:?}: {at:?} {message}");
        }
    }
}
