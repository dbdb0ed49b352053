//! A request as a tool.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use executus_core::secret::Secrets;
use executus_core::{Effect, Tool, ToolContext, ToolError, ToolOutput, ToolSpec};
use serde_json::Value;
use tokio::time::timeout;

use crate::client::Client;
use crate::method::Method;
use crate::outline::redact::Redactions;
use crate::outline::target::NoTarget;
use crate::outline::values::{Bound, Values, wrong};
use crate::outline::{self, Outline};
use crate::request::Request;

mod answer;
mod arguments;
mod builder;
mod error;

pub use builder::HttpToolBuilder;
pub use error::ToolBuildError;
pub use executus_core::Template;

use answer::MAY_HAVE_HAPPENED;

/// What the tool has beyond its own timeout to say that it has passed.
const LAST_WORD: Duration = Duration::from_millis(250);

/// Makes one request per call.
///
/// **Arguments** fill the places of the URL, percent-encoded, and those of the header fields. The
/// others go to the query for `GET` and `DELETE` (a list repeats its name), into a JSON object as
/// the body otherwise. None can choose the server or lead to another path.
///
/// **Result**: the body of a 2xx as printable text, broken UTF-8 replaced, up to the limit, with a
/// mark when there was more; as data too when it is JSON and complete. A body that is compressed is
/// decoded first. Any other status is
/// [`ToolError::Failed`] with the beginning of the body. Redirects are followed only as far as the
/// builder says.
///
/// **Repeating**: a call that is not read-only and no `GET` carries `idempotency-key`, the same
/// whenever it is repeated. When a call of [`Effect::Once`] fails and the server can have seen it,
/// its error says that it may have been carried out; without a whole answer it is
/// [`ToolError::Unknown`].
///
/// **Time**: the limits of the client, the spec's timeout and the run's deadline, whichever is
/// first. **Cancellation**: when the future is dropped the request is given up, its connection
/// closed.
///
/// **Secrets** are sent and never shown: an error shows `[redacted]` in place of one, and an
/// answer that repeats one has it replaced.
pub struct HttpTool {
    spec: ToolSpec,
    client: Client,
    outline: Outline,
    bound: BTreeMap<String, Bound>,
    /// The secrets of the tool, also as they stand in a URL and in JSON.
    secrets: Secrets,
    max_body: usize,
    redirects: u32,
    timeout: Option<Duration>,
}

impl HttpTool {
    /// A tool with this spec, whose `parameters` say what a call may pass and whose `timeout` how
    /// long it may take. It makes its requests with this client.
    #[must_use]
    pub fn builder(spec: ToolSpec, client: Client) -> HttpToolBuilder {
        HttpToolBuilder::new(spec, client)
    }

    /// The key that the server may know a repeated call by.
    fn key(&self, context: &ToolContext) -> Option<String> {
        let is_wanted = self.spec.effect != Effect::ReadOnly && self.outline.method != Method::Get;
        is_wanted.then(|| outline::key(&context.idempotency_key()))
    }

    async fn perform(
        &self,
        request: Request,
        redactions: Redactions<'_>,
    ) -> Result<ToolOutput, ToolError> {
        let address = request.address();
        let effect = self.spec.effect;
        let failed = |error| answer::failed(&error, effect);
        let response = self.client.send(request).await.map_err(failed)?;
        if response.is_success() {
            answer::read(response, self.max_body, redactions).await.map_err(failed)
        } else {
            Err(answer::refused(response, &address, effect).await)
        }
    }

    fn out_of_time(&self, address: &str, limit: Duration) -> ToolError {
        if self.spec.effect == Effect::Once {
            let message = format!("{address} gave no result within {limit:?}{MAY_HAVE_HAPPENED}");
            return ToolError::Unknown { message };
        }
        ToolError::Timeout { limit_ms: u64::try_from(limit.as_millis()).unwrap_or(u64::MAX) }
    }
}

#[async_trait]
impl Tool for HttpTool {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    async fn call(&self, context: &ToolContext, args: &Value) -> Result<ToolOutput, ToolError> {
        let redactions = Redactions { tool: &self.secrets, run: context.secrets() };
        let args = arguments::checked(&self.spec.parameters, args)
            .map_err(|error| redactions.error(error))?;
        let key = self.key(context);
        let values = Values { args: &args, bound: &self.bound, secrets: context.secrets() };
        let request = self.outline.fill(values, key.as_deref()).map_err(|error| {
            redactions.error(match error {
                NoTarget::Value(error) => error,
                NoTarget::Open(name) => wrong(format!("`{name}` cannot be passed")),
                NoTarget::Request(error) => answer::failed(&error, self.spec.effect),
            })
        })?;
        let request = request.accept_compressed(true).follow_redirects(self.redirects);
        let address = request.address();
        let left = context.time_left();
        let limit = self.timeout.map_or(left, |limit| limit.min(left));
        match timeout(limit, self.perform(request, redactions)).await {
            Ok(result) => result.map_err(|error| redactions.error(error)),
            Err(_) => Err(redactions.error(self.out_of_time(&address, limit))),
        }
    }
}

impl fmt::Debug for HttpTool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpTool")
            .field("name", &self.spec.name)
            .field("request", &self.outline)
            .finish_non_exhaustive()
    }
}
