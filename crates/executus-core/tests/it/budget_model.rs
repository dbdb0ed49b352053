//! The budget in memory against the model of a budget, over random sequences of calls.

use std::time::Duration;

use executus_core::memory::MemoryBudget;
use executus_testkit::budget_model::{Disagreement, commands, follow};
use proptest::prelude::*;

use crate::conformance::BudgetView;

fn followed(bytes: &[[u8; 4]], lease: Option<Duration>) -> Result<(), Disagreement> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let budget = MemoryBudget::unlimited();
        let budget = match lease {
            Some(lease) => budget.with_lease(lease),
            None => budget,
        };
        let view = BudgetView { lease, ..BudgetView::paused(budget) };
        follow(&view, &commands(bytes)).await
    })
}

/// B1 B2 B3 B4 B5 B6 B7 B8 B9 B10: after every call of a random sequence, answer and accounts are
/// the model's.
#[test]
fn the_budget_is_its_model() {
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) };
    let mut runner = proptest::test_runner::TestRunner::new(config);
    let sequences = (proptest::collection::vec(any::<[u8; 4]>(), 1..80), any::<bool>());
    let check = runner.run(&sequences, |(bytes, leased)| {
        let lease = leased.then_some(Duration::from_secs(10));
        followed(&bytes, lease).map_err(|found| TestCaseError::fail(found.to_string()))
    });
    if let Err(error) = check {
        panic!("{error}");
    }
}
