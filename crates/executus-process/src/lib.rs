//! Child processes as tools, as tasks and as a driver.
//!
//! A [`ProcessTool`] runs one program by its argument vector, never through a shell: what a model
//! passes becomes a part of one argument and can neither split it nor add another. The child gets
//! an environment from an allow-list, an input of the tool's own, and a process group of its own,
//! which is ended as a whole at the deadline, at a cancel and when the call's future is dropped.
//! Its output is read as it comes and capped, so that no child can fill the memory of its host or
//! block on a pipe. A [`Task`] is the same without a run: it says how a program failed in the terms
//! of HTTP and of its credential. A [`ProcessDriver`] performs capabilities by tasks.
//!
//! The text of a call is what the child wrote on its standard output, as it wrote it. Whoever
//! prints it on a terminal passes it through [`strip_escapes`] first.

mod environment;
mod error;
mod group;

mod capture;
mod child;
mod complaint;
mod escape;
mod processes;
mod stray;

mod failure;
mod report;
mod task;

mod argument;
mod parameters;
mod tool;

#[cfg(feature = "driver")]
mod driver;

pub use capture::OutputLimits;
pub use child::Line;
pub use environment::{DEFAULT_VARIABLES, Environment};
pub use error::{BuildError, DROPPED, ProcessError};
pub use escape::strip_escapes;
pub use failure::{FailureClass, FailureKind, TaskFailure};
pub use processes::{ProcessInfo, Processes};
pub use report::Report;
pub use stray::TASK_VARIABLE;
pub use task::{Answer, Format, Task, TaskLines, TaskOutput};
pub use tool::{ProcessTool, ProcessToolBuilder};

#[cfg(feature = "driver")]
pub use driver::{Input, Operation, ProcessDriver, ProcessDriverBuilder};
