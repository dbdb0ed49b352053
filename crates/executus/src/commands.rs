//! What the binary does, command by command.

pub(crate) mod approve;
pub(crate) mod audit;
pub(crate) mod budget;
pub(crate) mod cancel;
pub(crate) mod doctor;
pub(crate) mod explain;
pub(crate) mod outbox;
pub(crate) mod replay;
pub(crate) mod resume;
pub(crate) mod run;
pub(crate) mod runs;
pub(crate) mod search;
pub(crate) mod tail;
