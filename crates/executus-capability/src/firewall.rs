//! What of a result may be seen, and in what form.

use executus_core::text::bounded;
use serde_json::Value;
use thiserror::Error;

use crate::capability::Capability;
use crate::constraint::{ConstraintError, Constraints};
use crate::frame::{Frame, Mode};
use crate::handle::{HandleRef, Page};
use crate::principal::Principal;

mod chunks;
mod decode;
pub(crate) mod known;
mod limits;
pub(crate) mod redact;
pub(crate) mod rows;
mod running;
pub(crate) mod scan;
pub(crate) mod show;
pub(crate) mod size;
mod summary;

use chunks::Chunks;
use known::Known;
pub use limits::Limits;
use redact::Redactor;
use rows::Narrow;
use scan::Scanner;
use show::{Left, Show};

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

/// A text without what looks sensitive, in whatever of the forms [`Firewall`] looks into: for errors
/// and panics of drivers, before they are recorded or shown.
#[must_use]
pub fn scrub_text(text: &str) -> String {
    Scanner::new(&[]).scrub(text).into_owned()
}

/// The firewall of the kernel.
///
/// # What is replaced
/// - The value of a field with a sensitive name ([`is_sensitive_name`]), whatever it is; of a field
///   `value` beside a `name`, `key`, `field`, `header` or `parameter` that has one as its value; of
///   the second of two items in a list of such pairs.
/// - In texts, and in names of fields: e-mail addresses and what [`credentials`] finds.
/// - In texts, names and numbers: what a sensitive field of the same result holds, in a stream of
///   the same or an earlier piece, if it has six bytes or more, eight if it is all letters.
/// - Both also where they stand percent-encoded, escaped as in JSON or debug output, or in base64 of
///   either alphabet as part of whatever, up to three forms in one another. What would take
///   too long to look through is withheld.
///
/// # What is not
/// - A secret that no field names and that looks like nothing: a password in prose.
/// - Other forms: hexadecimal, compressed, encrypted, reversed, base64 with line breaks, names of
///   columns in one list and their values in another.
/// - A text with another one's secret in it, when that other one comes in a later piece.
/// - In a stream, a text of a field that is not among [`Limits::running`] and cut into pieces: what
///   came before the piece that makes it a secret was shown. The whole is not.
///
/// [`is_sensitive_name`]: executus_core::text::is_sensitive_name
/// [`credentials`]: executus_core::text::credentials
#[derive(Debug, Clone, Default)]
pub struct Firewall {
    limits: Limits,
}

impl Firewall {
    /// With these limits.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        // Deeper ones could not be built or dropped without care either.
        Self { limits: Limits { depth: limits.depth.min(100), ..limits } }
    }

    /// The frame to begin with, what constraints let see, and how many rows may be shown.
    fn begin(&self, request: &ScreenRequest<'_>) -> Result<(Frame, Narrow, usize), FirewallError> {
        let mut frame = Frame::empty(request);
        frame.mode = allowed_mode(request.principal, request.mode);
        let narrow = Narrow::of(request.constraints)?;
        let rows = self.limits.max_rows(request.principal.kind);
        let rows = rows.min(narrow.max_rows.unwrap_or(rows));
        Ok((frame, narrow, rows))
    }
}

impl Screen for Firewall {
    fn screen(&self, raw: &Value, request: &ScreenRequest<'_>) -> Result<Frame, FirewallError> {
        let (mut frame, narrow, rows) = self.begin(request)?;
        frame.is_final = true;
        if frame.mode == Mode::HandleOnly && frame.handle.is_none() {
            frame.warnings.push("the result was not kept; ask for a summary".to_owned());
        }
        let known = [Known::of(raw)];
        let redactor = Redactor::new(&known, self.limits.depth);
        let mut left = Left::new(&self.limits, rows);
        let show = Show { limits: &self.limits, narrow: &narrow, redactor, left: &mut left };
        show.fill(raw, &mut frame);
        Ok(frame)
    }

    fn chunks(&self, request: &ScreenRequest<'_>) -> Result<Box<dyn ScreenChunks>, FirewallError> {
        let (frame, narrow, rows) = self.begin(request)?;
        Ok(Box::new(Chunks::new(&self.limits, narrow, frame, rows)))
    }

    fn page(&self, mut page: Page) -> Result<Page, FirewallError> {
        let rows = Value::from_iter(std::mem::take(&mut page.rows));
        let known = [Known::of(&rows)];
        let mut redactor = Redactor::new(&known, self.limits.depth);
        let shown = rows.as_array().into_iter().flatten().filter_map(Value::as_object);
        page.rows = shown.map(|fields| redactor.object(fields, 1, |_| true)).collect();
        redactor.warn(&mut page.warnings);
        Ok(page)
    }
}
