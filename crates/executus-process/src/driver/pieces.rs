//! The answer of a program in pieces.

use std::future::pending;

use async_trait::async_trait;
use executus_capability::DriverError;
use executus_capability::driver::{Chunk, ChunkStream};
use executus_circuit::DispatchPermit;
use executus_core::ToolContext;
use serde_json::{Value, json};

use super::{failed, learn};
use crate::failure::TaskFailure;
use crate::report::Report;
use crate::task::{Answer, Format, Task, TaskLines};

/// An answer as the data of a result.
pub(super) fn data(answer: Answer) -> Value {
    match answer {
        Answer::Text(text) => json!({"text": text}),
        Answer::Json(value) => value,
        Answer::Report(report) => {
            let Report { result, .. } = *report;
            result.unwrap_or(Value::Null)
        }
    }
}

/// The pieces of one operation.
pub(super) struct Pieces {
    source: Source,
    context: Option<ToolContext>,
    permit: Option<DispatchPermit>,
}

enum Source {
    /// A piece for each line; with its number where each must be JSON.
    Lines(Box<TaskLines>, Option<u64>),
    /// All of it, in one piece.
    Whole(Box<Task>),
    Over,
}

impl Pieces {
    /// Starts a task whose answer comes in lines. One whose answer is one value is started when it
    /// is asked for.
    pub(super) async fn open(
        task: Task,
        format: Format,
        context: Option<ToolContext>,
        permit: Option<DispatchPermit>,
    ) -> Result<Self, DriverError> {
        let numbers = match format {
            Format::Text => None,
            Format::JsonLines => Some(0),
            Format::Json | Format::Report => {
                return Ok(Self { source: Source::Whole(Box::new(task)), context, permit });
            }
        };
        match task.lines() {
            Ok(lines) => {
                Ok(Self { source: Source::Lines(Box::new(lines), numbers), context, permit })
            }
            Err(failure) => {
                learn(permit, Some(&failure)).await;
                Err(failed(&failure))
            }
        }
    }

    async fn ended(&mut self, failure: TaskFailure) -> DriverError {
        self.source = Source::Over;
        learn(self.permit.take(), Some(&failure)).await;
        failed(&failure)
    }
}

#[async_trait]
impl ChunkStream for Pieces {
    async fn next(&mut self) -> Result<Option<Chunk>, DriverError> {
        let context = self.context.clone();
        let stopped = async {
            match &context {
                Some(context) => context.cancellation().cancelled().await,
                None => pending().await,
            }
        };
        if let Source::Lines(lines, number) = &mut self.source {
            let mut stopped = std::pin::pin!(stopped);
            loop {
                let line = match lines.next_until(stopped.as_mut()).await {
                    Ok(Some(line)) => line,
                    Ok(None) => break,
                    Err(failure) => return Err(self.ended(failure).await),
                };
                let Some(number) = number else {
                    let mut data = json!({"line": line.text});
                    if line.is_cut {
                        data["is_cut"] = true.into();
                    }
                    return Ok(Some(Chunk { data, is_final: false }));
                };
                *number += 1;
                if line.text.trim().is_empty() {
                    continue;
                }
                if line.is_cut {
                    let message = format!("line {number} of the output is too long");
                    return self.broken(message);
                }
                return match serde_json::from_str(&line.text) {
                    Ok(data) => Ok(Some(Chunk { data, is_final: false })),
                    Err(error) => {
                        let message = format!("line {number} of the output is no JSON: {error}");
                        self.broken(message)
                    }
                };
            }
        } else if let Source::Whole(task) = std::mem::replace(&mut self.source, Source::Over) {
            let output = match task.run_until(stopped).await {
                Ok(output) => output,
                Err(failure) => return Err(self.ended(failure).await),
            };
            learn(self.permit.take(), None).await;
            return Ok(Some(Chunk { data: data(output.answer), is_final: true }));
        }
        self.source = Source::Over;
        learn(self.permit.take(), None).await;
        Ok(None)
    }
}

impl Pieces {
    /// The end of a stream that cannot be read on; its task ends with it.
    fn broken(&mut self, message: String) -> Result<Option<Chunk>, DriverError> {
        self.source = Source::Over;
        Err(DriverError::failed(message))
    }
}
