//! The record of a circuit as it is stored.

use std::time::Duration;

use executus_circuit::{Admission, Breaker, Outcome, Owner, Policy, State};
use executus_core::Timestamp;

/// An open circuit that is being probed, as version 1 wrote it.
const VERSION_1: &str = r#"{"version":1,"generation":4,"state":"open","failures":3,"since_opening":1,"until":31000000,"forced":false,"probe":{"owner":"worker-1","until":41000000},"window":[],"merged":[77]}"#;

fn written() -> Breaker {
    let policy = Policy::builder().jitter(executus_circuit::Jitter::Off).build().unwrap();
    let owner = Owner::new("worker-1");
    let mut breaker = Breaker::starting_at(2);
    let at = |seconds: i64| Timestamp::from_micros(seconds * 1_000_000);
    let absence = executus_circuit::Absence {
        id: 77,
        owner: owner.clone(),
        samples: vec![executus_circuit::Aged {
            age: Duration::from_secs(1),
            successes: 1,
            failures: 2,
        }],
        answered: true,
        trailing: 2,
        standing: executus_circuit::Snapshot::default(),
    };
    breaker.merge(at(1), &policy, &absence, 0.0);
    let Admission::Admitted { ticket, .. } = breaker.admit(at(1), &owner, Duration::from_secs(10))
    else {
        panic!("a closed circuit lets pass")
    };
    breaker.record(at(1), &policy, &ticket, Outcome::Failure, 1, 0.0);
    breaker.admit(at(31), &owner, Duration::from_secs(10));
    breaker
}

#[test]
fn a_record_is_read_as_it_was_written() {
    let breaker = written();
    assert_eq!(serde_json::to_string(&breaker).unwrap(), VERSION_1);
    assert_eq!(serde_json::from_str::<Breaker>(VERSION_1).unwrap(), breaker);
}

#[test]
fn a_record_has_whole_numbers_and_is_small() {
    let policy = Policy::default();
    let mut breaker = Breaker::default();
    let ticket = executus_circuit::Ticket::new(0, Owner::new("worker-1"), false);
    for second in 0..100_000_i64 {
        let now = Timestamp::from_micros(second * 250_000);
        breaker.record(now, &policy, &ticket, Outcome::Success, 1, 0.0);
    }
    let text = serde_json::to_string(&breaker).unwrap();
    assert!(text.len() < 2_000, "{} bytes", text.len());
    assert!(!text.contains('.'));
}

#[test]
fn a_record_that_cannot_be_is_refused() {
    let cases = [
        ("\"version\":1", "\"version\":2", "version 2"),
        ("\"state\":\"open\"", "\"state\":\"closed\"", "with a probe"),
        ("\"state\":\"open\"", "\"state\":\"ajar\"", "ajar"),
        ("\"failures\":3", "\"failures\":-3", "invalid value"),
        ("\"merged\":[77]", "\"merged\":[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17]", "too long"),
        ("\"forced\"", "\"forced_by\"", "unknown field"),
    ];
    for (from, to, expected) in cases {
        let text = VERSION_1.replace(from, to);
        assert_ne!(text, VERSION_1);
        let error = serde_json::from_str::<Breaker>(&text).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn a_clock_that_goes_back_does_not_keep_samples_for_ever() {
    let policy = Policy::default();
    let ticket = executus_circuit::Ticket::new(0, Owner::new("worker-1"), false);
    let mut breaker = Breaker::default();
    let at = |seconds: i64| Timestamp::from_micros(seconds * 1_000_000);
    breaker.record(at(100_000), &policy, &ticket, Outcome::Success, 1_000, 0.0);
    for second in 0..10 {
        breaker.record(at(second), &policy, &ticket, Outcome::Failure, 2, 0.0);
        breaker.record(at(second), &policy, &ticket, Outcome::Success, 1, 0.0);
    }
    assert_eq!(breaker.snapshot(at(10)).state, State::Open);
}
