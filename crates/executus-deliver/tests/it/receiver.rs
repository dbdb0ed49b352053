//! A receiver of webhooks that does what a test says.

use std::sync::Arc;

use executus_core::secret::Secret;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// A request as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Received {
    /// The request line and the header fields, names in lower case.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Received {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn key(&self) -> String {
        self.header("idempotency-key").unwrap().to_owned()
    }
}

/// What it does with a request.
#[derive(Debug, Clone)]
pub(crate) enum Act {
    /// Answers with this status and these header lines, and this body.
    Answer(u16, &'static str, &'static str),
    /// Closes the connection.
    Drop,
    /// Never answers.
    Hang,
}

pub(crate) const OK: Act = Act::Answer(200, "", "");

type Plan = Arc<dyn Fn(usize, &Received) -> Act + Send + Sync>;

pub(crate) struct Receiver {
    pub(crate) port: u16,
    received: watch::Receiver<Vec<Received>>,
    _tasks: JoinSet<()>,
}

impl Receiver {
    /// One that does this with the n-th request, from 0.
    pub(crate) async fn start(
        plan: impl Fn(usize, &Received) -> Act + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (sender, received) = watch::channel(Vec::new());
        let (sender, plan): (_, Plan) = (Arc::new(sender), Arc::new(plan));
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(stream, Arc::clone(&sender), Arc::clone(&plan)));
            }
        });
        Self { port, received, _tasks: tasks }
    }

    pub(crate) fn url(&self, path: &str) -> Secret {
        Secret::new(format!("http://127.0.0.1:{}{path}", self.port))
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.received.borrow().clone()
    }

    pub(crate) fn keys(&self) -> Vec<String> {
        self.received.borrow().iter().map(Received::key).collect()
    }

    /// Waits until so many have come.
    pub(crate) async fn wait(&self, count: usize) -> Vec<Received> {
        let mut received = self.received.clone();
        received.wait_for(|received| received.len() >= count).await.unwrap().clone()
    }
}

async fn serve(mut stream: TcpStream, received: Arc<watch::Sender<Vec<Received>>>, plan: Plan) {
    let mut unread = Vec::new();
    while let Some(request) = read(&mut stream, &mut unread).await {
        let mut number = 0;
        received.send_modify(|all| {
            number = all.len();
            all.push(request.clone());
        });
        match plan(number, &request) {
            Act::Drop => return,
            Act::Hang => std::future::pending().await,
            Act::Answer(status, fields, body) => {
                let length = body.len();
                let answer = format!(
                    "HTTP/1.1 {status} x\r\n{fields}content-length: {length}\r\n\r\n{body}"
                );
                if stream.write_all(answer.as_bytes()).await.is_err() {
                    return;
                }
            }
        }
    }
}

async fn read(stream: &mut TcpStream, unread: &mut Vec<u8>) -> Option<Received> {
    let end = loop {
        match unread.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            Some(end) => break end,
            None if stream.read_buf(unread).await.ok()? == 0 => return None,
            None => {}
        }
    };
    let head = String::from_utf8(unread.drain(..end + 4).collect()).unwrap();
    let mut request = Received { head, body: Vec::new() };
    let length: usize = request.header("content-length").map_or(0, |text| text.parse().unwrap());
    while unread.len() < length {
        if stream.read_buf(unread).await.ok()? == 0 {
            return None;
        }
    }
    request.body = unread.drain(..length).collect();
    Some(request)
}
