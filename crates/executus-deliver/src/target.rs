//! Where a message goes.

mod folder;
mod lines;

#[cfg(feature = "webhook")]
pub(crate) mod chat;
#[cfg(feature = "email")]
pub(crate) mod email;
#[cfg(feature = "webhook")]
mod retry_after;
#[cfg(feature = "webhook")]
pub(crate) mod signature;
#[cfg(feature = "webhook")]
pub(crate) mod webhook;

use std::fmt;

use async_trait::async_trait;

pub use self::folder::Folder;
pub use self::lines::Lines;
use crate::error::SendError;
use crate::message::Message;

/// Where a message goes. A host may have targets of its own.
///
/// `Debug` MUST NOT show a secret: routes are logged.
#[async_trait]
pub trait Target: Send + Sync + fmt::Debug {
    /// Sends a message, once. `Ok` says that it has arrived. It may come again, at any time and from
    /// another process, with the same [key](Message::key) and the same
    /// [body](Message::body).
    ///
    /// **Cancellation**: dropped when its time is over; the message may have arrived then.
    ///
    /// # Errors
    /// [`SendError::Refused`] when another attempt will not help, otherwise
    /// [`SendError::Unavailable`].
    async fn send(&self, message: &Message) -> Result<(), SendError>;
}

/// In which form a target gets a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Shape {
    /// Its JSON, in one line.
    #[default]
    Json,
    /// For people: [`Message::text`].
    Text,
}

impl Shape {
    pub(crate) fn of(self, message: &Message) -> Vec<u8> {
        let mut bytes = match self {
            Self::Json => message.body().to_vec(),
            Self::Text => message.text().into_bytes(),
        };
        bytes.push(b'\n');
        bytes
    }
}
