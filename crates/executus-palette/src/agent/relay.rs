//! What a child does, as progress of the call that started it.

use std::sync::Arc;

use executus_core::text::bounded_to;
use executus_core::{Event, EventStream, Outcome, RunHandle, ToolContext};

/// The most that is passed on of one text, in bytes.
const MAX_TEXT: usize = 1 << 10;

/// Waits for a child and passes on what it does. Lossy, as all progress is.
pub(crate) async fn follow(
    name: &str,
    child: &RunHandle,
    mut events: EventStream,
    context: &ToolContext,
) -> Arc<Outcome> {
    loop {
        tokio::select! {
            biased;
            event = events.next() => match event {
                Some(event) => {
                    if let Some(line) = line(name, event) {
                        context.progress(&line);
                    }
                }
                None => return child.outcome().await,
            },
            outcome = child.outcome() => return outcome,
        }
    }
}

/// An event as a line; what is only of use within the child is left out.
fn line(name: &str, event: Event) -> Option<String> {
    match event {
        Event::Decided { text, .. } if !text.trim().is_empty() => {
            Some(format!("{name}: {}", bounded_to(text, MAX_TEXT)))
        }
        Event::ToolStarted { name: tool, .. } => Some(format!("{name} calls {tool}")),
        // Also what comes from further below: it names who says it.
        Event::ToolProgress { text, .. } => Some(format!("{name} › {text}")),
        Event::ToolFinished { name: tool, error: Some(error), .. } => {
            Some(format!("{name}: {tool} failed: {}", bounded_to(error, MAX_TEXT)))
        }
        _ => None,
    }
}
