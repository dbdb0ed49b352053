//! A proxy between a client and a server, which loses what a test tells it to lose.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::sleep;

/// What a proxy does to what passes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fault {
    /// Nothing.
    #[default]
    None,
    /// Connections are refused, those that are there are cut.
    Cut,
    /// Connections stay and nothing passes: what is written waits.
    Silent,
    /// Everything takes this much longer, each way.
    Slow(Duration),
    /// The next request is lost before the server sees it, and the connection is cut. Then `None`.
    LoseRequest,
    /// The next answer is lost after the server has done its part, and the connection is cut. Then
    /// `None`.
    LoseAnswer,
    /// Of a thousand pieces each way, this many are lost, and their connection is cut.
    Random {
        /// How many of a thousand.
        lost: u32,
    },
}

#[derive(Debug)]
struct State {
    fault: watch::Sender<Fault>,
    /// Decides what is lost at random.
    dice: Mutex<Rng>,
    target: SocketAddr,
}

/// A running proxy. Dropping it cuts every connection.
#[derive(Debug)]
pub struct LossyProxy {
    state: Arc<State>,
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl LossyProxy {
    /// Starts a proxy in front of a port of 127.0.0.1; `seed` decides what is lost at random.
    ///
    /// # Errors
    /// It cannot listen.
    pub async fn start(port: u16, seed: u64) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let target = SocketAddr::from(([127, 0, 0, 1], port));
        let (fault, dice) = (watch::Sender::new(Fault::None), Mutex::new(Rng::with_seed(seed)));
        let state = Arc::new(State { fault, dice, target });
        #[expect(clippy::disallowed_methods, reason = "owned by the handle, aborted by its drop")]
        let task = tokio::spawn(listen(listener, Arc::clone(&state)));
        Ok(Self { state, address, task })
    }

    /// Where it listens, as an address of Redis.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    /// From now on this happens.
    pub fn set(&self, fault: Fault) {
        self.state.fault.send_replace(fault);
    }

    /// What happens now: a fault that happens once is over when it has.
    #[must_use]
    pub fn fault(&self) -> Fault {
        *self.state.fault.borrow()
    }
}

impl Drop for LossyProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn listen(listener: TcpListener, state: Arc<State>) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        if *state.fault.borrow() != Fault::Cut {
            connections.spawn(serve(client, Arc::clone(&state)));
        }
    }
}

/// One connection, until either side or the proxy ends it.
async fn serve(client: TcpStream, state: Arc<State>) {
    let Ok(server) = TcpStream::connect(state.target).await else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let ((from_client, to_client), (from_server, to_server)) =
        (client.into_split(), server.into_split());
    let mut fault = state.fault.subscribe();
    tokio::select! {
        () = pass(from_client, to_server, &state, Way::Request) => {}
        () = pass(from_server, to_client, &state, Way::Answer) => {}
        _ = fault.wait_for(|fault| *fault == Fault::Cut) => {}
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Request,
    Answer,
}

/// Passes pieces on; returns when the connection is over or to be cut.
async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, state: &State, way: Way) {
    let mut fault = state.fault.subscribe();
    let mut piece = vec![0; 64 * 1024];
    loop {
        let read = match from.read(&mut piece).await {
            Ok(0) | Err(_) => return,
            Ok(read) => read,
        };
        if fault.wait_for(|fault| *fault != Fault::Silent).await.is_err() || state.loses(way) {
            return;
        }
        let slow = match *state.fault.borrow() {
            Fault::Slow(by) => Some(by),
            _ => None,
        };
        if let Some(by) = slow {
            sleep(by).await;
        }
        if to.write_all(&piece[..read]).await.is_err() {
            return;
        }
    }
}

impl State {
    /// Whether this piece is lost. What happens once is over then.
    fn loses(&self, way: Way) -> bool {
        let once = match way {
            Way::Request => Fault::LoseRequest,
            Way::Answer => Fault::LoseAnswer,
        };
        let mut loses = false;
        self.fault.send_if_modified(|fault| match *fault {
            Fault::Random { lost } => {
                loses = self.dice.lock().u32(..1000) < lost;
                false
            }
            now if now == once => {
                loses = true;
                *fault = Fault::None;
                true
            }
            _ => false,
        });
        loses
    }
}
