//! `[checkpoint]` and `[audit]`: what is kept of runs, for how long, and what vouches for it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use executus_audit_files::FileAudit;
use executus_audit_sqlite::{Anchor, AnchorKey, FileAnchor};
use serde::Deserialize;

use crate::amounts;
use crate::fault::{Fault, chain};

/// How what is kept is kept.
#[derive(Debug, Clone, Default)]
pub(crate) struct Keeping {
    pub(crate) checkpoint: CheckpointConfig,
    pub(crate) audit: AuditConfig,
}

/// Whether and how runs can be resumed.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct CheckpointConfig {
    /// Whether the facts of unfinished runs are kept.
    pub(crate) enabled: bool,
    /// After how many lives in vain a run is left alone; 0 for never.
    pub(crate) attempt_limit: u32,
    lease: Span,
}

impl CheckpointConfig {
    /// How long a process that is not heard of keeps its runs.
    pub(crate) const fn lease(&self) -> Duration {
        self.lease.0
    }
}

impl Default for CheckpointConfig {
    fn default() -> Self {
        Self { enabled: true, attempt_limit: 5, lease: Span(Duration::from_secs(60)) }
    }
}

/// How long records are kept, and where the anchor of their chain lies.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct AuditConfig {
    /// How long closed runs are kept; for ever without it.
    retention: Option<Span>,
    /// How long the journals of closed runs are kept.
    journal_retention: Option<Span>,
    /// The file that remembers how far the chain goes.
    anchor: Option<PathBuf>,
    /// The file of the anchor's key.
    anchor_key: Option<PathBuf>,
    /// The variable that holds the anchor's key.
    anchor_key_env: Option<String>,
    /// The folder of the action log.
    actions: Option<PathBuf>,
}

impl AuditConfig {
    /// Paths are written from the folder of the configuration on.
    pub(super) fn lies_in(&mut self, folder: &Path) {
        let paths = [&mut self.anchor, &mut self.anchor_key, &mut self.actions];
        for path in paths.into_iter().flatten() {
            *path = folder.join(&path);
        }
    }

    /// What the audit is opened with.
    pub(crate) fn of(&self, db: &Path) -> executus_audit_sqlite::Config {
        let mut config = executus_audit_sqlite::Config::new(db);
        config.retention = self.retention.map(|span| span.0);
        if let Some(span) = self.journal_retention {
            config.journal_retention = Some(span.0);
        }
        config
    }

    /// The action log beside the audit, where there is one.
    ///
    /// # Errors
    /// A folder that cannot be one.
    pub(crate) fn action_log(&self) -> Result<Option<FileAudit>, Fault> {
        let Some(root) = &self.actions else { return Ok(None) };
        let mut config = executus_audit_files::Config::new(root);
        config.is_playbook = |spec| spec.labels["kind"] == "playbook";
        let log = FileAudit::open(config).map_err(|error| {
            Fault::usage(chain(&error)).help("`actions` of [audit] names the folder")
        })?;
        Ok(Some(log))
    }

    /// The anchor, where there is one.
    ///
    /// # Errors
    /// An anchor without a key, or a key that is none.
    pub(crate) fn anchor(&self) -> Result<Option<Arc<dyn Anchor>>, Fault> {
        let Some(path) = &self.anchor else { return Ok(None) };
        let key = match (&self.anchor_key, &self.anchor_key_env) {
            (Some(file), None) => AnchorKey::from_file(file),
            (None, Some(name)) => {
                let value = std::env::var_os(name).ok_or_else(|| {
                    Fault::usage(format!("the variable {name} with the anchor's key is not set"))
                        .help("`anchor_key_env` of [audit] names it")
                })?;
                AnchorKey::new(value.as_encoded_bytes())
            }
            (None, None) => {
                return Err(Fault::usage("[audit] has an `anchor` and no key")
                    .help("name a file with `anchor_key`, or a variable with `anchor_key_env`"));
            }
            (Some(_), Some(_)) => {
                return Err(Fault::usage("[audit] has two keys for its anchor")
                    .help("leave `anchor_key` or `anchor_key_env` out"));
            }
        };
        let key = key.map_err(|error| Fault::usage(chain(&error)))?;
        Ok(Some(Arc::new(FileAnchor::new(path, key))))
    }
}

/// A duration as the file writes it: `"30d"`, `"90s"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
struct Span(Duration);

impl TryFrom<String> for Span {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        amounts::duration(&text).map(Self)
    }
}
