//! A clock that a test moves, and a client with circuits to go with it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use async_trait::async_trait;
use executus_circuit::{CircuitKey, CircuitStore, Jitter, MemoryCircuits, Policy, Snapshot};
use executus_core::Clock;
use executus_http::{
    AddressSnapshot, ByteStream, Client, ClientBuilder, HttpError, Method, Request, Transport,
};
use executus_testkit::hostile::{Counts, HostileServer, Reply};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

/// Of a test that begins with its clock paused: the clock stands still while real sockets are
/// waited for, and moves when the test says so.
pub(crate) struct Still(#[expect(dead_code, reason = "its drop ends the thread")] mpsc::Sender<()>);

impl Still {
    pub(crate) fn new() -> Self {
        let (end, ended) = mpsc::channel();
        // While a thread works, tokio does not take an idle runtime for one that waits for time.
        tokio::task::spawn_blocking(move || ended.recv());
        Self(end)
    }
}

/// The clock moves.
pub(crate) async fn pass(time: Duration) {
    // What was begun comes to where it waits; then those whose time has come take their turn.
    settle().await;
    tokio::time::advance(time).await;
    settle().await;
}

/// Begins a call that the test waits for later.
pub(crate) fn start<T: Send + 'static>(
    call: impl Future<Output = T> + Send + 'static,
) -> JoinHandle<T> {
    #[expect(clippy::disallowed_methods, reason = "the test waits for it")]
    tokio::spawn(call)
}

async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

pub(crate) const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A policy whose times are exact.
pub(crate) fn policy() -> Policy {
    Policy::builder().jitter(Jitter::Off).build().unwrap()
}

/// One that counts and never opens.
pub(crate) fn patient() -> Policy {
    Policy::builder().consecutive(1000).no_error_rate().jitter(Jitter::Off).build().unwrap()
}

/// A client, the circuits that it uses, and a transport that can be cut.
pub(crate) struct Setup {
    pub(crate) client: Client,
    pub(crate) circuits: Arc<MemoryCircuits>,
    pub(crate) wire: Arc<Wire>,
}

impl Setup {
    pub(crate) fn new(policy: Policy) -> Self {
        Self::with(policy, |builder| builder)
    }

    pub(crate) fn with(policy: Policy, more: impl FnOnce(ClientBuilder) -> ClientBuilder) -> Self {
        let circuits = Arc::new(MemoryCircuits::new(Clock::system()));
        let wire = Arc::new(Wire::default());
        let builder = Client::builder()
            .circuits(circuits.clone(), policy)
            .transport(wire.clone())
            .connect_timeout(ms(500))
            .headers_timeout(ms(500))
            .idle_timeout(ms(500));
        Self { client: more(builder).build().unwrap(), circuits, wire }
    }

    pub(crate) async fn get(&self, server: &HostileServer) -> Result<String, HttpError> {
        self.get_at(&server.url("/")).await
    }

    pub(crate) async fn get_at(&self, url: &str) -> Result<String, HttpError> {
        get(&self.client, url).await
    }

    /// What the circuit of this address looks like.
    pub(crate) async fn circuit(&self, address: SocketAddr) -> Snapshot {
        self.circuits.snapshot(&key(address)).await.unwrap()
    }

    /// How many failures in a row its circuit has counted.
    pub(crate) async fn counted(&self, address: SocketAddr) -> u32 {
        self.circuit(address).await.failure_count
    }

    pub(crate) fn pool(&self, address: SocketAddr) -> AddressSnapshot {
        let base = format!("http://{address}");
        self.client.snapshot().into_iter().find(|pool| pool.base == base).unwrap()
    }
}

pub(crate) fn key(address: SocketAddr) -> CircuitKey {
    CircuitKey::transport(&format!("http://{address}"))
}

pub(crate) async fn get(client: &Client, url: &str) -> Result<String, HttpError> {
    let response = client.send(Request::new(Method::Get, url)?).await?;
    let body = response.bytes(1 << 20).await?;
    Ok(String::from_utf8_lossy(&body).into_owned())
}

/// Real connections, unless the test wants none to be made.
#[derive(Debug, Default)]
pub(crate) struct Wire(AtomicU8);

impl Wire {
    pub(crate) fn connects(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    /// The server refuses.
    pub(crate) fn refuses(&self) {
        self.0.store(1, Ordering::Relaxed);
    }

    /// The server does not answer.
    pub(crate) fn hangs(&self) {
        self.0.store(2, Ordering::Relaxed);
    }

    /// The system has no descriptor left.
    pub(crate) fn fails(&self) {
        self.0.store(3, Ordering::Relaxed);
    }
}

#[async_trait]
impl Transport for Wire {
    async fn connect(&self, to: SocketAddr) -> std::io::Result<Box<dyn ByteStream>> {
        match self.0.load(Ordering::Relaxed) {
            0 => Ok(Box::new(TcpStream::connect(to).await?)),
            1 => Err(std::io::ErrorKind::ConnectionRefused.into()),
            2 => std::future::pending().await,
            _ => Err(std::io::Error::other("too many open files")),
        }
    }
}

/// A server that answers `hello`, drops `/drop` and never answers `/stall`.
pub(crate) fn server() -> HostileServer {
    HostileServer::start(plan)
}

pub(crate) fn plan(request: &executus_testkit::hostile::Seen) -> Reply {
    match request.path.as_str() {
        "/drop" => Reply::new().close(),
        "/reset" => Reply::new().reset(),
        "/stall" => Reply::new().stall(),
        "/500" => Reply::status(500, &[], "broken"),
        "/404" => Reply::status(404, &[], "nothing"),
        "/half" => Reply::raw("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf").close(),
        "/pause" => Reply::raw("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf").stall(),
        "/noise" => Reply::raw("SSH-2.0-OpenSSH_9.6\r\n").close(),
        _ => Reply::ok("hello"),
    }
}

/// Starts the same server again where it was.
pub(crate) fn again(address: SocketAddr) -> HostileServer {
    HostileServer::start_at(address, |_| executus_testkit::hostile::Greeting::Serve, plan)
}

/// Waits until the server has no connection open.
pub(crate) async fn all_closed(server: &HostileServer) -> Counts {
    server.until(|counts| counts.open == 0).await
}
