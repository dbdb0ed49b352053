//! The breaker of credentials.

use std::sync::Arc;

use executus_circuit::{
    Circuit, CircuitKey, CircuitStore, DispatchBreaker, DispatchOutcome, MemoryCircuits, Policy,
    State,
};

use crate::support::{exact, fail};

/// CB-20
#[tokio::test(start_paused = true)]
async fn only_refused_credentials_trip_it() {
    let store: Arc<dyn CircuitStore> = Arc::new(MemoryCircuits::default());
    let circuit = |key, policy| Circuit::new(store.clone(), key, policy);
    let transport = circuit(CircuitKey::transport("peer"), exact());
    let dispatch = DispatchBreaker::new(circuit(CircuitKey::dispatch("peer"), Policy::dispatch()));
    let end = async |outcome| dispatch.acquire().await.unwrap().ended(outcome).await;
    let failures = async || dispatch.circuit().snapshot().await.failure_count;

    for _ in 0..50 {
        end(DispatchOutcome::Other).await;
        drop(dispatch.acquire().await.unwrap());
    }
    assert_eq!(failures().await, 0);

    end(DispatchOutcome::Auth).await;
    end(DispatchOutcome::Auth).await;
    end(DispatchOutcome::Other).await;
    assert_eq!(failures().await, 2, "what is ignored neither counts nor forgets");
    end(DispatchOutcome::Success).await;
    assert_eq!(failures().await, 0);

    // No error rate: two of three, for ever.
    for _ in 0..50 {
        end(DispatchOutcome::Auth).await;
        end(DispatchOutcome::Auth).await;
        end(DispatchOutcome::Success).await;
    }

    // The counters of connections are others.
    fail(&transport).await;
    fail(&transport).await;
    end(DispatchOutcome::Auth).await;
    end(DispatchOutcome::Auth).await;
    assert_eq!((failures().await, transport.snapshot().await.failure_count), (2, 2));
    end(DispatchOutcome::Auth).await;
    assert_eq!(dispatch.acquire().await.unwrap_err().state, State::Open);
    assert_eq!(transport.snapshot().await.state, State::Closed);
    transport.acquire().await.unwrap().success().await;
    assert_eq!(dispatch.circuit().snapshot().await.state, State::Open);
}
