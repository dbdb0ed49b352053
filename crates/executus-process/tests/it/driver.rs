//! Programs behind capabilities.

use std::sync::Arc;
use std::time::Duration;

use executus_capability::driver::Chunk;
use executus_capability::kernel::{Invocation, InvokeError};
use executus_capability::record::{ActionLog as _, ActionQuery, MemoryActions};
use executus_capability::route::Router;
use executus_capability::token::{Grant, TokenAuthority};
use executus_capability::{
    Capability, CapabilityId, Constraints, Driver, DriverError, DriverRequest, Kernel, Principal,
    Registry, Safety,
};
use executus_circuit::{CircuitKey, DispatchBreaker, MemoryCircuits, Policy, State};
use executus_core::secret::Secret;
use executus_core::{Clock, Template, Timestamp};
use executus_process::{
    BuildError, Format, Input, Operation, ProcessDriver, ProcessDriverBuilder, Processes,
};
use serde_json::{Value, json};

use crate::support::{eventually, is_known, is_running, pids, scratch};

fn id() -> CapabilityId {
    CapabilityId::new("words.count").unwrap()
}

fn request(args: Value) -> DriverRequest {
    let Value::Object(args) = args else { panic!("{args}") };
    let capability = Arc::new(Capability::new(id(), Safety::Read, "Counts words."));
    DriverRequest {
        operation: DriverRequest::operation_of(&capability, &args),
        capability,
        args: Arc::new(args),
        constraints: Arc::new(Constraints::default()),
        principal: Arc::new(Principal::user("ann")),
        deadline: Timestamp::from_millis(u64::MAX / 2),
        idempotency_key: "key-1".into(),
        context: None,
    }
}

/// A driver with this operation, whatever is asked for.
fn driver(operation: Operation) -> ProcessDriverBuilder {
    ProcessDriver::builder("p").operation("words.count", operation)
}

fn shell(script: &str) -> Operation {
    Operation::new(["sh", "-c", script])
}

async fn execute(operation: Operation, args: Value) -> Result<Value, DriverError> {
    driver(operation).build().unwrap().execute(&request(args)).await
}

#[tokio::test]
async fn arguments_fill_places_and_inputs() {
    let print = |element: &str| Operation::new(["printf", "[%s]", element]);
    let answer = execute(print("{x}"), json!({"x": "a; $(id)"})).await.unwrap();
    assert_eq!(answer, json!({"text": "[a; $(id)]"}));
    let typed =
        print("{x}").parameters(json!({"properties": {"x": {"type": "integer", "default": 7}}}));
    assert_eq!(execute(typed.clone(), json!({})).await.unwrap(), json!({"text": "[7]"}));
    let bound = print("{key}").bind_secret("key", Secret::new("hush"));
    assert_eq!(execute(bound.clone(), json!({})).await.unwrap(), json!({"text": "[hush]"}));
    let cat = |input| Operation::new(["cat"]).input(input);
    let answer = execute(cat(Input::Text(Template::parse("<{x}>"))), json!({"x": "a"})).await;
    assert_eq!(answer.unwrap(), json!({"text": "<a>"}));
    // The one that names the operation is none of its arguments.
    let all = driver(cat(Input::Arguments).format(Format::Json))
        .operation("echo", cat(Input::Arguments).format(Format::Json));
    let args = json!({"operation": "echo", "a": [1], "b": {"c": null}});
    let answer = all.build().unwrap().execute(&request(args)).await.unwrap();
    assert_eq!(answer, json!({"a": [1], "b": {"c": null}}));
    for (operation, args, part) in [
        (print("{x}"), json!({"x": "a", "y": 1}), "there is no parameter `y`"),
        (print("{x}"), json!({}), "`x` is missing"),
        (print("{x}"), json!({"x": "a\0"}), "NUL"),
        (typed, json!({"x": "many"}), "`x` must be a whole number"),
        (bound, json!({"key": "mine"}), "there is no parameter `key`"),
    ] {
        let error = execute(operation, args).await.unwrap_err();
        assert!(error.to_string().contains(part) && !error.retry(), "{error}");
    }
}

#[tokio::test]
async fn a_key_reaches_the_program() {
    let operation = shell("echo $KEY").key_variable("KEY");
    assert_eq!(execute(operation, json!({})).await.unwrap(), json!({"text": "key-1"}));
}

#[tokio::test]
async fn an_unknown_operation_is_said_so() {
    let driver = ProcessDriver::builder("p").operation("other", shell("true")).build().unwrap();
    let error = driver.execute(&request(json!({}))).await.unwrap_err();
    assert_eq!(error.to_string(), "driver `p` has no operation `words.count`");
}

#[test]
fn a_driver_that_cannot_work_is_refused() {
    let build = |operation| driver(operation).build().map(drop).unwrap_err();
    let none: [&str; 0] = [];
    assert_eq!(build(Operation::new(none)), BuildError::NoProgram { tool: "p/words.count".into() });
    assert!(matches!(build(Operation::new(["{x}"])), BuildError::OpenProgram { .. }));
    let schema = json!({"properties": {"y": {}}});
    let unbound = build(Operation::new(["echo", "{x}"]).parameters(schema));
    assert!(matches!(unbound, BuildError::Unbound { .. }), "{unbound:?}");
    assert!(driver(Operation::new(["{program}"]).bind("program", "true")).build().is_ok());
}

#[tokio::test]
async fn failures_are_typed() {
    let kind = |error: &DriverError| match error {
        DriverError::Dropped { .. } => "dropped",
        DriverError::Timeout { .. } => "timeout",
        DriverError::Failed { retryable: true, .. } => "failed, may succeed later",
        DriverError::Failed { .. } => "failed",
        other => panic!("{other:?}"),
    };
    let reported = r#"echo '{"status": 429, "error": "slow down"}'"#;
    for (operation, expected, said) in [
        (shell("sleep 60").timeout(Duration::from_millis(100)), "timeout", "within 100ms"),
        (shell("echo oh; exit 1"), "failed", "exit code 1: oh (status 500)"),
        (shell("kill -9 $$"), "failed", "SIGKILL"),
        (Operation::new(["no-such-program"]), "failed", "not found"),
        (shell(reported).format(Format::Report), "failed, may succeed later", "slow down"),
        (shell("echo '{'").format(Format::Json), "failed", "no JSON"),
    ] {
        let error = execute(operation, json!({})).await.unwrap_err();
        assert_eq!(kind(&error), expected, "{error}");
        assert!(error.to_string().contains(said), "{error}");
    }
}

/// A program that lets go of what it is given.
fn lets_go() -> Operation {
    let much = "x".repeat(1_000_000);
    shell("exec 0<&-; exit 0").input(Input::Text(Template::new().text(much)))
}

fn breaker() -> DispatchBreaker {
    let policy = Policy::dispatch();
    let store = Arc::new(MemoryCircuits::default());
    DispatchBreaker::new(executus_circuit::Circuit::new(store, CircuitKey::dispatch("p"), policy))
}

struct Scene {
    kernel: Kernel,
    authority: Arc<TokenAuthority>,
    log: MemoryActions,
}

impl Scene {
    /// These drivers, tried in this order.
    fn of(drivers: Vec<ProcessDriver>) -> Self {
        let clock = Clock::system();
        let authority = Arc::new(TokenAuthority::random(clock).unwrap());
        let log = MemoryActions::default();
        let capability = Capability::new(id(), Safety::Read, "Counts words.");
        let registry = Registry::builder().register(capability).unwrap().build();
        let ids: Vec<String> = drivers.iter().map(|driver| driver.id().to_owned()).collect();
        let router = Router::new().route(id(), ids.iter().map(String::as_str)).unwrap();
        let mut builder = Kernel::builder(registry, Arc::clone(&authority))
            .clock(clock)
            .router(router)
            .log(Arc::new(log.clone()));
        for driver in drivers {
            builder = builder.driver(Arc::new(driver));
        }
        Self { kernel: builder.build().unwrap(), authority, log }
    }

    fn invocation(&self) -> Invocation {
        let ann = Arc::new(Principal::user("ann"));
        let token = self.authority.issue(Grant::new(&ann, &id())).unwrap();
        Invocation::new(token, ann)
    }
}

/// SP-12
#[tokio::test]
async fn a_dropped_input_is_a_failed_attempt_and_nothing_for_the_breaker() {
    let error = execute(lets_go(), json!({})).await.unwrap_err();
    assert!(matches!(error, DriverError::Dropped { .. }), "{error:?}");

    let breaker = breaker();
    let first = driver(lets_go()).breaker(breaker.clone()).build().unwrap();
    let second = ProcessDriver::builder("q").operation("words.count", shell("echo seven"));
    let scene = Scene::of(vec![first, second.build().unwrap()]);
    // More often than a breaker bears.
    for _ in 0..5 {
        scene.kernel.invoke(scene.invocation()).await.unwrap();
    }
    let snapshot = breaker.circuit().snapshot().await;
    assert_eq!((snapshot.state, snapshot.failure_count), (State::Closed, 0));
    for record in scene.log.query(&ActionQuery::default()).await.unwrap() {
        assert_eq!((&*record.driver_id, record.counts.fallback_count), ("q", 1));
    }
    // Alone in its plan, it is what the caller is told of.
    let scene = Scene::of(vec![driver(lets_go()).build().unwrap()]);
    let error = scene.kernel.invoke(scene.invocation()).await.unwrap_err();
    let InvokeError::Driver { error, .. } = error else { panic!("{error:?}") };
    assert!(matches!(error, DriverError::Dropped { .. }), "{error:?}");
}

#[tokio::test]
async fn only_bad_credentials_open_the_breaker() {
    let breaker = breaker();
    let with = |operation| driver(operation).breaker(breaker.clone()).build().unwrap();
    let auth = with(shell("echo 'invalid api key' >&2; exit 1"));
    let count = || async { breaker.circuit().snapshot().await.failure_count };
    for _ in 0..2 {
        auth.execute(&request(json!({}))).await.unwrap_err();
    }
    assert_eq!(count().await, 2);
    for other in [shell("exit 1"), shell("kill -9 $$"), lets_go()] {
        with(other).execute(&request(json!({}))).await.unwrap_err();
        assert_eq!(count().await, 2);
    }
    with(shell("true")).execute(&request(json!({}))).await.unwrap();
    assert_eq!(count().await, 0);
    for _ in 0..3 {
        auth.execute(&request(json!({}))).await.unwrap_err();
    }
    let marker = scratch("breaker-open");
    let touch = with(Operation::new(["touch", "{x}"]));
    let args = json!({"x": marker.to_str().unwrap()});
    let error = touch.execute(&request(args)).await.unwrap_err();
    assert!(matches!(error, DriverError::Failed { retryable: true, .. }), "{error:?}");
    assert!(!marker.exists(), "no program was started");
}

async fn pieces(operation: Operation) -> (Vec<Chunk>, Option<DriverError>) {
    let driver = driver(operation).build().unwrap();
    let mut stream = match driver.streaming().unwrap().open(&request(json!({}))).await {
        Ok(stream) => stream,
        Err(error) => return (Vec::new(), Some(error)),
    };
    let mut pieces = Vec::new();
    loop {
        match stream.next().await {
            Ok(Some(piece)) => pieces.push(piece),
            Ok(None) => return (pieces, None),
            Err(error) => {
                assert_eq!(stream.next().await, Ok(None), "an error comes once");
                return (pieces, Some(error));
            }
        }
    }
}

#[tokio::test]
async fn answers_come_in_pieces() {
    let piece = |data: Value, is_final| Chunk { data, is_final };
    let (found, error) = pieces(shell("echo one; echo; printf two")).await;
    let lines = ["one", "", "two"].map(|line| piece(json!({"line": line}), false));
    assert_eq!((found, error), (lines.to_vec(), None));
    let (found, error) =
        pieces(shell("echo '{\"a\": 1}'; echo; echo 2").format(Format::JsonLines)).await;
    assert_eq!((found, error), (vec![piece(json!({"a": 1}), false), piece(json!(2), false)], None));
    let (found, error) = pieces(shell("echo '{\"result\": 2}'").format(Format::Report)).await;
    assert_eq!((found, error), (vec![piece(json!(2), true)], None));
    for (operation, before, said) in [
        (
            shell("echo 1; echo '{'; echo 3").format(Format::JsonLines),
            1,
            "line 2 of the output is no JSON",
        ),
        (
            shell("echo 123456").format(Format::JsonLines).max_line(3),
            0,
            "line 1 of the output is too long",
        ),
        (shell("echo 1; exit 1"), 1, "exit code 1"),
        (lets_go(), 0, "the connection was dropped"),
        (Operation::new(["no-such-program"]), 0, "not found"),
        (shell("echo 1; exit 1").format(Format::Report), 0, "exit code 1"),
    ] {
        let (found, error) = pieces(operation).await;
        let error = error.unwrap().to_string();
        assert!(found.len() == before && error.contains(said), "{found:?} {error}");
    }
}

#[tokio::test]
async fn a_dropped_attempt_leaves_no_process() {
    let processes = Processes::new();
    let file = scratch("driver-dropped");
    let operation = Operation::new(["sh", "-c", "echo $$ > \"$0\"; sleep 60; true", "{x}"]);
    let driver = driver(operation).processes(&processes).build().unwrap();
    let request = request(json!({"x": file.to_str().unwrap()}));
    let pid = tokio::select! {
        answer = driver.execute(&request) => panic!("{answer:?}"),
        pids = pids(&file, 1) => pids[0],
    };
    eventually("it is ended", || !is_running(pid)).await;
    assert_eq!(processes.close(Duration::from_secs(3)).await, []);
    assert!(!is_known(pid));
}
