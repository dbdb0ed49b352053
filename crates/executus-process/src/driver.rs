//! Programs that perform capabilities.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use executus_capability::driver::{ChunkStream, StreamingDriver};
use executus_capability::{Driver, DriverError, DriverRequest};
use executus_circuit::{DispatchBreaker, DispatchOutcome, DispatchPermit};
use executus_core::text::bounded;
use serde_json::{Map, Value};

use crate::error::{BuildError, ProcessError};
use crate::failure::{FailureClass, FailureKind, TaskFailure};
use crate::processes::Processes;

mod operation;
mod pieces;

pub use operation::{Input, Operation};

use pieces::{Pieces, data};

/// Performs each operation by running a program.
///
/// **Result**: what the program answered: a JSON value as it is, a text as `{"text": …}`, of a report
/// its `result`. As a stream, a piece for each line of text (`{"line": …}`) or for each JSON value
/// of a line; what is one value is one piece. **Errors**: a program that stopped reading its input is
/// [`DriverError::Dropped`], which is a failed attempt and says nothing of the driver's health; one
/// that was late is [`DriverError::Timeout`], all else [`DriverError::Failed`]. **Time**: the
/// attempt's deadline drops the future, and the child's group with it; an operation with a timeout
/// of its own, shorter than that, lets the child tidy up. **Cancellation**: a stopped run ends the
/// child with its grace, a dropped future at once.
#[derive(Clone)]
pub struct ProcessDriver(Arc<Inner>);

struct Inner {
    id: Arc<str>,
    operations: BTreeMap<Arc<str>, Operation>,
    breaker: Option<DispatchBreaker>,
}

impl ProcessDriver {
    /// A driver with this name in routes and records.
    pub fn builder(id: impl Into<Arc<str>>) -> ProcessDriverBuilder {
        let operations = BTreeMap::new();
        ProcessDriverBuilder { id: id.into(), operations, processes: None, breaker: None }
    }

    fn operation(&self, request: &DriverRequest) -> Result<&Operation, DriverError> {
        self.0.operations.get(&request.operation).ok_or_else(|| DriverError::NoOperation {
            driver: self.0.id.to_string(),
            operation: request.operation.to_string(),
        })
    }

    /// The breaker's permit for one task.
    async fn permit(&self) -> Result<Option<DispatchPermit>, DriverError> {
        let Some(breaker) = &self.0.breaker else { return Ok(None) };
        let permit = breaker.acquire().await;
        permit.map(Some).map_err(|open| DriverError::Failed {
            message: bounded(open.to_string()),
            retryable: true,
        })
    }
}

/// Collects what a [`ProcessDriver`] needs.
#[derive(Debug)]
pub struct ProcessDriverBuilder {
    id: Arc<str>,
    operations: BTreeMap<Arc<str>, Operation>,
    processes: Option<Processes>,
    breaker: Option<DispatchBreaker>,
}

impl ProcessDriverBuilder {
    /// With this operation, by its name: the id of a capability, or what its argument `operation`
    /// says. The last one of a name counts.
    #[must_use]
    pub fn operation(mut self, name: impl Into<Arc<str>>, operation: Operation) -> Self {
        self.operations.insert(name.into(), operation);
        self
    }

    /// Lists the children of all operations while they are under way.
    #[must_use]
    pub fn processes(mut self, processes: &Processes) -> Self {
        self.processes = Some(processes.clone());
        self
    }

    /// Starts no program while this breaker is open. Only failures that speak of a credential
    /// ([`FailureClass::Auth`]) count, and every success resets it.
    #[must_use]
    pub fn breaker(mut self, breaker: DispatchBreaker) -> Self {
        self.breaker = Some(breaker);
        self
    }

    /// The driver.
    ///
    /// # Errors
    /// [`BuildError`] when an operation has no program, or one that its caller could choose.
    pub fn build(self) -> Result<ProcessDriver, BuildError> {
        let Self { id, mut operations, processes, breaker } = self;
        for (name, operation) in &mut operations {
            operation.check(&format!("{id}/{name}"))?;
            if let Some(processes) = &processes {
                operation.listed_in(processes);
            }
        }
        Ok(ProcessDriver(Arc::new(Inner { id, operations, breaker })))
    }
}

#[async_trait]
impl Driver for ProcessDriver {
    fn id(&self) -> &str {
        &self.0.id
    }

    async fn execute(&self, request: &DriverRequest) -> Result<Value, DriverError> {
        let task = self.operation(request)?.task(request).map_err(refused)?;
        let permit = self.permit().await?;
        let output = match &request.context {
            Some(context) => task.run_until(context.cancellation().cancelled()).await,
            None => task.run().await,
        };
        learn(permit, output.as_ref().err()).await;
        Ok(data(output.map_err(|failure| failed(&failure))?.answer))
    }

    fn streaming(&self) -> Option<&dyn StreamingDriver> {
        Some(self)
    }
}

#[async_trait]
impl StreamingDriver for ProcessDriver {
    async fn open(&self, request: &DriverRequest) -> Result<Box<dyn ChunkStream>, DriverError> {
        let operation = self.operation(request)?;
        let task = operation.task(request).map_err(refused)?;
        let context = request.context.clone();
        let permit = self.permit().await?;
        Ok(Box::new(Pieces::open(task, operation.format, context, permit).await?))
    }
}

impl fmt::Debug for ProcessDriver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessDriver")
            .field("id", &self.0.id)
            .field("operations", &self.0.operations.keys())
            .finish_non_exhaustive()
    }
}

/// The arguments of a request: all but the one that names the operation.
fn arguments(request: &DriverRequest) -> Map<String, Value> {
    let mut args = (*request.args).clone();
    args.remove("operation");
    args
}

fn refused(error: ProcessError) -> DriverError {
    DriverError::failed(error.to_string())
}

/// Tells the breaker how a task went.
async fn learn(permit: Option<DispatchPermit>, failure: Option<&TaskFailure>) {
    let outcome = match failure.map(TaskFailure::class) {
        None => DispatchOutcome::Success,
        Some(Some(FailureClass::Auth)) => DispatchOutcome::Auth,
        Some(Some(FailureClass::RateLimit) | None) => DispatchOutcome::Other,
    };
    if let Some(permit) = permit {
        permit.ended(outcome).await;
    }
}

fn failed(failure: &TaskFailure) -> DriverError {
    let message = failure.detail().to_owned();
    match failure.kind() {
        FailureKind::Dropped => DriverError::Dropped { message },
        FailureKind::Timeout => DriverError::Timeout { message },
        _ => {
            let message = bounded(format!("{message} (status {})", failure.status()));
            DriverError::Failed { message, retryable: failure.retry() }
        }
    }
}
