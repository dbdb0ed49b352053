//! The general rules, under random faults at every stage: each exit is recorded and settled once.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Once};
use std::task::{Context, Poll};
use std::time::Duration;

use executus_capability::handle::Query;
use executus_capability::kernel::{ExpandRequest, GrantRequest, Invocation, InvokeError};
use executus_capability::record::{ActionKind, ActionLog as _, ActionQuery, ActionRecord};
use executus_capability::token::Grant;
use executus_capability::{Constraints, DriverError, Mode};
use proptest::prelude::*;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::support::{Act, Fault, Piece, Scene, Scripted, Setup, ann, id, rows};

const TOTAL: u64 = 5_000;
const SITES: [&str; 11] = [
    "decide", "get", "store", "screen", "chunks", "push", "finish", "count", "record", "expand",
    "page",
];

/// What is asked.
#[derive(Debug, Clone, Copy)]
enum Ask {
    Invoke,
    Stream,
    /// Gives up reading after so many frames.
    Read(usize),
    Grant,
    Expand,
}

/// How whoever asks waits.
#[derive(Debug, Clone, Copy)]
enum Wait {
    Ever,
    Polls(usize),
    For(Duration),
    Cancel(Duration),
}

#[derive(Debug, Clone)]
struct Caller {
    ask: Ask,
    wait: Wait,
    mode: Mode,
    token: Tokens,
    named: bool,
    deadline: Option<Duration>,
}

#[derive(Debug, Clone, Copy)]
enum Tokens {
    Good,
    Short,
    Bad,
    Expired,
    Revoked,
}

#[derive(Debug, Clone)]
struct Schedule {
    drivers: Vec<(Act, Option<Vec<Piece>>)>,
    faults: Vec<(&'static str, Fault)>,
    callers: Vec<Caller>,
    close: Option<Duration>,
    reservation: i64,
}

fn time() -> impl Strategy<Value = Duration> {
    prop_oneof![Just(0), 1_u64..3_000, 1_000_u64..80_000].prop_map(Duration::from_millis)
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (0_usize..60).prop_map(|n| Act::Give(rows(n))),
        2 => time().prop_map(|time| Act::Slow(time, rows(5))),
        2 => Just(Act::Fail(DriverError::failed("planned"))),
        1 => Just(Act::Panic("in the driver")),
        1 => Just(Act::Hang),
        1 => Just(Act::PanicInDrop),
    ]
}

fn piece() -> impl Strategy<Value = Piece> {
    prop_oneof![
        4 => (0_usize..5).prop_map(|n| Piece::Data(rows(n))),
        1 => Just(Piece::Data(json!("text of a stream"))),
        2 => time().prop_map(|time| Piece::After(time, rows(1))),
        1 => Just(Piece::Last(Value::Null)),
        1 => Just(Piece::Fail(DriverError::failed("planned"))),
        1 => Just(Piece::Panic),
        1 => Just(Piece::Hang),
    ]
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        Just(Fault::Error),
        Just(Fault::Panic),
        Just(Fault::Hang),
        time().prop_map(Fault::Late),
    ]
}

fn caller() -> impl Strategy<Value = Caller> {
    let ask = prop_oneof![
        3 => Just(Ask::Invoke),
        2 => Just(Ask::Stream),
        1 => (0_usize..4).prop_map(Ask::Read),
        1 => Just(Ask::Grant),
        1 => Just(Ask::Expand),
    ];
    let wait = prop_oneof![
        3 => Just(Wait::Ever),
        2 => (0_usize..12).prop_map(Wait::Polls),
        1 => time().prop_map(Wait::For),
        1 => time().prop_map(Wait::Cancel),
    ];
    let mode = prop_oneof![
        Just(Mode::HandleOnly),
        Just(Mode::Summary),
        Just(Mode::Table),
        Just(Mode::Raw),
    ];
    let token = prop_oneof![
        6 => Just(Tokens::Good),
        2 => Just(Tokens::Short),
        1 => Just(Tokens::Bad),
        1 => Just(Tokens::Expired),
        1 => Just(Tokens::Revoked),
    ];
    let deadline = proptest::option::weighted(0.3, time());
    (ask, wait, mode, token, any::<bool>(), deadline).prop_map(
        |(ask, wait, mode, token, named, deadline)| Caller {
            ask,
            wait,
            mode,
            token,
            named,
            deadline,
        },
    )
}

fn schedule() -> impl Strategy<Value = Schedule> {
    let streams = proptest::option::weighted(0.4, proptest::collection::vec(piece(), 0..5));
    let faults = (proptest::sample::select(&SITES[..]), fault());
    (
        proptest::collection::vec((act(), streams), 0..4),
        proptest::collection::vec(faults, 0..3),
        proptest::collection::vec(caller(), 1..5),
        proptest::option::weighted(0.2, time()),
        prop_oneof![Just(10_i64), Just(2_000), Just(5_000)],
    )
        .prop_map(|(drivers, faults, callers, close, reservation)| Schedule {
            drivers,
            faults,
            callers,
            close,
            reservation,
        })
}

/// Drops a future at its nth poll.
struct Polls<F> {
    inner: Option<Pin<Box<F>>>,
    left: usize,
}

impl<F: Future> Future for Polls<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.left == 0 {
            self.inner = None;
            return Poll::Ready(None);
        }
        self.left -= 1;
        let polled = self.inner.as_mut().map(|inner| inner.as_mut().poll(cx));
        match polled {
            Some(Poll::Ready(output)) => Poll::Ready(Some(output)),
            // The next wake drops it, and if there is none, nobody would poll it again.
            Some(Poll::Pending) if self.left == 0 => {
                self.inner = None;
                Poll::Ready(None)
            }
            Some(Poll::Pending) => Poll::Pending,
            None => Poll::Ready(None),
        }
    }
}

/// What a caller came back with: whether its action began, and what it was told.
struct Ended {
    began: bool,
    kind: ActionKind,
    /// The code of its error; `None` inside when it was served. `None` when it did not wait.
    told: Option<Option<String>>,
}

fn code(ended: Result<(), InvokeError>) -> Option<String> {
    ended.err().map(|error| error.code().to_owned())
}

async fn ask(scene: Arc<Scene>, caller: Caller, number: usize) -> Ended {
    let stop = CancellationToken::new();
    let kernel = scene.kernel.clone();
    let work = {
        let (scene, caller, stop) = (Arc::clone(&scene), caller.clone(), stop.clone());
        async move {
            let invocation = || invocation(&scene, &caller, number).cancellation(stop);
            match caller.ask {
                Ask::Invoke => code(kernel.invoke(invocation()).await.map(drop)),
                Ask::Stream => code(read(&kernel, invocation(), usize::MAX).await),
                Ask::Read(frames) => code(read(&kernel, invocation(), frames).await),
                Ask::Grant => {
                    let granted = kernel.grant(GrantRequest::new(ann(), id())).await;
                    granted.err().map(|error| error.code().to_owned())
                }
                Ask::Expand => {
                    let request = ExpandRequest::new("no such handle", ann(), Query::default());
                    kernel.expand(request).await.err().map(|error| error.code().to_owned())
                }
            }
        }
    };
    let kind = match caller.ask {
        Ask::Invoke | Ask::Stream | Ask::Read(_) => ActionKind::Invoke,
        Ask::Grant => ActionKind::Grant,
        Ask::Expand => ActionKind::Expand,
    };
    let (began, told) = match caller.wait {
        Wait::Ever => (true, Some(work.await)),
        Wait::Polls(0) => (false, None),
        Wait::Polls(left) => (true, Polls { inner: Some(Box::pin(work)), left }.await),
        Wait::For(limit) => (true, tokio::time::timeout(limit, work).await.ok()),
        Wait::Cancel(after) => {
            let cancel = async {
                tokio::time::sleep(after).await;
                stop.cancel();
            };
            (true, Some(tokio::join!(work, cancel).0))
        }
    };
    // Whoever gives up reading was told of a part only.
    let told = told.filter(|_| !matches!(caller.ask, Ask::Read(_)));
    Ended { began, kind, told }
}

async fn read(
    kernel: &executus_capability::Kernel,
    invocation: Invocation,
    frames: usize,
) -> Result<(), InvokeError> {
    let mut stream = kernel.invoke_stream(invocation).await?;
    for _ in 0..frames {
        if stream.next().await?.is_none() {
            break;
        }
    }
    Ok(())
}

fn invocation(scene: &Scene, caller: &Caller, number: usize) -> Invocation {
    let limited = |limit| Constraints::default().with(Constraints::INVOKE_TIMEOUT_S, limit);
    let constraints = match caller.token {
        Tokens::Short => limited(json!(0.5)),
        Tokens::Bad => limited(json!("soon")),
        Tokens::Good | Tokens::Expired | Tokens::Revoked => Constraints::default(),
    };
    let lifetime = match caller.token {
        Tokens::Expired => Duration::ZERO,
        _ => Duration::from_secs(600),
    };
    let (ann, id) = (ann(), id());
    let grant = Grant::new(&ann, &id).constraints(constraints).lifetime(lifetime);
    let token = scene.authority.issue(grant).unwrap();
    if matches!(caller.token, Tokens::Revoked) {
        scene.authority.revoke(&token.token_id);
    }
    let mut invocation = Invocation::new(token, ann).mode(caller.mode);
    if caller.named {
        invocation = invocation.action_id(format!("run/{number}"));
    }
    if let Some(left) = caller.deadline {
        invocation = invocation.deadline(scene.kernel.clock().now().after(left));
    }
    invocation
}

async fn perform(schedule: &Schedule) {
    let drivers =
        schedule.drivers.iter().zip(["a", "b", "c"]).map(|((act, pieces), id)| match pieces {
            Some(pieces) => Scripted::streaming(id, pieces.clone()).opening(act.clone()),
            None => Scripted::new(id, act.clone()),
        });
    let total = i64::try_from(TOTAL).unwrap();
    let setup = Setup::new(drivers).budget(total, schedule.reservation);
    let scene = Arc::new(setup.route(&["nobody", "a", "b", "c"]).build());
    for (site, fault) in &schedule.faults {
        scene.faults.set(site, *fault);
    }
    let mut callers = tokio::task::JoinSet::new();
    for (number, caller) in schedule.callers.iter().enumerate() {
        callers.spawn(ask(Arc::clone(&scene), caller.clone(), number));
    }
    if let Some(after) = schedule.close {
        tokio::time::sleep(after).await;
        scene.kernel.close(Duration::from_secs(1)).await;
    }
    let ended = callers.join_all().await;
    let closed = scene.kernel.close(Duration::from_secs(600)).await;
    assert_eq!((closed.cancelled, closed.left), (0, 0));
    judge(&scene, &ended).await;
}

async fn judge(scene: &Scene, ended: &[Ended]) {
    let began = |kind| ended.iter().filter(|one| one.began && one.kind == kind).count() as u64;
    let exits = ended.iter().filter(|one| one.began).count() as u64;
    // One record for each exit: each was asked for once, and each that could be written is there.
    assert_eq!(scene.faults.count("record"), exits);
    let query = ActionQuery::default();
    let records = scene.log.query(&query).await.unwrap();
    let unwritten = scene.stats().unrecorded;
    assert_eq!(records.len() as u64 + unwritten, exits);

    // Everything that was reserved was settled or given back, and the rest is exact.
    let state = scene.budget.as_ref().unwrap().state();
    assert_eq!((state.reserved, state.reservations), (0, state.settled + state.released));
    assert_eq!(state.remaining, TOTAL.saturating_sub(state.used));
    let served =
        |record: &&ActionRecord| record.kind == ActionKind::Invoke && record.error.is_none();
    let cost: u64 = records.iter().filter(served).map(|record| record.counts.cost_tokens).sum();
    if unwritten == 0 {
        assert_eq!(cost, state.used + state.overrun);
        assert_eq!(records.iter().filter(served).count() as u64, state.settled);
    }

    // The counts say the same.
    let stats = scene.stats();
    let invocations = stats.invocations_ok
        + stats.invocations_failed
        + stats.invocations_refused
        + stats.invocations_cancelled;
    assert_eq!(invocations, began(ActionKind::Invoke));
    assert_eq!(stats.invocations_ok, state.settled);
    assert_eq!(stats.grants + stats.denials, began(ActionKind::Grant));
    assert_eq!(stats.expansions_ok + stats.expansions_failed, began(ActionKind::Expand));
    let fallbacks: u64 = records.iter().map(|record| record.counts.fallback_count).sum();
    assert!(unwritten > 0 || fallbacks == stats.fallbacks);

    // What callers were told is what was recorded.
    if unwritten == 0 && ended.iter().all(|one| one.told.is_some() || !one.began) {
        let mut told: Vec<_> = ended.iter().filter_map(|one| one.told.clone()).collect();
        let mut recorded: Vec<_> =
            records.iter().map(|found| found.error.as_ref().map(|e| e.code.clone())).collect();
        told.sort();
        recorded.sort();
        assert_eq!(told, recorded);
    }
    // Nothing is left behind.
    for driver in &scene.drivers {
        assert_eq!(driver.alive(), 0);
    }
    let runtime = tokio::runtime::Handle::current();
    assert_eq!(runtime.metrics().num_alive_tasks(), 0);
}

fn quiet() {
    static QUIET: Once = Once::new();
    QUIET.call_once(|| {
        let tell = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let payload = info.payload();
            let text = payload.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or_default();
            if !text.starts_with("planned panic") {
                tell(info);
            }
        }));
    });
}

fn paused(work: impl Future<Output = ()>) {
    quiet();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(work);
}

/// Thousands of schedules, or as many as `PROPTEST_CASES` says.
fn thousands() -> ProptestConfig {
    let config = ProptestConfig::default();
    ProptestConfig { cases: config.cases.max(4_000), ..config }
}

proptest! {
    #![proptest_config(thousands())]

    /// AR-01, BR-05: whatever goes wrong, wherever and when, there is one record for each exit, what
    /// was reserved is settled or given back, what is left is exact, and no task stays.
    #[test]
    fn every_exit_is_recorded_and_settled_once(schedule in schedule()) {
        paused(perform(&schedule));
    }
}
