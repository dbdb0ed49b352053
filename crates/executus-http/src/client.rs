//! Sending a request.

use std::fmt;
use std::future::{self, Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use http::header::{self, HeaderValue};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::capture_connection;
use tokio::time::timeout;

use crate::body::Whole;
use crate::config::ClientBuilder;
use crate::connect::Connector;
use crate::decode;
use crate::error::{HttpError, Phase};
use crate::failure::Unanswered;
use crate::method::Method;
use crate::request::Request;
use crate::response::Response;

/// Sends requests over connections that it keeps. Clones share them.
///
/// It is used within a tokio runtime, with I/O and time, and each connection is a task there.
#[derive(Clone)]
pub struct Client {
    pub(crate) hyper: legacy::Client<Connector, Whole>,
    pub(crate) user_agent: HeaderValue,
    pub(crate) connect_timeout: Duration,
    pub(crate) headers_timeout: Duration,
    pub(crate) idle_timeout: Duration,
    pub(crate) max_header_bytes: usize,
}

impl Client {
    /// A client with the settings that follow.
    #[must_use]
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }

    /// Sends a request and waits for the head of its response. Any status is a response, one that
    /// redirects too.
    ///
    /// **Cancellation**: when the future is dropped the request is given up. Its connection of
    /// HTTP/1.1 is closed, its stream of HTTP/2 reset; a server may act on what it has.
    ///
    /// # Errors
    /// [`HttpError`] when there is no response. [`HttpError::was_sent`] tells whether the server
    /// can have seen the request.
    pub async fn send(&self, request: Request) -> Result<Response, HttpError> {
        let method = request.method;
        let address = request.address();
        let headers_timeout = request.headers_timeout.unwrap_or(self.headers_timeout);
        let idle_timeout = request.idle_timeout.unwrap_or(self.idle_timeout);
        let out_of_time =
            |phase, limit| HttpError::Timeout { phase, limit, address: address.clone() };

        let encoded_for_caller = request.headers.contains_key(header::ACCEPT_ENCODING);
        let mut request = self.to_http(request);
        let mut connection = capture_connection(&mut request);
        let mut answering = pin!(self.hyper.request(request));
        let early = {
            let mut connected = pin!(async {
                let is_connected = connection.wait_for_connection_metadata().await.is_some();
                if !is_connected {
                    // The request has failed, and its own future says why.
                    future::pending::<()>().await;
                }
            });
            let answer_or_connection = poll_fn(|context| {
                if let Poll::Ready(answer) = answering.as_mut().poll(context) {
                    return Poll::Ready(Some(answer));
                }
                connected.as_mut().poll(context).map(|()| None)
            });
            timeout(self.connect_timeout, answer_or_connection)
                .await
                .map_err(|_| out_of_time(Phase::Connect, self.connect_timeout))?
        };
        let answer = match early {
            Some(answer) => answer,
            None => timeout(headers_timeout, answering)
                .await
                .map_err(|_| out_of_time(Phase::Headers, headers_timeout))?,
        };
        match answer {
            Ok(response) => {
                let status = response.status().as_u16();
                tracing::debug!(%method, address, status, "response");
                let (head, body) = response.into_parts();
                let response = Response::new(head, body, address, idle_timeout, None);
                Ok(if encoded_for_caller { response } else { response.decoded() })
            }
            Err(error) => {
                let sent = connection.connection_metadata().is_some();
                let unanswered = Unanswered {
                    address: &address,
                    sent,
                    connect_timeout: self.connect_timeout,
                    max_header_bytes: self.max_header_bytes,
                };
                let error = unanswered.because(&error);
                tracing::debug!(%method, %error, "no response");
                Err(error)
            }
        }
    }

    fn to_http(&self, request: Request) -> http::Request<Whole> {
        // Some servers insist on a length where a body is usual, and hyper leaves out the one of none.
        let accepted = if request.compressed { decode::ACCEPTED } else { "identity" };
        let is_empty = request.body.is_empty()
            && matches!(request.method, Method::Post | Method::Put | Method::Patch);
        let mut http = http::Request::new(Whole::new(request.body));
        *http.method_mut() = request.method.to_http();
        *http.uri_mut() = request.uri;
        *http.headers_mut() = request.headers;
        let headers = http.headers_mut();
        headers.entry(header::USER_AGENT).or_insert_with(|| self.user_agent.clone());
        headers
            .entry(header::ACCEPT_ENCODING)
            .or_insert_with(|| HeaderValue::from_static(accepted));
        if is_empty {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        http
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("connect_timeout", &self.connect_timeout)
            .field("headers_timeout", &self.headers_timeout)
            .field("idle_timeout", &self.idle_timeout)
            .finish_non_exhaustive()
    }
}
