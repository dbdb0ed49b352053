//! Connections, kept for each base address.
//!
//! A base address has its own pool, window of grace and circuit. The pool is built when it is
//! needed and closed as a whole when one of its connections is dropped: those beside it were made
//! to the same server and may be gone too. For the time of the window each request then has a
//! connection of its own.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use http::uri::{Authority, Scheme, Uri};
use parking_lot::{Mutex, RwLock};
use tokio::time::Instant;

use crate::error::HttpError;

mod base;
mod body;
mod connection;
mod exchange;
mod gate;
mod host;
mod seat;
mod settings;
mod snapshot;
mod tasks;
mod verdict;
mod window;

pub(crate) use self::base::Base;
pub(crate) use self::body::{Body, Watch};
pub(crate) use self::connection::Opener;
pub(crate) use self::exchange::{Ask, Total};
pub(crate) use self::gate::Circuits;
pub(crate) use self::host::Host;
pub(crate) use self::settings::Settings;
pub use self::snapshot::AddressSnapshot;

/// The connections of a client.
#[derive(Debug)]
pub(crate) struct Pool {
    settings: Arc<Settings>,
    hosts: RwLock<Hosts>,
    /// Those that a close has taken out and that are not done yet.
    closing: Mutex<Vec<Arc<Host>>>,
}

/// By what a request says, and by what that means: there is more than one way to write an address.
#[derive(Debug, Default)]
struct Hosts {
    plain: HashMap<Authority, Arc<Host>>,
    secure: HashMap<Authority, Arc<Host>>,
    by_base: HashMap<Base, Arc<Host>>,
}

impl Hosts {
    fn written(&self, secure: bool) -> &HashMap<Authority, Arc<Host>> {
        if secure { &self.secure } else { &self.plain }
    }

    fn forget(&mut self, host: &Arc<Host>) {
        self.by_base.remove(&host.base);
        for written in [&mut self.plain, &mut self.secure] {
            written.retain(|_, other| !Arc::ptr_eq(other, host));
        }
    }
}

impl Pool {
    pub(crate) fn new(settings: Settings) -> Self {
        Self { settings: Arc::new(settings), hosts: RwLock::default(), closing: Mutex::default() }
    }

    /// One with the same settings that has nothing, and asks no circuit.
    pub(crate) fn apart(&self) -> Self {
        Self::new(Settings { circuits: None, ..Settings::clone(&self.settings) })
    }

    /// What is kept for the base address of this address.
    ///
    /// # Errors
    /// [`HttpError::Request`] when nothing can be sent there.
    pub(crate) fn host(&self, uri: &Uri) -> Result<Arc<Host>, HttpError> {
        let secure = uri.scheme() == Some(&Scheme::HTTPS);
        if let Some(authority) = uri.authority()
            && let Some(host) = self.hosts.read().written(secure).get(authority)
        {
            return Ok(Arc::clone(host));
        }
        self.new_host(uri)
    }

    #[cold]
    fn new_host(&self, uri: &Uri) -> Result<Arc<Host>, HttpError> {
        let base = Base::of(uri)?;
        let mut evicted = None;
        let mut hosts = self.hosts.write();
        let host = match hosts.by_base.get(&base) {
            Some(host) => Arc::clone(host),
            None => {
                evicted = self.make_room(&mut hosts);
                let host = Arc::new(Host::new(base.clone(), &self.settings)?);
                hosts.by_base.insert(base.clone(), Arc::clone(&host));
                host
            }
        };
        if let Some(authority) = uri.authority()
            && Base::is_plain(authority)
        {
            let secure = base.secure;
            let Hosts { plain, secure: tls, .. } = &mut *hosts;
            let written = if secure { tls } else { plain };
            written.insert(authority.clone(), Arc::clone(&host));
        }
        drop(hosts);
        if let Some(evicted) = evicted {
            evicted.shut();
        }
        Ok(host)
    }

    /// Takes out the base address that was used longest ago, if there are too many. One that is in
    /// use stays.
    fn make_room(&self, hosts: &mut Hosts) -> Option<Arc<Host>> {
        if hosts.by_base.len() < self.settings.max_addresses {
            return None;
        }
        let now = Instant::now();
        let unused = hosts.by_base.values().filter(|host| host.is_unused(now));
        let oldest = Arc::clone(unused.min_by_key(|host| host.last_used())?);
        hosts.forget(&oldest);
        Some(oldest)
    }

    /// Closes all that is kept, and waits for what is under way; says how many exchanges and
    /// connections were left after the grace.
    pub(crate) async fn close(&self, grace: Duration) -> usize {
        let hosts = std::mem::take(&mut *self.hosts.write());
        let taken: Vec<_> = hosts.by_base.into_values().collect();
        for host in &taken {
            host.shut();
        }
        let all = {
            let mut closing = self.closing.lock();
            closing.extend(taken);
            closing.retain(|host| host.tasks.left() > 0);
            closing.clone()
        };
        let done = async {
            for host in &all {
                host.tasks.none().await;
            }
        };
        let _in_time = tokio::time::timeout(grace, done).await;
        self.closing.lock().retain(|host| host.tasks.left() > 0);
        all.iter().map(|host| host.tasks.left()).sum()
    }

    /// What each base address has, in the order of their names.
    pub(crate) fn snapshot(&self) -> Vec<AddressSnapshot> {
        let now = Instant::now();
        let hosts = self.hosts.read();
        let mut all: Vec<_> = hosts.by_base.values().map(|host| host.snapshot(now)).collect();
        drop(hosts);
        all.sort_by(|a, b| a.base.cmp(&b.base));
        all
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }
}
