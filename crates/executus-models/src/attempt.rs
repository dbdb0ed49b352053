//! One attempt to have an answer: a request, and the reading of what comes.

use std::time::Duration;

use executus_core::text::bounded_to;
use executus_core::{ModelError, Reply, Timestamp, Turn};
use executus_http::events::{Events, Framing};
use executus_http::{HttpError, Method, Request, Response};
use serde_json::Value;
use tokio::time::{Instant, timeout, timeout_at};

use crate::address;
use crate::ask::Ask;
use crate::chat::Settings;
use crate::conversation::Conversation;
use crate::draft::Draft;
use crate::failure::{Complaint, Failure, SNIPPET_BYTES};
use crate::retry_after;

/// The longest answer that is not streamed, in bytes.
const MAX_BODY: usize = 8 << 20;
/// The longest stream, in bytes, whatever is in it.
const MAX_STREAM: usize = 64 << 20;
/// The longest line of a stream, in bytes: one event of the longest arguments, escaped.
const MAX_LINE: usize = 8 << 20;
/// The longest body of an error that is read.
const MAX_ERROR_BODY: usize = 64 << 10;
/// How long an error body may take.
const ERROR_BODY_TIME: Duration = Duration::from_secs(5);
/// How long the end of a stream may take after its last event, so that the connection is kept.
const LAST_BYTES_TIME: Duration = Duration::from_millis(20);

/// As good as never, and small enough to be added to a time.
const NEVER: Duration = Duration::from_secs(100 * 365 * 86_400);

/// Until when the parts of an answer may come.
struct Limits {
    asked: Instant,
    first: Duration,
    idle: Duration,
    whole: Duration,
}

impl Limits {
    /// From now on.
    fn new(settings: &Settings) -> Self {
        let limits = settings.timeouts;
        let [first, idle, whole] =
            [limits.first_token, limits.idle, limits.whole].map(|limit| limit.min(NEVER));
        Self { asked: Instant::now(), first, idle, whole }
    }
}

/// An attempt under way. Unless it succeeds it is told to the run, when it is dropped too.
pub(crate) struct Attempt<'a> {
    settings: &'a Settings,
    turn: &'a Turn,
    draft: Draft,
    is_open: bool,
}

impl<'a> Attempt<'a> {
    pub(crate) fn new(settings: &'a Settings, turn: &'a Turn) -> Self {
        let draft = Draft::new(most_bytes(turn));
        Self { settings, turn, draft, is_open: true }
    }

    /// Makes the attempt.
    pub(crate) async fn make(mut self, conversation: &Conversation) -> Result<Reply, Failure> {
        let read = self.read(conversation).await;
        let settings = self.settings;
        let model = self.draft.model.clone();
        let draft = std::mem::replace(&mut self.draft, Draft::new(0));
        let usage = draft.usage;
        let provider = settings.name.provider().as_str();
        let reply = read.and_then(|()| draft.finish(provider, settings.name.model()));
        self.draft.usage = usage;
        self.draft.model = model;
        self.price();
        match reply {
            Ok(reply) => {
                self.is_open = false;
                Ok(Reply { usage: self.draft.usage, ..reply })
            }
            Err(failure) => {
                let error = hidden(failure.error, settings);
                self.tell(&error.to_string());
                Err(Failure { error, ..failure })
            }
        }
    }

    async fn read(&mut self, conversation: &Conversation) -> Result<(), Failure> {
        let settings = self.settings;
        let limits = Limits::new(settings);
        let response = self.send(conversation, &limits).await?;
        if !response.is_success() {
            return Err(self.refused(response).await);
        }
        match response.content_type() {
            Some(JSON) if !settings.stream => self.whole(response, &limits).await,
            // Asked to stream, some servers answer at once all the same.
            Some(JSON) if settings.dialect.framing() == Framing::Sse => {
                self.whole(response, &limits).await
            }
            Some(kind) if kind.starts_with("text/html") => {
                let text = response.snippet(SNIPPET_BYTES).await;
                Err(Failure::malformed(format!("it is a web page: {text}")))
            }
            _ if settings.stream => self.streamed(response, &limits).await,
            _ => self.whole(response, &limits).await,
        }
    }

    /// Asks, and waits for the head of the answer.
    async fn send(
        &self,
        conversation: &Conversation,
        limits: &Limits,
    ) -> Result<Response, Failure> {
        let settings = self.settings;
        let ask = Ask {
            model: settings.name.model(),
            conversation,
            stream: settings.stream,
            max_output_tokens: settings.max_output_tokens,
            at_home: settings.at_home,
        };
        let (path, body) = settings.dialect.request(&ask);
        let accept = if ask.stream { "text/event-stream, application/json" } else { JSON };
        let first = if ask.stream { limits.first } else { limits.whole };
        let request = Request::new(Method::Post, &address::of(&settings.base, &path))
            .and_then(|request| request.json(&body).header("accept", accept))
            .and_then(|request| settings.dialect.sign(request, settings.key.as_ref()))
            .map_err(|error| Failure::of_http(&error))?
            .headers_timeout(first)
            // Here, and not there: it does not count before the first event, nor for an answer
            // that comes whole. Some servers send the head at once and think then.
            .idle_timeout(NEVER);
        drop(body);
        match timeout_at(limits.asked + first, settings.client.send(request)).await {
            Ok(answer) => answer.map_err(|error| Failure::of_http(&error)),
            Err(_) => Err(Failure::late("the model said nothing", first)),
        }
    }

    /// Reads an answer that comes as one.
    async fn whole(&mut self, response: Response, limits: &Limits) -> Result<(), Failure> {
        let due = limits.asked + limits.whole;
        let Ok(body) = timeout_at(due, response.bytes(MAX_BODY)).await else {
            return Err(Failure::late("the answer was not whole", limits.whole));
        };
        let body = body.map_err(|error| Failure::of_http(&error))?;
        let value: Value = serde_json::from_slice(&body).map_err(|error| {
            let text = String::from_utf8_lossy(&body);
            let shown = bounded_to(text.into_owned(), 200);
            Failure::malformed(format!("it is not JSON ({error}): {shown}"))
        })?;
        drop(body);
        self.settings.dialect.whole(&value, &mut self.draft)
    }

    /// Reads an answer as it comes, until it is whole or takes too much room.
    async fn streamed(&mut self, mut response: Response, limits: &Limits) -> Result<(), Failure> {
        let Self { settings, turn, draft, .. } = self;
        let mut events = Events::new(settings.dialect.framing(), MAX_LINE);
        let mut reader = settings.dialect.reader();
        let (mut read, mut has_begun) = (0, false);
        loop {
            let (due, what, limit) = if has_begun {
                (Instant::now() + limits.idle, "the model said nothing more", limits.idle)
            } else {
                (limits.asked + limits.first, "the model said nothing", limits.first)
            };
            let chunk = timeout_at(due, response.chunk()).await;
            let chunk = match chunk.map_err(|_| Failure::late(what, limit))? {
                // The end was said: what is missing is the end of the connection.
                Err(HttpError::Dropped { .. }) if draft.finish.is_some() => None,
                chunk => chunk.map_err(|error| Failure::of_http(&error))?,
            };
            let mut take = |data: &str| {
                has_begun = true;
                if reader.is_over() || draft.is_full() {
                    return Ok(());
                }
                reader.event(data, draft, &mut |piece| {
                    if !piece.is_empty() {
                        turn.delta(piece);
                    }
                })
            };
            let Some(chunk) = chunk else {
                return events.finish(&mut take);
            };
            read += chunk.len();
            if read > MAX_STREAM {
                return Err(Failure::too_large(MAX_STREAM));
            }
            events.push(&chunk, &mut take)?;
            if draft.is_full() {
                return Ok(());
            }
            if reader.is_over() {
                // Read to its end the connection serves the next request too.
                let _ = timeout(LAST_BYTES_TIME, response.chunk()).await;
                return Ok(());
            }
        }
    }

    /// What an error status means.
    async fn refused(&self, response: Response) -> Failure {
        let status = response.status();
        let (seconds, millis) = (response.header("retry-after"), response.header("retry-after-ms"));
        let after = retry_after::of_head(seconds, millis, Timestamp::now());
        let body = timeout(ERROR_BODY_TIME, response.bytes(MAX_ERROR_BODY)).await;
        let body = body.ok().and_then(Result::ok).unwrap_or_default();
        let value: Value = serde_json::from_slice(&body).unwrap_or_default();
        let mut complaint = self.settings.dialect.complaint(&value);
        if complaint.message.is_empty() {
            complaint.message = String::from_utf8_lossy(&body).into_owned();
        }
        let Complaint { message, code, retry_after } = complaint;
        let message = bounded_to(self.settings.secrets.redact(message), SNIPPET_BYTES);
        Failure::of_status(status, Complaint { message, code, retry_after }, after)
    }

    fn price(&mut self) {
        let served = self.draft.model.as_deref();
        let cost = self.settings.prices.cost(&self.settings.name, served, &self.draft.usage);
        self.draft.usage.cost_micros = cost.unwrap_or_default();
    }

    fn tell(&mut self, error: &str) {
        self.is_open = false;
        self.turn.attempt_failed(self.settings.label.clone(), error, self.draft.usage);
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if self.is_open {
            self.price();
            self.tell("given up before the answer was there");
        }
    }
}

const JSON: &str = "application/json";

/// How much text and arguments a reply of this run may have.
fn most_bytes(turn: &Turn) -> usize {
    usize::try_from(turn.spec().limits.max_reply_bytes).unwrap_or(usize::MAX).min(MAX_STREAM)
}

/// The error without the key, which some providers repeat.
fn hidden(error: ModelError, settings: &Settings) -> ModelError {
    let hide = |message: String| settings.secrets.redact(message);
    match error {
        ModelError::Unavailable { message } => ModelError::Unavailable { message: hide(message) },
        ModelError::RateLimited { message, retry_after } => {
            ModelError::RateLimited { message: hide(message), retry_after }
        }
        ModelError::ContextOverflow { message } => {
            ModelError::ContextOverflow { message: hide(message) }
        }
        ModelError::Rejected { message } => ModelError::Rejected { message: hide(message) },
        ModelError::Malformed { message } => ModelError::Malformed { message: hide(message) },
        other => other,
    }
}
