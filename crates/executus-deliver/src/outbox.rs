//! The outbox: results are kept first, and sent by a worker.

mod config;
mod entry;
mod error;
mod job;
mod schema;
mod worker;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use executus_core::port::{Delivery, DeliveryError, Parcel};
use executus_core::{RunId, Timestamp};
pub use executus_sqlite::OpenError;
use executus_sqlite::Store;
use tokio::sync::{Notify, oneshot};

pub use self::config::OutboxConfig;
pub use self::entry::{Counts, Entry, Pick, State};
pub use self::error::OutboxError;
use self::job::{Found, What, Work};
use crate::message::Message;
use crate::routes::Routes;

/// Delivery by an outbox in one SQLite file. Clones share it.
///
/// `deliver` keeps the message, with an entry for each target that gets it, and returns when both
/// are durable; [`run`](Self::run) sends. A message is known by its key: one that is handed over
/// again adds nothing. An entry is sent under a lease, so that several processes may send from one
/// file; it is sent again until its target has taken it, after waits that double, and is set aside
/// as dead when it is refused or its attempts are used up. Dead ones wait for [`retry`](Self::retry).
///
/// The file holds messages and the names of targets; how a target is reached, and with which
/// secrets, is given anew by each process.
///
/// # Cancellation
/// A call that is dropped goes on in the background.
#[derive(Debug, Clone)]
pub struct Outbox {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    store: Store<Work>,
    config: OutboxConfig,
    routes: Routes,
    /// Who holds what this one sends.
    holder: Arc<str>,
    /// Something is there to be sent.
    news: Notify,
}

impl Outbox {
    /// Opens the file, creating it and bringing its schema up to date. Blocks its thread.
    ///
    /// # Errors
    /// An [`OpenError`] names the file and says what to do.
    pub fn open(config: OutboxConfig, routes: Routes) -> Result<Self, OpenError> {
        let store = Store::open(config.store(), schema::SCHEMA)?;
        let holder = Arc::from(RunId::random().as_str());
        let inner = Inner { store, config, routes, holder, news: Notify::new() };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Sends what is there and what comes, until `stop` ends. Then nothing more is begun; what is
    /// under way has the time of [`OutboxConfig::grace`] to end, and what has not by then is given
    /// back, to be sent by the next one.
    ///
    /// **Cancellation**: what was under way is given up, and sent again when its lease has run out.
    pub async fn run(&self, stop: impl Future<Output = ()>) {
        // Only a flush ends with an error.
        let _ = worker::Worker::new(&self.inner).run(stop, false).await;
    }

    /// Sends what is due, once, and returns when nothing is due any more.
    ///
    /// **Cancellation**: as of [`run`](Self::run).
    ///
    /// # Errors
    /// See [`OutboxError`]. What a target says is no error: it stands in the entries.
    pub async fn flush(&self) -> Result<(), OutboxError> {
        worker::Worker::new(&self.inner).run(std::future::pending(), true).await
    }

    /// The same, but no longer than until `stop` ends; what is under way then has the time of
    /// [`OutboxConfig::grace`] to end, as in [`run`](Self::run).
    ///
    /// **Cancellation**: as of [`run`](Self::run).
    ///
    /// # Errors
    /// As [`flush`](Self::flush).
    pub async fn flush_until(&self, stop: impl Future<Output = ()>) -> Result<(), OutboxError> {
        worker::Worker::new(&self.inner).run(stop, true).await
    }

    /// Keeps a parcel for these targets, whatever the routes say of its status: what
    /// [`deliver`](Delivery::deliver) does for those of the routes. A name that has no route waits
    /// until it has one.
    ///
    /// # Errors
    /// As `deliver`.
    pub async fn keep<'t>(
        &self,
        parcel: &Parcel,
        targets: impl IntoIterator<Item = &'t str>,
    ) -> Result<(), DeliveryError> {
        self.keep_for(parcel, targets.into_iter().map(Arc::from).collect()).await
    }

    async fn keep_for(&self, parcel: &Parcel, targets: Vec<Arc<str>>) -> Result<(), DeliveryError> {
        if targets.is_empty() {
            return Ok(());
        }
        let inner = &self.inner;
        let message = Message::of(parcel, inner.config.artifacts.as_ref())
            .await
            .map_err(|error| crate::error::of_targets(&[("artifacts".to_owned(), error)]))?;
        let now = Timestamp::now();
        self.ask(What::Keep { message, targets, now }).await.map_err(OutboxError::of_delivery)?;
        inner.news.notify_one();
        Ok(())
    }

    /// The entries in this state, or in any; the oldest first, at most `most` of them.
    ///
    /// # Errors
    /// See [`OutboxError`].
    pub async fn list(&self, state: Option<State>, most: u32) -> Result<Vec<Entry>, OutboxError> {
        self.read(move |connection| entry::list(connection, state, most)).await
    }

    /// How many entries are in which state.
    ///
    /// # Errors
    /// See [`OutboxError`].
    pub async fn counts(&self) -> Result<Counts, OutboxError> {
        self.read(entry::counts).await
    }

    /// Lets dead entries be sent again, at once and with all their attempts. How many there were.
    ///
    /// # Errors
    /// See [`OutboxError`].
    pub async fn retry(&self, pick: Pick) -> Result<u64, OutboxError> {
        let revived = self.ask(What::Retry { pick, now: Timestamp::now() }).await?.count();
        self.inner.news.notify_one();
        Ok(revived)
    }

    /// Removes dead entries for good. How many there were.
    ///
    /// # Errors
    /// See [`OutboxError`].
    pub async fn discard(&self, pick: Pick) -> Result<u64, OutboxError> {
        Ok(self.ask(What::Discard { pick }).await?.count())
    }

    /// Closes the file; later calls are refused.
    pub async fn close(&self) {
        self.inner.store.close().await;
    }

    async fn ask(&self, what: What) -> Result<Found, OutboxError> {
        self.inner.ask(what).await
    }

    async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(
            &executus_sqlite::rusqlite::Connection,
        ) -> executus_sqlite::rusqlite::Result<T>
        + Send
        + 'static,
    ) -> Result<T, OutboxError> {
        let reader = self.inner.store.reader().clone();
        match tokio::task::spawn_blocking(move || reader.read(query)).await {
            Ok(Ok(Ok(found))) => Ok(found),
            Ok(Ok(Err(error))) => Err(error::of_query(error)),
            Ok(Err(error)) => Err(error::of_open(error)),
            Err(error) => Err(error::gone(format!("reading was cut: {error}"))),
        }
    }
}

impl Inner {
    async fn ask(&self, what: What) -> Result<Found, OutboxError> {
        let (answer, receiver) = oneshot::channel();
        if let Err((_, error)) = self.store.push(Work::new(what, answer)) {
            return Err(error::of_store(error));
        }
        let path = || self.store.path().display();
        let wait: Duration = self.config.wait;
        match tokio::time::timeout(wait, receiver).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(error::gone(format!("the writer of {} is gone", path()))),
            Err(_) => Err(error::gone(format!("{} took longer than {wait:?}", path()))),
        }
    }
}

#[async_trait]
impl Delivery for Outbox {
    async fn deliver(&self, parcel: &Parcel) -> Result<(), DeliveryError> {
        let routes = self.inner.routes.of(parcel.outcome.status);
        self.keep_for(parcel, routes.map(|route| Arc::clone(&route.name)).collect()).await
    }
}
