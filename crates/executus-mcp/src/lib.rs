//! Servers of the Model Context Protocol, as tools of a run and as drivers of capabilities.
//!
//! An [`McpServer`] is one server: a child process that speaks on its pipes, or an address that
//! speaks over HTTP. It is started when it is first needed, and again after it died, with waits
//! that grow. Its [`tools`](McpServer::tools) are what it lists, each a [`McpTool`] of a run; an
//! [`McpDriver`] performs operations of capabilities by them. Every call has a limit in time, a call
//! that is given up is cancelled at the server, and a call that counts is never made twice.
//!
//! A server is a stranger: it gets an environment from an allow-list, what it sends has limits in
//! size, and what it says of its tools decides nothing unless the host says so.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use executus_mcp::McpServer;
//!
//! let files = McpServer::stdio("files", ["mcp-server-filesystem", "."])
//!     .only(["read_text_file", "list_directory"])
//!     .trust_hints()
//!     .build()?;
//! for tool in files.tools().await? {
//!     println!("{:?}", tool);
//! }
//! files.close().await;
//! # Ok(())
//! # }
//! ```

mod config;
mod server;
mod tool;

#[cfg(feature = "driver")]
mod driver;

mod definition;
mod output;

mod call;
mod handler;
mod session;

mod fault;
mod http;
mod stdio;

mod error;

pub use config::{McpLimits, McpServerBuilder};
#[cfg(feature = "driver")]
pub use driver::{McpDriver, McpDriverBuilder};
pub use error::{BuildError, McpError};
pub use server::McpServer;
pub use tool::McpTool;
