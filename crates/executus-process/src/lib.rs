//! Child processes as tools.
//!
//! A [`ProcessTool`] runs one program by its argument vector, never through a shell: what a model
//! passes becomes a part of one argument and can neither split it nor add another. The child gets
//! an environment from an allow-list, no input, and a process group of its own, which is ended as
//! a whole at the deadline, at a cancel and when the call's future is dropped. Its output is read
//! as it comes and capped, so that no child can fill the memory of its host or block on a pipe.
//!
//! The text of a call is what the child wrote on its standard output, as it wrote it. Whoever
//! prints it on a terminal passes it through [`strip_escapes`] first.

mod argument;
mod capture;
mod child;
mod environment;
mod error;
mod escape;
mod group;
mod parameters;
mod tool;

pub use capture::OutputLimits;
pub use environment::{DEFAULT_VARIABLES, Environment};
pub use error::{BuildError, ProcessError};
pub use escape::strip_escapes;
pub use tool::{ProcessTool, ProcessToolBuilder};
