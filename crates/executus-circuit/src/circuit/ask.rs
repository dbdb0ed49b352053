//! Asking the store: bounded, isolated, and never an error of the work.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

use executus_core::isolate::{Foreign, isolate};

use super::Inner;
use crate::alert::Alert;
use crate::breaker::Change;
use crate::error::StoreError;
use crate::snapshot::State;
use crate::store::CircuitStore;

impl Inner {
    pub(super) async fn ask<'a, T>(
        &'a self,
        make: impl FnOnce(&'a dyn CircuitStore) -> Foreign<'a, Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let mut call = isolate(|| make(&*self.store));
        // A store of this process answers at once: it needs no timer, and no runtime.
        let at_once = poll_fn(|cx| match Pin::new(&mut call).poll(cx) {
            Poll::Ready(answer) => Poll::Ready(Some(answer)),
            Poll::Pending => Poll::Ready(None),
        });
        let answer = match at_once.await {
            Some(answer) => answer,
            None => match tokio::time::timeout(self.store_limit, call).await {
                Ok(answer) => answer,
                Err(_) => return Err(StoreError::TimedOut { limit: self.store_limit }),
            },
        };
        answer.unwrap_or_else(|panicked| Err(StoreError::unavailable(panicked.to_string())))
    }

    /// The store is away: from here on this process decides.
    pub(super) fn lost(&self, error: &StoreError) {
        let now = self.clock.now();
        if self.local.lock().lose(now, self.retry_every) {
            tracing::warn!(
                circuit = %self.key,
                %error,
                "the circuit store is away; this process decides by what it saw last"
            );
        }
    }

    /// Tells what a result changed: to the log, and to an operator.
    pub(super) fn announce(&self, change: &Change, local: bool) {
        let failures = change.seen.failure_count;
        if change.became_dormant {
            let next_probe = change.seen.next_probe;
            tracing::error!(circuit = %self.key, failures, ?next_probe, local, "circuit dormant");
            self.alert(&Alert {
                key: self.key.clone(),
                failure_count: failures,
                next_probe,
                local,
            });
            return;
        }
        match change.moved() {
            Some((_, State::Open)) => {
                let cooldown = change.seen.cooldown_remaining;
                tracing::warn!(circuit = %self.key, failures, ?cooldown, local, "circuit opened");
            }
            Some((_, State::Closed)) => {
                tracing::info!(circuit = %self.key, local, "circuit closed");
            }
            Some((_, State::Dormant)) | None => {}
        }
    }

    fn alert(&self, alert: &Alert) {
        let Some(hook) = &self.on_alert else { return };
        match executus_core::isolate::call(|| hook.raise(alert)) {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::error!(circuit = %self.key, %error, "an alert was not raised");
            }
            Err(panicked) => {
                tracing::error!(circuit = %self.key, %panicked, "an alert was not raised");
            }
        }
    }
}
