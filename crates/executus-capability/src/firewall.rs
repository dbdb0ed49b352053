//! What of a result may be seen, and in what form.

use std::fmt;

use executus_core::text::bounded;
use serde_json::Value;
use thiserror::Error;

use crate::capability::Capability;
use crate::constraint::{ConstraintError, Constraints};
use crate::frame::{Frame, Mode};
use crate::handle::{HandleRef, Page};
use crate::principal::{Principal, PrincipalKind};

mod limits;

pub use limits::Limits;

/// What a result is screened for.
#[derive(Debug, Clone, Copy)]
pub struct ScreenRequest<'a> {
    /// The mode that will be used, after [`allowed_mode`].
    pub mode: Mode,
    /// What the token narrows the invocation to: rows, fields and scope hold for what is shown, too.
    pub constraints: &'a Constraints,
    /// What was performed.
    pub capability: &'a Capability,
    /// Who asked.
    pub principal: &'a Principal,
    /// Where the whole lies, if it does.
    pub handle: Option<&'a HandleRef>,
    /// The id of the invocation.
    pub action_id: &'a str,
}

/// Makes frames of results.
///
/// **Called** by the kernel with everything that a driver answers, before anybody sees it.
/// **Guarantees.** A1: what is sensitive by name or pattern is in no frame. A2: a frame has no more
/// than the mode, the constraints and the limits allow. A3: what cannot be looked through is
/// withheld. **Errors** and **panics** mean that nothing is shown.
pub trait Screen: Send + Sync {
    /// One whole result.
    ///
    /// # Errors
    /// [`FirewallError`]: nothing of it can be shown.
    fn screen(&self, raw: &Value, request: &ScreenRequest<'_>) -> Result<Frame, FirewallError>;

    /// A result that comes in pieces.
    ///
    /// # Errors
    /// [`FirewallError`]: nothing of it can be shown.
    fn chunks(&self, request: &ScreenRequest<'_>) -> Result<Box<dyn ScreenChunks>, FirewallError>;

    /// A page of rows behind a handle, screened again, since a store may be anybody's.
    ///
    /// # Errors
    /// [`FirewallError`]: nothing of it can be shown.
    fn page(&self, page: Page) -> Result<Page, FirewallError>;
}

/// Makes frames of the pieces of one result.
pub trait ScreenChunks: Send {
    /// One piece: one frame, which may say less than the piece, as the tail of a text is held back
    /// until it is known that no secret begins in it. The frame of the last piece says the rest.
    ///
    /// # Errors
    /// [`FirewallError`]: nothing more can be shown.
    fn push(&mut self, chunk: &Value, is_final: bool) -> Result<Frame, FirewallError>;

    /// The end of a stream none of whose pieces was the last one: a final frame with what was held
    /// back, empty if nothing was.
    ///
    /// # Errors
    /// [`FirewallError`]: nothing more can be shown.
    fn finish(&mut self) -> Result<Frame, FirewallError>;
}

/// Why nothing of a result is shown.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FirewallError {
    /// A constraint of the token means nothing.
    #[error(transparent)]
    Constraint(#[from] ConstraintError),
    /// A piece came after the last one.
    #[error("the stream has ended, and another piece came")]
    Ended,
    /// A screen of the host's could not do it.
    #[error("the result could not be screened: {message}")]
    Failed {
        /// Why, bounded and scrubbed.
        message: String,
    },
}

impl FirewallError {
    /// A failure with this message.
    #[must_use]
    pub fn failed(message: &str) -> Self {
        Self::Failed { message: bounded(scrub_text(message)) }
    }

    /// The reason code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Constraint(_) => "invalid_constraint",
            Self::Ended | Self::Failed { .. } => "firewall",
        }
    }
}

/// The mode that a principal gets: raw is for the role `admin`, others get a summary instead.
#[must_use]
pub fn allowed_mode(principal: &Principal, requested: Mode) -> Mode {
    match requested {
        Mode::Raw if !principal.has("admin") => Mode::Summary,
        mode => mode,
    }
}

/// A text without what looks sensitive: for errors and panics of drivers, before they are recorded.
#[must_use]
pub fn scrub_text(text: &str) -> String {
    executus_core::text::scrub(text).into_owned()
}

/// Arguments as a record may hold them.
#[must_use]
pub fn scrub_args(capability_id: &str, args: &Value) -> Value {
    let _ = capability_id;
    executus_core::text::scrub_json(args)
}

/// The firewall of the kernel.
#[derive(Debug, Clone, Default)]
pub struct Firewall {
    limits: Limits,
}

impl Firewall {
    /// With these limits.
    #[must_use]
    pub const fn new(limits: Limits) -> Self {
        Self { limits }
    }
}

impl Screen for Firewall {
    fn screen(&self, raw: &Value, request: &ScreenRequest<'_>) -> Result<Frame, FirewallError> {
        let mut frame = Frame::empty(request);
        frame.is_final = true;
        if request.mode == Mode::Raw {
            frame.raw = Some(executus_core::text::scrub_json(raw));
        }
        Ok(frame)
    }

    fn chunks(&self, request: &ScreenRequest<'_>) -> Result<Box<dyn ScreenChunks>, FirewallError> {
        Ok(Box::new(Plain(Frame::empty(request))))
    }

    fn page(&self, page: Page) -> Result<Page, FirewallError> {
        let _ = (self.limits.max_rows(PrincipalKind::User), fmt::Error);
        Ok(page)
    }
}

struct Plain(Frame);

impl ScreenChunks for Plain {
    fn push(&mut self, chunk: &Value, is_final: bool) -> Result<Frame, FirewallError> {
        let mut frame = self.0.clone();
        frame.raw = Some(executus_core::text::scrub_json(chunk));
        frame.is_final = is_final;
        Ok(frame)
    }

    fn finish(&mut self) -> Result<Frame, FirewallError> {
        Ok(Frame { is_final: true, ..self.0.clone() })
    }
}
