//! Foreign code, isolated where it runs: a panic in a future's making, poll or drop stays here.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use executus_core::text::{bounded, scrub};

/// A future that somebody else wrote.
pub(crate) type Foreign<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What a panic said, bounded and scrubbed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Panicked(pub(crate) String);

/// How a wait for foreign code ended without its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unanswered {
    /// It panicked.
    Panicked(Panicked),
    /// It took longer than it may.
    Late(Duration),
}

impl Panicked {
    fn from_payload(payload: Box<dyn Any + Send>) -> Self {
        let message = match payload.downcast_ref::<&str>() {
            Some(text) => (*text).to_owned(),
            None => payload.downcast_ref::<String>().cloned().unwrap_or_default(),
        };
        // A payload may itself panic when it is dropped; one that does is given up.
        if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
            #[expect(clippy::mem_forget, reason = "its drop has shown that it panics")]
            std::mem::forget(second);
        }
        let message = if message.is_empty() { "no message".into() } else { message };
        Self(bounded(scrub(&message).into_owned()))
    }
}

/// Calls foreign code that does not wait.
pub(crate) fn call<T>(foreign: impl FnOnce() -> T) -> Result<T, Panicked> {
    catch_unwind(AssertUnwindSafe(foreign)).map_err(Panicked::from_payload)
}

/// Drops a foreign value.
pub(crate) fn drop_quietly<T>(foreign: T) {
    if let Err(panicked) = call(|| drop(foreign)) {
        tracing::warn!(panic = %panicked.0, "a foreign value panicked in its drop");
    }
}

/// A foreign future whose panics become its result. What panics in the drop only is logged.
pub(crate) struct Isolated<'a, T> {
    future: Option<Foreign<'a, T>>,
    failed: Option<Panicked>,
}

/// Makes a foreign future, isolated.
pub(crate) fn isolate<'a, T>(make: impl FnOnce() -> Foreign<'a, T>) -> Isolated<'a, T> {
    match call(make) {
        Ok(future) => Isolated { future: Some(future), failed: None },
        Err(panicked) => Isolated { future: None, failed: Some(panicked) },
    }
}

/// Waits for foreign code, isolated, for so long.
pub(crate) async fn within<'a, T>(
    limit: Duration,
    make: impl FnOnce() -> Foreign<'a, T>,
) -> Result<T, Unanswered> {
    match tokio::time::timeout(limit, isolate(make)).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(panicked)) => Err(Unanswered::Panicked(panicked)),
        Err(_) => Err(Unanswered::Late(limit)),
    }
}

impl<T> Isolated<'_, T> {
    fn abandon(&mut self) {
        if let Some(future) = self.future.take() {
            drop_quietly(future);
        }
    }
}

impl<T> Future for Isolated<'_, T> {
    type Output = Result<T, Panicked>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(future) = self.future.as_mut() else {
            let panicked = self.failed.take();
            return Poll::Ready(Err(panicked.unwrap_or_else(|| Panicked("polled again".into()))));
        };
        match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(output)) => {
                self.abandon();
                Poll::Ready(Ok(output))
            }
            Err(payload) => {
                self.abandon();
                Poll::Ready(Err(Panicked::from_payload(payload)))
            }
        }
    }
}

impl<T> Drop for Isolated<'_, T> {
    fn drop(&mut self) {
        self.abandon();
    }
}
