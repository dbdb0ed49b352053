//! Why a command did not do what it was asked to.

use std::fmt;

use crate::exit::Exit;

/// An error for people: what, where, and what to do about it.
#[derive(Debug)]
pub(crate) struct Fault {
    exit: Exit,
    message: String,
    help: Option<String>,
    is_passing: bool,
}

impl Fault {
    /// Something that whoever called got wrong.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, message: message.into(), help: None, is_passing: false }
    }

    /// Something that went wrong here.
    pub(crate) fn error(message: impl Into<String>) -> Self {
        Self { exit: Exit::Error, message: message.into(), help: None, is_passing: false }
    }

    /// Something that has to wait for somebody.
    pub(crate) fn waiting(message: impl Into<String>) -> Self {
        Self { exit: Exit::Waiting, message: message.into(), help: None, is_passing: false }
    }

    /// It may be otherwise in a moment.
    #[must_use]
    pub(crate) const fn passing(mut self) -> Self {
        self.is_passing = true;
        self
    }

    pub(crate) const fn is_passing(&self) -> bool {
        self.is_passing
    }

    /// With what to do about it.
    #[must_use]
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The same, said of this place.
    #[must_use]
    pub(crate) fn at(mut self, place: impl fmt::Display) -> Self {
        self.message = format!("{place}: {}", self.message);
        self
    }

    /// What is wrong, without what to do about it.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// What to do about it.
    pub(crate) fn advice(&self) -> Option<&str> {
        self.help.as_deref()
    }

    pub(crate) const fn exit(&self) -> Exit {
        self.exit
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.message)?;
        match &self.help {
            Some(help) => write!(f, "\n  help: {help}"),
            None => Ok(()),
        }
    }
}

/// An error with the causes behind it, each told once.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}
