//! What a model is asked with: address, key, limits in time, prices.

use std::fmt;
use std::time::Duration;

use executus_core::secret::{Secret, Secrets};
use executus_http::{Client, Method, Request};
use thiserror::Error;

use crate::chat::{ChatModel, Settings};
use crate::dialect;
use crate::environment;
use crate::name::{ModelName, NameError, Provider};
use crate::price::Prices;

/// How long a model may take. Each limit is one of its own; the run's deadline caps them all, and
/// an attempt that is cut by one of them is made again, see
/// [`retries`](ChatModelBuilder::retries).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// To a connection, the handshake of TLS included: 10 s.
    pub connect: Duration,
    /// From asking, the connection included, to the first event of a streamed answer: 120 s.
    pub first_token: Duration,
    /// Between two reads of a streamed answer that has begun: 60 s.
    pub idle: Duration,
    /// From asking to the end of an answer that is not streamed: 300 s.
    pub whole: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            first_token: Duration::from_secs(120),
            idle: Duration::from_secs(60),
            whole: Duration::from_secs(300),
        }
    }
}

/// Why a model cannot be asked.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The name is none.
    #[error(transparent)]
    Name(#[from] NameError),
    /// There is no key.
    #[error("{provider} needs a key, and there is none; set {variable}")]
    MissingKey {
        /// Who needs it.
        provider: Provider,
        /// The environment variable that would have it.
        variable: &'static str,
    },
    /// The key cannot be sent.
    #[error(
        "the key for {provider} has characters that no header field can hold; check {variable}"
    )]
    BadKey {
        /// Whose it is.
        provider: Provider,
        /// The environment variable that has it.
        variable: &'static str,
    },
    /// The address is none.
    #[error("the address of {provider} cannot be used: {message}; check {variable}")]
    BadBase {
        /// Whose it is.
        provider: Provider,
        /// What is wrong with it.
        message: String,
        /// The environment variable that has it.
        variable: &'static str,
    },
    /// A limit in time is zero.
    #[error("timeouts.{field} is 0; give it a value above 0")]
    ZeroTimeout {
        /// Which.
        field: &'static str,
    },
    /// The HTTP client cannot be made.
    #[error("no HTTP client: {message}")]
    Client {
        /// Why.
        message: String,
    },
}

/// Collects what a [`ChatModel`] is asked with. `Debug` shows neither the key nor the address,
/// which may hold one.
#[derive(Clone)]
pub struct ChatModelBuilder {
    name: ModelName,
    base: Option<String>,
    key: Option<Secret>,
    stream: bool,
    timeouts: Timeouts,
    retries: u32,
    waits: (Duration, Duration),
    max_output_tokens: Option<u32>,
    prices: Prices,
}

impl ChatModelBuilder {
    pub(crate) fn new(name: ModelName) -> Self {
        Self {
            name,
            base: None,
            key: None,
            stream: true,
            timeouts: Timeouts::default(),
            retries: 3,
            waits: (Duration::from_millis(400), Duration::from_secs(10)),
            max_output_tokens: None,
            prices: Prices::listed(),
        }
    }

    /// Key and address from variables such as `OPENAI_API_KEY` and `OPENAI_BASE_URL`, where they
    /// were not given. `variable` answers for them.
    #[must_use]
    pub fn variables(mut self, variable: &dyn Fn(&str) -> Option<String>) -> Self {
        let provider = self.name.provider();
        let names = provider.variables();
        if self.key.is_none() {
            self.key = variable(names.key).as_deref().and_then(environment::key);
        }
        if self.base.is_none() {
            self.base = variable(names.base).and_then(|text| environment::base(provider, &text));
        }
        self
    }

    /// With this key.
    #[must_use]
    pub fn key(mut self, key: Secret) -> Self {
        self.key = Some(key);
        self
    }

    /// At this address: what stands before `/chat/completions` for OpenAI and those compatible
    /// with it, before `/v1/messages` for Anthropic, `/v1beta/` for Gemini, `/api/chat` for Ollama.
    /// A query, such as `?api-version=…`, goes with every request.
    #[must_use]
    pub fn base_url(mut self, base: &str) -> Self {
        self.base = environment::base(self.name.provider(), base);
        self
    }

    /// Whether answers are streamed; they are without this.
    #[must_use]
    pub const fn stream(mut self, stream: bool) -> Self {
        self.stream = stream;
        self
    }

    /// Within these limits in time.
    #[must_use]
    pub const fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// How often a failed attempt is made again at most: 3 times without this.
    #[must_use]
    pub const fn retries(mut self, retries: u32) -> Self {
        self.retries = retries;
        self
    }

    /// How long to wait before further attempts: `first` to twice of it before the second one, twice
    /// as long before each that follows, and no longer than `most` in all; 400 ms and 10 s without
    /// this. A
    /// provider that wants to be left alone for longer than `most` is not asked again: a run that
    /// has the time, at night, is given more here.
    #[must_use]
    pub const fn waits(mut self, first: Duration, most: Duration) -> Self {
        self.waits = (first, most);
        self
    }

    /// The most tokens of one answer. Without this it is the provider's own limit; for Anthropic,
    /// which has none, 32000, and for `claude-3` what its versions can: 8192 (3.5, 3.7) or 4096.
    #[must_use]
    pub const fn max_output_tokens(mut self, tokens: u32) -> Self {
        self.max_output_tokens = Some(tokens);
        self
    }

    /// What tokens cost; the listed prices without this.
    #[must_use]
    pub fn prices(mut self, prices: Prices) -> Self {
        self.prices = prices;
        self
    }

    /// The model. Nothing is sent before it is asked.
    ///
    /// # Errors
    /// [`ConfigError`] when something is missing or cannot be used. No message holds the key.
    pub fn build(self) -> Result<ChatModel, ConfigError> {
        let provider = self.name.provider();
        let dialect = dialect::of(provider);
        let names = provider.variables();
        let Timeouts { connect, first_token, idle, whole } = self.timeouts;
        let limits =
            [("connect", connect), ("first_token", first_token), ("idle", idle), ("whole", whole)];
        if let Some((field, _)) = limits.into_iter().find(|(_, limit)| limit.is_zero()) {
            return Err(ConfigError::ZeroTimeout { field });
        }
        let needs_key = match provider {
            Provider::Anthropic | Provider::Gemini => true,
            // What is only compatible with OpenAI often needs none.
            Provider::OpenAi => self.base.is_none(),
            Provider::Ollama => false,
        };
        if needs_key && self.key.is_none() {
            return Err(ConfigError::MissingKey { provider, variable: names.key });
        }
        let at_home = self.base.as_deref().is_none_or(|base| base == dialect.default_base());
        let base = self.base.unwrap_or_else(|| dialect.default_base().to_owned());
        let request = Request::new(Method::Post, &base).map_err(|error| ConfigError::BadBase {
            provider,
            message: error.to_string(),
            variable: names.base,
        })?;
        if dialect.sign(request, self.key.as_ref()).is_err() {
            return Err(ConfigError::BadKey { provider, variable: names.key });
        }
        let client = Client::builder()
            .connect_timeout(connect)
            .build()
            .map_err(|error| ConfigError::Client { message: error.to_string() })?;
        let secrets = self.key.iter().map(|key| (names.key.to_owned(), key.clone()));
        let secrets: Secrets = secrets.collect();
        Ok(ChatModel::new(Settings {
            label: self.name.to_string().into(),
            name: self.name,
            dialect,
            client,
            base,
            at_home,
            key: self.key,
            secrets,
            stream: self.stream,
            timeouts: self.timeouts,
            retries: self.retries,
            waits: self.waits,
            max_output_tokens: self.max_output_tokens,
            prices: self.prices,
        }))
    }
}

impl fmt::Debug for ChatModelBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChatModelBuilder")
            .field("name", &self.name)
            .field("stream", &self.stream)
            .field("timeouts", &self.timeouts)
            .field("retries", &self.retries)
            .field("waits", &self.waits)
            .field("max_output_tokens", &self.max_output_tokens)
            .finish_non_exhaustive()
    }
}
