//! Skills and agents: the palette of a run.
//!
//! A [`Skill`] is a folder in the public Agent Skills format: what stands in the front matter of its
//! `SKILL.md` describes the tool `skill__NAME`, a call gives the instructions, and a call with `file`
//! one of its files. Folders are read strictly; the first mistake is a [`SkillError`] that names file
//! and line.
//!
//! An [`Agent`] is what a host can turn into a run. A call of `agent__NAME` starts it as a child of
//! the run that calls: within its limits, cancelled with it, on its budget, with its progress passed
//! up. [`LocalPalette`] is both as the `Palette` port of core; how deep and how wide runs may
//! delegate is in [`PaletteLimits`].

mod config;
mod error;

mod skill;

mod agent;
mod lineage;

mod palette;

pub use agent::{Agent, AgentCall, AgentEntry};
pub use config::PaletteLimits;
pub use error::{BuildError, FileError, SkillError, SkillProblem};
pub use palette::{LocalPalette, PaletteBuilder};
pub use skill::{MAX_FILE_BYTES, MAX_FILES, MAX_SKILL_BYTES, Skill};
