//! Servers of the Model Context Protocol: real ones, and one of ours that does its part badly.

mod driver;
mod ending;
mod hostile;
mod http;
mod lists;
mod real;
mod support;
