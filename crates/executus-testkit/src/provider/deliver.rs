//! Writing answers, with their faults, in the small pieces that clients must put together again.

use std::fmt::Write as _;
use std::io;
use std::time::Duration;

use serde_json::Value;
use tokio::io::AsyncWriteExt as _;
use tokio::net::tcp::WriteHalf;

use super::answer::{Answer, Delivery, Fault, Kind, Reply, Text, Trouble};
use super::dialect::{Dialect, ErrorReply, Turn};
use super::piece::{Part, filler};

/// Bytes of a chunk: a prime below the length of any event, so that characters of several bytes,
/// line ends and events are split in every way.
const SLICE: usize = 7;
/// Up to here bodies are sliced; longer ones would take too long.
const SLICED: usize = 64 * 1024;
/// Stands in a rendered answer where text without end goes.
const MARK: &str = "WITHOUT-END";

/// One request to answer.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) dialect: Dialect,
    pub(super) turn: Turn,
    pub(super) streaming: bool,
    pub(super) answer: Result<Answer, ErrorReply>,
}

/// What becomes of the connection.
#[derive(Debug)]
pub(super) enum After {
    Next,
    Close,
}

/// Writes the answer. An error means that the client went away.
pub(super) async fn deliver(job: Job, writer: &mut WriteHalf<'_>) -> io::Result<After> {
    let Job { dialect, turn, streaming, answer } = job;
    let headers = dialect.id_header(turn.number).into_iter().collect();
    let mut out = Out { writer, dialect, headers, sliced: 0 };
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => return out.error(error).await,
    };
    wait(answer.delivery.late).await;
    let mut delivery = answer.delivery;
    out.headers.append(&mut delivery.headers);
    match answer.kind {
        Kind::Silence => std::future::pending().await,
        Kind::Trouble(trouble) => out.error(dialect.error(&trouble, &turn)).await,
        Kind::Raw { status, content_type, body } => {
            out.fixed(status, &content_type, &[], body.as_bytes(), body.len()).await?;
            Ok(After::Next)
        }
        Kind::Reply(reply) if streaming => out.stream(reply, turn, delivery).await,
        Kind::Reply(Reply { text: Some(Text::Endless), .. }) => {
            out.endless_line(&turn, false, delivery.pace).await
        }
        Kind::Reply(reply) => match dialect.whole(&reply, &turn) {
            Ok(body) => out.whole(&body, &turn, delivery.fault).await,
            Err(error) => out.error(error).await,
        },
        Kind::EndlessLine => out.endless_line(&turn, streaming, delivery.pace).await,
        Kind::EndlessComments => out.endless_comments(streaming, delivery.pace).await,
    }
}

struct Out<'w, 's> {
    writer: &'w mut WriteHalf<'s>,
    dialect: Dialect,
    /// Those of every answer and those of this one.
    headers: Vec<(String, String)>,
    sliced: usize,
}

impl Out<'_, '_> {
    async fn stream(&mut self, reply: Reply, turn: Turn, how: Delivery) -> io::Result<After> {
        self.open(true).await?;
        let (limit, fault) = match how.fault {
            None => (usize::MAX, None),
            Some(Fault::HangAfterHead) => return std::future::pending().await,
            Some(fault) => (fault.after(), Some(fault)),
        };
        let extra = how.after_end.then(|| self.content("after the end", &turn));
        let mut content = 0;
        for piece in self.dialect.pieces(reply, turn) {
            let over = match piece.part {
                Part::Frame => false,
                Part::Content => content >= limit,
                Part::End => fault.is_some(),
            };
            if over {
                break;
            }
            content += usize::from(piece.part == Part::Content);
            wait(how.pace).await;
            self.piece(&piece.body, how.crlf).await?;
        }
        match fault {
            Some(Fault::HangAfterHead | Fault::HangAfter(_)) => std::future::pending().await,
            Some(Fault::CutAfter(_)) => Ok(After::Close),
            Some(Fault::ErrorAfter(_, message)) => {
                self.piece(&self.dialect.error_piece(&message), how.crlf).await?;
                self.close().await
            }
            Some(Fault::EndsEarlyAfter(_)) => self.close().await,
            None => {
                for piece in extra.into_iter().flatten() {
                    self.piece(&piece, how.crlf).await?;
                }
                self.close().await
            }
        }
    }

    async fn whole(
        &mut self,
        body: &Value,
        turn: &Turn,
        fault: Option<Fault>,
    ) -> io::Result<After> {
        let body = body.to_string();
        let half = &body.as_bytes()[..body.len() / 2];
        let kind = "application/json";
        match fault {
            None => {
                self.fixed(200, kind, &[], body.as_bytes(), body.len()).await?;
                Ok(After::Next)
            }
            Some(Fault::HangAfterHead) => {
                self.fixed(200, kind, &[], &[], body.len()).await?;
                std::future::pending().await
            }
            Some(Fault::HangAfter(_)) => {
                self.fixed(200, kind, &[], half, body.len()).await?;
                std::future::pending().await
            }
            Some(Fault::CutAfter(_)) => {
                self.fixed(200, kind, &[], half, body.len()).await?;
                Ok(After::Close)
            }
            Some(Fault::EndsEarlyAfter(_)) => {
                self.fixed(200, kind, &[], half, half.len()).await?;
                Ok(After::Next)
            }
            Some(Fault::ErrorAfter(_, message)) => {
                self.error(self.dialect.error(&Trouble::Status(500, message), turn)).await
            }
        }
    }

    async fn endless_line(
        &mut self,
        turn: &Turn,
        streaming: bool,
        pace: Duration,
    ) -> io::Result<After> {
        self.open(streaming).await?;
        let rendered = if streaming {
            self.content(MARK, turn).concat()
        } else {
            let reply = marked(MARK);
            self.dialect.whole(&reply, turn).map(|v| v.to_string()).unwrap_or_default()
        };
        self.piece(rendered.split(MARK).next().unwrap_or_default(), false).await?;
        let more = filler(4096).replace('\n', " ");
        loop {
            wait(pace).await;
            self.piece(&more, false).await?;
        }
    }

    async fn endless_comments(&mut self, streaming: bool, pace: Duration) -> io::Result<After> {
        self.open(streaming).await?;
        loop {
            wait(pace).await;
            self.piece(if streaming { self.dialect.keep_alive() } else { "\n" }, false).await?;
        }
    }

    /// The pieces with content of an answer with this text.
    fn content(&self, text: &str, turn: &Turn) -> Vec<String> {
        let pieces = self.dialect.pieces(marked(text), turn.clone());
        let content = pieces.filter(|piece| piece.part == Part::Content);
        content.map(|piece| piece.body).collect()
    }

    async fn error(&mut self, error: ErrorReply) -> io::Result<After> {
        let body = error.body.to_string();
        let body = body.as_bytes();
        self.fixed(error.status, "application/json", &error.headers, body, body.len()).await?;
        Ok(After::Next)
    }

    /// A body with a length, which may be more than is written of it.
    async fn fixed(
        &mut self,
        status: u16,
        content_type: &str,
        headers: &[(&str, String)],
        body: &[u8],
        length: usize,
    ) -> io::Result<()> {
        let mut head = self.head(status, content_type);
        for (name, value) in headers {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        let _ = write!(head, "content-length: {length}\r\n\r\n");
        self.writer.write_all(head.as_bytes()).await?;
        self.writer.write_all(body).await
    }

    /// The head of a body in chunks.
    async fn open(&mut self, streaming: bool) -> io::Result<()> {
        let kind = if streaming { self.dialect.stream_type() } else { "application/json" };
        let mut head = self.head(200, kind);
        head.push_str("transfer-encoding: chunked\r\n\r\n");
        self.writer.write_all(head.as_bytes()).await
    }

    fn head(&self, status: u16, content_type: &str) -> String {
        let mut head = format!("HTTP/1.1 {status} \r\ncontent-type: {content_type}\r\n");
        for (name, value) in &self.headers {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        head
    }

    async fn piece(&mut self, body: &str, crlf: bool) -> io::Result<()> {
        let body =
            if crlf && !body.contains('\r') { body.replace('\n', "\r\n") } else { body.to_owned() };
        let slice = if self.sliced < SLICED { SLICE } else { body.len().max(1) };
        self.sliced += body.len();
        let mut chunks = Vec::with_capacity(body.len() * 2);
        for part in body.as_bytes().chunks(slice) {
            chunks.extend_from_slice(format!("{:x}\r\n", part.len()).as_bytes());
            chunks.extend_from_slice(part);
            chunks.extend_from_slice(b"\r\n");
        }
        self.writer.write_all(&chunks).await?;
        // An answer without end must let the thread look at its other connections.
        tokio::task::yield_now().await;
        Ok(())
    }

    async fn close(&mut self) -> io::Result<After> {
        self.writer.write_all(b"0\r\n\r\n").await?;
        Ok(After::Next)
    }
}

impl Fault {
    fn after(&self) -> usize {
        match self {
            Self::HangAfterHead => 0,
            Self::HangAfter(n)
            | Self::CutAfter(n)
            | Self::EndsEarlyAfter(n)
            | Self::ErrorAfter(n, _) => *n,
        }
    }
}

fn marked(text: &str) -> Reply {
    Reply { text: Some(Text::Words(text.to_owned())), ..Reply::default() }
}

async fn wait(time: Duration) {
    if !time.is_zero() {
        tokio::time::sleep(time).await;
    }
}
