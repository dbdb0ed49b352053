//! Drivers that do as they are told.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use executus_capability::driver::{Chunk, ChunkStream, StreamingDriver};
use executus_capability::{Driver, DriverError, DriverRequest};
use parking_lot::Mutex;
use serde_json::Value;

/// What an attempt does.
#[derive(Debug, Clone)]
pub(crate) enum Act {
    Give(Value),
    Slow(Duration, Value),
    Fail(DriverError),
    Panic(&'static str),
    Hang,
    /// Never answers, and panics when it is dropped.
    PanicInDrop,
}

/// What a stream does next.
#[derive(Debug, Clone)]
pub(crate) enum Piece {
    Data(Value),
    Last(Value),
    After(Duration, Value),
    Fail(DriverError),
    Panic,
    Hang,
}

pub(crate) struct Scripted {
    id: String,
    act: Act,
    pieces: Option<Vec<Piece>>,
    calls: Mutex<Vec<DriverRequest>>,
    alive: Arc<AtomicUsize>,
}

impl Scripted {
    pub(crate) fn new(id: &str, act: Act) -> Self {
        Self {
            id: id.to_owned(),
            act,
            pieces: None,
            calls: Mutex::default(),
            alive: Arc::default(),
        }
    }

    pub(crate) fn failing(id: &str, message: &str) -> Self {
        Self::new(id, Act::Fail(DriverError::failed(message)))
    }

    /// Streams these pieces once it is opened, which it does like `act`.
    pub(crate) fn streaming(id: &str, pieces: impl IntoIterator<Item = Piece>) -> Self {
        let pieces = Some(pieces.into_iter().collect());
        Self { pieces, ..Self::new(id, Act::Give(Value::Null)) }
    }

    /// Opens like this.
    pub(crate) fn opening(mut self, act: Act) -> Self {
        self.act = act;
        self
    }

    /// What it was asked, in order.
    pub(crate) fn calls(&self) -> Vec<DriverRequest> {
        self.calls.lock().clone()
    }

    /// How many attempts and streams are under way.
    pub(crate) fn alive(&self) -> usize {
        self.alive.load(Ordering::SeqCst)
    }

    async fn act(&self, request: &DriverRequest) -> Result<Value, DriverError> {
        self.calls.lock().push(request.clone());
        let _alive = Alive::new(&self.alive);
        match self.act.clone() {
            Act::Give(value) => Ok(value),
            Act::Slow(time, value) => {
                tokio::time::sleep(time).await;
                Ok(value)
            }
            Act::Fail(error) => Err(error),
            Act::Panic(message) => panic!("planned panic: {message}"),
            Act::Hang => std::future::pending().await,
            Act::PanicInDrop => {
                let _bomb = Bomb;
                std::future::pending().await
            }
        }
    }
}

struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("planned panic: in the drop");
    }
}

struct Alive(Arc<AtomicUsize>);

impl Alive {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(count))
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl Driver for Scripted {
    fn id(&self) -> &str {
        &self.id
    }

    async fn execute(&self, request: &DriverRequest) -> Result<Value, DriverError> {
        self.act(request).await
    }

    fn streaming(&self) -> Option<&dyn StreamingDriver> {
        self.pieces.is_some().then_some(self as &dyn StreamingDriver)
    }
}

#[async_trait]
impl StreamingDriver for Scripted {
    async fn open(&self, request: &DriverRequest) -> Result<Box<dyn ChunkStream>, DriverError> {
        self.act(request).await?;
        let pieces = self.pieces.clone().unwrap_or_default().into_iter();
        Ok(Box::new(Stream { pieces, _alive: Alive::new(&self.alive) }))
    }
}

struct Stream {
    pieces: std::vec::IntoIter<Piece>,
    _alive: Alive,
}

#[async_trait]
impl ChunkStream for Stream {
    async fn next(&mut self) -> Result<Option<Chunk>, DriverError> {
        let is_final = matches!(self.pieces.as_slice().first(), Some(Piece::Last(_)));
        let data = match self.pieces.next() {
            None => return Ok(None),
            Some(Piece::Data(data) | Piece::Last(data)) => data,
            Some(Piece::After(time, data)) => {
                tokio::time::sleep(time).await;
                data
            }
            Some(Piece::Fail(error)) => return Err(error),
            Some(Piece::Panic) => panic!("planned panic: in the stream"),
            Some(Piece::Hang) => std::future::pending().await,
        };
        Ok(Some(Chunk { data, is_final }))
    }
}
