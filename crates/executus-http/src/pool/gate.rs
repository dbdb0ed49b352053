//! The circuit of a base address, where a client has circuits.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use executus_circuit::{
    Circuit, CircuitKey, CircuitStore, HeldFailures, OnAlert, Owner, Permit, Policy,
};

use crate::error::HttpError;
use crate::pool::base::Base;
use crate::pool::exchange::Ask;

/// What the circuits of a client have in common.
#[derive(Clone)]
pub(crate) struct Circuits {
    pub(crate) store: Arc<dyn CircuitStore>,
    pub(crate) policy: Policy,
    pub(crate) owner: Owner,
    pub(crate) on_alert: Option<Arc<dyn OnAlert>>,
}

impl fmt::Debug for Circuits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Circuits").field("policy", &self.policy).finish_non_exhaustive()
    }
}

/// The circuit of one base address, if there is one.
#[derive(Debug)]
pub(crate) struct Gate(Option<Circuit>);

/// That a request may be sent, and the duty to tell how it went. One that is dropped tells nothing.
#[derive(Debug)]
#[must_use = "it is told how the request went"]
pub(crate) struct Pass(Option<Permit>);

impl Gate {
    pub(crate) fn new(circuits: Option<&Circuits>, base: &Base) -> Result<Self, HttpError> {
        let Some(circuits) = circuits else { return Ok(Self(None)) };
        let key = CircuitKey::transport(base.as_str());
        let store = Arc::clone(&circuits.store);
        let mut circuit = Circuit::builder(store, key)
            .policy(circuits.policy.clone())
            .owner(circuits.owner.clone());
        if let Some(hook) = &circuits.on_alert {
            circuit = circuit.on_alert(Arc::clone(hook));
        }
        let circuit = circuit.build().map_err(|error| HttpError::request(error.to_string()))?;
        Ok(Self(Some(circuit)))
    }

    /// Asks whether a request may be sent.
    ///
    /// # Errors
    /// [`HttpError::CircuitOpen`].
    pub(crate) async fn pass(&self, ask: &Ask<'_>, longest: Duration) -> Result<Pass, HttpError> {
        let Some(circuit) = &self.0 else { return Ok(Pass(None)) };
        match circuit.acquire_for(longest).await {
            Ok(permit) => Ok(Pass(Some(permit))),
            Err(open) => Err(HttpError::CircuitOpen {
                address: ask.address.to_owned(),
                retry_after: Some(open.retry_after),
            }),
        }
    }
}

impl Pass {
    /// The server has answered with this status. A probe that is refused as a request shows that
    /// somebody is there, and not that they do their work: it says nothing.
    pub(crate) async fn answered(self, status: http::StatusCode) {
        match self.0 {
            Some(probe) if probe.is_probe() && status.is_client_error() => probe.neutral().await,
            Some(permit) => permit.success().await,
            None => {}
        }
    }

    /// The server is not there.
    pub(crate) async fn failure(self) {
        if let Some(permit) = self.0 {
            permit.failure().await;
        }
    }

    /// It is not known.
    pub(crate) async fn neutral(self) {
        if let Some(permit) = self.0 {
            permit.neutral().await;
        }
    }

    /// It will be known later.
    pub(crate) fn hold(self) -> Option<HeldFailures> {
        self.0.map(Permit::hold)
    }
}
