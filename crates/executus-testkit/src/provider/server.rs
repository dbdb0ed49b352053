//! The server: a thread with a runtime of its own, its connections, and what it saw.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;

use parking_lot::{Condvar, Mutex};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::answer::Answer;
use super::check;
use super::deliver::{self, After};
use super::dialect::Dialect;
use super::http::{Reader, SeenRequest};

/// A provider of models on a port of this machine.
///
/// It runs on a thread of its own, so it serves programs and tests with or without a runtime.
/// Dropping it closes its connections and waits for the thread.
pub struct ProviderServer {
    address: SocketAddr,
    pub(super) shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What the connections and the test look at.
pub(super) struct Shared {
    dialect: Dialect,
    pub(super) seen: Mutex<Seen>,
    pub(super) changed: Condvar,
    answers: Mutex<Answers>,
}

type Answers = Box<dyn FnMut(&SeenRequest) -> Answer + Send>;

#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) requests: Vec<SeenRequest>,
    pub(super) open: usize,
    pub(super) aborted: usize,
    pub(super) answered: usize,
}

impl ProviderServer {
    /// Starts a server that answers one request after the other from the script, in the order in
    /// which their bodies were read in full. The last answer is given for ever if it is
    /// [`repeated`](Answer::repeated); otherwise requests past the end are answered with a 500
    /// that says so.
    ///
    /// # Panics
    ///
    /// When no port, thread or runtime can be had.
    pub fn start(dialect: Dialect, script: impl IntoIterator<Item = Answer>) -> Self {
        let mut script = script.into_iter().collect::<Vec<_>>().into_iter();
        let mut last = None;
        Self::answering(dialect, move |_| match script.next() {
            Some(answer) => {
                last = answer.repeated.then(|| answer.clone());
                answer
            }
            None => last.clone().unwrap_or_else(|| Answer::status(500, "the script is used up")),
        })
    }

    /// Starts a server that answers each request as the function says; to answer by model, look at
    /// the request's body, or path for Gemini. Requests that the provider would refuse do not get
    /// to it.
    ///
    /// # Panics
    ///
    /// When no port, thread or runtime can be had.
    pub fn answering(
        dialect: Dialect,
        answers: impl FnMut(&SeenRequest) -> Answer + Send + 'static,
    ) -> Self {
        let shared = Arc::new(Shared {
            dialect,
            seen: Mutex::default(),
            changed: Condvar::new(),
            answers: Mutex::new(Box::new(answers)),
        });
        match launch(&shared) {
            Ok((address, stop, thread)) => {
                Self { address, shared, stop: Some(stop), thread: Some(thread) }
            }
            Err(error) => panic!("the provider's server does not start: {error}"),
        }
    }

    /// What a user sets as the base URL of this dialect: with `/v1` for OpenAI, without a path for
    /// the others.
    pub fn base_url(&self) -> String {
        self.shared.dialect.base_url(self.address)
    }

    /// The address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// All requests so far, in order, refused ones included.
    pub fn requests(&self) -> Vec<SeenRequest> {
        self.shared.seen.lock().requests.clone()
    }

    /// What was wrong with the requests that were refused.
    pub fn refusals(&self) -> Vec<String> {
        self.shared.seen.lock().requests.iter().filter_map(|r| r.refused.clone()).collect()
    }

    /// Connections that are open now, idle ones of a client's pool included.
    pub fn open_connections(&self) -> usize {
        self.shared.seen.lock().open
    }

    /// Requests whose client went away before the answer was complete.
    pub fn aborted(&self) -> usize {
        self.shared.seen.lock().aborted
    }

    /// Answers that were written in full, broken off ones included.
    pub fn answered(&self) -> usize {
        self.shared.seen.lock().answered
    }
}

impl fmt::Debug for ProviderServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProviderServer")
            .field("dialect", &self.shared.dialect)
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl Drop for ProviderServer {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic of its thread has been printed; a second one here would abort the test.
            let _ = thread.join();
        }
    }
}

type Launched = (SocketAddr, oneshot::Sender<()>, JoinHandle<()>);

fn launch(shared: &Arc<Shared>) -> io::Result<Launched> {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0))?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (stop, stopped) = oneshot::channel();
    let shared = shared.clone();
    let thread = std::thread::Builder::new().name("provider".into()).spawn(move || {
        runtime.block_on(async {
            let Ok(listener) = TcpListener::from_std(listener) else { return };
            tokio::select! {
                _ = stopped => {}
                () = listen(&listener, &shared) => {}
            }
        });
    })?;
    Ok((address, stop, thread))
}

async fn listen(listener: &TcpListener, shared: &Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                let shared = shared.clone();
                connections.spawn(async move { connection(stream, &shared).await });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(mut stream: TcpStream, shared: &Shared) {
    shared.change(|seen| seen.open += 1);
    let open = Open(shared);
    // Every write is a packet of its own.
    let _ = stream.set_nodelay(true);
    let (reader, mut writer) = stream.split();
    let mut reader = Reader::new(reader);
    while let Ok(Some(request)) = reader.request(&mut writer).await {
        let job = shared.take(request);
        let after = tokio::select! {
            biased;
            after = deliver::deliver(job, &mut writer) => after,
            () = reader.gone() => Err(io::ErrorKind::ConnectionAborted.into()),
        };
        match after {
            Ok(After::Next) => shared.change(|seen| seen.answered += 1),
            Ok(After::Close) => {
                shared.change(|seen| seen.answered += 1);
                break;
            }
            Err(_) => {
                shared.change(|seen| seen.aborted += 1);
                break;
            }
        }
    }
    drop(stream);
    drop(open);
}

/// Counts a connection as open until it is dropped.
struct Open<'s>(&'s Shared);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.change(|seen| seen.open -= 1);
    }
}

impl Shared {
    fn change(&self, change: impl FnOnce(&mut Seen)) {
        change(&mut self.seen.lock());
        self.changed.notify_all();
    }

    /// Notes the request and decides what is answered.
    fn take(&self, mut request: SeenRequest) -> deliver::Job {
        request.streaming = self.dialect.streams(&request);
        let refusal = check::check(self.dialect, &request).err();
        request.refused = refusal.as_ref().map(|error| error.message.clone());
        // One lock over both, so that answers go out in the order of the list.
        let mut answers = self.answers.lock();
        let number = self.seen.lock().requests.len() + 1;
        let answer = match refusal {
            Some(error) => Err(error),
            None => Ok(answers(&request)),
        };
        let turn = self.dialect.turn(&request, number);
        let streaming = request.streaming;
        self.change(|seen| seen.requests.push(request));
        drop(answers);
        deliver::Job { dialect: self.dialect, turn, streaming, answer }
    }
}
