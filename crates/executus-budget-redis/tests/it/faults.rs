//! Faults of holders, connections and servers: what was granted stays within the limit, what is
//! over comes back, and every answer comes within the deadline.

use std::sync::Arc;
use std::time::Duration;

use executus_budget_redis::{Config, OpenError, RedisBudget};
use executus_core::port::{Amounts, Budget, BudgetError};
use executus_redis::{Config as Server, Redis, Script, redis};
use executus_testkit::redis::{Fault, LossyProxy, RedisServer, Settings};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::stage::{account, budget, caller, hold, kept, quick, standing, tokens, with};

/// B1: a thousand reservers over eight connections never get more than the limit.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_reservers_share_a_limit() {
    let server = RedisServer::plain().await;
    let first = budget(&server.url()).await;
    let caller = caller(&first, 1000).await;
    let mut budgets = vec![first];
    for _ in 1..8 {
        budgets.push(budget(&server.url()).await);
    }
    let mut tasks = JoinSet::new();
    for n in 0..1000 {
        let (budget, caller) = (budgets[n % 8].clone(), Arc::clone(&caller));
        tasks.spawn(async move {
            let hold = hold();
            let granted = budget.reserve(&hold, &caller, tokens(7)).await.is_ok();
            if granted && n % 3 == 0 {
                budget.settle(&hold, tokens(7)).await.unwrap();
            }
            u64::from(granted)
        });
    }
    let mut granted = 0;
    while let Some(one) = tasks.join_next().await {
        granted += one.unwrap();
    }
    let (held, spent, overrun) = standing(&budgets[0], &caller).await;
    assert_eq!((granted, held + spent, overrun), (142, 142 * 7, 0));
}

/// B2 B3: one id is one hold; every second end is nothing; what follows an end is typed.
#[tokio::test]
async fn one_id_is_one_hold_and_ends_once() {
    let server = RedisServer::plain().await;
    let (budget, other) = (budget(&server.url()).await, budget(&server.url()).await);
    let caller = caller(&budget, 100).await;
    let id = hold();
    for budget in [&budget, &other, &budget] {
        budget.reserve(&id, &caller, tokens(60)).await.unwrap();
    }
    assert_eq!(standing(&budget, &caller).await, (60, 0, 0));
    budget.settle(&id, tokens(25)).await.unwrap();
    other.settle(&id, tokens(25)).await.unwrap();
    other.release(&id).await.unwrap();
    budget.release(&id).await.unwrap();
    assert_eq!(standing(&budget, &caller).await, (0, 25, 0), "no double credit");
    let late = budget.reserve(&id, &caller, tokens(1)).await;
    assert!(matches!(late, Err(BudgetError::Closed { .. })), "{late:?}");
    let late = budget.charge(&id, &id.run, tokens(1)).await;
    assert!(matches!(late, Err(BudgetError::Closed { .. })), "{late:?}");
    let unknown = budget.settle(&hold(), tokens(1)).await;
    assert!(matches!(unknown, Err(BudgetError::Unknown { .. })), "{unknown:?}");
}

/// B7: a holder that is gone gives its capacity back within its lease and a second.
#[tokio::test]
async fn what_the_dead_held_comes_back() {
    let server = RedisServer::plain().await;
    let lease = Duration::from_millis(500);
    let budget = with(Config::new(&server.url()).unwrap().lease(lease)).await;
    let caller = caller(&budget, 100).await;
    let (dead, alive) = (hold(), hold());
    budget.reserve(&dead, &caller, tokens(60)).await.unwrap();
    budget.charge(&dead, &dead.run, tokens(10)).await.unwrap();
    budget.reserve(&alive, &caller, tokens(40)).await.unwrap();
    budget.abandon(&dead);
    sleep(lease + Duration::from_millis(100)).await;
    // Renewed by the task alone.
    assert_eq!(standing(&budget, &caller).await, (40, 10, 0));
    budget.reserve(&hold(), &caller, tokens(50)).await.unwrap();
    budget.charge(&alive, &alive.run, tokens(1)).await.unwrap();
}

/// B6 B7: a holder that was stopped past its lease and settles then: recorded in full, as an
/// overrun, which can be read.
#[tokio::test]
async fn a_holder_paused_past_its_lease_overruns() {
    let server = RedisServer::plain().await;
    let lease = Duration::from_millis(200);
    let budget = with(Config::new(&server.url()).unwrap().lease(lease)).await;
    let caller = caller(&budget, 100).await;
    let slow = hold();
    budget.reserve(&slow, &caller, tokens(80)).await.unwrap();
    budget.charge(&slow, &slow.run, tokens(20)).await.unwrap();
    budget.abandon(&slow);
    sleep(lease + Duration::from_millis(50)).await;
    // Its place is taken by another.
    budget.reserve(&hold(), &caller, tokens(80)).await.unwrap();
    let late = budget.charge(&slow, &slow.run, tokens(40)).await;
    assert!(matches!(late, Err(BudgetError::Unknown { .. })), "{late:?}");
    budget.settle(&slow, tokens(70)).await.unwrap();
    let (_, spent, overrun) = standing(&budget, &caller).await;
    assert_eq!((spent, overrun), (70, 50), "20 were counted at the end of the lease");
}

/// B2 B3: a request or an answer that is lost converges: the call is applied once.
#[tokio::test]
async fn what_was_lost_converges() {
    let server = RedisServer::plain().await;
    let proxy = LossyProxy::start(server.port(), 7).await.unwrap();
    let read = budget(&server.url()).await;
    let asked = budget(&proxy.url()).await;
    let caller = caller(&read, 100).await;
    for fault in [Fault::LoseRequest, Fault::LoseAnswer] {
        let before = standing(&read, &caller).await.1;
        let (id, other) = (hold(), hold());
        proxy.set(fault);
        asked.reserve(&id, &caller, tokens(10)).await.unwrap();
        assert_eq!(standing(&read, &caller).await.0, 10, "{fault:?}");
        proxy.set(fault);
        asked.charge(&id, &id.run, tokens(4)).await.unwrap();
        proxy.set(fault);
        asked.settle(&id, tokens(7)).await.unwrap();
        assert_eq!(proxy.fault(), Fault::None, "the fault happened");
        asked.reserve(&other, &caller, tokens(10)).await.unwrap();
        proxy.set(fault);
        asked.release(&other).await.unwrap();
        assert_eq!(standing(&read, &caller).await, (0, before + 7, 0), "{fault:?}");
    }
}

/// B1: a server that is paused, cut off or silent: refused within the deadline, and used again.
#[tokio::test]
async fn a_server_that_does_not_answer_refuses_within_the_deadline() {
    let server = kept().await;
    let proxy = LossyProxy::start(server.port(), 0).await.unwrap();
    let budget = with(quick(&proxy.url())).await;
    let caller = caller(&budget, 100).await;
    for fault in [None, Some(Fault::Cut), Some(Fault::Silent)] {
        match fault {
            None => server.pause(),
            Some(fault) => proxy.set(fault),
        }
        let began = Instant::now();
        let refused = budget.reserve(&hold(), &caller, tokens(1)).await;
        assert!(matches!(refused, Err(BudgetError::Unavailable { .. })), "{refused:?}");
        assert!(began.elapsed() < Duration::from_millis(700), "{fault:?}: {:?}", began.elapsed());
        proxy.set(Fault::None);
        server.resume();
        let id = hold();
        budget.reserve(&id, &caller, tokens(1)).await.unwrap();
        budget.release(&id).await.unwrap();
    }
}

/// B1: a server whose script does not end is refused within the deadline.
#[tokio::test]
async fn a_busy_server_refuses_within_the_deadline() {
    let more = vec![("busy-reply-threshold".into(), "20".into())];
    let server = RedisServer::started(Settings { more, ..Settings::default() }).await;
    let budget = with(quick(&server.url())).await;
    let caller = caller(&budget, 100).await;
    let other = Redis::connect(quick(&server.url()).server).await.unwrap();
    other.eval(&Script::new("while true do end"), &["{executus}:x"], &[]).await.unwrap_err();
    let began = Instant::now();
    let refused = budget.reserve(&hold(), &caller, tokens(1)).await;
    assert!(matches!(refused, Err(BudgetError::Unavailable { .. })), "{refused:?}");
    assert!(began.elapsed() < Duration::from_millis(700), "{:?}", began.elapsed());
}

/// B1: a server that may evict keys is not started with, nor one that becomes such.
#[tokio::test]
async fn an_evicting_server_is_not_started_with() {
    let settings = Settings { policy: "volatile-lru".into(), ..Settings::default() };
    let mut server = RedisServer::started(settings).await;
    let config = Config::new(&server.url()).unwrap().seed_if_empty();
    let error = RedisBudget::connect(&config).await.unwrap_err();
    assert!(
        matches!(&error, OpenError::Server(cause) if cause.to_string().contains("volatile-lru"))
    );
    let open = RedisBudget::open(&config);
    let refused = open.reserve(&hold(), &"anna".into(), tokens(1)).await;
    assert!(matches!(refused, Err(BudgetError::Unavailable { .. })), "{refused:?}");
    server.kill();
}

/// B2: after SCRIPT FLUSH each script is sent once more.
#[tokio::test]
async fn flushed_scripts_are_evaluated_once() {
    let server = RedisServer::plain().await;
    let budget = budget(&server.url()).await;
    let caller = caller(&budget, 100).await;
    let plain = Redis::connect(Server::new(&server.url()).unwrap()).await.unwrap();
    let work = async |n: u64| {
        let id = hold();
        budget.reserve(&id, &caller, tokens(1)).await.unwrap();
        budget.charge(&id, &id.run, tokens(n)).await.unwrap();
        budget.settle(&id, tokens(1)).await.unwrap();
    };
    work(1).await;
    plain.command(redis::cmd("CONFIG").arg("RESETSTAT")).await.unwrap();
    plain.command(redis::cmd("SCRIPT").arg("FLUSH")).await.unwrap();
    for _ in 0..5 {
        work(1).await;
    }
    let info = plain.command(redis::cmd("INFO").arg("commandstats")).await.unwrap();
    let info: String = redis::from_redis_value(info).unwrap();
    assert!(info.contains("cmdstat_eval:calls=3,"), "{info}");
}

/// B3: every kind of exit leaves nothing held.
#[tokio::test]
async fn every_exit_leaves_nothing_held() {
    let server = RedisServer::plain().await;
    let lease = Duration::from_millis(300);
    let budget = with(Config::new(&server.url()).unwrap().lease(lease)).await;
    let caller = caller(&budget, 1000).await;
    let ask = Amounts { runs: 1, ..tokens(10) };
    let ids: Vec<_> = (0..6).map(|_| hold()).collect();
    for id in &ids {
        budget.reserve(id, &caller, ask).await.unwrap();
    }
    budget.settle(&ids[0], tokens(5)).await.unwrap();
    budget.settle(&ids[1], tokens(50)).await.unwrap();
    budget.release(&ids[2]).await.unwrap();
    // A charge that arrives late, after a greater one, changes nothing.
    for total in [3, 1] {
        budget.charge(&ids[3], &ids[3].run, tokens(total)).await.unwrap();
    }
    budget.release(&ids[3]).await.unwrap();
    // A stream that ended in the middle is charged what it reported, else what was reserved.
    budget.charge(&ids[4], &ids[4].run, tokens(10)).await.unwrap();
    budget.settle(&ids[4], tokens(0)).await.unwrap();
    budget.abandon(&ids[5]);
    sleep(lease + Duration::from_millis(50)).await;
    let account = account(&budget, &caller).await;
    assert_eq!(account.held, Amounts::default());
    assert_eq!(account.spent, tokens(5 + 50 + 3 + 10));
}

/// Bad inputs are typed, and change nothing.
#[tokio::test]
async fn bad_amounts_are_typed() {
    let server = RedisServer::plain().await;
    let budget = budget(&server.url()).await;
    let caller = caller(&budget, Amounts::MAX - 1).await;
    let (id, far) = (hold(), tokens(Amounts::MAX + 1));
    let invalid = |answer: Result<(), BudgetError>| {
        assert!(matches!(answer, Err(BudgetError::Invalid { field: "tokens" })), "{answer:?}");
    };
    invalid(budget.reserve(&id, &caller, far).await);
    budget.reserve(&id, &caller, Amounts::default()).await.unwrap();
    invalid(budget.charge(&id, &id.run, far).await);
    invalid(budget.settle(&id, far).await);
    // The greatest amounts are counted to the last one.
    let big = hold();
    budget.reserve(&big, &caller, tokens(Amounts::MAX - 2)).await.unwrap();
    let refused = budget.reserve(&hold(), &caller, tokens(2)).await;
    assert!(matches!(refused, Err(BudgetError::Exceeded { left: 1, .. })), "{refused:?}");
    budget.settle(&big, tokens(Amounts::MAX - 2)).await.unwrap();
    budget.settle(&id, tokens(Amounts::MAX)).await.unwrap();
    assert_eq!(standing(&budget, &caller).await.1, Amounts::MAX, "sums end at what can be counted");
}
