//! Sending a request.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::header::{self, HeaderValue};
use tokio::time::{Instant, sleep};

use crate::body::Whole;
use crate::config::ClientBuilder;
use crate::error::HttpError;
use crate::method::Method;
use crate::pool::{AddressSnapshot, Ask, Pool, Total};
use crate::redirect::Redirects;
use crate::request::Request;
use crate::response::Response;
use crate::response::decode;
use crate::retry::{self, Retries};

/// As good as never, and small enough to be added to a time.
const NEVER: Duration = Duration::from_secs(100 * 365 * 86_400);

/// Sends requests over connections that it keeps, for each base address (`scheme://host:port`)
/// apart. Clones share them.
///
/// It is used within a tokio runtime, with I/O and time, and each connection is a task there.
///
/// ```no_run
/// # use executus_http::{Client, Method, Request};
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let client = Client::builder().build()?;
/// let request = Request::new(Method::Get, "https://example.com/")?.header("accept", "text/html")?;
/// let response = client.send(request).await?;
/// if response.is_success() {
///     let page = response.bytes(1024 * 1024).await?;
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Client(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) pool: Pool,
    pub(crate) user_agent: HeaderValue,
    pub(crate) headers_timeout: Duration,
    pub(crate) idle_timeout: Duration,
    pub(crate) total_timeout: Option<Duration>,
    pub(crate) retries: Option<Retries>,
}

impl Client {
    /// A client with the settings that follow.
    #[must_use]
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }

    /// Sends a request and waits for the head of its response. Any status is a response, one that
    /// redirects too, unless the request [follows](Request::follow_redirects) it.
    ///
    /// **Cancellation**: when the future is dropped the request is given up. Its connection of
    /// HTTP/1.1 is closed, its stream of HTTP/2 reset; a server may act on what it has.
    ///
    /// # Errors
    /// [`HttpError`] when there is no response. [`HttpError::was_sent`] tells whether the server
    /// can have seen the request.
    pub async fn send(&self, request: Request) -> Result<Response, HttpError> {
        let total = request.total_timeout.or(self.0.total_timeout).map(|limit| {
            let limit = limit.min(NEVER);
            Total { at: Instant::now() + limit, limit }
        });
        if request.redirects == 0 && (self.0.retries.is_none() || !request.idempotent) {
            return self.0.once(request, total).await;
        }
        Box::pin(self.0.follow(request, total)).await
    }

    /// Closes the connections that are kept, and waits until what is under way has ended: the
    /// requests and the bodies of their responses. After `grace` it waits no longer; it says how
    /// many requests and connections were left then.
    ///
    /// A client that is closed can be closed again, and used: it makes new connections.
    ///
    /// **Cancellation**: what was kept is closed in any case.
    pub async fn close(&self, grace: Duration) -> usize {
        self.0.pool.close(grace).await
    }

    /// One with the same settings and nothing in common: no connection, no window, no circuit.
    pub(crate) fn apart(&self) -> Self {
        let inner = &self.0;
        Self(Arc::new(Inner {
            pool: inner.pool.apart(),
            user_agent: inner.user_agent.clone(),
            headers_timeout: inner.headers_timeout,
            idle_timeout: inner.idle_timeout,
            total_timeout: inner.total_timeout,
            retries: None,
        }))
    }

    /// What there is to each base address now.
    #[must_use]
    pub fn snapshot(&self) -> Vec<AddressSnapshot> {
        self.0.pool.snapshot()
    }
}

impl Inner {
    /// Sends it once.
    async fn once(&self, request: Request, total: Option<Total>) -> Result<Response, HttpError> {
        let method = request.method;
        let idle_timeout = request.idle_timeout.unwrap_or(self.idle_timeout);
        let host = self.pool.host(&request.uri)?;
        // Whoever asks for an encoding in so many words gets it as it is.
        let decodes = !request.headers.contains_key(header::ACCEPT_ENCODING);
        let headers_timeout = request.headers_timeout.unwrap_or(self.headers_timeout).min(NEVER);
        let (request, address) = self.to_http(request);
        let ask = Ask { address: &address, headers_timeout, total };
        match host.exchange(request, &ask).await {
            Ok(response) => {
                let status = response.status().as_u16();
                tracing::debug!(%method, address, status, "response");
                if self.retries.is_some() {
                    host.bucket.fill();
                }
                let (head, body) = response.into_parts();
                let total = total.map(|total| (total.at, total.limit));
                let response = Response::new(head, body, address, idle_timeout, total)?;
                Ok(if decodes { response.decoded() } else { response })
            }
            Err(error) => {
                tracing::debug!(%method, %error, "no response");
                Err(error)
            }
        }
    }

    /// Sends it and what its redirects ask for.
    async fn follow(&self, request: Request, total: Option<Total>) -> Result<Response, HttpError> {
        let mut redirects = Redirects::new(request.redirects);
        let mut next = request;
        loop {
            let response =
                self.again(&next, total).await.map_err(|error| redirects.failed(error))?;
            match redirects.next(&next, response.status(), response.headers())? {
                None => return Ok(response),
                Some(request) => next = request,
            }
        }
    }

    /// Sends it, and again if that may be done.
    async fn again(&self, request: &Request, total: Option<Total>) -> Result<Response, HttpError> {
        let mut waits = self.retries.filter(|_| request.idempotent).map(Retries::delays);
        loop {
            let error = match self.once(request.clone(), total).await {
                Ok(response) => return Ok(response),
                Err(error) => error,
            };
            let Some(wait) = waits.as_mut().and_then(Iterator::next) else { return Err(error) };
            let ends_before = total.is_some_and(|total| Instant::now() + wait >= total.at);
            if ends_before
                || !retry::is_worth_it(&error)
                || !self.pool.host(&request.uri)?.bucket.pay()
            {
                return Err(error);
            }
            tracing::debug!(%error, ?wait, "once more");
            sleep(wait).await;
        }
    }

    fn to_http(&self, request: Request) -> (http::Request<Whole>, String) {
        // Some servers insist on a length where a body is usual, and hyper leaves out the one of none.
        let is_empty = request.body.is_empty()
            && matches!(request.method, Method::Post | Method::Put | Method::Patch);
        let mut http = http::Request::new(Whole::new(request.body));
        *http.method_mut() = request.method.to_http();
        *http.uri_mut() = request.uri;
        *http.headers_mut() = request.headers;
        let headers = http.headers_mut();
        headers.entry(header::USER_AGENT).or_insert_with(|| self.user_agent.clone());
        let encodings = if request.compressed { decode::ACCEPTED } else { "identity" };
        headers
            .entry(header::ACCEPT_ENCODING)
            .or_insert_with(|| HeaderValue::from_static(encodings));
        if is_empty {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        (http, request.address)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let settings = self.0.pool.settings();
        f.debug_struct("Client")
            .field("profile", &settings.profile)
            .field("connect_timeout", &settings.connect_timeout)
            .field("headers_timeout", &self.0.headers_timeout)
            .field("idle_timeout", &self.0.idle_timeout)
            .finish_non_exhaustive()
    }
}
