//! Reading what lies behind a handle.

use executus_core::isolate::call;
use serde_json::json;

use super::action::Action;
use super::error::{ExpandError, Stage, StageError};
use super::invoke::panicked;
use super::wait::within;
use super::{ExpandRequest, Inner, Kernel};
use crate::firewall::scrub_text;
use crate::handle::{Expansion, Page};
use crate::record::ActionKind;

impl Kernel {
    /// Reads a page of the rows behind a handle: scrubbed again, and recorded before it is shown.
    ///
    /// # Errors
    /// [`ExpandError`]: nothing is shown. There is a record of it all the same, unless the error
    /// says that there is none.
    pub async fn expand(&self, request: ExpandRequest) -> Result<Page, ExpandError> {
        let ExpandRequest { principal, action_id, run_id, .. } = &request;
        let named = action_id.as_deref();
        let mut action =
            Action::begin(&self.0, ActionKind::Expand, principal, named, run_id.clone());
        let query = &request.query;
        let mut names: Vec<&str> = query.filter.keys().map(String::as_str).collect();
        names.truncate(20);
        // Which rows, not what they hold: the values of a filter may be anybody's.
        action.draft().record.args = json!({
            "handle": scrub_text(&request.handle[..request.handle.floor_char_boundary(64)]),
            "offset": query.offset, "limit": query.limit,
            "filter": names.join(", "),
        });
        match self.0.page(&request).await {
            Ok(page) => {
                let counts = &mut action.draft().record.counts;
                counts.row_count = page.rows.len() as u64;
                counts.warning_count = page.warnings.len() as u64;
                action.end(Ok(0)).await?;
                Ok(page)
            }
            Err(error) => {
                let _ = action.end(Err((error.code().to_owned(), error.to_string()))).await;
                Err(error)
            }
        }
    }
}

impl Inner {
    async fn page(&self, request: &ExpandRequest) -> Result<Page, ExpandError> {
        if self.tracker.is_closed() {
            return Err(ExpandError::Closed);
        }
        let ask = Expansion {
            id: &request.handle,
            principal: Some(&request.principal),
            query: &request.query,
            now: self.clock.now(),
        };
        let read = within(self.limits.handle, || self.handles.expand(&ask));
        let page = tokio::select! {
            biased;
            () = self.stop.cancelled() => return Err(ExpandError::Closed),
            read = read => read.map_err(|why| StageError::new(Stage::Handle, why))??,
        };
        let screened = call(|| self.screen.page(page));
        Ok(screened.map_err(|why| panicked(Stage::Firewall, why))??)
    }
}
