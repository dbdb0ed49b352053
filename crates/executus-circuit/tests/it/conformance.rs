//! The stores of one process against the kits.

use std::sync::Arc;

use executus_circuit::conformance::{circuits, leases};
use executus_circuit::{CircuitStore, LeaseStore, MemoryCircuits, MemoryLeases};

/// S1 S2 S3 S4 S5 S6: the kit.
#[tokio::test(start_paused = true)]
async fn the_circuits_of_one_process_conform() {
    let store: Arc<dyn CircuitStore> = Arc::new(MemoryCircuits::default());
    circuits(&store).await;
}

/// L1 L2 L3: the kit.
#[tokio::test(start_paused = true)]
async fn the_leases_of_one_process_conform() {
    let store: Arc<dyn LeaseStore> = Arc::new(MemoryLeases::default());
    leases(&store).await;
}
