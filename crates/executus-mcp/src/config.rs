//! What a server is set to.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use executus_core::Effect;
use executus_core::secret::Secret;
use executus_http::{Client, Method, Request};
use executus_process::Environment;

use crate::definition::Offer;
use crate::error::BuildError;
use crate::http::HttpEndpoint;
use crate::server::McpServer;
use crate::stdio::StdioEndpoint;

const KIB: usize = 1024;

/// What a server may take, in time and size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct McpLimits {
    /// One call, the start of a server that is not there included: 60 s.
    pub call: Duration,
    /// From the start of a server to the end of the handshake, and the listing of its tools: 30 s.
    pub start: Duration,
    /// What a server has to end by itself once its input is closed, before it is told to: 2 s.
    pub close: Duration,
    /// Bytes of one message, which is one line of a child or one event of HTTP: 4 MiB. A server that
    /// sends more is ended.
    pub message_bytes: usize,
    /// Bytes of the text that a result becomes: 256 KiB. What is over is cut off, with a mark.
    pub text_bytes: usize,
    /// Bytes of the data of a result, and of its artifacts together: 1 MiB each. What is over is
    /// left out, with a mark in the text.
    pub data_bytes: usize,
    /// Tools of one server: 512. A server with more is refused.
    pub tools: usize,
}

impl Default for McpLimits {
    fn default() -> Self {
        Self {
            call: Duration::from_secs(60),
            start: Duration::from_secs(30),
            close: Duration::from_secs(2),
            message_bytes: 4 * KIB * KIB,
            text_bytes: 256 * KIB,
            data_bytes: KIB * KIB,
            tools: 512,
        }
    }
}

/// How a server is reached.
#[derive(Debug)]
pub(crate) enum Endpoint {
    Stdio(StdioEndpoint),
    Http(HttpEndpoint),
}

/// Collects what an [`McpServer`] needs.
#[derive(Debug)]
pub struct McpServerBuilder {
    name: String,
    endpoint: Endpoint,
    limits: McpLimits,
    offer: Offer,
    /// The first setting that belongs to the other kind of server.
    misplaced: Option<&'static str>,
}

impl McpServerBuilder {
    pub(crate) fn stdio(name: String, argv: Vec<String>) -> Self {
        Self::new(name, Endpoint::Stdio(StdioEndpoint::new(argv)))
    }

    pub(crate) fn http(name: String, url: String, client: Client) -> Self {
        Self::new(name, Endpoint::Http(HttpEndpoint { url, client, headers: Vec::new() }))
    }

    fn new(name: String, endpoint: Endpoint) -> Self {
        let offer = Offer { prefix: format!("{name}_"), ..Offer::default() };
        Self { name, endpoint, limits: McpLimits::default(), offer, misplaced: None }
    }

    fn child(mut self, setting: &'static str, set: impl FnOnce(&mut StdioEndpoint)) -> Self {
        match &mut self.endpoint {
            Endpoint::Stdio(stdio) => set(stdio),
            Endpoint::Http(_) => self.misplaced = self.misplaced.or(Some(setting)),
        }
        self
    }

    /// The environment of the child, which gets nothing else; [`Environment::default`] without
    /// this.
    #[must_use]
    pub fn environment(self, environment: impl Into<Arc<Environment>>) -> Self {
        let environment = environment.into();
        self.child("an environment is for a server that is a child", |stdio| {
            stdio.environment = environment;
        })
    }

    /// A variable of the child with a sensitive value.
    #[must_use]
    pub fn secret_variable(self, name: impl Into<String>, value: Secret) -> Self {
        let variable = (name.into(), value);
        self.child("a variable is for a server that is a child", |stdio| {
            stdio.secrets.push(variable);
        })
    }

    /// The folder the child runs in; the host's without this.
    #[must_use]
    pub fn current_dir(self, folder: impl Into<PathBuf>) -> Self {
        let folder = folder.into();
        self.child("a folder is for a server that is a child", |stdio| {
            stdio.current_dir = Some(folder);
        })
    }

    /// A header field of every request to a server over HTTP. Its value is never shown.
    #[must_use]
    pub fn secret_header(mut self, name: impl Into<String>, value: Secret) -> Self {
        match &mut self.endpoint {
            Endpoint::Http(http) => http.headers.push((name.into(), value)),
            Endpoint::Stdio(_) => {
                self.misplaced =
                    self.misplaced.or(Some("a header field is for a server over HTTP"));
            }
        }
        self
    }

    /// What it may take, in time and size.
    #[must_use]
    pub const fn limits(mut self, limits: McpLimits) -> Self {
        self.limits = limits;
        self
    }

    /// What stands before the names of its tools; the server's name and `_` without this.
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.offer.prefix = prefix.into();
        self
    }

    /// Offers these of its tools, by the names that the server gives them, and no others.
    #[must_use]
    pub fn only<S: Into<String>>(mut self, tools: impl IntoIterator<Item = S>) -> Self {
        let only = self.offer.only.get_or_insert_with(BTreeSet::new);
        only.extend(tools.into_iter().map(Into::into));
        self
    }

    /// What performing this tool twice would do, by the name that the server gives it. Without this
    /// every call of it counts.
    #[must_use]
    pub fn effect(mut self, tool: impl Into<String>, effect: Effect) -> Self {
        self.offer.effects.insert(tool.into(), effect);
        self
    }

    /// Believes what the server says of the effects of its tools: that one changes nothing, or
    /// nothing more the second time. A hint that is wrong lets a call that counts be made twice;
    /// [`effect`](Self::effect) goes before.
    #[must_use]
    pub const fn trust_hints(mut self) -> Self {
        self.offer.trust = true;
        self
    }

    /// The server. It is started when it is first needed.
    ///
    /// # Errors
    /// [`BuildError`] names the setting that is not possible.
    pub fn build(self) -> Result<McpServer, BuildError> {
        let server = || self.name.clone();
        if let Some(setting) = self.misplaced {
            return Err(BuildError::Setting { server: server(), setting: setting.to_owned() });
        }
        match &self.endpoint {
            Endpoint::Stdio(stdio) if stdio.argv.is_empty() => {
                return Err(BuildError::NoProgram { server: server() });
            }
            Endpoint::Stdio(_) => {}
            Endpoint::Http(http) => {
                let request = Request::new(Method::Post, &http.url);
                let request = http.headers.iter().fold(request, |request, (name, value)| {
                    request.and_then(|request| request.secret_header(name, value))
                });
                request.map_err(|error| BuildError::Request {
                    server: server(),
                    message: error.to_string(),
                })?;
            }
        }
        let McpLimits { call, start, message_bytes, tools, .. } = self.limits;
        let zero = [
            ("call", call.is_zero()),
            ("start", start.is_zero()),
            ("message_bytes", message_bytes == 0),
            ("tools", tools == 0),
        ];
        if let Some((limit, _)) = zero.into_iter().find(|(_, zero)| *zero) {
            return Err(BuildError::Limit { server: server(), limit });
        }
        Ok(McpServer::new(self.name, self.endpoint, self.limits, self.offer))
    }
}
