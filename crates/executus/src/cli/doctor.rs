//! `executus doctor`.

use std::path::PathBuf;

use clap::Args;

use super::{StoreArgs, input};

/// `executus doctor`.
#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// Run files whose models and servers of tools are looked at too
    pub(crate) files: Vec<PathBuf>,
    /// A parameter of the files; may be repeated
    #[arg(long = "input", value_name = "NAME=VALUE", value_parser = input)]
    pub(crate) inputs: Vec<(String, String)>,
    /// Print one JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
}
