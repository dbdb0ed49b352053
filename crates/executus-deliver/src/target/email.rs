//! E-mail by SMTP.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use executus_core::digest::Digest;
use executus_core::secret::{Secret, Secrets};
use executus_core::text::bounded_to;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message as Mail};
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
use lettre::transport::smtp::client::Certificate;
use lettre::transport::smtp::client::{AsyncSmtpConnection, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use sha2::{Digest as _, Sha256};
use thiserror::Error;
use tokio::time::timeout;

use super::Target;
use crate::error::SendError;
use crate::message::Message;

/// The longest text of a mail, in bytes.
const LONGEST: usize = 1 << 20;
/// How long a server has, unless it is told otherwise.
const TIMEOUT: Duration = Duration::from_secs(25);
/// How long the end of a session may take: the mail has arrived by then.
const QUIT: Duration = Duration::from_secs(1);

/// How the way to the mail server is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Encryption {
    /// TLS from the first byte, usually on port 465.
    #[default]
    Tls,
    /// `STARTTLS`, usually on port 587; a server without it is refused.
    StartTls,
    /// None, for a server on this host: no password is sent over it.
    None,
}

/// Why a mailbox cannot be a target.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EmailError {
    /// An address is none.
    #[error(
        "`{address}` is no mailbox ({message}); write `name@example.com` or `Name <name@example.com>`"
    )]
    Address {
        /// The address.
        address: String,
        /// What is wrong with it.
        message: String,
    },
    /// There is nobody to send to.
    #[error("there is no recipient; name at least one")]
    Nobody,
    /// A password would be sent in the clear.
    #[error("a password is sent over an encrypted connection alone; choose `tls` or `starttls`")]
    Password,
    /// TLS cannot be set up.
    #[error("TLS cannot be set up: {message}")]
    Tls {
        /// What is wrong.
        message: String,
    },
}

/// A mail for each message, in plain text, over a connection of its own.
///
/// The message id is made of the run's id, so that a mail that comes twice has one id, which most
/// mailboxes show once; the field `Idempotency-Key` has the run's id itself, or its SHA-256 where it
/// is no plain word. A reply of 4xx is worth another attempt, one of 5xx is a refusal; so is a
/// server that cannot do what is asked (`STARTTLS`, a login). One recipient that is refused refuses
/// the mail.
#[derive(Clone)]
pub struct Email {
    host: String,
    port: u16,
    encryption: Encryption,
    tls: Option<TlsParameters>,
    login: Option<(String, Secret)>,
    from: Mailbox,
    to: Vec<Mailbox>,
    timeout: Duration,
}

impl Email {
    /// By this server, encrypted in this way.
    ///
    /// # Errors
    /// [`EmailError`] says what is wrong with an address, or with TLS.
    pub fn new(
        host: &str,
        port: u16,
        encryption: Encryption,
        from: &str,
        to: &[&str],
    ) -> Result<Self, EmailError> {
        if to.is_empty() {
            return Err(EmailError::Nobody);
        }
        let tls = match encryption {
            Encryption::None => None,
            Encryption::Tls | Encryption::StartTls => Some(parameters(host, &[])?),
        };
        Ok(Self {
            host: host.to_owned(),
            port,
            encryption,
            tls,
            login: None,
            from: mailbox(from)?,
            to: to.iter().map(|address| mailbox(address)).collect::<Result<_, _>>()?,
            timeout: TIMEOUT,
        })
    }

    /// Logs in with this name and password.
    ///
    /// # Errors
    /// [`EmailError::Password`] when nothing is encrypted.
    pub fn login(mut self, name: impl Into<String>, password: Secret) -> Result<Self, EmailError> {
        if self.encryption == Encryption::None {
            return Err(EmailError::Password);
        }
        self.login = Some((name.into(), password));
        Ok(self)
    }

    /// Accepts servers whose certificates were signed by one of these too, in PEM form.
    ///
    /// # Errors
    /// [`EmailError::Tls`] when there is no certificate in it.
    pub fn add_root_certificate(mut self, pem: &[u8]) -> Result<Self, EmailError> {
        if self.tls.is_some() {
            self.tls = Some(parameters(&self.host, &[pem])?);
        }
        Ok(self)
    }

    /// With this limit for one mail as a whole, instead of 25 s.
    #[must_use]
    pub const fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = limit;
        self
    }

    fn mail(&self, message: &Message) -> Result<Mail, String> {
        let key = message.key().as_str();
        let digest = Digest::from_bytes(Sha256::digest(key.as_bytes()).into()).to_string();
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | ':' | '.');
        let plain = key.len() <= 64 && key.chars().all(is_plain);
        let field = HeaderName::new_from_ascii_str("Idempotency-Key");
        let value = if plain { key.to_owned() } else { format!("sha256-{digest}") };
        let mut mail = Mail::builder()
            .from(self.from.clone())
            .subject(message.title())
            .message_id(Some(format!("<{digest}@{}>", self.from.email.domain())))
            .raw_header(HeaderValue::new(field, value))
            .header(ContentType::TEXT_PLAIN);
        for to in &self.to {
            mail = mail.to(to.clone());
        }
        let text = bounded_to(message.text(), LONGEST);
        mail.body(format!("{text}\n\n-- \nrun {key}\n")).map_err(|error| error.to_string())
    }

    /// One session. What follows the acceptance of the mail does not count.
    async fn session(&self, mail: &Mail) -> Result<(), SendError> {
        let hello = ClientId::default();
        let at_once = self.tls.clone().filter(|_| self.encryption == Encryption::Tls);
        let server = (self.host.as_str(), self.port);
        let failed = |error| self.failed(&error);
        let mut session =
            AsyncSmtpConnection::connect_tokio1(server, Some(self.timeout), &hello, at_once, None)
                .await
                .map_err(failed)?;
        if let (Encryption::StartTls, Some(tls)) = (self.encryption, &self.tls) {
            session.starttls(tls.clone(), &hello).await.map_err(failed)?;
        }
        if let Some((name, password)) = &self.login {
            let login = Credentials::new(name.clone(), password.expose().to_owned());
            session.auth(&[Mechanism::Plain, Mechanism::Login], &login).await.map_err(failed)?;
        }
        session.send(mail.envelope(), &mail.formatted()).await.map_err(failed)?;
        let _ = timeout(QUIT, session.quit()).await;
        Ok(())
    }

    fn failed(&self, error: &lettre::transport::smtp::Error) -> SendError {
        let mut text = format!("{}:{}: {error}", self.host, self.port);
        if let Some((_, password)) = &self.login {
            let secret = ("password".to_owned(), password.clone());
            text = [secret].into_iter().collect::<Secrets>().redact(text);
        }
        if error.is_permanent() || error.is_client() {
            SendError::refused(text)
        } else {
            SendError::unavailable(text)
        }
    }
}

fn mailbox(address: &str) -> Result<Mailbox, EmailError> {
    address.parse().map_err(|error: lettre::address::AddressError| EmailError::Address {
        address: bounded_to(address.escape_debug().to_string(), 200),
        message: error.to_string(),
    })
}

#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
fn parameters(host: &str, roots: &[&[u8]]) -> Result<TlsParameters, EmailError> {
    let failed =
        |error: lettre::transport::smtp::Error| EmailError::Tls { message: error.to_string() };
    let mut builder = TlsParameters::builder(host.to_owned());
    for pem in roots {
        builder = builder.add_root_certificate(Certificate::from_pem(pem).map_err(failed)?);
    }
    builder.build_rustls().map_err(failed)
}

#[cfg(not(any(feature = "aws-lc-rs", feature = "ring")))]
fn parameters(_: &str, _: &[&[u8]]) -> Result<TlsParameters, EmailError> {
    let message = "this program was built without cryptography (feature aws-lc-rs or ring)".into();
    Err(EmailError::Tls { message })
}

#[async_trait]
impl Target for Email {
    async fn send(&self, message: &Message) -> Result<(), SendError> {
        let mail = self
            .mail(message)
            .map_err(|error| SendError::refused(format!("no mail can be made of it: {error}")))?;
        match timeout(self.timeout, self.session(&mail)).await {
            Ok(done) => done,
            Err(_) => Err(SendError::unavailable(format!(
                "{}:{} was not done within {:?}",
                self.host, self.port, self.timeout
            ))),
        }
    }
}

impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Email")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("encryption", &self.encryption)
            .field("to", &self.to.len())
            .finish_non_exhaustive()
    }
}
