//! Telling an operator.

use std::sync::Arc;

use executus_circuit::{Alert, AlertError, Circuit, CircuitStore, MemoryCircuits, OnAlert, State};
use parking_lot::Mutex;

use crate::support::{exact, fail, key, open, pass, succeed};

#[derive(Default)]
struct Pager {
    raised: Mutex<Vec<Alert>>,
    breaks: bool,
    panics: bool,
}

impl OnAlert for Pager {
    fn raise(&self, alert: &Alert) -> Result<(), AlertError> {
        self.raised.lock().push(alert.clone());
        assert!(!self.panics, "a pager that panics");
        if self.breaks { Err(AlertError { message: "no network".into() }) } else { Ok(()) }
    }
}

fn circuit(store: &Arc<dyn CircuitStore>, pager: &Arc<Pager>) -> Circuit {
    let hook: Arc<dyn OnAlert> = pager.clone();
    Circuit::builder(store.clone(), key()).policy(exact()).on_alert(hook).build().unwrap()
}

async fn kill(circuit: &Circuit) {
    open(circuit).await;
    for _ in 0..9 {
        pass(300).await;
        fail(circuit).await;
    }
    assert_eq!(circuit.snapshot().await.state, State::Dormant);
}

/// CB-15
#[tokio::test(start_paused = true)]
async fn dormancy_is_told_once() {
    let pager = Arc::new(Pager::default());
    let store: Arc<dyn CircuitStore> = Arc::new(MemoryCircuits::default());
    let circuits = [circuit(&store, &pager), circuit(&store, &pager)];
    kill(&circuits[0]).await;
    // More failures, of others too.
    for _ in 0..3 {
        pass(3600).await;
        fail(&circuits[1]).await;
    }
    let raised = pager.raised.lock().clone();
    let [alert] = raised.as_slice() else { panic!("one alert, not {raised:?}") };
    assert_eq!((&alert.key, alert.failure_count, alert.local), (&key(), 12, false));
    assert_eq!(alert.next_probe.as_secs(), 3600);
    // A change later is a change.
    pass(3600).await;
    succeed(&circuits[0]).await;
    kill(&circuits[1]).await;
    assert_eq!(pager.raised.lock().len(), 2);
    // An operator's own word is no news to operators.
    circuits[0].reset().await.unwrap();
    circuits[0].force_dormant().await.unwrap();
    pass(300).await;
    fail(&circuits[0]).await;
    assert_eq!(pager.raised.lock().len(), 2);
}

/// CB-15: an alert that fails, and one that panics.
#[tokio::test(start_paused = true)]
async fn an_alert_that_is_not_raised_disturbs_nothing() {
    for (breaks, panics) in [(true, false), (false, true)] {
        let pager = Arc::new(Pager { breaks, panics, ..Pager::default() });
        let store: Arc<dyn CircuitStore> = Arc::new(MemoryCircuits::default());
        let circuit = circuit(&store, &pager);
        kill(&circuit).await;
        assert_eq!(pager.raised.lock().len(), 1);
        pass(3600).await;
        succeed(&circuit).await;
        assert_eq!(circuit.snapshot().await.state, State::Closed);
    }
}
