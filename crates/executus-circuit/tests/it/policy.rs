//! The numbers of a policy.

use std::time::Duration;

use executus_circuit::{Circuit, Jitter, Policy, PolicyBuilder};

use crate::support::key;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn numbers_that_mean_nothing_are_refused_by_name() {
    let rate = |ratio| Policy::builder().error_rate(30 * SECOND, 20, ratio);
    let refused: [(&str, PolicyBuilder); 15] = [
        ("consecutive", Policy::builder().consecutive(0)),
        ("consecutive", Policy::builder().consecutive(u32::MAX)),
        ("window", Policy::builder().error_rate(Duration::ZERO, 20, 0.5)),
        ("window", Policy::builder().error_rate(Duration::MAX, 20, 0.5)),
        ("window_samples", Policy::builder().error_rate(SECOND, 0, 0.5)),
        ("window_ratio", rate(0.0)),
        ("window_ratio", rate(-0.5)),
        ("window_ratio", rate(1.5)),
        ("window_ratio", rate(f64::NAN)),
        ("window_ratio", rate(f64::INFINITY)),
        ("cooldown", Policy::builder().cooldown(Duration::ZERO, SECOND)),
        ("cooldown_most", Policy::builder().cooldown(2 * SECOND, SECOND)),
        ("dormant_after", Policy::builder().dormant(0, SECOND)),
        ("forced_dormant", Policy::builder().forced_dormant(Duration::ZERO)),
        ("probe_lease", Policy::builder().probe_lease(Duration::MAX)),
    ];
    for (field, builder) in refused {
        let error = builder.build().unwrap_err();
        assert_eq!(error.field, field, "{error}");
        assert!(error.to_string().contains(&format!("`{field}` is ")), "{error}");
    }
    let store = std::sync::Arc::new(executus_circuit::MemoryCircuits::default());
    let error = Circuit::builder(store, key()).store_limit(Duration::ZERO).build().unwrap_err();
    assert_eq!(error.field, "store_limit");
}

#[test]
fn the_defaults_are_those_of_the_guide() {
    let policy = Policy::builder().build().unwrap();
    assert_eq!(policy, Policy::default());
    assert_eq!((policy.consecutive(), policy.window()), (3, Some(30 * SECOND)));
    assert_eq!((policy.window_samples(), policy.window_ratio()), (20, 0.5));
    assert_eq!((policy.dormant_after(), policy.dormant()), (10, 3600 * SECOND));
    assert_eq!((policy.forced_dormant(), policy.jitter()), (300 * SECOND, Jitter::Equal));
    assert!(policy.probe_lease() > 900 * SECOND, "longer than the longest call");
    assert_eq!((Policy::dispatch().consecutive(), Policy::dispatch().window()), (3, None));
}

/// CB-09: nominal cooldowns, and the actual ones drawn evenly from their upper half.
#[test]
fn cooldowns_are_spread_evenly_over_their_upper_half() {
    let policy = Policy::default();
    let nominal: Vec<u64> = (1..=7).map(|nth| policy.nominal_cooldown(nth).as_secs()).collect();
    assert_eq!(nominal, [30, 60, 120, 240, 300, 300, 300]);
    assert_eq!(policy.nominal_cooldown(u32::MAX), 300 * SECOND);
    let mut random = fastrand::Rng::with_seed(1);
    let mut tenths = [0_u32; 10];
    for _ in 0..10_000 {
        let cooldown = policy.cooldown(2, random.f64());
        assert!((30 * SECOND..=60 * SECOND).contains(&cooldown), "{cooldown:?}");
        tenths[((cooldown.as_millis() - 30_000) / 3_000).min(9) as usize] += 1;
    }
    assert!(tenths.iter().all(|&count| (800..1_200).contains(&count)), "{tenths:?}");
    // A draw that is none does not shorten a cooldown.
    assert_eq!(policy.cooldown(1, f64::NAN), 30 * SECOND);
}
