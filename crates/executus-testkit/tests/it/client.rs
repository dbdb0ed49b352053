//! A client that knows HTTP and nothing else, so that it sees what is really on the wire.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use executus_testkit::provider::ProviderServer;
use serde_json::Value;

/// An answer as it came.
#[derive(Debug)]
pub(crate) struct Got {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
    /// Whether the body ended as HTTP says; false when it was cut.
    pub(crate) complete: bool,
    /// The longest chunk.
    pub(crate) longest: usize,
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Client {
    reader: BufReader<TcpStream>,
}

impl Client {
    pub(crate) fn new(server: &ProviderServer) -> Self {
        let stream = TcpStream::connect(server.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        Self { reader: BufReader::new(stream) }
    }

    pub(crate) fn send(&mut self, path: &str, headers: &[(&str, &str)], body: &Value) {
        let body = body.to_string();
        let mut request = format!("POST {path} HTTP/1.1\r\nHost: localhost\r\n");
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str("Content-Type: application/json\r\n");
        request.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
        self.reader.get_mut().write_all(request.as_bytes()).unwrap();
    }

    /// The status and the head.
    pub(crate) fn head(&mut self) -> (u16, String) {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(self.reader.read_line(&mut head).unwrap() > 0, "no head: {head:?}");
        }
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, head)
    }

    /// So many bytes, whatever they are.
    pub(crate) fn bytes(&mut self, n: usize) -> Vec<u8> {
        let mut bytes = vec![0; n];
        self.reader.read_exact(&mut bytes).unwrap();
        bytes
    }

    /// Whether nothing comes for a while and the connection stays open.
    pub(crate) fn is_silent(&mut self) -> bool {
        let stream = self.reader.get_ref();
        stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let silent = self.reader.fill_buf().is_err();
        self.reader.get_ref().set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        silent
    }

    pub(crate) fn answer(&mut self) -> Got {
        let (status, head) = self.head();
        let mut body = Vec::new();
        let (complete, longest) = if head.contains("transfer-encoding: chunked") {
            self.chunks(&mut body)
        } else {
            let length = head.split("content-length: ").nth(1).unwrap();
            let length: usize = length.split("\r\n").next().unwrap().parse().unwrap();
            let taken = self.reader.by_ref().take(length as u64).read_to_end(&mut body);
            (taken.unwrap() == length, length)
        };
        let body = String::from_utf8_lossy(&body).into_owned();
        Got { status, head, body, complete, longest }
    }

    fn chunks(&mut self, body: &mut Vec<u8>) -> (bool, usize) {
        let mut longest = 0;
        loop {
            let mut size = String::new();
            if self.reader.read_line(&mut size).unwrap() == 0 {
                return (false, longest);
            }
            let size = usize::from_str_radix(size.trim(), 16).unwrap();
            longest = longest.max(size);
            let chunk = self.bytes(size + 2);
            body.extend_from_slice(&chunk[..size]);
            if size == 0 {
                return (true, longest);
            }
        }
    }
}

impl Got {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.body))
    }

    /// The events of an event stream: name (or nothing) and data.
    pub(crate) fn events(&self) -> Vec<(String, String)> {
        let body = self.body.replace("\r\n", "\n");
        assert!(body.ends_with("\n\n"), "an event is not ended: {body:?}");
        body.split_terminator("\n\n")
            .filter(|event| !event.starts_with(':'))
            .map(|event| {
                let field = |name: &str| {
                    event.lines().find_map(|l| l.strip_prefix(name)).unwrap_or("").to_owned()
                };
                (field("event: "), field("data: "))
            })
            .collect()
    }

    /// The data of the events that are JSON.
    pub(crate) fn data(&self) -> Vec<Value> {
        let events = self.events().into_iter().map(|(_, data)| data);
        events.filter(|d| d != "[DONE]").map(|d| serde_json::from_str(&d).unwrap()).collect()
    }

    /// The lines, each JSON.
    pub(crate) fn lines(&self) -> Vec<Value> {
        self.body.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// The string at a pointer in each value, put together.
pub(crate) fn joined(values: &[Value], pointer: &str) -> String {
    values.iter().filter_map(|value| value.pointer(pointer)?.as_str()).collect()
}
