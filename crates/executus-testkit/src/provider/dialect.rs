//! The dialects: where each listens, and which module speaks it.

use std::net::SocketAddr;

use serde_json::Value;

use super::answer::{Reply, Trouble};
use super::http::SeenRequest;
use super::piece::Pieces;
use super::{anthropic, gemini, ollama, openai};

/// The way a provider speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Chat completions of OpenAI and the many that are compatible with it:
    /// `POST {base}/chat/completions`.
    OpenAi,
    /// Messages of Anthropic: `POST {base}/v1/messages`.
    Anthropic,
    /// Gemini: `POST {base}/v1beta/models/{model}:generateContent` and
    /// `:streamGenerateContent?alt=sse`.
    Gemini,
    /// Ollama's own: `POST {base}/api/chat`.
    Ollama,
}

/// What a dialect needs to know of the request it answers.
#[derive(Clone, Debug)]
pub(super) struct Turn {
    /// The number of the request, from 1; ids are made of it.
    pub(super) number: usize,
    /// The model that was asked for.
    pub(super) model: String,
    /// OpenAI streams the usage only when asked to.
    pub(super) usage_wanted: bool,
}

/// An error as it is sent.
#[derive(Debug)]
pub(super) struct ErrorReply {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Value,
    pub(super) message: String,
}

impl Dialect {
    pub(super) fn base_url(self, address: SocketAddr) -> String {
        match self {
            Self::OpenAi => format!("http://{address}/v1"),
            Self::Anthropic | Self::Gemini | Self::Ollama => format!("http://{address}"),
        }
    }

    pub(super) fn streams(self, request: &SeenRequest) -> bool {
        match self {
            Self::OpenAi | Self::Anthropic => request.body["stream"] == true,
            Self::Gemini => request.path.contains(":streamGenerateContent"),
            // Ollama streams unless it is told not to.
            Self::Ollama => request.body["stream"] != false,
        }
    }

    pub(super) fn turn(self, request: &SeenRequest, number: usize) -> Turn {
        let model = match self {
            Self::Gemini => gemini::model(&request.path),
            Self::OpenAi | Self::Anthropic | Self::Ollama => request.body["model"].as_str(),
        };
        Turn {
            number,
            model: model.unwrap_or_default().to_owned(),
            usage_wanted: request.body["stream_options"]["include_usage"] == true,
        }
    }

    pub(super) fn error(self, trouble: &Trouble, turn: &Turn) -> ErrorReply {
        match self {
            Self::OpenAi => openai::error(trouble, turn),
            Self::Anthropic => anthropic::error(trouble, turn),
            Self::Gemini => gemini::error(trouble, turn),
            Self::Ollama => ollama::error(trouble, turn),
        }
    }

    /// The answer as one body, or the error that stands for one that the dialect cannot express.
    pub(super) fn whole(self, reply: &Reply, turn: &Turn) -> Result<Value, ErrorReply> {
        match self {
            Self::OpenAi => Ok(openai::whole(reply, turn)),
            Self::Anthropic => Ok(anthropic::whole(reply, turn)),
            Self::Gemini => Ok(gemini::whole(reply, turn)),
            Self::Ollama => ollama::whole(reply, turn),
        }
    }

    pub(super) fn pieces(self, reply: Reply, turn: Turn) -> Pieces {
        match self {
            Self::OpenAi => openai::pieces(reply, turn),
            Self::Anthropic => anthropic::pieces(reply, turn),
            Self::Gemini => gemini::pieces(reply, turn),
            Self::Ollama => ollama::pieces(reply, turn),
        }
    }

    /// An error in the middle of a stream.
    pub(super) fn error_piece(self, message: &str) -> String {
        match self {
            Self::OpenAi => openai::error_piece(message),
            Self::Anthropic => anthropic::error_piece(message),
            Self::Gemini => gemini::error_piece(message),
            Self::Ollama => ollama::error_piece(message),
        }
    }

    /// A sign of life in a stream.
    pub(super) fn keep_alive(self) -> &'static str {
        match self {
            Self::OpenAi => ": OPENROUTER PROCESSING\n\n",
            Self::Anthropic => ": keep-alive\n\nevent: ping\ndata: {\"type\":\"ping\"}\n\n",
            Self::Gemini => ": keep-alive\n\n",
            Self::Ollama => "\n",
        }
    }

    pub(super) fn stream_type(self) -> &'static str {
        match self {
            Self::OpenAi | Self::Anthropic => "text/event-stream; charset=utf-8",
            Self::Gemini => "text/event-stream",
            Self::Ollama => "application/x-ndjson",
        }
    }

    /// The header that names the request, for support.
    pub(super) fn id_header(self, number: usize) -> Option<(String, String)> {
        match self {
            Self::OpenAi => Some(("x-request-id".into(), format!("req_{number}"))),
            Self::Anthropic => Some(("request-id".into(), format!("req_{number}"))),
            Self::Gemini | Self::Ollama => None,
        }
    }
}
