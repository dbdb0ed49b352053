//! Ports, models and tools whose chosen calls fail, panic, hang or answer late.
//!
//! A [`Plan`] says what goes wrong, by [`Site`] and by the number of the call there, and keeps a log
//! of every call. [`Faulty`] wraps a port, a model or a tool and follows a plan; several wrappers may
//! share one, which then knows the order of all calls.
//!
//! ```
//! use std::sync::Arc;
//! use executus_core::memory::MemoryBudget;
//! use executus_core::port::Budget;
//! use executus_testkit::faulty::{Fault, Faulty, Plan, Site};
//!
//! let plan = Plan::new().with(Site::Reserve, 1, Fault::Panic);
//! let budget: Arc<dyn Budget> = Arc::new(MemoryBudget::unlimited());
//! let budget = Faulty::new(budget, &plan);
//! ```

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;

use executus_core::RunId;

mod audit;
mod other;
mod plan;
mod ports;

pub use plan::{Called, Plan, Site};

/// What goes wrong with a call.
///
/// Calls that do not wait know no hanging and no lateness: `record` answers `Full` where it should
/// hang or be late, and the watcher's calls do what they are asked. Where a call has no error, it
/// panics instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// It answers an error and does nothing.
    Error,
    /// It takes effect and answers an error all the same.
    Lost,
    /// It panics when it is first polled.
    Panic,
    /// It panics before there is a future.
    PanicEarly,
    /// It works, and its future panics when it is dropped.
    PanicInDrop,
    /// It never answers and does nothing.
    Hang,
    /// It takes effect and never answers.
    Stuck,
    /// It does nothing for this long, then works.
    Late(Duration),
}

impl Fault {
    /// One of each.
    pub const ALL: [Self; 8] = [
        Self::Error,
        Self::Lost,
        Self::Panic,
        Self::PanicEarly,
        Self::PanicInDrop,
        Self::Hang,
        Self::Stuck,
        Self::Late(Duration::from_millis(40)),
    ];
}

/// A port, a model or a tool that follows a [`Plan`].
#[derive(Debug)]
pub struct Faulty<P: ?Sized> {
    plan: Plan,
    inner: Arc<P>,
}

impl<P: ?Sized> Faulty<P> {
    /// Wraps `inner`.
    #[must_use]
    pub fn new(inner: Arc<P>, plan: &Plan) -> Arc<Self> {
        Arc::new(Self { plan: plan.clone(), inner })
    }

    /// What is wrapped.
    #[must_use]
    pub const fn inner(&self) -> &Arc<P> {
        &self.inner
    }
}

/// A boxed future, as the ports have them.
type Answer<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Says why a call panicked on purpose.
fn boom(site: Site) -> ! {
    panic!("planned panic at {site}");
}

/// A call that follows a plan: `make` makes the real one, `error` the error to answer.
fn call<'a, T, E>(
    plan: &Plan,
    site: Site,
    run: Option<&RunId>,
    error: impl FnOnce() -> Option<E> + Send + 'a,
    make: impl FnOnce() -> Answer<'a, Result<T, E>> + Send + 'a,
) -> Answer<'a, Result<T, E>>
where
    T: Send + 'a,
    E: Send + 'a,
{
    let fault = plan.enter(site, run);
    if fault == Some(Fault::PanicEarly) {
        boom(site);
    }
    let alive = plan.alive_guard(site);
    let work = async move {
        // Moved in, so that it counts as long as the future lives.
        let _alive = alive;
        match fault {
            Some(Fault::Error) => error().map_or_else(|| boom(site), Err),
            Some(Fault::Lost) => {
                let _ = make().await;
                error().map_or_else(|| boom(site), Err)
            }
            Some(Fault::Panic | Fault::PanicEarly) => boom(site),
            Some(Fault::Hang) => std::future::pending().await,
            Some(Fault::Stuck) => {
                let _ = make().await;
                std::future::pending().await
            }
            Some(Fault::Late(delay)) => {
                tokio::time::sleep(delay).await;
                make().await
            }
            Some(Fault::PanicInDrop) | None => make().await,
        }
    };
    if fault == Some(Fault::PanicInDrop) {
        Box::pin(Mined { work: Box::pin(work), mine: Mine(site) })
    } else {
        Box::pin(work)
    }
}

/// A future that panics when it is dropped, finished or not.
struct Mined<'a, T> {
    work: Answer<'a, T>,
    mine: Mine,
}

impl<T> Future for Mined<'_, T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let _ = &self.mine;
        self.work.as_mut().poll(cx)
    }
}

struct Mine(Site);

impl Drop for Mine {
    fn drop(&mut self) {
        // A panic within a panic ends the process, and shows nothing.
        if !thread::panicking() {
            panic!("planned panic in the drop of {}", self.0);
        }
    }
}
