//! What a response means to the caller of a tool.

use executus_core::text::bounded_to;
use executus_core::{Effect, ToolError, ToolOutput};

use crate::error::HttpError;
use crate::outline::redact::Redactions;
use crate::response::Response;
use crate::response::json;
use crate::text::{lossy, printable};

/// How much of the body of a refusal goes into its error, in bytes.
const SNIPPET: usize = 2048;

/// What is said of a call that must not happen twice.
pub(super) const MAY_HAVE_HAPPENED: &str = "; the request may have been carried out";

/// The body of a success: as text, and as data if it is JSON and all there.
pub(super) async fn read(
    mut response: Response,
    max: usize,
    redactions: Redactions<'_>,
) -> Result<ToolOutput, HttpError> {
    let all = response.remaining();
    let mut bytes = Vec::new();
    let cut = !response.fill(&mut bytes, max).await?;
    let mut text = printable(lossy(&bytes, cut));
    if cut {
        text.push_str(&match all {
            Some(all) => format!("… [cut, {all} bytes in all]"),
            None => format!("… [cut at {max} bytes]"),
        });
    }
    let data = if response.is_json() && !cut { json::read(&bytes).ok() } else { None };
    let mut output = ToolOutput::text(redactions.text(text));
    output.data = data.map(|data| redactions.json(data));
    Ok(output)
}

/// The error for a status that is no success.
pub(super) async fn refused(response: Response, shown: &str, effect: Effect) -> ToolError {
    let status = response.status();
    let mut message = format!("{shown} answered {status} {}", response.reason());
    message.truncate(message.trim_end().len());
    let is_redirect = (300..400).contains(&status);
    if is_redirect {
        if let Some(location) = response.header("location") {
            let path = location.split(['?', '#']).next().unwrap_or_default();
            message.push_str(" and points to ");
            message.push_str(&bounded_to(printable(path.to_owned()), 512));
        }
        message.push_str("; redirects are not followed");
    }
    // Of 429 and the rest of 4xx it is known that nothing was done.
    let unknown = effect == Effect::Once && (is_redirect || status == 408 || status >= 500);
    if unknown {
        message.push_str(MAY_HAVE_HAPPENED);
    }
    if is_redirect {
        return ToolError::failed(message);
    }
    let retryable = matches!(status, 408 | 429 | 500..) && !unknown;
    let said = response.snippet(SNIPPET).await;
    let said = said.trim();
    if !said.is_empty() {
        message.push_str(": ");
        message.push_str(said);
    }
    ToolError::Failed { message, retryable }
}

/// The error for a request without a whole response.
pub(super) fn failed(error: &HttpError, effect: Effect) -> ToolError {
    match error {
        // Only the call's values can make a request that was possible impossible.
        HttpError::Request { message } => ToolError::arguments(message),
        _ if effect == Effect::Once && error.was_sent() => {
            ToolError::Unknown { message: format!("{error}{MAY_HAVE_HAPPENED}") }
        }
        _ => ToolError::Failed { message: error.to_string(), retryable: error.retry() },
    }
}
