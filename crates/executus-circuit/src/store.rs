//! Where circuits are kept: one process's memory, or a server that many share.

use std::time::Duration;

use async_trait::async_trait;

use crate::breaker::{Absence, Admission, Change, Outcome, Ticket};
use crate::error::StoreError;
use crate::key::{CircuitKey, Owner};
use crate::policy::Policy;
use crate::snapshot::Snapshot;

/// Keeps the circuits of one process or of a fleet.
///
/// **Called** by [`Circuit`](crate::Circuit) around each call, by many at the same time, and by
/// operators. A store is a place, not a judge: what happens is what [`Breaker`](crate::Breaker) says.
///
/// **Guarantees**
/// - *S1* Each method is one atomic transition of one circuit.
/// - *S2* Time is the store's own, the same for all who share it.
/// - *S3* Of all that ask at once for a probe, exactly one is admitted.
/// - *S4* A result whose ticket is of an older generation changes nothing, also after a reset.
/// - *S5* [`Change::became_dormant`] is true for exactly one caller.
/// - *S6* One absence, by its id, is merged once.
///
/// **Cancellation**: a dropped call may have taken effect. **Panics** are an absence of the store.
/// **Errors**: a caller goes on with what it knows itself; no error reaches the work.
#[async_trait]
pub trait CircuitStore: Send + Sync {
    /// Asks whether a call may pass. A probe keeps its place for `lease` at most.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn admit(
        &self,
        key: &CircuitKey,
        policy: &Policy,
        owner: &Owner,
        lease: Duration,
    ) -> Result<Admission, StoreError>;

    /// Says how an admitted call went: `times` such outcomes at once, 1 for a call of its own.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn record(
        &self,
        key: &CircuitKey,
        policy: &Policy,
        ticket: &Ticket,
        outcome: Outcome,
        times: u32,
    ) -> Result<Change, StoreError>;

    /// Says what somebody saw who looked without asking; see
    /// [`Breaker::observe`](crate::Breaker::observe).
    ///
    /// # Errors
    /// [`StoreError`].
    async fn observe(
        &self,
        key: &CircuitKey,
        policy: &Policy,
        outcome: Outcome,
    ) -> Result<Change, StoreError>;

    /// Gives a probe's place back. Never blocks and never fails; a place that could not be given
    /// back is free when its lease is over.
    fn give_back(&self, key: &CircuitKey, policy: &Policy, ticket: Ticket);

    /// What the circuit looks like. One that was never heard of is closed.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn snapshot(&self, key: &CircuitKey) -> Result<Snapshot, StoreError>;

    /// Forgets the circuit: it is closed, without a record.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn reset(&self, key: &CircuitKey) -> Result<(), StoreError>;

    /// Makes the circuit dormant by an operator's word. Doing it again changes nothing.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn force_dormant(&self, key: &CircuitKey, policy: &Policy) -> Result<Change, StoreError>;

    /// Takes in what a process saw while this store was away from it.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn merge(
        &self,
        key: &CircuitKey,
        policy: &Policy,
        absence: &Absence,
    ) -> Result<Change, StoreError>;
}
