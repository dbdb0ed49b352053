//! The server: a thread with a runtime of its own, its connections, and what it saw.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;

use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;

use super::reply::{After, Reply};
use super::request::{Reader, Seen};

/// A server that does what it is told.
///
/// It runs on a thread of its own, so it serves programs and tests with or without a runtime.
/// Dropping it closes its port and its connections, and waits for the thread.
pub struct HostileServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    cut: watch::Sender<Cut>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What happens to a connection before its first request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Greeting {
    /// Its requests are answered.
    Serve,
    /// It is closed.
    Close,
    /// It is reset.
    Reset,
    /// Nothing: it stays open, and nothing is read.
    Stall,
}

/// What the server counted since it started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Connections that were accepted.
    pub accepted: usize,
    /// Connections that are open now.
    pub open: usize,
    /// The most connections that were open at one time.
    pub most_open: usize,
    /// Requests that came in full.
    pub requests: usize,
    /// Replies whose steps were all done, closing and resetting included.
    pub answered: usize,
    /// Requests whose client went away, or whose connection was cut, before that.
    pub given_up: usize,
    /// Bytes of replies that the system took.
    pub written: u64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Cut {
    generation: u64,
    reset: bool,
}

type Plan = Box<dyn FnMut(&Seen) -> Reply + Send>;
type Greet = Box<dyn FnMut(usize) -> Greeting + Send>;

struct Shared {
    counts: watch::Sender<Counts>,
    seen: Mutex<Vec<Seen>>,
    plan: Mutex<Plan>,
    greet: Mutex<Greet>,
}

impl HostileServer {
    /// Starts a server that answers each request as the function says.
    ///
    /// # Panics
    /// When no port, thread or runtime can be had.
    pub fn start(plan: impl FnMut(&Seen) -> Reply + Send + 'static) -> Self {
        Self::greeting(|_| Greeting::Serve, plan)
    }

    /// Starts a server that answers every request the same way.
    ///
    /// # Panics
    /// When no port, thread or runtime can be had.
    pub fn always(reply: Reply) -> Self {
        Self::start(move |_| reply.clone())
    }

    /// Starts a server that answers one request after the other from the script, the last reply for
    /// ever.
    ///
    /// # Panics
    /// When no port, thread or runtime can be had, or the script is empty.
    pub fn script(replies: impl IntoIterator<Item = Reply>) -> Self {
        let mut replies: Vec<_> = replies.into_iter().collect();
        assert!(!replies.is_empty(), "a script has a reply");
        replies.reverse();
        Self::start(move |_| {
            let next = if replies.len() > 1 { replies.pop() } else { replies.last().cloned() };
            next.unwrap_or_default()
        })
    }

    /// Starts a server that also decides about each connection, by its number from 1, when it has
    /// been accepted.
    ///
    /// # Panics
    /// When no port, thread or runtime can be had.
    pub fn greeting(
        greet: impl FnMut(usize) -> Greeting + Send + 'static,
        plan: impl FnMut(&Seen) -> Reply + Send + 'static,
    ) -> Self {
        Self::start_at(([127, 0, 0, 1], 0).into(), greet, plan)
    }

    /// As [`greeting`](Self::greeting), at an address: where a server before it was, say.
    ///
    /// # Panics
    /// When the port, a thread or a runtime cannot be had.
    pub fn start_at(
        address: SocketAddr,
        greet: impl FnMut(usize) -> Greeting + Send + 'static,
        plan: impl FnMut(&Seen) -> Reply + Send + 'static,
    ) -> Self {
        let shared = Arc::new(Shared {
            counts: watch::Sender::default(),
            seen: Mutex::default(),
            plan: Mutex::new(Box::new(plan)),
            greet: Mutex::new(Box::new(greet)),
        });
        let cut = watch::Sender::default();
        match launch(address, &shared, &cut) {
            Ok((address, stop, thread)) => {
                Self { address, shared, cut, stop: Some(stop), thread: Some(thread) }
            }
            Err(error) => panic!("the hostile server does not start: {error}"),
        }
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:port` and this path, which begins with `/`.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// All requests so far, in the order in which they came in full.
    pub fn requests(&self) -> Vec<Seen> {
        self.shared.seen.lock().clone()
    }

    /// What was counted so far.
    pub fn counts(&self) -> Counts {
        *self.shared.counts.borrow()
    }

    /// Waits until the counts are like this.
    pub async fn until(&self, wanted: impl FnMut(&Counts) -> bool) -> Counts {
        let mut counts = self.shared.counts.subscribe();
        // The sender lives as long as this server.
        let found = counts.wait_for(wanted).await.map(|counts| *counts);
        found.unwrap_or_default()
    }

    /// Closes every connection that is open now.
    pub fn drop_all(&self) {
        self.cut(false);
    }

    /// Resets every connection that is open now.
    pub fn reset_all(&self) {
        self.cut(true);
    }

    fn cut(&self, reset: bool) {
        self.cut.send_modify(|cut| *cut = Cut { generation: cut.generation + 1, reset });
    }
}

impl fmt::Debug for HostileServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostileServer")
            .field("address", &self.address)
            .field("counts", &self.counts())
            .finish_non_exhaustive()
    }
}

impl Drop for HostileServer {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic of its thread has been printed; a second one here would abort the test.
            let _ = thread.join();
        }
    }
}

type Launched = (SocketAddr, oneshot::Sender<()>, JoinHandle<()>);

fn launch(
    address: SocketAddr,
    shared: &Arc<Shared>,
    cut: &watch::Sender<Cut>,
) -> io::Result<Launched> {
    let listener = std::net::TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (stop, stopped) = oneshot::channel();
    let (shared, cut) = (Arc::clone(shared), cut.subscribe());
    let thread = std::thread::Builder::new().name("hostile".into()).spawn(move || {
        runtime.block_on(async {
            let Ok(listener) = TcpListener::from_std(listener) else { return };
            tokio::select! {
                _ = stopped => {}
                () = listen(&listener, &shared, &cut) => {}
            }
        });
    })?;
    Ok((address, stop, thread))
}

async fn listen(listener: &TcpListener, shared: &Arc<Shared>, cut: &watch::Receiver<Cut>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let (shared, mut cut) = (Arc::clone(shared), cut.clone());
                    // What was cut before is not its concern.
                    cut.mark_unchanged();
                    let number = shared.opened();
                    let greeting = (shared.greet.lock())(number);
                    connections.spawn(async move {
                        let _open = Open(&shared);
                        connection(stream, number, greeting, &shared, cut).await;
                    });
                }
                // Out of descriptors, say: one that closes makes room.
                Err(_) => tokio::task::yield_now().await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(
    mut stream: TcpStream,
    number: usize,
    greeting: Greeting,
    shared: &Shared,
    mut cut: watch::Receiver<Cut>,
) {
    // Every write is a packet of its own.
    let _ = stream.set_nodelay(true);
    let serving = async {
        match greeting {
            Greeting::Serve => serve(&mut stream, number, shared).await,
            Greeting::Close => After::Close,
            Greeting::Reset => After::Reset,
            Greeting::Stall => std::future::pending().await,
        }
    };
    let after = tokio::select! {
        biased;
        Ok(cut) = async { cut.changed().await.map(|()| *cut.borrow()) } => {
            if cut.reset { After::Reset } else { After::Close }
        }
        after = serving => after,
    };
    if after == After::Reset {
        let _ = stream.set_zero_linger();
    }
}

async fn serve(stream: &mut TcpStream, number: usize, shared: &Shared) -> After {
    let (reader, mut writer) = stream.split();
    let mut reader = Reader::new(reader);
    while let Ok(Some(request)) = reader.request(number).await {
        let reply = (shared.plan.lock())(&request);
        shared.seen.lock().push(request);
        shared.count(|counts| counts.requests += 1);
        let mut under_way = UnderWay { shared, done: false };
        let mut written = |bytes: usize| shared.count(|counts| counts.written += bytes as u64);
        let after = tokio::select! {
            biased;
            after = reply.perform(&mut writer, &mut written) => after,
            () = reader.gone() => Err(io::ErrorKind::ConnectionAborted.into()),
        };
        let Ok(after) = after else { return After::Close };
        under_way.done = true;
        drop(under_way);
        if after != After::Next {
            return after;
        }
    }
    After::Close
}

impl Shared {
    fn count(&self, change: impl FnOnce(&mut Counts)) {
        self.counts.send_modify(change);
    }

    /// Counts a connection, and gives its number.
    fn opened(&self) -> usize {
        let mut number = 0;
        self.count(|counts| {
            counts.accepted += 1;
            counts.open += 1;
            counts.most_open = counts.most_open.max(counts.open);
            number = counts.accepted;
        });
        number
    }
}

/// Counts a connection as open until it is dropped.
struct Open<'s>(&'s Shared);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.count(|counts| counts.open -= 1);
    }
}

/// Counts a request as answered, or as given up.
struct UnderWay<'s> {
    shared: &'s Shared,
    done: bool,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        let done = self.done;
        self.shared.count(|counts| {
            if done {
                counts.answered += 1;
            } else {
                counts.given_up += 1;
            }
        });
    }
}
