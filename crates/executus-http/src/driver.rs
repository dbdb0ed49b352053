//! A driver of capabilities that makes requests.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use executus_capability::driver::{ChunkStream, StreamingDriver};
use executus_capability::{Driver, DriverError, DriverRequest};
use executus_core::secret::Secrets;
use executus_core::text::scrub;
use serde_json::{Map, Value};

use crate::client::Client;
use crate::error::HttpError;
use crate::method::Method;
use crate::outline::redact::Redactions;
use crate::outline::target::NoTarget;
use crate::outline::values::{Bound, Values, wrong};
use crate::outline::{self, Outline};
use crate::redirect;
use crate::request::Request;
use crate::response::Response;

mod base64;
mod builder;
mod endpoint;
mod failed;
mod stream;

pub use builder::{DriverBuildError, HttpDriverBuilder};
pub use endpoint::{Endpoint, Format, Pieces};

use failed::Failed;
use stream::{Reader, Stream};

/// What is the driver's own among the arguments.
const OPERATION: &str = "operation";
/// As good as never: what streams is limited from piece to piece.
const NEVER: Duration = Duration::from_secs(100 * 365 * 86_400);

/// Performs each operation by one request to its [`Endpoint`].
///
/// **Arguments** fill the places of the URL and of header fields. The others, without `operation`,
/// go to the query for `GET` and `DELETE` (a list repeats its name), into a JSON object as the body
/// otherwise. None can choose the server or lead to another path.
///
/// **Result**: the body in the endpoint's [`Format`], decoded if it was compressed. A status that is
/// no success, a redirect that is not followed, a body that is too large or cannot be read is a
/// failed attempt; its message names the address without its query, and at most 200 characters of
/// the body. A connection that was lost is [`DriverError::Dropped`], a limit in time that has passed
/// [`DriverError::Timeout`].
///
/// **Requests** other than `GET` carry `idempotency-key`, the same for every attempt of one
/// invocation.
///
/// **Cancellation**: when the future or the stream is dropped the request is given up, its
/// connection closed. **Secrets** that the driver was given are sent and never shown: errors and
/// results have them replaced.
#[derive(Clone)]
pub struct HttpDriver(Arc<Inner>);

struct Inner {
    id: Arc<str>,
    client: Client,
    endpoints: BTreeMap<String, Endpoint>,
    bound: BTreeMap<String, Bound>,
    /// What it was bound to that is secret, in each of its forms.
    secrets: Secrets,
    timeout: Duration,
    max_body: usize,
}

/// One request, ready to go.
struct Call<'d> {
    driver: &'d Inner,
    endpoint: &'d Endpoint,
    request: Request,
}

impl HttpDriver {
    /// A driver with this name in routes and records, which makes its requests with this client.
    ///
    /// [`Profile::DRIVER`](crate::Profile::DRIVER) has the limits that suit one.
    #[must_use]
    pub fn builder(id: impl Into<Arc<str>>, client: Client) -> HttpDriverBuilder {
        HttpDriverBuilder::new(id.into(), client)
    }

    /// Closes the client: connections are closed, and what is under way has `grace` to end. A
    /// driver that is closed can be closed again, and used: it makes new connections.
    pub async fn close(&self, grace: Duration) {
        self.0.client.close(grace).await;
    }
}

impl Inner {
    /// What this request is, as HTTP.
    fn call<'d>(&'d self, asked: &DriverRequest) -> Result<Call<'d>, DriverError> {
        let Some(endpoint) = self.endpoints.get(&*asked.operation) else {
            return Err(DriverError::NoOperation {
                driver: self.id.to_string(),
                operation: asked.operation.to_string(),
            });
        };
        if let Some(name) = asked.args.keys().find(|name| self.bound.contains_key(*name)) {
            let error = wrong(format!("`{name}` is not for a call to set"));
            return Err(self.unusable(asked, &endpoint.outline, error.into()));
        }
        let none = Secrets::default();
        let secrets = asked.context.as_ref().map_or(&none, |context| context.secrets());
        let args: Map<_, _> = asked
            .args
            .iter()
            .filter(|(name, _)| *name != OPERATION || endpoint.takes(OPERATION))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        let values = Values { args: &args, bound: &self.bound, secrets };
        let is_keyed = endpoint.outline.method != Method::Get;
        let key = is_keyed.then(|| outline::key(&asked.idempotency_key));
        let request = endpoint
            .outline
            .fill(values, key.as_deref())
            .map_err(|error| self.unusable(asked, &endpoint.outline, error))?;
        let limit = endpoint.timeout.unwrap_or(self.timeout);
        let is_stream = endpoint.pieces.is_some();
        let request = request
            .accept_compressed(!is_stream)
            .follow_redirects(endpoint.redirects)
            .headers_timeout(limit)
            .idle_timeout(limit)
            .total_timeout(if is_stream { NEVER } else { limit });
        Ok(Call { driver: self, endpoint, request })
    }

    /// Arguments that make no request.
    fn unusable(&self, asked: &DriverRequest, outline: &Outline, error: NoTarget) -> DriverError {
        let (id, operation) = (&self.id, &asked.operation);
        let url = outline.shown();
        let what = error.said();
        DriverError::failed(self.clean(format!("`{operation}` of driver `{id}` at {url}: {what}")))
    }

    /// A message without secrets.
    fn clean(&self, message: String) -> String {
        scrub(&self.secrets.redact(message)).into_owned()
    }

    const fn redactions<'d>(&'d self, none: &'d Secrets) -> Redactions<'d> {
        Redactions { tool: &self.secrets, run: none }
    }

    fn failed(&self, error: &HttpError) -> DriverError {
        Failed::of(error).clean(|message| self.clean(message))
    }
}

impl Call<'_> {
    /// Sends it, and gives the response when it is a success.
    async fn send(&self) -> Result<Response, HttpError> {
        let response = self.driver.client.send(self.request.clone()).await?;
        let (status, headers) = (response.status(), response.headers());
        match redirect::not_followed(&self.request, status, headers) {
            Some(error) => Err(error),
            None => response.success().await,
        }
    }

    fn max_body(&self) -> usize {
        self.endpoint.max_body.unwrap_or(self.driver.max_body)
    }

    /// The whole body as its format has it.
    async fn whole(&self) -> Result<Value, HttpError> {
        let response = self.send().await?;
        let max = self.max_body();
        Ok(match self.endpoint.format {
            Format::Json => response.json(max).await?,
            Format::Text => response.text(max).await?.into(),
            Format::Bytes => {
                let content_type = response.content_type().map(str::to_owned);
                let bytes = response.bytes(max).await?;
                base64::described(&bytes, content_type)
            }
        })
    }

    /// The pieces of its body.
    async fn stream(&self, pieces: &Pieces) -> Result<Reader, HttpError> {
        let response = self.send().await?;
        Ok(Reader::new(response, pieces, self.endpoint.format, self.max_body()))
    }
}

#[async_trait]
impl Driver for HttpDriver {
    fn id(&self) -> &str {
        &self.0.id
    }

    async fn execute(&self, request: &DriverRequest) -> Result<Value, DriverError> {
        let driver = &*self.0;
        let call = driver.call(request)?;
        let Some(pieces) = &call.endpoint.pieces else {
            let none = Secrets::default();
            let value = call.whole().await.map_err(|error| driver.failed(&error))?;
            return Ok(driver.redactions(&none).json(value));
        };
        let reader = call.stream(pieces).await.map_err(|error| driver.failed(&error))?;
        Stream::new(Arc::clone(&self.0), reader, call.endpoint).whole().await
    }

    fn streaming(&self) -> Option<&dyn StreamingDriver> {
        let streams = self.0.endpoints.values().any(|endpoint| endpoint.pieces.is_some());
        streams.then_some(self as &dyn StreamingDriver)
    }
}

#[async_trait]
impl StreamingDriver for HttpDriver {
    /// Begins one operation. One whose endpoint does not stream is one piece.
    async fn open(&self, request: &DriverRequest) -> Result<Box<dyn ChunkStream>, DriverError> {
        let driver = &*self.0;
        let call = driver.call(request)?;
        let Some(pieces) = &call.endpoint.pieces else {
            return Ok(Box::new(stream::One(Some(self.execute(request).await?))));
        };
        let reader = call.stream(pieces).await.map_err(|error| driver.failed(&error))?;
        Ok(Box::new(Stream::new(Arc::clone(&self.0), reader, call.endpoint)))
    }
}

impl fmt::Debug for HttpDriver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpDriver")
            .field("id", &self.0.id)
            .field("endpoints", &self.0.endpoints)
            .finish_non_exhaustive()
    }
}
