//! Delivery of results: to stdout, files, webhooks, chats and mailboxes, at once or by an outbox.
//!
//! A parcel becomes a [`Message`] once: the bytes that every attempt sends, under the run's id as
//! its key. [`Routes`] say which [`Target`]s get the message of a run that ended well and which that
//! of one that did not. [`Direct`] sends while the run settles, and tries again for a few seconds;
//! the [`Outbox`] keeps the message in a file first, and a worker sends it: at least once, over
//! crashes and hours, and what cannot be sent is set aside for somebody to look at.
//!
//! [`Artifacts`] puts what is large into a folder and a reference to it into the message. No error,
//! `Debug` or file of the outbox holds the secret of a target; targets are configured anew by each
//! process. Features: `outbox`, `webhook` (both on by default), `email`, and the cryptography,
//! `aws-lc-rs` (on) or `ring`.

mod artifacts;
mod disk;
mod error;
mod message;

mod attempt;
mod backoff;
mod routes;
mod target;

mod direct;
#[cfg(feature = "outbox")]
mod outbox;

pub use artifacts::Artifacts;
pub use backoff::Backoff;
pub use direct::Direct;
pub use error::{RouteError, SendError};
pub use message::{Attachment, Message, Sender};
#[cfg(feature = "outbox")]
pub use outbox::{Counts, Entry, OpenError, Outbox, OutboxConfig, OutboxError, Pick, State};
pub use routes::{Routes, When};
pub use target::{Folder, Lines, Shape, Target};

#[cfg(feature = "webhook")]
pub use error::TargetError;
#[cfg(feature = "webhook")]
pub use target::chat::Chat;
#[cfg(feature = "webhook")]
pub use target::signature::{SigningKey, SigningKeyError};
#[cfg(feature = "webhook")]
pub use target::webhook::Webhook;

#[cfg(feature = "email")]
pub use target::email::{Email, EmailError, Encryption};
