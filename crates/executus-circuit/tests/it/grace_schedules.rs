//! Random schedules of drops, failures and answers against a slow reference.

use executus_circuit::{Grace, Weight};
use executus_core::Timestamp;
use proptest::prelude::*;

#[derive(Debug, Clone, Copy)]
enum Event {
    Drop,
    Refused,
    Answered { fresh: bool },
    Ask,
}

/// Remembers all that happened, and looks through it each time.
#[derive(Default)]
struct Reference {
    history: Vec<(i64, Event)>,
    given: u32,
}

const SECOND: i64 = 1_000_000;

impl Reference {
    /// When the window that a past sees at `now` ends, and whether a drop at `now` is held.
    fn window(past: &[(i64, Event)], now: i64) -> (Option<i64>, bool) {
        let mut end = None;
        let mut first = None;
        let mut last = None;
        for &(at, event) in past {
            if end.is_some_and(|end| at > end) {
                last = None;
            }
            match event {
                Event::Drop => {
                    let since = *first.get_or_insert(at);
                    if at - since <= 10 * SECOND {
                        last = Some(at);
                    }
                }
                Event::Answered { .. } => first = None,
                Event::Refused | Event::Ask => {}
            }
            end = last.map(|last| match first {
                Some(first) => (last + 2 * SECOND).min(first + 10 * SECOND),
                None => last + 2 * SECOND,
            });
        }
        (end.filter(|&end| now <= end), first.is_none_or(|first| now - first <= 10 * SECOND))
    }

    /// How many failures had been held and not forgiven when their window ended, by `now`.
    fn owed(&self, now: i64) -> u32 {
        let mut owed = 0;
        for (place, &(at, event)) in self.history.iter().enumerate() {
            if !matches!(event, Event::Refused) {
                continue;
            }
            if Self::window(&self.history[..place], at).0.is_none() {
                continue;
            }
            for next in place + 1..=self.history.len() {
                let (at, event) = self.history.get(next).copied().unwrap_or((now, Event::Ask));
                if Self::window(&self.history[..next], at).0.is_none() {
                    owed += 1;
                    break;
                }
                if matches!(event, Event::Answered { fresh: true }) {
                    break;
                }
            }
        }
        owed
    }
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        3 => Just(Event::Drop),
        4 => Just(Event::Refused),
        1 => Just(Event::Answered { fresh: true }),
        1 => Just(Event::Answered { fresh: false }),
        3 => Just(Event::Ask),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    /// Each verdict, and each failure that is due, is what the whole history says; none is given
    /// twice.
    #[test]
    fn it_does_what_the_history_says(
        schedule in prop::collection::vec(
            (prop_oneof![Just(0), Just(SECOND), Just(2 * SECOND), 1..3 * SECOND, Just(11 * SECOND)], event()),
            1..60,
        )
    ) {
        let mut grace = Grace::new();
        let mut reference = Reference::default();
        let mut now = 0;
        for (wait, event) in schedule {
            now += wait;
            let at = Timestamp::from_micros(now);
            let (window, held) = Reference::window(&reference.history, now);
            prop_assert_eq!(grace.is_open(at), window.is_some());
            match event {
                Event::Drop => {
                    prop_assert_eq!(grace.dropped(at) == Weight::Held, held);
                }
                Event::Refused => {
                    prop_assert_eq!(grace.connect_failed(at) == Weight::Held, window.is_some());
                }
                Event::Answered { fresh: true } => grace.succeeded_on_fresh(at),
                Event::Answered { fresh: false } => grace.succeeded(at),
                Event::Ask => {
                    let owed = reference.owed(now);
                    prop_assert_eq!(grace.due(at), owed - reference.given);
                    reference.given = owed;
                }
            }
            reference.history.push((now, event));
        }
    }
}
