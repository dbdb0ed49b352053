//! A server, through all its lives.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use executus_core::{Effect, ToolOutput, ToolSpec};
use executus_http::Client;
use parking_lot::Mutex;
use serde_json::{Map, Value};
use tokio::runtime;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::call::Call;
use crate::config::{Endpoint, McpLimits, McpServerBuilder};
use crate::definition::{Definition, Offer};
use crate::error::McpError;
use crate::session::Session;
use crate::tool::McpTool;

mod life;

use life::{Life, Listed, Opened, Standing};

/// One server of the Model Context Protocol. Clones share it; the last one to be dropped ends it
/// at once, [`close`](Self::close) ends it in order.
///
/// It is used within a tokio runtime, with I/O and time. It is started or connected to when it is
/// first needed, in a task that a caller's end does not stop. When it dies it is started again by
/// the next call: at once the first time, then after 250 ms, twice that, and so on up to 30 s. A
/// life of a minute starts the count anew.
///
/// Calls that were lost with it are made again once if they are
/// [`ReadOnly`](Effect::ReadOnly) or [`Idempotent`](Effect::Idempotent), or if they had certainly
/// not reached it.
#[derive(Clone)]
pub struct McpServer(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) name: Arc<str>,
    endpoint: Endpoint,
    pub(crate) limits: McpLimits,
    offer: Offer,
    life: Mutex<Life>,
    changes: watch::Sender<u64>,
    closed: CancellationToken,
}

impl McpServer {
    /// A server that is a child, by its argument vector, the program first. It never goes through a
    /// shell.
    pub fn stdio<S: Into<String>>(
        name: impl Into<String>,
        argv: impl IntoIterator<Item = S>,
    ) -> McpServerBuilder {
        McpServerBuilder::stdio(name.into(), argv.into_iter().map(Into::into).collect())
    }

    /// A server over streamable HTTP at this address, asked through this client: its limits and
    /// what it says of addresses hold.
    pub fn http(
        name: impl Into<String>,
        url: impl Into<String>,
        client: Client,
    ) -> McpServerBuilder {
        McpServerBuilder::http(name.into(), url.into(), client)
    }

    pub(crate) fn new(name: String, endpoint: Endpoint, limits: McpLimits, offer: Offer) -> Self {
        let (changes, _) = watch::channel(0);
        Self(Arc::new(Inner {
            name: name.into(),
            endpoint,
            limits,
            offer,
            life: Mutex::default(),
            changes,
            closed: CancellationToken::new(),
        }))
    }

    /// Its name in errors and logs.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// What it offers now, by name. It is asked only when it said that its list has changed, and
    /// when it was started anew.
    ///
    /// # Errors
    /// [`McpError`] when it cannot be started or asked, when two of its tools would have one name,
    /// and when it has not a tool that the host named.
    pub async fn tools(&self) -> Result<Vec<McpTool>, McpError> {
        let definitions = self.0.definitions().await?;
        let tool = |definition: &Definition| McpTool::new(self.clone(), definition.clone());
        Ok(definitions.iter().map(tool).collect())
    }

    /// A tool of it that the host describes itself: the server is not asked what it has, and what is
    /// said of it there does not count. A timeout of `spec` holds instead of [`McpLimits::call`].
    pub fn tool(&self, remote_name: impl Into<Arc<str>>, spec: ToolSpec) -> McpTool {
        let limit = spec.timeout.unwrap_or(self.0.limits.call);
        McpTool::new(self.clone(), Definition::new(remote_name.into(), spec, limit))
    }

    /// Counts how often it said that its list of tools has changed. Whoever offers them to runs may
    /// ask for them again then; a tool that a run has stays as it was.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.changes.subscribe()
    }

    /// How often it was started or connected to.
    #[must_use]
    pub fn lives(&self) -> u64 {
        self.0.life.lock().lives()
    }

    /// One call of a tool, by the name that the server gives it.
    ///
    /// **Time**: [`McpLimits::call`], a start of the server included. **Cancellation**: when the
    /// future is dropped the server is told to stop.
    ///
    /// # Errors
    /// [`McpError`]. [`McpError::is_open`] tells whether the call may have had its effect.
    pub async fn call(
        &self,
        tool: &str,
        args: &Map<String, Value>,
        effect: Effect,
    ) -> Result<ToolOutput, McpError> {
        let limit = self.0.limits.call;
        Call { tool, args, effect, limit, progress: &|_| {} }.perform(&self.0).await
    }

    /// Ends it in order, and waits for that: a child gets the end of its input and
    /// [`McpLimits::close`] to go, then `SIGTERM`, and `SIGKILL` 200 ms later, with all of its
    /// group; a session over HTTP is given back. Calls under way fail, and it is not started again.
    pub async fn close(&self) {
        self.0.closed.cancel();
        let session = self.0.life.lock().take();
        if let Some(session) = session {
            session.close(self.0.limits.close).await;
        }
    }
}

impl fmt::Debug for McpServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("McpServer").field("name", &self.0.name).finish_non_exhaustive()
    }
}

impl Inner {
    pub(crate) fn closed(&self) -> McpError {
        McpError::Closed { server: self.name.to_string() }
    }

    pub(crate) fn timeout(&self, limit: Duration, sent: bool) -> McpError {
        McpError::Timeout { server: self.name.to_string(), limit, sent }
    }

    /// The connection there is, or a new one.
    ///
    /// **Cancellation**: a start goes on for those who come later.
    pub(crate) async fn session(self: &Arc<Self>) -> Result<Arc<Session>, McpError> {
        let mut opening = {
            let mut life = self.life.lock();
            if self.closed.is_cancelled() {
                return Err(self.closed());
            }
            match life.standing(&self.name, Instant::now())? {
                Standing::Alive(session) => return Ok(session),
                Standing::Opening(opening) => opening,
                Standing::Dead { open_at } => {
                    let (sender, opening) = watch::channel(None);
                    life.opens(opening.clone());
                    let opened = Arc::clone(self).open(open_at, sender);
                    runtime::Handle::current().spawn(Box::pin(opened));
                    opening
                }
            }
        };
        let opened = opening.wait_for(Option::is_some).await;
        match opened.ok().and_then(|opened| opened.clone()) {
            Some(opened) => opened,
            // The runtime took the task with it.
            None => Err(self.closed()),
        }
    }

    async fn open(self: Arc<Self>, at: Instant, told: watch::Sender<Option<Opened>>) {
        let opening = async {
            sleep_until(at).await;
            let changes = self.changes.clone();
            Session::open(Arc::clone(&self.name), &self.endpoint, &self.limits, changes).await
        };
        let opened = tokio::select! {
            biased;
            () = self.closed.cancelled() => Err(self.closed()),
            opened = opening => opened.map(Arc::new),
        };
        let mut late = None;
        {
            let mut life = self.life.lock();
            life.opened(&opened, Instant::now());
            if self.closed.is_cancelled() {
                late = life.take();
            }
        }
        if let Some(late) = late {
            late.close(self.limits.close).await;
        }
        let _nobody_waits = told.send(Some(opened));
    }

    /// What is offered now.
    async fn definitions(self: &Arc<Self>) -> Result<Arc<[Definition]>, McpError> {
        // Once for the start, once for the list.
        let limit = self.limits.start * 2;
        let listing = async {
            let session = self.session().await?;
            let change = *self.changes.borrow();
            let known = self.life.lock().listed(&session, change);
            if let Some(definitions) = known {
                return Ok(definitions);
            }
            let tools = session.list(&self.limits).await?;
            let definitions = self.offer.of(&self.name, tools, &self.limits)?;
            let listed = Listed { change, definitions: Arc::clone(&definitions) };
            self.life.lock().lists(&session, listed);
            Ok(definitions)
        };
        timeout(limit, listing).await.map_err(|_| self.timeout(limit, false))?
    }
}
