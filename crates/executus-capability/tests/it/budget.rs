//! What a session may show.

use std::sync::Arc;

use executus_capability::Mode;
use executus_capability::budget::{
    BudgetConfigError, BudgetExhausted, SessionBudget, Shown, SizeCounter, TokenCounter as _,
};
use executus_capability::kernel::InvokeError;
use executus_capability::record::ActionKind;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::{Act, Fault, Fixed, Scripted, Setup, rows};

/// BR-01
#[test]
fn the_default_is_a_hundred_thousand_and_numbers_are_checked() {
    let budget = SessionBudget::default();
    assert_eq!((budget.state().total, budget.default_reservation()), (100_000, 4_000));
    for (total, reservation, field, found) in [
        (0, 10, "total", 0),
        (-1, 10, "total", -1),
        (i64::MAX, 10, "total", i64::MAX),
        (10, 0, "reservation", 0),
        (10, i64::MIN, "reservation", i64::MIN),
        (10, 1 << 53, "reservation", 1 << 53),
    ] {
        let refused = SessionBudget::new(total, reservation).unwrap_err();
        assert_eq!(refused, BudgetConfigError { field, found });
        assert!(refused.to_string().contains(field), "{refused}");
    }
    assert!(SessionBudget::new(1, SessionBudget::MOST).is_ok());
}

/// BR-02
#[tokio::test(start_paused = true)]
async fn what_is_under_way_counts_as_spent() {
    let scene = Setup::new([Scripted::new("a", Act::Hang)]).budget(1_000, 200).build();
    let mut flying = tokio::task::JoinSet::new();
    for remaining in [800, 600] {
        let (kernel, invocation) = (scene.kernel.clone(), scene.invocation());
        flying.spawn(async move { kernel.invoke(invocation).await });
        tokio::task::yield_now().await;
        assert_eq!(scene.remaining(), remaining);
    }
    flying.shutdown().await;
    assert_eq!(scene.records(ActionKind::Invoke).await.len(), 2);
    scene.assert_settled(1_000);
}

/// BR-03
#[test]
fn what_is_short_is_granted_in_part() {
    let budget = SessionBudget::new(150, 200).unwrap();
    let reservation = budget.reserve(200).unwrap();
    assert_eq!((reservation.tokens(), budget.remaining()), (150, 0));
    assert_eq!(budget.reserve(1).unwrap_err(), BudgetExhausted { total: 150 });
    assert_eq!(budget.reserve(0).unwrap_err(), BudgetExhausted { total: 150 });
    drop(reservation);
    assert_eq!(budget.remaining(), 150);
}

/// BR-04
#[tokio::test(start_paused = true)]
async fn an_exhausted_budget_refuses_and_is_recorded() {
    let scene = Setup::good().budget(100, 200).build();
    let held = scene.budget.as_ref().unwrap().reserve(100).unwrap();
    let error = scene.kernel.invoke(scene.invocation()).await.unwrap_err();
    assert_eq!(error, InvokeError::Budget(BudgetExhausted { total: 100 }));
    assert!(scene.driver("a").calls().is_empty());
    let record = scene.record().await;
    assert_eq!(record.error.unwrap().code, "budget_exhausted");
    drop(held);
    scene.assert_settled(100);
}

/// BR-05
#[tokio::test(start_paused = true)]
async fn every_failure_gives_back_what_it_reserved() {
    for (site, fault) in [
        ("store", Fault::Error),
        ("store", Fault::Panic),
        ("store", Fault::Hang),
        ("screen", Fault::Error),
        ("screen", Fault::Panic),
        ("count", Fault::Error),
        ("count", Fault::Panic),
    ] {
        let scene = Setup::good().budget(1_000, 200).build();
        scene.faults.set(site, fault);
        scene.kernel.invoke(scene.invocation()).await.unwrap_err();
        let state = scene.budget.as_ref().unwrap().state();
        assert_eq!((state.used, state.released, state.settled), (0, 1, 0), "{site} {fault:?}");
        scene.assert_settled(1_000);
    }
    let scene = Setup::new([Scripted::failing("a", "no")]).budget(1_000, 200).build();
    scene.kernel.invoke(scene.invocation()).await.unwrap_err();
    scene.assert_settled(1_000);
}

/// BR-07
#[test]
fn a_settlement_charges_the_real_cost_and_keeps_what_is_over() {
    let budget = SessionBudget::new(1_000, 200).unwrap();
    let settlement = budget.reserve(200).unwrap().settle(700);
    assert_eq!((settlement.charged, settlement.overrun), (700, 0));
    let settlement = budget.reserve(200).unwrap().settle(450);
    assert_eq!((settlement.charged, settlement.overrun), (300, 150));
    let state = budget.state();
    assert_eq!((state.used, state.reserved, state.overrun, state.remaining), (1_000, 0, 150, 0));
}

/// BR-07: the overrun of an invocation is in its record.
#[tokio::test(start_paused = true)]
async fn an_overrun_is_reported() {
    let fixed = Fixed { facts: vec!["x".repeat(400)], ..Fixed::default() };
    let setup = Setup::good().budget(50, 50).with(|builder| builder.screen(Arc::new(fixed)));
    let scene = setup.build();
    scene.kernel.invoke(scene.invocation()).await.unwrap();
    let counts = scene.record().await.counts;
    assert_eq!((counts.cost_tokens, counts.overrun_tokens), (101, 51));
    assert_eq!(scene.kernel.budget().unwrap().overrun, 51);
}

/// BR-08
#[tokio::test(start_paused = true)]
async fn the_mode_decides_what_is_paid_for() {
    let object = |value: Value| value.as_object().unwrap().clone();
    let fixed = Fixed {
        facts: vec!["a fact".into(), "b".into()],
        rows: vec![object(json!({"id": 1}))],
        raw: Some(json!({"all": "of it, and more"})),
    };
    for (mode, shown) in [
        (Mode::Summary, r#"["a fact","b"]"#),
        (Mode::Table, r#"[{"id":1}]"#),
        (Mode::Raw, r#"{"all":"of it, and more"}"#),
        (Mode::HandleOnly, ""),
    ] {
        let screen = Arc::new(fixed.clone());
        let scene = Setup::good().budget(10_000, 10).with(|b| b.screen(screen)).build();
        scene.kernel.invoke(scene.as_admin().mode(mode)).await.unwrap();
        let cost = shown.len() as u64 / 4;
        assert_eq!(scene.budget.as_ref().unwrap().state().used, cost, "{mode}");
        assert_eq!(scene.record().await.counts.cost_tokens, cost);
    }
}

/// BR-08
#[test]
fn four_bytes_are_a_token_rounded_down() {
    let raw = json!("12345");
    assert_eq!(SizeCounter.count(Shown::Raw(Some(&raw))), Ok(1));
    assert_eq!(Shown::Raw(Some(&raw)).to_json().unwrap(), "\"12345\"");
    assert_eq!(SizeCounter.count(Shown::Raw(Some(&json!("123456")))), Ok(2));
    for nothing in [Shown::Nothing, Shown::Raw(None), Shown::Facts(&[]), Shown::Rows(&[])] {
        assert_eq!(SizeCounter.count(nothing), Ok(0));
        assert_eq!(nothing.to_json().unwrap(), "");
    }
}

fn suggested(remaining: u64, asked: Mode) -> Mode {
    let budget = SessionBudget::new(1_000, 1).unwrap();
    let _held = budget.reserve(1_000 - remaining).unwrap();
    budget.suggest(asked)
}

/// BR-09
#[test]
fn a_short_budget_shows_less_and_never_more_than_was_asked_for() {
    use Mode::{HandleOnly, Raw, Summary, Table};
    for (remaining, most) in
        [(1_000, Raw), (501, Raw), (300, Table), (100, Summary), (10, HandleOnly)]
    {
        for asked in [HandleOnly, Summary, Table, Raw] {
            assert_eq!(suggested(remaining, asked), asked.min(most), "{remaining} {asked}");
        }
    }
}

/// BR-10
#[test]
fn the_boundaries_belong_below() {
    assert_eq!(suggested(500, Mode::Raw), Mode::Table);
    assert_eq!(suggested(501, Mode::Raw), Mode::Raw);
    assert_eq!(suggested(200, Mode::Table), Mode::Summary);
    assert_eq!(suggested(201, Mode::Table), Mode::Table);
    assert_eq!(suggested(50, Mode::Table), Mode::Summary);
    assert_eq!(suggested(49, Mode::Table), Mode::HandleOnly);
}

/// BR-11
#[tokio::test(start_paused = true)]
async fn the_mode_is_chosen_before_the_own_reservation() {
    // Its own reservation would leave 40 %, too little for raw.
    let scene = Setup::good().budget(1_000, 600).build();
    let frame = scene.kernel.invoke(scene.as_admin().mode(Mode::Raw)).await.unwrap();
    assert_eq!(frame.mode, Mode::Raw);
    let _held = scene.budget.as_ref().unwrap().reserve(600).unwrap();
    let frame = scene.kernel.invoke(scene.as_admin().mode(Mode::Raw)).await.unwrap();
    assert_eq!(frame.mode, Mode::Table);
}

/// BR-13
#[tokio::test(start_paused = true)]
async fn what_is_not_recorded_is_not_served_although_it_is_charged() {
    for fault in [Fault::Error, Fault::Panic, Fault::Hang] {
        let setup = Setup::new([Scripted::new("a", Act::Give(rows(40)))]).budget(10_000, 200);
        let fixed = Fixed { facts: vec!["x".repeat(100)], ..Fixed::default() };
        let scene = setup.with(|b| b.screen(Arc::new(fixed))).build();
        scene.faults.set("record", fault);
        let error = scene.kernel.invoke(scene.invocation()).await.unwrap_err();
        assert!(matches!(error, InvokeError::Unrecorded(_)), "{error:?}");
        assert_eq!(scene.budget.as_ref().unwrap().state().used, 26);
        assert_eq!((scene.stats().unrecorded, scene.driver("a").calls().len()), (1, 1));
        scene.assert_settled(9_974);
    }
}

proptest! {
    /// BR-05, BR-07: whatever is reserved, dropped and settled, in any order, nothing is lost.
    #[test]
    fn the_ledger_adds_up(
        total in 1_i64..5_000,
        steps in proptest::collection::vec((0_u8..3, 0_u64..2_000), 0..60),
    ) {
        let budget = SessionBudget::new(total, 1).unwrap();
        let mut held = Vec::new();
        let (mut cost, mut released, mut settled) = (0, 0, 0);
        for (what, tokens) in steps {
            match what {
                0 => held.extend(budget.reserve(tokens)),
                1 => released += u64::from(held.pop().is_some()),
                _ => if let Some(reservation) = held.pop() {
                    let reservation: executus_capability::budget::Reservation = reservation;
                    reservation.settle(tokens);
                    cost += tokens;
                    settled += 1;
                },
            }
            let state = budget.state();
            let reserved: u64 = held.iter().map(|reservation| reservation.tokens()).sum();
            prop_assert_eq!(state.reserved, reserved);
            prop_assert_eq!((state.released, state.settled), (released, settled));
            prop_assert_eq!(state.used + state.overrun, cost);
            prop_assert!(state.used <= state.total);
            prop_assert_eq!(state.remaining, state.total.saturating_sub(state.used + reserved));
        }
    }
}
