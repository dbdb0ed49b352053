//! What opens a circuit, and for how long.

use std::time::Duration;

use executus_circuit::{Circuit, State, Ticket};

use crate::support::{circuit, fail, key, open, pass, succeed};

async fn call(circuit: &Circuit, succeeds: bool) {
    if succeeds {
        succeed(circuit).await;
    } else {
        fail(circuit).await;
    }
}

/// CB-01
#[tokio::test(start_paused = true)]
async fn without_history_a_circuit_is_closed() {
    let circuit = circuit();
    let seen = circuit.snapshot().await;
    assert_eq!((seen.state, seen.failure_count), (State::Closed, 0));
    let permit = circuit.acquire().await.unwrap();
    assert!(!permit.is_probe());
    permit.neutral().await;
}

/// CB-02
#[tokio::test(start_paused = true)]
async fn the_third_failure_in_a_row_opens() {
    let circuit = circuit();
    fail(&circuit).await;
    fail(&circuit).await;
    let seen = circuit.snapshot().await;
    assert_eq!((seen.state, seen.failure_count), (State::Closed, 2));
    fail(&circuit).await;
    let seen = circuit.snapshot().await;
    assert_eq!((seen.state, seen.failure_count), (State::Open, 3));
}

/// CB-05: what is neutral is not counted, however often.
#[tokio::test(start_paused = true)]
async fn neutral_outcomes_count_nothing() {
    let circuit = circuit();
    for _ in 0..5 {
        circuit.acquire().await.unwrap().neutral().await;
        drop(circuit.acquire().await.unwrap());
    }
    assert_eq!(circuit.snapshot().await, executus_circuit::Snapshot::default());
    // Nor does it make up for a failure.
    fail(&circuit).await;
    fail(&circuit).await;
    circuit.acquire().await.unwrap().neutral().await;
    assert_eq!(circuit.snapshot().await.failure_count, 2);
    fail(&circuit).await;
    assert_eq!(circuit.snapshot().await.state, State::Open);
}

/// CB-06: a success forgets the failures in a row, and the error rate keeps its samples.
#[tokio::test(start_paused = true)]
async fn a_success_forgets_the_row_but_not_the_rate() {
    let circuit = circuit();
    let mut calls = 0;
    // Fail, fail, succeed, for ever: never three in a row.
    while circuit.snapshot().await.state == State::Closed {
        calls += 1;
        assert!(calls <= 20, "20 samples with two thirds of failures open the circuit");
        if calls % 3 == 0 {
            succeed(&circuit).await;
            let seen = circuit.snapshot().await;
            assert_eq!((seen.state, seen.failure_count), (State::Closed, 0));
        } else {
            fail(&circuit).await;
        }
    }
    assert_eq!(calls, 20);
}

#[tokio::test(start_paused = true)]
async fn half_of_twenty_within_the_window_opens_and_less_does_not() {
    let half = circuit();
    for nth in 0..20 {
        assert_eq!(half.snapshot().await.state, State::Closed, "call {nth}");
        call(&half, nth % 2 == 0).await;
    }
    assert_eq!(half.snapshot().await.state, State::Open);

    // Fewer than half, for ever.
    let less = circuit();
    for nth in 0..2_000 {
        call(&less, nth % 5 < 3).await;
    }
    assert_eq!(less.snapshot().await.state, State::Closed);

    // Half, but never twenty within thirty seconds.
    let slow = circuit();
    for nth in 0..200 {
        call(&slow, nth % 2 == 0).await;
        pass(2).await;
    }
    assert_eq!(slow.snapshot().await.state, State::Closed);
}

/// CB-08
#[tokio::test(start_paused = true)]
async fn an_open_circuit_refuses_and_counts_nothing() {
    let circuit = circuit();
    open(&circuit).await;
    pass(10).await;
    let before = circuit.snapshot().await;
    let error = circuit.acquire().await.unwrap_err();
    assert_eq!((&error.key, error.state, error.probing), (&key(), State::Open, false));
    assert_eq!(error.retry_after, Duration::from_secs(20));
    assert_eq!(
        error.to_string(),
        "the circuit `transport:http://10.0.0.7:8080` is open; not asked again for 20.0 s at most, \
         unless an operator resets it"
    );
    assert_eq!(circuit.snapshot().await, before);
}

/// CB-09: exact with jitter off.
#[tokio::test(start_paused = true)]
async fn cooldowns_double_up_to_five_minutes() {
    let circuit = circuit();
    open(&circuit).await;
    for expected in [30, 60, 120, 240, 300, 300, 300, 300, 300] {
        let seen = circuit.snapshot().await;
        assert_eq!(seen.cooldown_remaining, Duration::from_secs(expected));
        tokio::time::advance(Duration::from_secs(expected) - Duration::from_micros(1)).await;
        assert!(circuit.acquire().await.is_err(), "still cooling down");
        tokio::time::advance(Duration::from_micros(1)).await;
        fail(&circuit).await;
    }
    assert_eq!(circuit.snapshot().await.state, State::Dormant);
}

/// CB-13
#[tokio::test(start_paused = true)]
async fn the_tenth_failure_since_the_opening_makes_dormant() {
    let circuit = circuit();
    open(&circuit).await;
    for failures in 4..=12 {
        assert_eq!(circuit.snapshot().await.state, State::Open);
        pass(300).await;
        fail(&circuit).await;
        assert_eq!(circuit.snapshot().await.failure_count, failures);
    }
    let seen = circuit.snapshot().await;
    assert_eq!((seen.state, seen.failure_count), (State::Dormant, 12));
    assert_eq!(seen.next_probe, Duration::from_secs(3600));
    pass(3599).await;
    assert!(circuit.acquire().await.is_err());
    pass(1).await;
    // A probe that fails leaves it dormant for another hour, one that succeeds closes it.
    fail(&circuit).await;
    let seen = circuit.snapshot().await;
    assert_eq!((seen.state, seen.next_probe), (State::Dormant, Duration::from_secs(3600)));
    pass(3600).await;
    succeed(&circuit).await;
    assert_eq!(circuit.snapshot().await, executus_circuit::Snapshot::default());
}

/// CB-17
#[tokio::test(start_paused = true)]
async fn a_snapshot_shows_the_cooldown_of_an_open_circuit_alone() {
    let circuit = circuit();
    assert_eq!(circuit.snapshot().await.cooldown_remaining, Duration::ZERO);
    open(&circuit).await;
    pass(12).await;
    let json = serde_json::to_value(circuit.snapshot().await).unwrap();
    assert_eq!(json["state"], "open");
    assert_eq!(json["failure_count"], 3);
    assert_eq!(json["cooldown_remaining"], 18.0);
    // Over, but not probed yet: still open, nothing remains.
    pass(20).await;
    let seen = circuit.snapshot().await;
    assert_eq!((seen.state, seen.cooldown_remaining), (State::Open, Duration::ZERO));
    circuit.force_dormant().await.unwrap();
    let json = serde_json::to_value(circuit.snapshot().await).unwrap();
    assert_eq!(json["state"], "dormant");
    assert_eq!(json["cooldown_remaining"], 0.0);
    let back: executus_circuit::Snapshot = serde_json::from_value(json).unwrap();
    assert_eq!(back, circuit.snapshot().await);
}

#[tokio::test(start_paused = true)]
async fn results_from_before_the_opening_change_nothing() {
    let circuit = circuit();
    let mut late = Vec::new();
    for _ in 0..64 {
        late.push(circuit.acquire().await.unwrap());
    }
    open(&circuit).await;
    let before = circuit.snapshot().await;
    let answers = late.split_off(32);
    for permit in late {
        permit.failure().await;
    }
    for permit in answers {
        permit.success().await;
    }
    assert_eq!(circuit.snapshot().await, before);
}

#[test]
fn a_ticket_says_whose_it_is() {
    let owner = executus_circuit::Owner::new("worker-1");
    let ticket = Ticket::new(7, owner.clone(), true);
    assert_eq!((ticket.generation(), ticket.owner(), ticket.is_probe()), (7, &owner, true));
}
