//! `trail.jsonl`: every record of a run in order, a line each.

use std::path::Path;

use executus_core::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use crate::error::ReadError;

/// The name of the file.
pub(crate) const FILE: &str = "trail.jsonl";

/// A line.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Line {
    pub(crate) seq: u64,
    pub(crate) at: Timestamp,
    pub(crate) step: u32,
    #[serde(default)]
    pub(crate) call: Option<u32>,
    pub(crate) kind: String,
    #[serde(default)]
    pub(crate) body: Value,
    #[serde(default)]
    pub(crate) file: Option<String>,
}

/// The lines of a trail and how many bytes they take. A last line that a crash cut is no line.
pub(crate) fn read(path: &Path, bytes: &[u8]) -> Result<(Vec<Line>, usize), ReadError> {
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    let (mut lines, mut newest) = (Vec::new(), 0);
    for (number, line) in bytes[..whole].split_inclusive(|byte| *byte == b'\n').enumerate() {
        let damaged = |why: &str| {
            let message = format!("line {} {why}; was the file changed by hand?", number + 1);
            ReadError::damaged(path, message)
        };
        let line: Line = serde_json::from_slice(line).map_err(|_| damaged("is no record"))?;
        if line.seq <= newest {
            return Err(damaged("is out of order"));
        }
        newest = line.seq;
        lines.push(line);
    }
    Ok((lines, whole))
}
