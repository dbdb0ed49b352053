//! One connection to a server, from its handshake to its end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use rmcp::model::{
    CallToolRequest, CallToolRequestParams, CallToolResult, ClientRequest, JsonObject,
    PaginatedRequestParams, PingRequest, ProtocolVersion, ServerResult, Tool,
};
use rmcp::service::{
    ClientCacheConfig, ClientInitializeError, ClientLifecycleMode, Peer, PeerRequestOptions,
    RequestHandle, RunningService, ServiceError,
};
use rmcp::{RoleClient, serve_client_with_lifecycle};
use tokio::runtime;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use crate::config::{Endpoint, McpLimits};
use crate::error::{McpError, told};
use crate::fault::{Fault, Why};
use crate::handler::{Handler, Progress};
use crate::http;
use crate::stdio::{self, Child};

/// Pages of a list of tools; a server that has more goes in circles.
const PAGES: usize = 100;
/// How long a server may take to say that it is there.
const PING: Duration = Duration::from_secs(2);
/// What a server is told of a call that nobody waits for any more.
const ABANDONED: &str = "the caller no longer waits";

/// Whether any of a call can have reached the server. It travels with the message to where it is
/// written, and is never part of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sent(Arc<AtomicBool>);

impl Sent {
    pub(crate) fn set(&self, sent: bool) {
        self.0.store(sent, Ordering::Release);
    }

    pub(crate) fn get(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// One connection. Dropping it ends it at once.
#[derive(Debug)]
pub(crate) struct Session {
    server: Arc<str>,
    peer: Peer<RoleClient>,
    running: Mutex<Option<RunningService<RoleClient, Handler>>>,
    progress: Progress,
    fault: Fault,
    /// The process of a server that is a child.
    child: Option<Child>,
    /// New calls are not made on it any more; those under way go on.
    retired: AtomicBool,
    pub(crate) born: Instant,
}

impl Session {
    /// Starts or connects, and shakes hands.
    pub(crate) async fn open(
        server: Arc<str>,
        endpoint: &Endpoint,
        limits: &McpLimits,
        changes: watch::Sender<u64>,
    ) -> Result<Self, McpError> {
        let handler = Handler { progress: Progress::default(), changes };
        let first = ClientLifecycleMode::Initialize;
        let first = Self::connect(&server, endpoint, limits, handler.clone(), first).await;
        match first {
            // It may speak only the versions that have no handshake.
            Err(NoHandshake { refused: true, .. }) => {
                let preferred_versions = vec![ProtocolVersion::V_2026_07_28];
                let second = ClientLifecycleMode::Discover { preferred_versions };
                let second = Self::connect(&server, endpoint, limits, handler, second).await;
                second.or(first)
            }
            first => first,
        }
        .map_err(|none| none.error)
    }

    async fn connect(
        server: &Arc<str>,
        endpoint: &Endpoint,
        limits: &McpLimits,
        handler: Handler,
        lifecycle: ClientLifecycleMode,
    ) -> Result<Self, NoHandshake> {
        let failed = |message: String, refused| NoHandshake {
            error: McpError::Start { server: server.to_string(), message },
            refused,
        };
        let fault = Fault::default();
        let progress = handler.progress.clone();
        let limit = limits.start;
        let (connected, child) = match endpoint {
            Endpoint::Stdio(endpoint) => {
                let spawned = stdio::spawn(server, endpoint, limits, &fault);
                let (pipes, child) = spawned.map_err(|message| failed(message, false))?;
                let serving = Box::pin(serve_client_with_lifecycle(handler, pipes, lifecycle));
                (timeout(limit, serving).await, Some(child))
            }
            Endpoint::Http(endpoint) => {
                let transport = http::transport(endpoint, limits, &fault);
                let serving = Box::pin(serve_client_with_lifecycle(handler, transport, lifecycle));
                (timeout(limit, serving).await, None)
            }
        };
        let running = match connected {
            Ok(Ok(running)) => running,
            Ok(Err(error)) => {
                if let Some(child) = &child {
                    // It says best itself why it ended.
                    child.ended().await;
                }
                let message = match fault.why() {
                    Some(Why::Gone(message) | Why::Protocol(message)) => message.clone(),
                    Some(Why::TooLarge(limit)) => {
                        format!("its first message has more than {limit} bytes")
                    }
                    Some(Why::SessionExpired) | None => match &error {
                        ClientInitializeError::TransportError { error, .. } => {
                            http::said(&*error.error)
                        }
                        error => told(&error.to_string()),
                    },
                };
                let refused = matches!(error, ClientInitializeError::JsonRpcError(_));
                return Err(failed(message, refused));
            }
            Err(_) => {
                let message = format!("no handshake within {limit:?}");
                return Err(failed(message, false));
            }
        };
        let peer = running.peer().clone();
        // Whether the list has changed is asked for here, and answered by nobody else.
        peer.set_response_cache_config(ClientCacheConfig::disabled()).await;
        let (server, running) = (Arc::clone(server), Mutex::new(Some(running)));
        let retired = AtomicBool::new(false);
        Ok(Self { server, peer, running, progress, fault, child, retired, born: Instant::now() })
    }

    /// Whether calls can still be made on it.
    pub(crate) fn is_alive(&self) -> bool {
        let retired = self.retired.load(Ordering::Acquire);
        !retired && !self.fault.is_set() && !self.peer.is_transport_closed()
    }

    /// Asks a server that let a call run out of time whether it is there at all, in the background.
    /// One that does not even answer this gets no more calls: the next one starts it anew.
    pub(crate) fn doubt(self: Arc<Self>) {
        runtime::Handle::current().spawn(async move {
            let ping = ClientRequest::PingRequest(PingRequest::default());
            let asking = self.peer.send_request(ping);
            let is_there = match timeout(PING, asking).await {
                // One that knows no such request is there too.
                Ok(answer) => matches!(answer, Ok(_) | Err(ServiceError::McpError(_))),
                Err(_) => false,
            };
            if !is_there {
                tracing::debug!(server = &*self.server, "no answer to a ping");
                self.retired.store(true, Ordering::Release);
            }
        });
    }

    /// Why it ended.
    pub(crate) fn epitaph(&self) -> String {
        self.lost(false).to_string()
    }

    /// All tools of the server.
    pub(crate) async fn list(&self, limits: &McpLimits) -> Result<Vec<Tool>, McpError> {
        let mut tools = Vec::new();
        let mut params = None;
        for _ in 0..PAGES {
            let page = tokio::select! {
                biased;
                page = self.peer.list_tools(params) => page,
                () = self.fault.ended() => return Err(self.lost(false)),
            };
            let page = page.map_err(|error| self.failed(error, false))?;
            tools.extend(page.tools);
            if tools.len() > limits.tools {
                break;
            }
            let Some(cursor) = page.next_cursor else { return Ok(tools) };
            params = Some(PaginatedRequestParams::default().with_cursor(Some(cursor)));
        }
        let message = format!("its list of tools has more than {} or no end", limits.tools);
        Err(McpError::Protocol { server: self.server.to_string(), message, sent: false })
    }

    /// One call. When the future is dropped the server is told to stop.
    pub(crate) async fn call(
        &self,
        tool: &str,
        args: JsonObject,
        sent: &Sent,
        progress: &(dyn Fn(&str) + Send + Sync),
    ) -> Result<CallToolResult, McpError> {
        let params = CallToolRequestParams::new(tool.to_owned()).with_arguments(args);
        let mut request = CallToolRequest::new(params);
        request.extensions.insert(sent.clone());
        let request = ClientRequest::CallToolRequest(request);
        let options = PeerRequestOptions::no_options();
        let handle = self.peer.send_cancellable_request(request, options).await;
        let mut pending = Pending(Some(handle.map_err(|_| self.lost(sent.get()))?));
        let mut listener = pending.token().map(|token| self.progress.listen(token));
        let answer = loop {
            tokio::select! {
                biased;
                answer = pending.answer() => break answer,
                () = self.fault.ended() => {
                    pending.disarm();
                    return Err(self.lost(sent.get()));
                }
                said = async { listener.as_mut()?.next().await }, if listener.is_some() => match said {
                    Some(said) => progress(&said),
                    None => listener = None,
                },
            }
        };
        pending.disarm();
        match answer {
            Some(Ok(ServerResult::CallToolResult(result))) => Ok(result),
            Some(Ok(ServerResult::InputRequiredResult(_))) => {
                Err(self.unusable("it wants more input, which there is nobody to give", sent))
            }
            Some(Ok(_)) => Err(self.unusable("its answer is not the result of a tool", sent)),
            Some(Err(error)) => Err(self.failed(error, sent.get())),
            None => Err(self.lost(sent.get())),
        }
    }

    /// Ends it in order: the child gets the end of its input and time to go, the session of HTTP is
    /// given back.
    pub(crate) async fn close(&self, grace: Duration) {
        if let Some(child) = &self.child {
            child.stop().await;
        }
        let running = self.running.lock().take();
        if let Some(mut running) = running {
            let _reason = running.close_with_timeout(grace).await;
        }
    }

    fn lost(&self, sent: bool) -> McpError {
        let other = || {
            let retired = self.retired.load(Ordering::Acquire);
            let how = if retired { "it answers nothing" } else { "it closed the connection" };
            Why::Gone(how.to_owned())
        };
        let why = self.fault.why().cloned().unwrap_or_else(other);
        why.of_call(&self.server, sent)
    }

    fn unusable(&self, message: &str, sent: &Sent) -> McpError {
        let (server, message) = (self.server.to_string(), message.to_owned());
        McpError::Protocol { server, message, sent: sent.get() }
    }

    fn failed(&self, error: ServiceError, sent: bool) -> McpError {
        let server = self.server.to_string();
        match error {
            ServiceError::McpError(error) => {
                if let Some(message) = stdio::malformed(&error) {
                    return McpError::Protocol { server, message, sent };
                }
                McpError::Refused { server, code: error.code.0, message: told(&error.message) }
            }
            ServiceError::TransportSend(error) => {
                if self.fault.is_set() {
                    return self.lost(sent);
                }
                http::failed(&self.server, &*error.error, sent)
            }
            ServiceError::UnexpectedResponse => {
                let message = "its answer is not one to this request".to_owned();
                McpError::Protocol { server, message, sent }
            }
            _ => self.lost(sent),
        }
    }
}

/// Why there is no session.
struct NoHandshake {
    error: McpError,
    /// The server knows nothing of the handshake that it was offered.
    refused: bool,
}

/// A call that is under way. Dropping it tells the server to stop.
struct Pending(Option<RequestHandle<RoleClient>>);

impl Pending {
    fn token(&self) -> Option<rmcp::model::ProgressToken> {
        self.0.as_ref().map(|handle| handle.progress_token.clone())
    }

    /// `None` when the connection is gone.
    async fn answer(&mut self) -> Option<Result<ServerResult, ServiceError>> {
        (&mut self.0.as_mut()?.rx).await.ok()
    }

    fn disarm(&mut self) {
        self.0 = None;
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        let Some(handle) = self.0.take() else { return };
        // Without a runtime there is no connection either.
        let Ok(runtime) = runtime::Handle::try_current() else { return };
        runtime.spawn(async move {
            let _gone = handle.cancel(Some(ABANDONED.to_owned())).await;
        });
    }
}
