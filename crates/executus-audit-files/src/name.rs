//! Names of directories and files: safe on every file system, and different for different things.
//!
//! Only ASCII letters, digits, `-` and `_` stand in a name, so that no text leaves its place, and
//! none has a second spelling. A run id that is no such name, or that would meet another one where
//! letters have no case, gets a hash of the id appended; an id that looks as if it had one, too.

use executus_core::digest::Digest;
use serde_json::Value;

/// The longest name of a run's directory without its hash, in bytes.
const RUN: usize = 100;
/// The hexadecimal digits of a hash.
const HASH: usize = 16;
/// The longest part of a file's name that names the tool.
const TOOL: usize = 60;
/// The longest part that names the action.
const ACTION: usize = 30;

/// The name of a run's directory.
///
/// Different ids have different names, also where letters have no case: as far as 64 bits of
/// SHA-256 tell them apart. The directory holds its run's id, so that a stranger's is refused.
#[must_use]
pub fn run_folder(run: &str) -> String {
    if is_plain(run) {
        return run.to_owned();
    }
    let hash = Digest::of_json(&Value::from(run)).to_string();
    format!("{}_{}", safe(run, RUN), &hash[..HASH])
}

/// Whether an id is the name of its directory.
fn is_plain(run: &str) -> bool {
    let fits = (1..=RUN).contains(&run.len());
    // A letter that has another case could meet its twin.
    let single = run.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'));
    fits && single && !looks_hashed(run) && !is_device(run)
}

fn looks_hashed(run: &str) -> bool {
    let Some((_, tail)) = run.rsplit_once('_') else { return false };
    tail.len() == HASH && tail.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Names that are devices on some systems.
fn is_device(run: &str) -> bool {
    let numbered = run.strip_prefix("com").or_else(|| run.strip_prefix("lpt"));
    matches!(run, "con" | "prn" | "aux" | "nul")
        || numbered.is_some_and(|n| matches!(n.as_bytes(), [b'0'..=b'9']))
}

/// At most `max` safe characters for a text, at least one; what is not safe becomes `_`.
#[must_use]
pub fn safe(text: &str, max: usize) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_') { c } else { '_' };
    let name: String = text.chars().take(max).map(safe).collect();
    if name.is_empty() { "_".into() } else { name }
}

/// The name of an action's file without its ending: step, tool and action, and the place of the
/// call where it is not the first one of its step.
#[must_use]
pub fn action(step: u32, call: u32, tool: &str, action: Option<&str>) -> String {
    let mut name = format!("{step:04}_{}", safe(tool, TOOL));
    if let Some(action) = action.filter(|action| !action.is_empty()) {
        name.push('_');
        name.push_str(&safe(action, ACTION));
    }
    if call > 0 {
        name.push_str(&format!(".{call}"));
    }
    name
}
