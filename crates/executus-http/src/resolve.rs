//! Which addresses a host's name has.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, ToSocketAddrs};
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use thiserror::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// Which addresses a host's name has.
///
/// It is asked once for each new connection to a name; never for an IP address, and never for
/// `localhost`, which is this machine. It may be asked many times at once.
///
/// - R1: what it answers is judged by the [`AddressPolicy`](crate::AddressPolicy) of the client and
///   then connected to; nobody asks again in between.
/// - R2: it MAY answer from what it keeps. It MUST NOT answer with the addresses of another name.
///
/// The future is dropped when the limit for a connection has passed, or when the request is given
/// up. A panic is a look-up that found no address.
#[async_trait]
pub trait Resolve: Send + Sync + fmt::Debug {
    /// The addresses of the name, the ones to be tried first in front.
    ///
    /// # Errors
    /// [`ResolveError`]; the request fails as one that found no address, and may be repeated.
    async fn resolve(&self, name: &str) -> Result<Vec<IpAddr>, ResolveError>;
}

/// A name whose addresses cannot be told.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct ResolveError {
    message: String,
}

impl ResolveError {
    /// An error with this message, without the name.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into() }
    }
}

/// So many look-ups at once; each holds a thread.
const AT_ONCE: usize = 32;

/// The system's name service.
///
/// A look-up holds a thread until the system answers, also when nobody waits for it any more. So
/// there are at most 32 of them at once, and one for each name: who asks for a name that is being
/// looked up gets the same answer. Further names wait for a place.
#[derive(Clone)]
pub struct SystemResolver {
    shared: Arc<Shared>,
}

struct Shared {
    places: Arc<Semaphore>,
    running: Mutex<HashMap<String, Started>>,
}

type Answer = Result<Vec<IpAddr>, ResolveError>;
type Started = watch::Receiver<Option<Answer>>;

/// A look-up that runs. When it is dropped, those who wait get the answer, or learn that there is
/// none.
struct LookUp {
    shared: Arc<Shared>,
    name: String,
    answer: Option<Answer>,
    waiting: watch::Sender<Option<Answer>>,
    _place: OwnedSemaphorePermit,
}

impl SystemResolver {
    /// The system's name service, with places of its own.
    #[must_use]
    pub fn new() -> Self {
        let places = Arc::new(Semaphore::new(AT_ONCE));
        Self { shared: Arc::new(Shared { places, running: Mutex::default() }) }
    }
}

impl Shared {
    /// The look-up of a name, if one runs.
    fn running(&self, name: &str) -> Option<Started> {
        self.running.lock().get(name).cloned()
    }

    /// The look-up of a name, which is run if none runs.
    fn run(self: &Arc<Self>, name: String, place: OwnedSemaphorePermit) -> Started {
        let mut running = self.running.lock();
        if let Some(answer) = running.get(&name) {
            return answer.clone();
        }
        let (sender, receiver) = watch::channel(None);
        running.insert(name.clone(), receiver.clone());
        drop(running);
        let shared = Arc::clone(self);
        // The place goes with the thread, and not with who waits.
        let look_up = LookUp { shared, name, answer: None, waiting: sender, _place: place };
        tokio::task::spawn_blocking(move || look_up.run());
        receiver
    }
}

impl LookUp {
    fn run(mut self) {
        let found = (self.name.as_str(), 0).to_socket_addrs();
        let answer = found.map(|found| found.map(|to| to.ip()).collect());
        self.answer = Some(answer.map_err(|error| ResolveError::new(error.to_string())));
    }
}

impl Drop for LookUp {
    fn drop(&mut self) {
        // Who asks from here on gets a look-up of its own.
        self.shared.running.lock().remove(&self.name);
        if let Some(answer) = self.answer.take() {
            self.waiting.send_replace(Some(answer));
        }
    }
}

#[async_trait]
impl Resolve for SystemResolver {
    async fn resolve(&self, name: &str) -> Answer {
        let name = name.to_ascii_lowercase();
        let mut answer = match self.shared.running(&name) {
            Some(running) => running,
            None => {
                let place = Arc::clone(&self.shared.places).acquire_owned().await;
                let place = place.map_err(|_| ResolveError::new("no more names are looked up"))?;
                self.shared.run(name, place)
            }
        };
        let broke_off = |_| ResolveError::new("the look-up broke off");
        let answer = answer.wait_for(Option::is_some).await.map_err(broke_off)?;
        answer.clone().unwrap_or_else(|| Ok(Vec::new()))
    }
}

impl Default for SystemResolver {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for SystemResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SystemResolver").finish_non_exhaustive()
    }
}

/// The addresses of a name that needs no look-up: names of this machine are nobody else's.
pub(crate) fn known(name: &str) -> Option<Vec<IpAddr>> {
    let name = name.strip_suffix('.').unwrap_or(name);
    let last = name.rsplit('.').next().unwrap_or(name);
    last.eq_ignore_ascii_case("localhost")
        .then(|| vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_this_machine_need_no_look_up() {
        for name in ["localhost", "localhost.", "LocalHost", "a.localhost", "a.b.localhost."] {
            let found = known(name).unwrap();
            assert!(found.iter().all(IpAddr::is_loopback) && !found.is_empty(), "{name}");
        }
        for name in ["localhost.example.com", "notlocalhost", "example.com"] {
            assert_eq!(known(name), None, "{name}");
        }
    }

    #[tokio::test]
    async fn the_system_answers_and_keeps_no_place() {
        let resolver = SystemResolver::new();
        // What a host's own file answers, without a name service.
        let found = resolver.resolve("localhost").await.unwrap();
        assert!(found.iter().any(IpAddr::is_loopback));
        resolver.resolve("no such name").await.unwrap_err();
        assert!(resolver.shared.running.lock().is_empty());
        let all = u32::try_from(AT_ONCE).unwrap();
        drop(resolver.shared.places.acquire_many(all).await.unwrap());
    }

    #[tokio::test]
    async fn a_name_is_looked_up_once_for_all_who_ask_meanwhile() {
        let resolver = SystemResolver::new();
        let (sender, receiver) = watch::channel(None);
        resolver.shared.running.lock().insert("h".to_owned(), receiver);
        let ip = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));
        let answering = async { sender.send_replace(Some(Ok(vec![ip]))) };
        let (first, second, _) =
            tokio::join!(resolver.resolve("H"), resolver.resolve("h"), answering);
        assert_eq!((first, second), (Ok(vec![ip]), Ok(vec![ip])));

        // Without anybody who looks it up, nobody waits for ever.
        resolver.shared.running.lock().insert("h".to_owned(), watch::channel(None).1);
        resolver.resolve("h").await.unwrap_err();
    }
}
