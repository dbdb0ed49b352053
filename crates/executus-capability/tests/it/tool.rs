//! Capabilities as tools of a run.

use std::sync::Arc;
use std::time::Duration;

use executus_capability::driver::ToolDriver;
use executus_capability::kernel::Invocation;
use executus_capability::record::ActionKind;
use executus_capability::tool::{
    Access, AnyCapabilityTool, CapabilityTool, HandleTool, SearchTool,
};
use executus_capability::{
    Capability, CapabilityId, Constraints, Driver as _, DriverError, Mode, Principal, Safety,
};
use executus_core::executor::Standalone;
use executus_core::secret::{Secret, Secrets};
use executus_core::{
    Effect, Executor, Reply, RunId, RunRequest, RunStatus, Tool, ToolContext, ToolError, Toolbox,
};
use executus_testkit::scripted::{Do, ScriptedModel, ScriptedTool};
use serde_json::{Value, json};

use crate::support::{Act, Scene, Scripted, Setup, ann, id, rows};

fn closing() -> CapabilityId {
    CapabilityId::new("tickets.close").unwrap()
}

fn scene() -> Scene {
    let capability = Capability::new(closing(), Safety::Destructive, "Closes a ticket for ever.");
    Setup::new([Scripted::new("a", Act::Give(rows(80)))]).capability(capability).build()
}

fn access(scene: &Scene) -> Access {
    Access::new(scene.kernel.clone(), ann())
}

fn tool(scene: &Scene, access: Access, id: &CapabilityId) -> CapabilityTool {
    CapabilityTool::new(access, scene.kernel.registry().get(id).unwrap())
}

fn request() -> RunRequest {
    let secrets: Secrets =
        [("key".to_owned(), Secret::new("hunter2-hunter2"))].into_iter().collect();
    RunRequest::new(ScriptedModel::new([Reply::text("done")]).shared())
        .run_id(RunId::new("the-run").unwrap())
        .secrets(secrets)
}

fn context() -> ToolContext {
    Standalone::new(&request()).context(3, 1)
}

#[tokio::test(start_paused = true)]
async fn a_call_is_granted_performed_and_recorded_under_its_key() {
    let scene = scene();
    let constraints = Constraints::default().with("max_rows", 5);
    let access = access(&scene).mode(Mode::Table).constraints(constraints);
    let tool = tool(&scene, access, &id());
    assert_eq!(&*tool.spec().name, "tickets__list");
    assert_eq!(tool.spec().effect, Effect::ReadOnly);
    let context = context();
    let args = json!({"state": "open", "key": "hunter2-hunter2"});
    let output = tool.call(&context, &args).await.unwrap();
    let data = output.data.unwrap();
    assert_eq!(
        (&data["action_id"], &data["mode"]),
        (&json!(context.idempotency_key()), &json!("table"))
    );
    let handle = data["handle"].as_str().unwrap();
    assert!(output.text.contains(handle), "{}", output.text);
    let record = scene.kernel.explain(&context.idempotency_key()).await.unwrap().unwrap();
    assert_eq!((record.kind, record.run_id.as_ref()), (ActionKind::Invoke, Some(context.run_id())));
    assert_eq!(record.args, json!({"state": "open", "key": "[redacted]"}));
    assert_eq!(data["row_count"], record.counts.row_count);
    let granted = scene.records(ActionKind::Grant).await.remove(0);
    assert_eq!(granted.action_id, format!("{}/grant", context.idempotency_key()));
    let asked = scene.driver("a").calls().remove(0);
    assert_eq!(*asked.idempotency_key, *context.idempotency_key());
    assert_eq!(Value::Object((*asked.args).clone()), args);
    assert!(asked.context.is_some());
    // The token is for this call: it ends with the run.
    let record = scene.kernel.explain(&granted.action_id).await.unwrap().unwrap();
    assert_eq!(record.token_id, granted.token_id);
}

#[tokio::test(start_paused = true)]
async fn a_denial_says_why_and_whether_it_ends_the_run() {
    for ends in [false, true] {
        let scene = scene();
        let access = access(&scene).denial_ends_run(ends).justification("because I want it so");
        let context = context();
        let error = tool(&scene, access, &closing()).call(&context, &json!({})).await.unwrap_err();
        let ToolError::Denied { code, message, ends_run } = error else { panic!("{error:?}") };
        assert_eq!((code.as_str(), ends_run), ("missing_role", ends));
        assert!(message.contains("admin") && message.len() < 700, "{message}");
        let record = scene.kernel.explain(&context.idempotency_key()).await.unwrap().unwrap();
        assert_eq!(
            (record.kind, record.error.unwrap().code.as_str()),
            (ActionKind::Deny, "missing_role")
        );
        assert!(scene.driver("a").calls().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_told_without_what_is_sensitive() {
    let error = DriverError::Failed {
        message: "api_key=abcdefgh12 hunter2-hunter2".into(),
        retryable: true,
    };
    let scene = Setup::new([Scripted::new("a", Act::Fail(error))]).build();
    let error = tool(&scene, access(&scene), &id()).call(&context(), &json!({})).await.unwrap_err();
    let ToolError::Failed { message, retryable: true } = error else { panic!("{error:?}") };
    assert!(!message.contains("abcdefgh") && !message.contains("hunter2"), "{message}");
    let error =
        tool(&scene, access(&scene), &id()).call(&context(), &json!([1])).await.unwrap_err();
    assert!(matches!(error, ToolError::Arguments { .. }));
}

#[tokio::test(start_paused = true)]
async fn a_long_answer_is_cut_and_still_names_its_handle() {
    let scene = scene();
    let access = access(&scene).mode(Mode::Table).max_text(100);
    let output = tool(&scene, access, &id()).call(&context(), &json!({})).await.unwrap();
    assert!(output.text.len() < 400, "{}", output.text);
    assert!(output.text.contains(output.data.unwrap()["handle"].as_str().unwrap()));
}

#[tokio::test(start_paused = true)]
async fn a_model_can_page_through_a_handle() {
    let scene = scene();
    let access = access(&scene);
    let shown = tool(&scene, access.clone(), &id()).call(&context(), &json!({})).await.unwrap();
    let handle = shown.data.unwrap()["handle"].clone();
    let expand = HandleTool::new(access);
    assert_eq!((&*expand.spec().name, expand.spec().effect), ("expand_handle", Effect::ReadOnly));
    let next = Standalone::new(&request()).context(4, 0);
    let args = json!({"handle": handle, "offset": 10, "limit": 20, "fields": ["id"]});
    let page = expand.call(&next, &args).await.unwrap();
    assert_eq!(page.data.unwrap()["offset"], json!(10));
    let record = scene.kernel.explain(&next.idempotency_key()).await.unwrap().unwrap();
    assert_eq!((record.kind, record.run_id.as_ref()), (ActionKind::Expand, Some(next.run_id())));
    for bad in [json!({}), json!({"handle": 1}), json!({"handle": handle, "limit": -1})] {
        let error = expand.call(&next, &bad).await.unwrap_err();
        assert!(matches!(error, ToolError::Arguments { .. }), "{bad}: {error:?}");
    }
    let other = Access::new(scene.kernel.clone(), Arc::new(Principal::user("eve")));
    let error = HandleTool::new(other).call(&next, &args).await.unwrap_err();
    assert!(
        matches!(&error, ToolError::Denied { code, .. } if code == "handle_principal"),
        "{error:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_model_can_find_and_perform_what_is_no_tool_of_its_own() {
    let scene = scene();
    let search = SearchTool::new(access(&scene));
    let found = search.call(&context(), &json!({"query": "close ticket"})).await.unwrap();
    assert_eq!(found.data.unwrap()["found"][0], json!("tickets.close"));
    assert!(found.text.contains("for ever"), "{}", found.text);
    for bad in [json!({}), json!({"query": "x", "limit": 0}), json!({"query": "x", "limit": 51})] {
        let error = search.call(&context(), &bad).await.unwrap_err();
        assert!(matches!(error, ToolError::Arguments { .. }), "{error:?}");
    }
    let any = AnyCapabilityTool::new(access(&scene));
    assert_eq!(any.spec().effect, Effect::Once);
    let args = json!({"capability": "tickets.list", "args": {"state": "open"}});
    any.call(&context(), &args).await.unwrap();
    assert_eq!(scene.driver("a").calls()[0].args["state"], json!("open"));
    let denied = any.call(&context(), &json!({"capability": "tickets.close"})).await.unwrap_err();
    assert!(matches!(denied, ToolError::Denied { .. }), "{denied:?}");
    for bad in ["no.such", "../../etc"] {
        let error = any.call(&context(), &json!({"capability": bad})).await.unwrap_err();
        assert!(matches!(error, ToolError::Arguments { .. }), "{error:?}");
    }
}

/// A run whose model asks for what its principal may not do: refused and recorded; it goes on, or it
/// ends where the denial says so.
#[tokio::test(start_paused = true)]
async fn a_run_is_told_of_a_denial_and_goes_on_or_ends() {
    for (ends, status) in [(false, RunStatus::Ok), (true, RunStatus::Error)] {
        let scene = scene();
        let access = access(&scene).denial_ends_run(ends);
        let denied: Arc<dyn Tool> = Arc::new(tool(&scene, access, &closing()));
        let replies = [Reply::call("tickets__close", json!({"id": 1})), Reply::text("I may not")];
        let model = ScriptedModel::new(replies).shared();
        let request = RunRequest::new(model).tools(Toolbox::new([denied]).unwrap());
        let run = Executor::builder().build().start(request).unwrap();
        let settled = run.settled().await;
        assert_eq!(settled.outcome.status, status, "{:?}", settled.outcome);
        let record = scene.records(ActionKind::Deny).await.remove(0);
        assert_eq!(record.run_id.as_ref(), Some(run.run_id()));
        assert_eq!(record.error.unwrap().code, "missing_role");
    }
}

/// CI-13: a run that is cancelled in the middle of a call gives up the invocation, once.
#[tokio::test(start_paused = true)]
async fn a_cancelled_run_cancels_its_invocation() {
    let scene = Setup::new([Scripted::new("a", Act::Hang)]).budget(1_000, 100).build();
    let hanging: Arc<dyn Tool> = Arc::new(tool(&scene, access(&scene), &id()));
    let model = ScriptedModel::new([Reply::call("tickets__list", json!({}))]).shared();
    let request = RunRequest::new(model).tools(Toolbox::new([hanging]).unwrap());
    let run = Executor::builder().build().start(request).unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!((scene.driver("a").alive(), scene.remaining()), (1, 900));
    run.cancel();
    assert_eq!(run.settled().await.outcome.status, RunStatus::Cancelled);
    assert_eq!(scene.record().await.error.unwrap().code, "cancelled");
    assert_eq!(scene.driver("a").alive(), 0);
    scene.assert_settled(1_000);
}

fn around(tool: ScriptedTool) -> Scene {
    let driver = Arc::new(ToolDriver::new("tool", tool.shared()));
    Setup::good().route(&["tool"]).with(|builder| builder.driver(driver)).build()
}

/// CI-01, CI-18: a tool of a run as a driver.
#[tokio::test(start_paused = true)]
async fn a_tool_is_a_driver_inside_a_run() {
    let scene = around(ScriptedTool::new("t", Do::Echo));
    let shown = tool(&scene, access(&scene), &id()).call(&context(), &json!({"a": 1})).await;
    assert!(shown.unwrap().data.unwrap()["handle"].is_string());
    assert_eq!(scene.record().await.driver_id, "tool");

    let denied = ToolError::Denied { code: "no".into(), message: "not you".into(), ends_run: true };
    for (error, said, retryable) in [
        (ToolError::Failed { message: "busy".into(), retryable: true }, "busy", true),
        (denied, "not you", false),
    ] {
        let scene = around(ScriptedTool::new("t", Do::Fail(error)));
        let error =
            tool(&scene, access(&scene), &id()).call(&context(), &json!({})).await.unwrap_err();
        assert!(
            matches!(&error, ToolError::Failed { message, retryable: again }
            if message.contains(said) && *again == retryable),
            "{error:?}"
        );
    }
    // Outside of a run there is no call to make it in.
    let scene = around(ScriptedTool::new("t", Do::Echo));
    let error =
        scene.kernel.invoke(Invocation::new(scene.token(Constraints::default()), ann())).await;
    assert!(error.unwrap_err().to_string().contains("which only a run can do"));
    assert_eq!(ToolDriver::new("t", ScriptedTool::new("t", Do::Echo).shared()).id(), "t");
}
