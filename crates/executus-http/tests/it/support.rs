//! A server that does exactly what a test writes down.

use std::time::Duration;

use executus_http::{Client, HttpError, Method, Request, Response};
use executus_testkit::hostile::HostileServer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A limit that a test waits for.
pub(crate) const SHORT: Duration = Duration::from_millis(150);
/// A limit that no test waits for.
pub(crate) const LONG: Duration = Duration::from_secs(30);

/// A client whose limits no test meets by chance.
pub(crate) fn client() -> Client {
    Client::builder()
        .connect_timeout(LONG)
        .headers_timeout(LONG)
        .idle_timeout(LONG)
        .build()
        .unwrap()
}

/// Sends a request with a client of its own.
pub(crate) async fn send(request: Request) -> Result<Response, HttpError> {
    client().send(request).await
}

/// A request to a server that does its part badly.
pub(crate) fn get(server: &HostileServer, path: &str) -> Request {
    Request::new(Method::Get, &server.url(path)).unwrap()
}

pub(crate) struct Peer(TcpListener);

impl Peer {
    pub(crate) async fn start() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.0.local_addr().unwrap())
    }

    pub(crate) fn get(&self, path: &str) -> Request {
        Request::new(Method::Get, &self.url(path)).unwrap()
    }

    pub(crate) async fn accept(&self) -> Connection {
        let (stream, _) = self.0.accept().await.unwrap();
        Connection { stream, unread: Vec::new() }
    }

    /// Takes one connection and one request, and answers with this.
    pub(crate) async fn answer(&self, text: impl AsRef<[u8]>) -> (Received, Connection) {
        let mut connection = self.accept().await;
        let received = connection.request().await;
        connection.send(text).await;
        (received, connection)
    }
}

pub(crate) struct Connection {
    pub(crate) stream: TcpStream,
    unread: Vec<u8>,
}

/// A request as it came.
#[derive(Debug)]
pub(crate) struct Received {
    /// The request line and the header fields, names in lower case.
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Received {
    pub(crate) fn line(&self) -> &str {
        self.head.lines().next().unwrap_or_default()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

impl Connection {
    /// Reads one request.
    pub(crate) async fn request(&mut self) -> Received {
        let end = loop {
            match self.unread.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                Some(end) => break end,
                None => assert_ne!(self.more().await, 0, "the request ended early"),
            }
        };
        let head = String::from_utf8(self.unread.drain(..end + 4).collect()).unwrap();
        let mut received = Received { head, body: String::new() };
        let length = received.header("content-length").map_or(0, |length| length.parse().unwrap());
        while self.unread.len() < length {
            assert_ne!(self.more().await, 0, "the request ended early");
        }
        received.body = String::from_utf8(self.unread.drain(..length).collect()).unwrap();
        received
    }

    async fn more(&mut self) -> usize {
        self.stream.read_buf(&mut self.unread).await.unwrap()
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
    }

    /// Waits until the client has closed the connection.
    pub(crate) async fn closed(&mut self) {
        let mut sink = [0; 4096];
        while let Ok(1..) = self.stream.read(&mut sink).await {}
    }

    /// Closes the connection with a reset.
    pub(crate) fn reset(self) {
        self.stream.set_zero_linger().unwrap();
    }
}

pub(crate) fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}
