//! Where keys and addresses come from when nobody names them.

use executus_core::secret::Secret;

use crate::name::Provider;

/// The variables of a provider.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Variables {
    pub(crate) key: &'static str,
    pub(crate) base: &'static str,
}

impl Provider {
    pub(crate) const fn variables(self) -> Variables {
        let (key, base) = match self {
            Self::OpenAi => ("OPENAI_API_KEY", "OPENAI_BASE_URL"),
            Self::Anthropic => ("ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL"),
            Self::Gemini => ("GEMINI_API_KEY", "GEMINI_BASE_URL"),
            Self::Ollama => ("OLLAMA_API_KEY", "OLLAMA_HOST"),
        };
        Variables { key, base }
    }
}

/// A variable of this process that has something in it.
pub(crate) fn variable(name: &str) -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads keys and addresses")]
    std::env::var(name).ok()
}

/// A key as people keep it: in a file with a line end, say. `None` for an empty one.
pub(crate) fn key(text: &str) -> Option<Secret> {
    let text = text.trim();
    (!text.is_empty()).then(|| Secret::new(text))
}

/// A base address as people write it, without a slash at its end. Ollama's may be a host, with or
/// without a port; one to listen on everywhere means this machine.
pub(crate) fn base(provider: Provider, text: &str) -> Option<String> {
    let text = text.trim().trim_end_matches('/');
    if text.is_empty() {
        return None;
    }
    if provider != Provider::Ollama || text.contains("://") {
        return Some(text.to_owned());
    }
    let has_port = text.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    let (host, port) = match text.rsplit_once(':').filter(|_| has_port) {
        Some((host, port)) => (host, port),
        None => (text, "11434"),
    };
    let host = if matches!(host, "" | "0.0.0.0" | "[::]") { "127.0.0.1" } else { host };
    Some(format!("http://{host}:{port}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_what_people_write() {
        for (provider, text, expected) in [
            (Provider::OpenAi, "http://127.0.0.1:8000/v1/", Some("http://127.0.0.1:8000/v1")),
            (Provider::OpenAi, "  ", None),
            (Provider::Ollama, "0.0.0.0", Some("http://127.0.0.1:11434")),
            (Provider::Ollama, "0.0.0.0:8080", Some("http://127.0.0.1:8080")),
            (Provider::Ollama, "box.local", Some("http://box.local:11434")),
            (Provider::Ollama, ":11435", Some("http://127.0.0.1:11435")),
            (Provider::Ollama, "https://box.local/ollama/", Some("https://box.local/ollama")),
        ] {
            assert_eq!(base(provider, text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn keys_lose_their_line_end() {
        assert_eq!(key(" abc\n").map(|key| key.expose().to_owned()).as_deref(), Some("abc"));
        assert!(key("\n").is_none());
    }
}
