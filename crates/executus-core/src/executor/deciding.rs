//! What a deciding part tells while it decides: pieces of its answer, and attempts that failed.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use super::shared::Shared;
use crate::event::Event;
use crate::record::Attempt;
use crate::secret::Secrets;

/// Beyond so many failed attempts of one decision only what they used counts.
const MOST_ATTEMPTS: usize = 64;

/// See the module.
#[derive(Default)]
pub(crate) struct Deciding {
    attempted: AtomicBool,
    told: Mutex<Told>,
}

#[derive(Default)]
struct Told {
    /// Attempts that failed since the run's task last looked.
    attempts: Vec<Attempt>,
    /// The number of the step's next piece.
    next: u32,
    /// The end of the pieces so far, while it may be the beginning of a secret.
    held_back: String,
}

impl Deciding {
    /// Notes an attempt that failed.
    pub(crate) fn attempted(&self, attempt: Attempt) {
        {
            let attempts = &mut self.told.lock().attempts;
            let full = attempts.len() >= MOST_ATTEMPTS;
            match attempts.last_mut().filter(|_| full) {
                Some(last) => last.usage.add(&attempt.usage),
                None => attempts.push(attempt),
            }
        }
        self.attempted.store(true, Ordering::Release);
    }

    pub(crate) fn take_attempts(&self) -> Vec<Attempt> {
        if !self.attempted.load(Ordering::Acquire) {
            return Vec::new();
        }
        self.attempted.store(false, Ordering::Release);
        std::mem::take(&mut self.told.lock().attempts)
    }
}

impl Shared {
    /// Sends a piece of an answer. What may be the beginning of a secret waits for what follows:
    /// a provider cuts its pieces anywhere.
    pub(crate) fn say(&self, step: u32, piece: &str, secrets: &Secrets) {
        if !self.is_watched() {
            return;
        }
        let told = &mut *self.deciding().told.lock();
        if secrets.is_empty() {
            self.send(told, step, piece.to_owned());
            return;
        }
        told.held_back.push_str(piece);
        let mut text = secrets.redact(std::mem::take(&mut told.held_back));
        told.held_back = text.split_off(text.len() - secrets.begun(&text));
        self.send(told, step, text);
    }

    /// No pieces yet, or none any more.
    pub(crate) fn unsay(&self) {
        if self.is_watched() {
            let told = &mut *self.deciding().told.lock();
            (told.next, told.held_back) = (0, String::new());
        }
    }

    /// The answer is whole: what was held back is no secret.
    pub(crate) fn said(&self, step: u32) {
        if self.is_watched() {
            let told = &mut *self.deciding().told.lock();
            let rest = std::mem::take(&mut told.held_back);
            self.send(told, step, rest);
        }
    }

    fn send(&self, told: &mut Told, step: u32, text: String) {
        if !text.is_empty() {
            let index = told.next;
            told.next = index.saturating_add(1);
            self.emit(|| Event::Delta { step, index, text });
        }
    }
}

impl fmt::Debug for Deciding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deciding").finish_non_exhaustive()
    }
}
