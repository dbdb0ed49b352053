//! How a tool is refused.

use thiserror::Error;

/// Why an HTTP tool cannot be made from its description.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ToolBuildError {
    /// The URL, with the run's values in it, is none.
    #[error("tool `{tool}`: {message}")]
    Url {
        /// The tool.
        tool: String,
        /// What is wrong with it.
        message: String,
    },
    /// A header field is none.
    #[error("tool `{tool}`: {message}")]
    Header {
        /// The tool.
        tool: String,
        /// What is wrong with it.
        message: String,
    },
    /// A place that nothing can fill.
    #[error("tool `{tool}`: `{{{name}}}` is neither a parameter of the tool nor one of the run")]
    Unbound {
        /// The tool.
        tool: String,
        /// The name.
        name: String,
    },
    /// The caller of the tool would choose the server.
    #[error(
        "tool `{tool}`: the URL takes its server from the argument `{name}`; whoever calls the \
         tool must not choose it: write the server down, or take it from a parameter of the run"
    )]
    OpenAddress {
        /// The tool.
        tool: String,
        /// The parameter.
        name: String,
    },
}
