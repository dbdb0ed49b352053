//! The detector against a slow reference that looks at the whole history each time.

use executus_core::digest::Hasher;
use proptest::prelude::*;

use super::*;

fn observed(action: u8, failed: bool, pages: &[u8]) -> Observed {
    let mut what = Hasher::new();
    what.number(u64::from(action));
    let pages = pages.iter().map(|page| Page::parse(&format!("https://a.example/{page}")).unwrap());
    Observed { what: what.finish(), failed, pages: pages.collect() }
}

/// What is found for the newest action of a history, without levels.
struct Found {
    repetition: Option<Level>,
    cycle: bool,
    failures: bool,
    revisit: bool,
}

fn found(history: &[Observed], settings: &StuckSettings) -> Found {
    let newest = history.last().unwrap();
    let streak =
        history.iter().rev().take_while(|action| action.what == newest.what).count() as u64;
    let levels = [
        (settings.stuck_repeat_stop, Level::Stop),
        (settings.stuck_repeat_warning, Level::Warning),
        (settings.stuck_repeat_hint, Level::Hint),
    ];
    let repetition = levels.iter().find(|(times, _)| streak >= *times).map(|(_, level)| *level);

    let whats: Vec<_> = history.iter().map(|action| action.what).collect();
    let repeats = settings.stuck_cycle_repeats as usize;
    let cycle = (2..=settings.stuck_window as usize).any(|period| {
        let all = period * repeats;
        if all > settings.stuck_window as usize || all > whats.len() {
            return false;
        }
        let rounds: Vec<_> = whats[whats.len() - all..].chunks(period).collect();
        rounds.iter().all(|round| *round == rounds[0])
            && rounds[0].iter().any(|what| *what != rounds[0][0])
    });

    let window = settings.stuck_failure_window as usize;
    let from = history.len().saturating_sub(window);
    let failed = history[from..].iter().filter(|action| action.failed).count() as u64;

    let at = history.len() - 1;
    let seen = |page: &Page| {
        let earlier =
            history[..at].iter().rposition(|action| !action.failed && action.pages.contains(page));
        earlier.is_some_and(|earlier| (at - earlier) as u64 >= settings.stuck_revisit_gap)
    };
    Found {
        repetition,
        cycle,
        failures: failed >= settings.stuck_failure_count,
        revisit: !newest.failed && newest.pages.iter().any(seen),
    }
}

/// The level of each action, and the running counts.
fn reference(history: &[Observed], settings: &StuckSettings) -> Vec<(Option<Level>, u32)> {
    let mut count = 0_u32;
    let mut levels = Vec::new();
    for at in 0..history.len() {
        let Found { repetition, cycle, failures, revisit } = found(&history[..=at], settings);
        if repetition.is_none() && !cycle && !failures && !revisit {
            count = count.saturating_sub(1);
            levels.push((None, count));
            continue;
        }
        count += 1;
        let mut level = repetition;
        if cycle {
            let cycle = match count {
                1 => Level::Hint,
                2 => Level::Warning,
                _ => Level::Stop,
            };
            level = level.max(Some(cycle));
        }
        if failures {
            level = level.max(Some(if count == 1 { Level::Hint } else { Level::Warning }));
        }
        if revisit {
            level = level.max(Some(if count <= 2 { Level::Hint } else { Level::Warning }));
        }
        levels.push((level, count));
    }
    levels
}

fn settings() -> impl Strategy<Value = StuckSettings> {
    (2..5_u64, 1..4_u64, 1..4_u64, 4..20_u64, 2..4_u64, 2..6_u64, 0..6_u64, 1..12_u64).prop_map(
        |(hint, warning, stop, window, repeats, failures, more, gap)| StuckSettings {
            stuck_repeat_hint: hint,
            stuck_repeat_warning: hint + warning,
            stuck_repeat_stop: hint + warning + stop,
            stuck_window: window,
            stuck_cycle_repeats: repeats,
            stuck_failure_count: failures,
            stuck_failure_window: failures + more,
            stuck_revisit_gap: gap,
        },
    )
}

fn action() -> impl Strategy<Value = Observed> {
    let pages = prop::collection::vec(0..6_u8, 0..3);
    (0..4_u8, prop::bool::weighted(0.3), pages)
        .prop_map(|(what, failed, pages)| observed(what, failed, &pages))
}

/// Stretches that go round, so that what is looked for is there.
fn history() -> impl Strategy<Value = Vec<Observed>> {
    let stretch = (prop::collection::vec(action(), 1..5), 1..6_usize);
    let stretch = stretch.prop_map(|(actions, times)| vec![actions; times].concat());
    prop::collection::vec(stretch, 1..8).prop_map(|stretches| stretches.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// SG-02 SG-03 SG-04 SG-06 SG-10: levels and counts are those of the reference.
    #[test]
    fn the_detector_finds_what_the_whole_history_says(
        settings in settings(),
        history in history(),
    ) {
        prop_assert_eq!(settings.check(), Ok(()));
        let mut detector = StuckDetector::new(settings.clone());
        for (at, (level, count)) in reference(&history, &settings).into_iter().enumerate() {
            let stuck = detector.observe(&history[at]);
            prop_assert_eq!(stuck.map(|stuck| stuck.level), level, "action {}", at);
            prop_assert_eq!(detector.detections(), count, "action {}", at);
        }
    }

    /// SG-10: after a reset nothing is known any more.
    #[test]
    fn a_reset_forgets_everything(before in history(), after in history()) {
        let mut detector = StuckDetector::new(StuckSettings::default());
        before.iter().for_each(|action| { detector.observe(action); });
        detector.reset();
        let mut fresh = StuckDetector::new(StuckSettings::default());
        for action in &after {
            prop_assert_eq!(detector.observe(action), fresh.observe(action));
        }
    }

    /// What is kept does not grow with the run.
    #[test]
    fn what_is_kept_is_bounded(actions in 0..1500_u16) {
        let mut detector = StuckDetector::new(StuckSettings::default());
        for n in 0..actions {
            let page = Page::parse(&format!("https://a.example/{n}")).unwrap();
            let mut action = observed(0, false, &[]);
            action.pages.push(page);
            detector.observe(&action);
        }
        prop_assert!(detector.pages.len() <= PAGES && detector.newest.len() <= 12);
    }
}
