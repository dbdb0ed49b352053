//! Foreign code, isolated where it runs: a panic in a future's making, poll or drop stays here.
//!
//! The executor wraps every call of a port, a tool and a model in this; a layer that calls code of
//! others does the same. Not caught: a panic inside a panic, and `panic = "abort"`.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::text;

/// A future that somebody else wrote.
pub type Foreign<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What a panic said, bounded and scrubbed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Panicked(pub String);

impl Panicked {
    pub(crate) fn from_payload(payload: Box<dyn Any + Send>) -> Self {
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
        Self(text::bounded(text::scrub(&message).into_owned()))
    }
}

impl std::fmt::Display for Panicked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "panicked: {}", self.0)
    }
}

/// Calls foreign code that does not wait.
///
/// # Errors
/// [`Panicked`] when it did.
pub fn call<T>(foreign: impl FnOnce() -> T) -> Result<T, Panicked> {
    catch_unwind(AssertUnwindSafe(foreign)).map_err(Panicked::from_payload)
}

/// Drops a foreign value. A panic in its drop is logged.
pub fn drop_quietly<T>(foreign: T) {
    if let Err(panicked) = call(|| drop(foreign)) {
        tracing::warn!(panic = %panicked.0, "a foreign value panicked in its drop");
    }
}

/// A foreign future whose panics become its result. What panics in the drop only is logged.
///
/// **Cancellation**: dropping it drops the foreign future.
pub struct Isolated<'a, T> {
    future: Option<Foreign<'a, T>>,
    failed: Option<Panicked>,
}

/// Makes a foreign future, isolated.
pub fn isolate<'a, T>(make: impl FnOnce() -> Foreign<'a, T>) -> Isolated<'a, T> {
    match call(make) {
        Ok(future) => Isolated { future: Some(future), failed: None },
        Err(panicked) => Isolated { future: None, failed: Some(panicked) },
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

impl<T> std::fmt::Debug for Isolated<'_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Isolated")
    }
}

impl<T> Drop for Isolated<'_, T> {
    fn drop(&mut self) {
        self.abandon();
    }
}
