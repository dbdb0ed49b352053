//! A tool behind a guard.

use std::sync::Arc;

use async_trait::async_trait;
use executus_core::digest::{Digest, Hasher};
use executus_core::isolate::{call, isolate};
use executus_core::{Effect, Tool, ToolContext, ToolError, ToolOutput, ToolSpec};
use parking_lot::Mutex;
use serde_json::Value;

use crate::guard::Guard;
use crate::page::Page;
use crate::role::Role;
use crate::signal::{Level, Signal, SignalKind};
use crate::state::{After, RunState};
use crate::stuck::Observed;

/// See the module.
pub(crate) struct Guarded {
    guard: Guard,
    tool: Arc<dyn Tool>,
    role: Role,
}

impl Guarded {
    pub(crate) fn new(guard: Guard, tool: Arc<dyn Tool>, role: Role) -> Self {
        Self { guard, tool, role }
    }

    fn name(&self) -> &Arc<str> {
        &self.tool.spec().name
    }

    fn denied(&self, code: &str, message: String) -> ToolError {
        let name = self.name();
        ToolError::Denied {
            code: code.to_owned(),
            message: format!("`{name}` was not called: {message}"),
            ends_run: false,
        }
    }

    fn stop_error(&self, code: &str, message: String) -> ToolError {
        let ends_run = self.guard.inner().config.stop_ends_run;
        ToolError::Denied { code: code.to_owned(), message, ends_run }
    }

    fn tell(&self, context: &ToolContext, kind: SignalKind, level: Level, message: &str) {
        self.guard.tell(&Signal {
            run_id: context.run_id().clone(),
            tool: Arc::clone(self.name()),
            kind,
            level,
            message: message.to_owned(),
        });
    }

    /// Whether what is protected is as it was, and stays so.
    async fn protect(&self, args: &Value) -> Result<(), Refusal> {
        let Some(protected) = &self.guard.inner().protected else { return Ok(()) };
        if let Err(why) = protected.unchanged().await {
            let why = format!("the guard is closed: {why}");
            return Err(Refusal {
                kind: SignalKind::Closed,
                error: self.denied("guard_closed", why),
            });
        }
        let writes = self.tool.spec().effect != Effect::ReadOnly;
        let named = writes.then(|| call(|| protected.named(args)));
        match named {
            None | Some(Ok(None)) => Ok(()),
            Some(Ok(Some(file))) => {
                let why = format!("{file} is protected, and this tool may write");
                Err(Refusal::of(self.denied("protected", why)))
            }
            Some(Err(panicked)) => {
                let why = format!("the guard {panicked}");
                Err(Refusal { kind: SignalKind::Closed, error: self.denied("guard_failed", why) })
            }
        }
    }

    /// Whether the addresses of a call may be visited. Each takes a place first, a refused one too.
    fn addresses(&self, state: &Mutex<RunState>, args: &Value) -> Result<Vec<Page>, ToolError> {
        let config = &self.guard.inner().config;
        let addresses = self.role.addresses(args);
        let mut pages = Vec::with_capacity(addresses.len());
        for address in addresses {
            let page = Page::parse(address);
            let page = page.map_err(|error| self.denied("url_invalid", error.to_string()))?;
            if !state.lock().take_place(&page, config.max_urls) {
                let max = config.max_urls;
                let why = format!("{max} pages were visited, which is all that this run may");
                return Err(self.denied("url_limit", why));
            }
            let may = config.urls.check(&page);
            may.map_err(|refused| self.denied(refused.code(), refused.to_string()))?;
            pages.push(page);
        }
        Ok(pages)
    }

    async fn wordings(&self, args: &Value) -> Result<(), ToolError> {
        for wording in self.role.wordings(args) {
            let checked = self.guard.inner().config.actions.check(self.name(), wording).await;
            checked.map_err(|why| self.denied("destructive", why))?;
        }
        Ok(())
    }

    /// All that is checked before a call. Returns the pages it goes to.
    async fn before(&self, state: &Mutex<RunState>, args: &Value) -> Result<Vec<Page>, Refusal> {
        self.protect(args).await?;
        let pages = call(|| self.addresses(state, args));
        let pages = pages.map_err(|panicked| {
            let why = format!("the guard {panicked}");
            Refusal { kind: SignalKind::Closed, error: self.denied("guard_failed", why) }
        })?;
        let pages = pages.map_err(Refusal::of)?;
        self.wordings(args).await.map_err(Refusal::of)?;
        Ok(pages)
    }

    /// Where a call led, and whether the run may be there.
    fn led_to(&self, output: &ToolOutput) -> Result<Vec<Page>, ToolError> {
        let Some(data) = &output.data else { return Ok(Vec::new()) };
        let mut pages = Vec::new();
        for address in self.role.led_to(data) {
            // A blank page, or one of the browser's own.
            let Ok(page) = Page::parse(address) else { continue };
            if let Err(refused) = self.guard.inner().config.urls.check(&page) {
                return Err(ToolError::Denied {
                    code: refused.code().to_owned(),
                    message: format!("this led to a page that is not shown: {refused}"),
                    ends_run: false,
                });
            }
            pages.push(page);
        }
        Ok(pages)
    }
}

/// Why a call is not made.
struct Refusal {
    kind: SignalKind,
    error: ToolError,
}

impl Refusal {
    fn of(error: ToolError) -> Self {
        Self { kind: SignalKind::Refused, error }
    }
}

#[async_trait]
impl Tool for Guarded {
    fn spec(&self) -> &ToolSpec {
        self.tool.spec()
    }

    async fn call(&self, context: &ToolContext, args: &Value) -> Result<ToolOutput, ToolError> {
        let state = self.guard.state(context);
        let stopped = state.lock().stopped().map(str::to_owned);
        if let Some(why) = stopped {
            return Err(self.stop_error("stopped", format!("no action is made any more: {why}")));
        }
        let mut pages = Vec::new();
        let mut answer = match self.before(&state, args).await {
            Ok(goes_to) => {
                pages = goes_to;
                let made = isolate(|| self.tool.call(context, args)).await;
                made.unwrap_or_else(|panicked| Err(ToolError::Panicked { message: panicked.0 }))
            }
            Err(Refusal { kind, error }) => {
                self.tell(context, kind, Level::Warning, &error.to_string());
                Err(error)
            }
        };
        let mut notices: Vec<String> = Vec::new();
        if let Ok(output) = &mut answer {
            match self.led_to(output) {
                Ok(led_to) => {
                    pages.extend(led_to);
                    let said = self.guard.inner().config.content.apply(output);
                    notices.extend(said.into_iter().map(str::to_owned));
                }
                Err(error) => {
                    self.tell(context, SignalKind::Refused, Level::Warning, &error.to_string());
                    answer = Err(error);
                }
            }
        }
        let failed = answer.is_err();
        if failed {
            pages.clear();
        }
        let action = Observed { what: what(self.name(), args), failed, pages };
        let after = {
            let mut state = state.lock();
            let after = state.after(&action, &self.guard.inner().config);
            match &after {
                After::Stuck(stuck) if stuck.level == Level::Stop => state.stop(&stuck.message),
                After::Errors(errors) => state.stop(&format!("{errors} actions in a row failed")),
                After::Stuck(_) | After::Nothing => {}
            }
            after
        };
        match after {
            After::Nothing => {}
            After::Errors(errors) => {
                let newest = answer.err().map(|error| error.to_string()).unwrap_or_default();
                let message = format!(
                    "{errors} actions in a row failed, and no further one is made. The newest: {newest}"
                );
                self.tell(context, SignalKind::Errors, Level::Stop, &message);
                return Err(self.stop_error("errors", message));
            }
            After::Stuck(stuck) => {
                let kind = SignalKind::Stuck(stuck.kind);
                self.tell(context, kind, stuck.level, &stuck.message);
                let found = &stuck.message;
                match stuck.level {
                    Level::Stop => {
                        let came = match &answer {
                            Ok(_) => "This one was still made, and succeeded.".to_owned(),
                            Err(error) => format!("This one failed: {error}"),
                        };
                        let message = format!(
                            "stuck: {found}, and no further action is made. {came} Give your \
                             answer with what you have."
                        );
                        return Err(self.stop_error("stuck", message));
                    }
                    Level::Warning => notices.push(format!(
                        "Warning: {found}. If this goes on, no action is made any more. Do \
                         something else."
                    )),
                    Level::Hint => notices.push(format!("Hint: {found}. Try something else.")),
                }
            }
        }
        if let Ok(output) = &mut answer
            && !notices.is_empty()
        {
            let notices: String =
                notices.iter().map(|notice| format!("[guard] {notice}\n")).collect();
            output.text.insert_str(0, &notices);
        }
        answer
    }
}

/// What is done: the tool and its arguments.
fn what(name: &str, args: &Value) -> Digest {
    let mut what = Hasher::new();
    what.text(name);
    what.json(args);
    what.finish()
}
