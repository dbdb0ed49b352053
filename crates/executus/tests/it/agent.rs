//! Agents: the binary against servers that speak as providers do, over real connections.

mod again;
mod calls;
mod faults;
mod limits;
mod models;
mod recording;
mod screen;
mod secrets;
mod size;
mod stops;
mod usage;
pub(crate) mod web;
