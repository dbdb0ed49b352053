//! The lock of this crate: parking_lot's, or the one of the model checker.

#[cfg(not(executus_loom))]
pub(crate) use parking_lot::{Mutex, MutexGuard};

#[cfg(executus_loom)]
pub(crate) use checked::{Mutex, MutexGuard};

#[cfg(executus_loom)]
mod checked {
    pub(crate) use loom::sync::MutexGuard;

    /// loom's lock with the shape of parking_lot's.
    #[derive(Debug, Default)]
    pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(loom::sync::Mutex::new(value))
        }

        #[expect(clippy::expect_used, reason = "only in the model checker")]
        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().expect("no thread of a model panics")
        }
    }
}
