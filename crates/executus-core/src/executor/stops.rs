//! What can stop an effect that is under way: a stop that was asked for, the deadline, the critic.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, Sleep};

use super::shared::{GRACE, Shared, stop, timeout};
use crate::isolate::{Isolated, Panicked};
use crate::port::Directive;
use crate::record::Stop;
use crate::status::{ErrorKind, RunStatus};
use crate::time::Timestamp;

type Changed = Pin<Box<dyn Future<Output = Option<watch::Receiver<Directive>>> + Send>>;

/// See the module. The timer is made when an effect first has to wait: instant ones need none.
pub(crate) struct Stops {
    shared: Arc<Shared>,
    deadline: Timestamp,
    directive: Option<Changed>,
    sleep: Option<Pin<Box<Sleep>>>,
    /// Whether an effect has waited since the last look at the clock.
    pub(crate) waited: bool,
}

/// How an effect went: what it brought, if it did, and what stopped it, if something did.
pub(crate) struct Attempt<T> {
    pub(crate) result: Option<Result<T, Panicked>>,
    pub(crate) stop: Option<Stop>,
}

impl Stops {
    pub(crate) fn new(shared: Arc<Shared>, deadline: Timestamp) -> Self {
        Self { shared, deadline, directive: None, sleep: None, waited: false }
    }

    /// Follows a critic's directive from now on. Returns a stop that it has already asked for.
    pub(crate) fn follow(&mut self, mut directive: watch::Receiver<Directive>) -> Option<Stop> {
        let now = directive.borrow_and_update().clone();
        self.directive = Some(Box::pin(changed(directive)));
        self.obey(&now)
    }

    /// Stops following: the critic is gone.
    pub(crate) fn unfollow(&mut self) {
        self.directive = None;
    }

    fn obey(&mut self, directive: &Directive) -> Option<Stop> {
        let reason = directive.stop.as_deref();
        if let Some(reason) = reason {
            return Some(stop(RunStatus::Error, ErrorKind::Stopped, reason));
        }
        let own = self.shared.deadline();
        self.deadline = match directive.deadline {
            Some(at) if at > Timestamp::default() => at.min(own),
            Some(_) | None => own,
        };
        let at = self.shared.clock().instant(self.deadline);
        if let Some(sleep) = &mut self.sleep {
            sleep.as_mut().reset(at);
        }
        None
    }

    /// The deadline as it stands: the run's own, or the critic's if that is earlier.
    pub(crate) const fn deadline(&self) -> Timestamp {
        self.deadline
    }

    /// A stop that the critic has asked for by now, for where nothing waits.
    pub(crate) fn directed(&mut self) -> Option<Stop> {
        // Whoever waits next registers its own waker.
        self.heed(&mut Context::from_waker(Waker::noop()))
    }

    /// Takes in what the critic wants since the last look.
    fn heed(&mut self, cx: &mut Context<'_>) -> Option<Stop> {
        while let Some(directive) = &mut self.directive {
            match directive.as_mut().poll(cx) {
                Poll::Pending => break,
                Poll::Ready(None) => self.directive = None,
                Poll::Ready(Some(directive)) => {
                    if let Some(stop) = self.follow(directive) {
                        return Some(stop);
                    }
                }
            }
        }
        None
    }

    /// Whether something stops the run now.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Stop> {
        self.waited = true;
        if let Some(stop) = self.heed(cx) {
            return Poll::Ready(stop);
        }
        if self.shared.wake_on_stop(cx.waker()) {
            return Poll::Ready(self.shared.requested_stop().unwrap_or_else(timeout));
        }
        let sleep = self.sleep.get_or_insert_with(|| {
            Box::pin(tokio::time::sleep_until(self.shared.clock().instant(self.deadline)))
        });
        sleep.as_mut().poll(cx).map(|()| timeout())
    }

    /// Performs an effect until it is done or something stops it. A stopped effect sees its token
    /// cancelled and has a short grace before it is given up.
    pub(crate) fn attempt<'a, 'e, T>(
        &'a mut self,
        effect: &'a mut Isolated<'e, T>,
        limit: Option<Duration>,
    ) -> Attempting<'a, 'e, T> {
        Attempting { stops: self, effect, limit, timer: None, stop: None }
    }
}

/// See [`Stops::attempt`].
pub(crate) struct Attempting<'a, 'e, T> {
    stops: &'a mut Stops,
    effect: &'a mut Isolated<'e, T>,
    limit: Option<Duration>,
    /// Runs out when the effect's own limit does; once something stops the run, when its grace does.
    timer: Option<Pin<Box<Sleep>>>,
    stop: Option<Stop>,
}

impl<T> Future for Attempting<'_, '_, T> {
    type Output = Attempt<T>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Attempt<T>> {
        let this = self.get_mut();
        loop {
            if let Poll::Ready(result) = Pin::new(&mut *this.effect).poll(cx) {
                return Poll::Ready(Attempt { result: Some(result), stop: this.stop.take() });
            }
            if let Some(limit) = this.limit.take() {
                this.timer = Some(Box::pin(tokio::time::sleep(limit)));
            }
            let timed_out =
                this.timer.as_mut().is_some_and(|timer| timer.as_mut().poll(cx).is_ready());
            if timed_out {
                return Poll::Ready(Attempt { result: None, stop: this.stop.take() });
            }
            if this.stop.is_some() {
                return Poll::Pending;
            }
            match this.stops.poll(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(stop) => {
                    this.stops.shared.announce_stop();
                    this.stop = Some(stop);
                    this.timer = Some(Box::pin(tokio::time::sleep(GRACE)));
                    // Once more, so that the effect and the timer know whom to wake.
                }
            }
        }
    }
}

async fn changed(mut directive: watch::Receiver<Directive>) -> Option<watch::Receiver<Directive>> {
    directive.changed().await.is_ok().then_some(directive)
}

/// Performs something that only its own limit cuts.
pub(crate) async fn within<T>(
    effect: Isolated<'_, T>,
    limit: Duration,
) -> Option<Result<T, Panicked>> {
    tokio::time::timeout_at(Instant::now() + limit, effect).await.ok()
}

/// Something that is due in a while, for whoever polls other things meanwhile. Its timer is made
/// only when there is something to wait for.
pub(crate) enum Alarm {
    In(Duration),
    At(Pin<Box<Sleep>>),
}

impl Alarm {
    pub(crate) fn poll(alarm: &mut Option<Self>, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(Self::In(left)) = alarm {
            *alarm = Some(Self::At(Box::pin(tokio::time::sleep(*left))));
        }
        match alarm {
            Some(Self::At(sleep)) => sleep.as_mut().poll(cx),
            Some(Self::In(_)) | None => Poll::Pending,
        }
    }
}
