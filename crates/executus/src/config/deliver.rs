//! `[[deliver]]` and `[outbox]`: where results go, and where they wait.

use std::path::{Path, PathBuf};
use std::time::Duration;

use executus_deliver::When;
use serde::Deserialize;

use crate::amounts;

/// A target of results.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "Written")]
pub(crate) struct TargetConfig {
    pub(crate) name: String,
    /// Which results it gets.
    pub(crate) on: When,
    pub(crate) way: Way,
    /// How long one attempt may take.
    pub(crate) timeout: Option<Duration>,
}

/// How a target is reached. Secrets are names of variables.
#[derive(Debug, Clone)]
pub(crate) enum Way {
    File(PathBuf),
    Folder(PathBuf),
    Webhook { url: Url, key_env: Vec<String>, token_env: Option<String> },
    Chat { url: Url, limit: Option<usize> },
    Email(Mailbox),
}

/// An address, or the variable that holds it.
#[derive(Debug, Clone)]
pub(crate) enum Url {
    Plain(String),
    Variable(String),
}

/// A mailbox and its server.
#[derive(Debug, Clone)]
#[cfg_attr(not(feature = "email"), expect(dead_code, reason = "read, and refused"))]
pub(crate) struct Mailbox {
    pub(crate) host: String,
    pub(crate) port: Option<u16>,
    pub(crate) encryption: EncryptionText,
    pub(crate) user: Option<String>,
    pub(crate) password_env: Option<String>,
    pub(crate) from: String,
    pub(crate) to: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum EncryptionText {
    #[default]
    Tls,
    StartTls,
    None,
}

/// Where results wait to be sent.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct OutboxTable {
    /// The file; beside the database of runs without it.
    pub(crate) path: Option<PathBuf>,
    /// The folder for what is large.
    pub(crate) artifacts: Option<PathBuf>,
    /// Where somebody serves that folder.
    pub(crate) artifacts_url: Option<String>,
    /// How often a result is sent before it is given up.
    pub(crate) attempts: Option<u32>,
    wait: Option<Span>,
}

impl OutboxTable {
    /// How long a command waits for its results to be sent: 5 s without it.
    pub(crate) fn wait(&self) -> Duration {
        self.wait.map_or(Duration::from_secs(5), |span| span.0)
    }

    pub(super) fn lies_in(&mut self, folder: &Path) {
        for path in [&mut self.path, &mut self.artifacts].into_iter().flatten() {
            *path = folder.join(&path);
        }
    }
}

impl TargetConfig {
    pub(super) fn lies_in(&mut self, folder: &Path) {
        if let Way::File(path) | Way::Folder(path) = &mut self.way {
            *path = folder.join(&path);
        }
    }
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
struct Span(Duration);

impl TryFrom<String> for Span {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        amounts::duration(&text).map(Self)
    }
}

/// The table as the file has it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: String,
    kind: Kind,
    #[serde(default)]
    on: OnText,
    timeout: Option<Span>,
    path: Option<PathBuf>,
    url: Option<String>,
    url_env: Option<String>,
    #[serde(default)]
    key_env: Names,
    token_env: Option<String>,
    limit: Option<usize>,
    host: Option<String>,
    port: Option<u16>,
    encryption: Option<EncryptionText>,
    user: Option<String>,
    password_env: Option<String>,
    from: Option<String>,
    #[serde(default)]
    to: Names,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    File,
    Folder,
    Webhook,
    Chat,
    Email,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum OnText {
    #[default]
    Always,
    Ok,
    Error,
}

/// One, or a list.
#[derive(Debug, Default, Deserialize)]
#[serde(from = "OneOrMany")]
struct Names(Vec<String>);

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl From<OneOrMany> for Names {
    fn from(written: OneOrMany) -> Self {
        Self(match written {
            OneOrMany::One(name) => vec![name],
            OneOrMany::Many(names) => names,
        })
    }
}

impl Written {
    /// The keys that were given and that this kind does not have.
    fn stray(&self) -> Option<&'static str> {
        let (file, hook, chat, mail) = match self.kind {
            Kind::File | Kind::Folder => (true, false, false, false),
            Kind::Webhook => (false, true, false, false),
            Kind::Chat => (false, false, true, false),
            Kind::Email => (false, false, false, true),
        };
        let given = [
            ("path", self.path.is_some(), file),
            ("url", self.url.is_some(), hook || chat),
            ("url_env", self.url_env.is_some(), hook || chat),
            ("key_env", !self.key_env.0.is_empty(), hook),
            ("token_env", self.token_env.is_some(), hook),
            ("limit", self.limit.is_some(), chat),
            ("timeout", self.timeout.is_some(), hook || chat || mail),
            ("host", self.host.is_some(), mail),
            ("port", self.port.is_some(), mail),
            ("encryption", self.encryption.is_some(), mail),
            ("user", self.user.is_some(), mail),
            ("password_env", self.password_env.is_some(), mail),
            ("from", self.from.is_some(), mail),
            ("to", !self.to.0.is_empty(), mail),
        ];
        given.into_iter().find(|(_, is_given, fits)| *is_given && !fits).map(|(key, ..)| key)
    }

    fn way(self) -> Result<Way, String> {
        let missing = |key: &str| format!("[[deliver]] `{}` needs `{key}`", self.name);
        let url = || match (&self.url, &self.url_env) {
            (Some(url), None) => Ok(Url::Plain(url.clone())),
            (None, Some(name)) => Ok(Url::Variable(name.clone())),
            _ => Err(missing("url") + " or `url_env`, one of them"),
        };
        Ok(match self.kind {
            Kind::File => Way::File(self.path.clone().ok_or_else(|| missing("path"))?),
            Kind::Folder => Way::Folder(self.path.clone().ok_or_else(|| missing("path"))?),
            Kind::Webhook => {
                Way::Webhook { url: url()?, key_env: self.key_env.0, token_env: self.token_env }
            }
            Kind::Chat => Way::Chat { url: url()?, limit: self.limit },
            Kind::Email => {
                let host = self.host.clone().ok_or_else(|| missing("host"))?;
                let from = self.from.clone().ok_or_else(|| missing("from"))?;
                if self.to.0.is_empty() {
                    return Err(missing("to"));
                }
                if self.user.is_some() != self.password_env.is_some() {
                    return Err(missing("user") + " and `password_env`, or neither");
                }
                Way::Email(Mailbox {
                    host,
                    port: self.port,
                    encryption: self.encryption.unwrap_or_default(),
                    user: self.user,
                    password_env: self.password_env,
                    from,
                    to: self.to.0,
                })
            }
        })
    }
}

impl TryFrom<Written> for TargetConfig {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let name = written.name.clone();
        if let Some(key) = written.stray() {
            return Err(format!("[[deliver]] `{name}` is of a kind that has no `{key}`"));
        }
        let on = match written.on {
            OnText::Always => When::Always,
            OnText::Ok => When::Ok,
            OnText::Error => When::Error,
        };
        let timeout = written.timeout.map(|span| span.0);
        Ok(Self { name, on, way: written.way()?, timeout })
    }
}
