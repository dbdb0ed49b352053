//! The clients of what a run reaches over HTTP.

use std::sync::Arc;

use executus_circuit::{MemoryCircuits, Policy};
use executus_http::{AddressPolicy, Client, Network};
use executus_playbook::NetworkDef;

use crate::config::HttpConfig;
use crate::fault::Fault;

/// The clients of a run: one for each list of networks that tools allow. What they learn of a server
/// is in one place.
pub(super) struct Clients<'c> {
    config: &'c HttpConfig,
    circuits: Arc<MemoryCircuits>,
    made: Vec<(Vec<NetworkDef>, Client)>,
}

impl<'c> Clients<'c> {
    pub(super) fn new(config: &'c HttpConfig) -> Self {
        Self { config, circuits: Arc::default(), made: Vec::new() }
    }

    /// The client that goes where the configuration lets it, and to these networks.
    ///
    /// # Errors
    /// When the system has nothing that a client needs.
    pub(super) fn that_allows(&mut self, allow: &[NetworkDef]) -> Result<Client, Fault> {
        if let Some((_, client)) = self.made.iter().find(|(allowed, _)| allowed == allow) {
            return Ok(client.clone());
        }
        let policy = allow
            .iter()
            .filter_map(|network| Network::new(network.address, network.prefix))
            .fold(self.config.policy(), AddressPolicy::allow);
        let store = Arc::clone(&self.circuits);
        let client =
            Client::builder().address_policy(policy).circuits(store, Policy::default()).build();
        let client = client.map_err(|error| Fault::error(format!("no HTTP client: {error}")))?;
        self.made.push((allow.to_vec(), client.clone()));
        Ok(client)
    }
}
