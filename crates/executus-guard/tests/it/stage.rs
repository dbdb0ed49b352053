//! A guarded tool that is called by hand.

use std::sync::Arc;

use executus_core::executor::Standalone;
use executus_core::{RunId, RunRequest, Tool, ToolError, ToolOutput};
use executus_guard::{Guard, GuardConfig, Role, Signal};
use executus_testkit::scripted::{Do, ScriptedModel, ScriptedTool};
use parking_lot::Mutex;
use serde_json::{Value, json};

/// See the module.
pub(crate) struct Stage {
    pub(crate) guard: Guard,
    pub(crate) run: Standalone,
    signals: Arc<Mutex<Vec<Signal>>>,
}

impl Stage {
    pub(crate) fn new(config: GuardConfig) -> Self {
        let signals: Arc<Mutex<Vec<Signal>>> = Arc::default();
        let told = Arc::clone(&signals);
        let guard =
            Guard::builder(config).on_signal(move |signal| told.lock().push(signal.clone()));
        Self { guard: guard.build().unwrap(), run: run("run"), signals }
    }

    /// Calls a guarded tool of the run.
    pub(crate) async fn call(&self, tool: &dyn Tool, args: Value) -> Result<String, ToolError> {
        let output = tool.call(&self.run.context(1, 0), &args).await?;
        Ok(output.text)
    }

    pub(crate) fn signals(&self) -> Vec<Signal> {
        std::mem::take(&mut *self.signals.lock())
    }
}

pub(crate) fn run(id: &str) -> Standalone {
    let request = RunRequest::new(ScriptedModel::answering("").shared());
    Standalone::new(&request.run_id(RunId::new(id).unwrap()))
}

/// Answers "ok", fails when `fail` is set, and tells where it is when `to` is.
pub(crate) fn actor(name: &str) -> Arc<ScriptedTool> {
    let act = Do::ask(|_, args| match (args.get("fail"), args.get("to")) {
        (Some(fail), _) => Err(ToolError::failed(format!("failed: {fail}"))),
        (None, Some(to)) => {
            Ok(ToolOutput { data: Some(json!({"url": to})), ..ToolOutput::text("ok") })
        }
        (None, None) => Ok(ToolOutput::text("ok")),
    });
    ScriptedTool::new(name, act).shared()
}

pub(crate) fn code(error: &ToolError) -> &str {
    match error {
        ToolError::Denied { code, .. } => code,
        _ => "",
    }
}

/// A browser's tools: `goto` goes to `url`; `click` clicks on `text` and may lead somewhere.
pub(crate) fn goto(stage: &Stage) -> (Arc<ScriptedTool>, Arc<dyn Tool>) {
    let goto = actor("goto");
    (Arc::clone(&goto), stage.guard.wrap(goto, Role::navigate("/url")))
}

pub(crate) fn click(stage: &Stage) -> (Arc<ScriptedTool>, Arc<dyn Tool>) {
    let click = actor("click");
    (Arc::clone(&click), stage.guard.wrap(click, Role::click("/text").leads_to("/url")))
}
