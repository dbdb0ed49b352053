//! A server over streamable HTTP, asked through the client of `executus-http`.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use executus_core::secret::Secret;
use executus_http::{Client, HttpError, Method, Request, Response};
use futures_util::stream::BoxStream;
use http::{HeaderName, HeaderValue};
use rmcp::model::{
    ClientJsonRpcMessage, GetExtensions, JsonRpcMessage, RequestId, ServerJsonRpcMessage,
};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::common::client_side_sse::ExponentialBackoff;
use rmcp::transport::streamable_http_client::{
    SseError, StreamableHttpClient, StreamableHttpClientTransportConfig, StreamableHttpError,
    StreamableHttpPostResponse,
};
use sse_stream::Sse;
use thiserror::Error;

use crate::config::McpLimits;
use crate::error::{McpError, told};
use crate::fault::{Fault, Why};
use crate::session::Sent;

mod events;

const SESSION: &str = "mcp-session-id";
const LAST_EVENT: &str = "last-event-id";
const EVENTS: &str = "text/event-stream";
const JSON: &str = "application/json";
/// What is read of an answer that is none.
const SNIPPET: usize = 512;
/// A stream of what the server says unasked may be silent for long.
const SILENCE: Duration = Duration::from_secs(24 * 60 * 60);
/// How often a stream that broke is taken up again.
const RESUMED: usize = 3;
const RESUME_WAIT: Duration = Duration::from_millis(200);
const RESUME_WAIT_MOST: Duration = Duration::from_secs(2);
/// Calls that may be under way without an answer that has begun.
const CONCURRENT: usize = 64;

/// Where a server is reached.
#[derive(Debug)]
pub(crate) struct HttpEndpoint {
    pub(crate) url: String,
    pub(crate) client: Client,
    pub(crate) headers: Vec<(String, Secret)>,
}

/// Why a request to a server came to nothing.
#[derive(Debug, Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Http(#[from] HttpError),
    #[error("it answered {status} {reason}{}{said}", if said.is_empty() { "" } else { ": " })]
    Status { status: u16, reason: &'static str, said: String },
}

type Error = StreamableHttpError<Failure>;

/// What an error of a connection says.
pub(crate) fn said(error: &(dyn std::error::Error + Send + Sync + 'static)) -> String {
    match error.downcast_ref::<Error>() {
        Some(Error::Client(failure)) => told(&failure.to_string()),
        _ => told(&error.to_string()),
    }
}

/// The error of a call of which the request failed.
pub(crate) fn failed(
    server: &str,
    error: &(dyn std::error::Error + Send + Sync + 'static),
    sent: bool,
) -> McpError {
    let (server, message) = (server.to_owned(), said(error));
    let failure = match error.downcast_ref::<Error>() {
        Some(Error::Client(failure)) => failure,
        Some(Error::UnexpectedContentType(_) | Error::Deserialize(_)) => {
            return McpError::Protocol { server, message, sent };
        }
        _ => return McpError::Lost { server, sent, message },
    };
    match failure {
        Failure::Http(error) if error.retry() => McpError::Lost { server, sent, message },
        Failure::Http(_) => McpError::Http { server, message, sent, retryable: false },
        Failure::Status { status, .. } => {
            let retryable = matches!(status, 429 | 500..);
            McpError::Http { server, message, sent, retryable }
        }
    }
}

type Events = BoxStream<'static, Result<Sse, SseError>>;

/// A connection, as rmcp wants it.
pub(crate) fn transport(
    endpoint: &HttpEndpoint,
    limits: &McpLimits,
    fault: &Fault,
) -> StreamableHttpClientTransport<Wire> {
    let mut retry = ExponentialBackoff::default();
    retry.max_times = Some(RESUMED);
    retry.base_duration = RESUME_WAIT;
    retry.max_delay = Some(RESUME_WAIT_MOST);
    let mut config = StreamableHttpClientTransportConfig::with_uri(&*endpoint.url)
        .max_concurrent_requests(CONCURRENT)
        .max_sse_event_size(limits.message_bytes)
        // What may be sent twice is decided in one place, which is not there.
        .reinit_on_expired_session(false);
    config.retry_config = Arc::new(retry);
    let wire = Wire(Arc::new(Inner {
        client: endpoint.client.clone(),
        headers: endpoint.headers.clone(),
        // The call's own limit is the one that counts.
        patience: limits.call.max(limits.start) + Duration::from_secs(5),
        message_bytes: limits.message_bytes,
        fault: fault.clone(),
    }));
    StreamableHttpClientTransport::with_client(wire, config)
}

/// Carries messages of one connection.
#[derive(Debug, Clone)]
pub(crate) struct Wire(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    client: Client,
    headers: Vec<(String, Secret)>,
    patience: Duration,
    message_bytes: usize,
    fault: Fault,
}

impl Wire {
    fn request(
        &self,
        method: Method,
        uri: &str,
        session: Option<&str>,
        auth: Option<String>,
        custom: HashMap<HeaderName, HeaderValue>,
    ) -> Result<Request, HttpError> {
        let mut request =
            Request::new(method, uri)?.header("accept", "application/json, text/event-stream")?;
        for (name, value) in &custom {
            let value = value.to_str().unwrap_or_default();
            request = request.header(name.as_str(), value)?;
        }
        if let Some(session) = session {
            request = request.secret_header(SESSION, &Secret::new(session))?;
        }
        if let Some(token) = auth {
            request =
                request.secret_header("authorization", &Secret::new(format!("Bearer {token}")))?;
        }
        for (name, value) in &self.0.headers {
            request = request.secret_header(name, value)?;
        }
        Ok(request.headers_timeout(self.0.patience).idle_timeout(self.0.patience))
    }

    /// The events of a body, each within its limit.
    fn events(&self, response: Response) -> Events {
        events::of(response, self.0.message_bytes, self.0.fault.clone())
    }

    async fn post(
        &self,
        uri: &str,
        message: ClientJsonRpcMessage,
        session: Option<&str>,
        auth: Option<String>,
        custom: HashMap<HeaderName, HeaderValue>,
    ) -> Result<StreamableHttpPostResponse, Error> {
        let failed = |error: HttpError| Error::Client(error.into());
        let (asked, sent) = match &message {
            JsonRpcMessage::Request(request) => {
                let sent = request.request.extensions().get::<Sent>().cloned();
                (Some(request.id.clone()), sent.unwrap_or_default())
            }
            _ => (None, Sent::default()),
        };
        let body = serde_json::to_vec(&message)?;
        let request = self
            .request(Method::Post, uri, session, auth, custom)
            .map_err(failed)?
            .body(JSON, body);
        sent.set(true);
        let response = self.0.client.send(request).await.map_err(|error| {
            sent.set(error.was_sent());
            failed(error)
        })?;
        let status = response.status();
        let new_session = response.header(SESSION).map(str::to_owned);
        if !response.is_success() {
            return self.refused(response, asked, session.is_some(), &sent).await;
        }
        let media_type = response.content_type().map(str::to_owned);
        match media_type.as_deref() {
            _ if matches!(status, 202 | 204) => Ok(StreamableHttpPostResponse::Accepted),
            Some(EVENTS) => Ok(StreamableHttpPostResponse::Sse(self.events(response), new_session)),
            // Nothing is expected of it.
            _ if asked.is_none() => Ok(StreamableHttpPostResponse::Accepted),
            Some(JSON) => {
                let limit = self.0.message_bytes;
                let bytes = response.bytes(limit).await.map_err(|error| {
                    if matches!(error, HttpError::TooLarge { .. }) {
                        self.0.fault.set(Why::TooLarge(limit));
                    }
                    failed(error)
                })?;
                let message = serde_json::from_slice(&bytes)?;
                Ok(StreamableHttpPostResponse::Json(message, new_session))
            }
            _ => Err(Error::UnexpectedContentType(media_type)),
        }
    }

    /// What an answer means that is none.
    async fn refused(
        &self,
        response: Response,
        asked: Option<RequestId>,
        in_session: bool,
        sent: &Sent,
    ) -> Result<StreamableHttpPostResponse, Error> {
        let status = response.status();
        let reason = response.reason();
        let is_json = response.content_type() == Some(JSON);
        let said = response.snippet(SNIPPET).await;
        let message = serde_json::from_str::<ServerJsonRpcMessage>(&said).ok().filter(|_| is_json);
        // An error of the protocol that answers this request is the answer to it.
        if let Some(JsonRpcMessage::Error(error)) = &message
            && error.id.is_some()
            && error.id == asked
            && !matches!(status, 401 | 403)
        {
            return Ok(StreamableHttpPostResponse::Json(
                JsonRpcMessage::Error(error.clone()),
                None,
            ));
        }
        if (400..500).contains(&status) {
            // Refused at the door: nobody has seen the message.
            sent.set(false);
        }
        // The protocol says 404; servers say 400 too, and why.
        let about_session = || said.to_ascii_lowercase().contains("session");
        if in_session && (status == 404 || (status == 400 && about_session())) {
            self.0.fault.set(Why::SessionExpired);
            return Err(Error::SessionExpired);
        }
        Err(Error::Client(Failure::Status { status, reason, said }))
    }
}

impl StreamableHttpClient for Wire {
    type Error = Failure;

    async fn post_message(
        &self,
        uri: Arc<str>,
        message: ClientJsonRpcMessage,
        session_id: Option<Arc<str>>,
        auth_header: Option<String>,
        custom_headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<StreamableHttpPostResponse, Error> {
        self.post(&uri, message, session_id.as_deref(), auth_header, custom_headers).await
    }

    async fn delete_session(
        &self,
        uri: Arc<str>,
        session_id: Arc<str>,
        auth_header: Option<String>,
        custom_headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<(), Error> {
        let request =
            self.request(Method::Delete, &uri, Some(&session_id), auth_header, custom_headers);
        let sending = async { self.0.client.send(request?).await };
        let response = sending.await.map_err(|error| Error::Client(error.into()))?;
        match response.status() {
            405 => Err(Error::ServerDoesNotSupportDeleteSession),
            // Its answer matters to nobody.
            _ => Ok(()),
        }
    }

    async fn get_stream(
        &self,
        uri: Arc<str>,
        session_id: Option<Arc<str>>,
        last_event_id: Option<String>,
        auth_header: Option<String>,
        custom_headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<Events, Error> {
        let session = session_id.as_deref();
        let request = self.request(Method::Get, &uri, session, auth_header, custom_headers);
        let request = request.and_then(|request| match last_event_id {
            Some(id) => request.header(LAST_EVENT, &id),
            None => Ok(request),
        });
        let sending = async {
            let request = request?.headers_timeout(SILENCE).idle_timeout(SILENCE);
            self.0.client.send(request).await
        };
        let response = sending.await.map_err(|error| Error::Client(error.into()))?;
        match (response.status(), response.content_type()) {
            (200, Some(EVENTS)) => Ok(self.events(response)),
            (200, other) => Err(Error::UnexpectedContentType(other.map(str::to_owned))),
            (405, _) => Err(Error::ServerDoesNotSupportSse),
            _ => match self.refused(response, None, session.is_some(), &Sent::default()).await {
                Ok(_) => {
                    Err(Error::UnexpectedServerResponse(Cow::Borrowed("an answer to nothing")))
                }
                Err(error) => Err(error),
            },
        }
    }
}
