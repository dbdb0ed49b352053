//! What all base addresses of a client have in common.

use std::time::Duration;

use executus_core::Clock;

use crate::error::HttpError;
use crate::pool::base::Base;
use crate::pool::connection::Opener;
use crate::pool::gate::{Circuits, Gate};
use crate::profile::Profile;

#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) opener: Opener,
    pub(crate) profile: Profile,
    pub(crate) pool_timeout: Duration,
    pub(crate) connect_timeout: Duration,
    pub(crate) max_header_bytes: usize,
    /// How many base addresses are kept.
    pub(crate) max_addresses: usize,
    pub(crate) circuits: Option<Circuits>,
    pub(crate) clock: Clock,
}

impl Settings {
    /// The circuit of a base address.
    ///
    /// # Errors
    /// [`HttpError::Request`] when its numbers mean nothing.
    pub(crate) fn gate(&self, base: &Base) -> Result<Gate, HttpError> {
        Gate::new(self.circuits.as_ref(), base)
    }
}
