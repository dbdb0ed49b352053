//! A small web site on a port of this machine.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;

/// What a path answers with.
pub(super) struct Page {
    status: &'static str,
    kind: &'static str,
    body: String,
}

impl Page {
    pub(super) fn html(body: &str) -> Self {
        Self { status: "200 OK", kind: "text/html; charset=utf-8", body: body.to_owned() }
    }

    pub(super) fn text(body: &str) -> Self {
        Self { status: "200 OK", kind: "text/plain", body: body.to_owned() }
    }

    pub(super) fn missing() -> Self {
        Self { status: "404 Not Found", ..Self::text("nothing here\n") }
    }

    pub(super) fn failed() -> Self {
        Self { status: "503 Service Unavailable", ..Self::text("closed today\n") }
    }
}

/// Serves one request after the other, a connection each, until it is dropped.
pub(super) struct Site {
    address: SocketAddr,
    seen: Receiver<String>,
    thread: Option<JoinHandle<()>>,
}

impl Site {
    pub(super) fn start(serve: impl Fn(&str) -> Page + Send + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, seen) = channel();
        let thread = std::thread::spawn(move || {
            // The last connection is that of the drop: it asks for nothing.
            while let Some(line) = answer(&listener.accept().unwrap().0, &serve) {
                let _gone = sender.send(line);
            }
        });
        Self { address, seen, thread: Some(thread) }
    }

    pub(super) fn base(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Methods and paths of the requests since it was last asked.
    pub(super) fn seen(&self) -> Vec<String> {
        self.seen.try_iter().collect()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.thread.take() {
            // A panic of its thread has been printed.
            let _ = thread.join();
        }
    }
}

/// Answers one request, and gives its method and path.
fn answer(mut stream: &TcpStream, serve: &impl Fn(&str) -> Page) -> Option<String> {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let line = lines.next()?;
    let request = line.trim_end_matches(" HTTP/1.1").to_owned();
    // The head ends with an empty line; there is no body.
    assert!(lines.any(|line| line.is_empty()), "a request that is not whole");
    let page = serve(request.split_once(' ')?.1);
    let Page { status, kind, body } = page;
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\
         connection: close\r\n\r\n"
    );
    let _gone = stream.write_all((head + &body).as_bytes());
    Some(request)
}
