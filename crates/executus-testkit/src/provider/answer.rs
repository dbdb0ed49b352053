//! What the server answers: a reply of the model or an error, and how either goes wrong.

use std::time::Duration;

use serde_json::Value;

/// One answer of a [`ProviderServer`](super::ProviderServer).
///
/// The constructors say what is answered; the methods add to it, each returning the answer. What a
/// dialect cannot express is said at the method.
#[derive(Clone, Debug)]
pub struct Answer {
    pub(super) kind: Kind,
    pub(super) delivery: Delivery,
    pub(super) repeated: bool,
}

/// The tokens an answer reports, counted once however the dialect counts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Used {
    /// All tokens of the prompt, those from and to the cache included.
    pub input: u64,
    /// All tokens of the answer, those of the thinking included.
    pub output: u64,
    /// The part of `output` that was thinking. Anthropic and Ollama do not tell it apart.
    pub thinking: u64,
    /// The part of `input` that was read from a cache. Ollama does not tell it apart.
    pub cached: u64,
    /// The part of `input` that was written to a cache. Only Anthropic tells it apart.
    pub cache_written: u64,
}

#[derive(Clone, Debug)]
pub(super) enum Kind {
    Reply(Reply),
    Trouble(Trouble),
    Raw { status: u16, content_type: String, body: String },
    Silence,
    EndlessLine,
    EndlessComments,
}

/// What the model says.
#[derive(Clone, Debug, Default)]
pub(super) struct Reply {
    pub(super) thinking: Option<String>,
    pub(super) text: Option<Text>,
    pub(super) calls: Vec<Call>,
    /// `None` leaves the usage out, as some compatible servers do.
    pub(super) used: Option<Used>,
    pub(super) model: Option<String>,
    pub(super) finish: Option<String>,
}

#[derive(Clone, Debug)]
pub(super) enum Text {
    Words(String),
    Filler(usize),
    Endless,
}

#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) name: String,
    pub(super) arguments: Arguments,
}

#[derive(Clone, Debug)]
pub(super) enum Arguments {
    Json(Value),
    Broken(String),
}

/// An error, before a dialect puts it in its words.
#[derive(Clone, Debug)]
pub(super) enum Trouble {
    Status(u16, String),
    RateLimited(Option<Duration>),
    Overloaded,
    ContextOverflow,
    Unauthorized,
    UnknownModel,
}

/// How the answer travels.
#[derive(Clone, Debug, Default)]
pub(super) struct Delivery {
    pub(super) fault: Option<Fault>,
    pub(super) late: Duration,
    pub(super) pace: Duration,
    pub(super) crlf: bool,
    pub(super) after_end: bool,
    pub(super) headers: Vec<(String, String)>,
}

#[derive(Clone, Debug)]
pub(super) enum Fault {
    HangAfterHead,
    HangAfter(usize),
    CutAfter(usize),
    EndsEarlyAfter(usize),
    ErrorAfter(usize, String),
}

impl Answer {
    fn new(kind: Kind) -> Self {
        Self { kind, delivery: Delivery::default(), repeated: false }
    }

    fn reply(change: impl FnOnce(&mut Reply)) -> Self {
        let used = Used { input: 10, output: 5, ..Used::default() };
        let mut reply = Reply { used: Some(used), ..Reply::default() };
        change(&mut reply);
        Self::new(Kind::Reply(reply))
    }

    /// A text, streamed word by word.
    pub fn text(text: impl Into<String>) -> Self {
        Self::reply(|reply| reply.text = Some(Text::Words(text.into())))
    }

    /// Calls of tools, in order, as one turn. Give it an object each.
    pub fn calls<N: Into<String>>(calls: impl IntoIterator<Item = (N, Value)>) -> Self {
        let call = |(name, arguments): (N, Value)| Call {
            name: name.into(),
            arguments: Arguments::Json(arguments),
        };
        Self::reply(|reply| reply.calls = calls.into_iter().map(call).collect())
    }

    /// A text of so many bytes of ASCII, made while it is written: 50 MB cost no memory when
    /// streamed.
    pub fn huge_text(bytes: usize) -> Self {
        Self::reply(|reply| reply.text = Some(Text::Filler(bytes)))
    }

    /// Pieces of text for ever, as fast as the client takes them; [`paced`](Self::paced) slows them
    /// down. Where nothing is streamed: a body without end.
    pub fn endless() -> Self {
        Self::reply(|reply| reply.text = Some(Text::Endless))
    }

    /// One line without a line end, for ever.
    pub fn endless_line() -> Self {
        Self::new(Kind::EndlessLine)
    }

    /// Signs of life without content for ever, 10 ms apart: comments (and pings, for Anthropic) in
    /// an event stream, empty lines for Ollama, white space where nothing is streamed.
    pub fn endless_comments() -> Self {
        Self::new(Kind::EndlessComments).paced(Duration::from_millis(10))
    }

    /// An error of this status with this message, in the dialect's error body.
    pub fn status(status: u16, message: impl Into<String>) -> Self {
        Self::new(Kind::Trouble(Trouble::Status(status, message.into())))
    }

    /// The dialect's 429. How long to wait is told as the dialect tells it: a `retry-after` header
    /// in whole seconds, rounded up, with `retry-after-ms` beside it for OpenAI; for Gemini a
    /// `RetryInfo` in the body.
    pub fn rate_limited(retry_after: Option<Duration>) -> Self {
        Self::new(Kind::Trouble(Trouble::RateLimited(retry_after)))
    }

    /// The dialect's "try again later": 529 of Anthropic, 503 of the others.
    pub fn overloaded() -> Self {
        Self::new(Kind::Trouble(Trouble::Overloaded))
    }

    /// The dialect's refusal of a prompt that is too long.
    pub fn context_overflow() -> Self {
        Self::new(Kind::Trouble(Trouble::ContextOverflow))
    }

    /// The dialect's refusal of a wrong key.
    pub fn unauthorized() -> Self {
        Self::new(Kind::Trouble(Trouble::Unauthorized))
    }

    /// The dialect's refusal of a model it does not have.
    pub fn unknown_model() -> Self {
        Self::new(Kind::Trouble(Trouble::UnknownModel))
    }

    /// These bytes: the page of a proxy, garbage, anything.
    pub fn raw(status: u16, content_type: impl Into<String>, body: impl Into<String>) -> Self {
        Self::new(Kind::Raw { status, content_type: content_type.into(), body: body.into() })
    }

    /// Nothing, ever: the connection stays open and no head comes.
    pub fn hang() -> Self {
        Self::new(Kind::Silence)
    }

    /// The head of an answer and then nothing, ever.
    pub fn hang_after_head() -> Self {
        Self::text("never sent").fault(Fault::HangAfterHead)
    }

    /// Text before the calls.
    #[must_use]
    pub fn and_text(self, text: impl Into<String>) -> Self {
        self.change(|reply| reply.text = Some(Text::Words(text.into())))
    }

    /// Thinking before everything else. OpenAI has no field for it: there it is
    /// `reasoning_content`, the name that compatible servers use.
    #[must_use]
    pub fn thinking(self, thinking: impl Into<String>) -> Self {
        self.change(|reply| reply.thinking = Some(thinking.into()))
    }

    /// Makes the arguments of the last call this text, which is to be no valid JSON. Only a stream
    /// of OpenAI or Anthropic, or a whole answer of OpenAI, can carry it; the others answer what
    /// they answer when their model writes such a call: Anthropic's whole answer has the text as a
    /// string in place of the object, Gemini finishes with `MALFORMED_FUNCTION_CALL` and no call,
    /// Ollama reports an error.
    #[must_use]
    pub fn broken_arguments(self, raw: impl Into<String>) -> Self {
        self.change(|reply| {
            if let Some(call) = reply.calls.last_mut() {
                call.arguments = Arguments::Broken(raw.into());
            }
        })
    }

    /// The tokens to report. Without this call: 10 in, 5 out.
    #[must_use]
    pub fn usage(self, used: Used) -> Self {
        self.change(|reply| reply.used = Some(used))
    }

    /// Reports no tokens at all.
    #[must_use]
    pub fn without_usage(self) -> Self {
        self.change(|reply| reply.used = None)
    }

    /// The model that is said to have served. Without this call: the one that was asked for.
    #[must_use]
    pub fn model(self, served: impl Into<String>) -> Self {
        self.change(|reply| reply.model = Some(served.into()))
    }

    /// The reason of the end in the dialect's own word, such as `length`, `max_tokens` or
    /// `MAX_TOKENS`. Without this call: the one that fits the answer.
    #[must_use]
    pub fn finish(self, reason: impl Into<String>) -> Self {
        self.change(|reply| reply.finish = Some(reason.into()))
    }

    /// Stops without a word after n pieces; the connection stays open.
    #[must_use]
    pub fn hang_after_pieces(self, n: usize) -> Self {
        self.fault(Fault::HangAfter(n))
    }

    /// Closes the connection after n pieces, in the middle of the body.
    #[must_use]
    pub fn cut_after_pieces(self, n: usize) -> Self {
        self.fault(Fault::CutAfter(n))
    }

    /// Ends the body after n pieces: well-formed for HTTP, but without a reason of the end. The
    /// connection stays usable.
    #[must_use]
    pub fn ends_early_after_pieces(self, n: usize) -> Self {
        self.fault(Fault::EndsEarlyAfter(n))
    }

    /// After n pieces an error in the stream, whose status was 200, and the end of the body. Where
    /// nothing is streamed: a 500 with this message.
    #[must_use]
    pub fn error_after_pieces(self, n: usize, message: impl Into<String>) -> Self {
        self.fault(Fault::ErrorAfter(n, message.into()))
    }

    /// Waits so long before the head.
    #[must_use]
    pub fn late(mut self, wait: Duration) -> Self {
        self.delivery.late = wait;
        self
    }

    /// Waits so long before each piece.
    #[must_use]
    pub fn paced(mut self, pace: Duration) -> Self {
        self.delivery.pace = pace;
        self
    }

    /// Ends the lines of a stream with CR LF, as Gemini always does.
    #[must_use]
    pub fn crlf(mut self) -> Self {
        self.delivery.crlf = true;
        self
    }

    /// Streams more text, "after the end", once the stream has said that it ended.
    #[must_use]
    pub fn data_after_end(mut self) -> Self {
        self.delivery.after_end = true;
        self
    }

    /// Adds a header to the answer, such as a `location` or another `retry-after`.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.delivery.headers.push((name.into(), value.into()));
        self
    }

    /// Answers every further request too, when it is the last of a script.
    #[must_use]
    pub fn repeated(mut self) -> Self {
        self.repeated = true;
        self
    }

    fn change(mut self, change: impl FnOnce(&mut Reply)) -> Self {
        if let Kind::Reply(reply) = &mut self.kind {
            change(reply);
        }
        self
    }

    fn fault(mut self, fault: Fault) -> Self {
        self.delivery.fault = Some(fault);
        self
    }
}
