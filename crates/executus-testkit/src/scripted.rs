//! A model, tools, a critic and a palette that do what a test says.

mod critic;
mod model;
mod palette;
mod tool;

pub use critic::{ScriptedCritic, Seen};
pub use model::{Say, ScriptedModel};
pub use palette::{Behind, ScriptedPalette};
pub use tool::{Asked, Do, ScriptedTool};
