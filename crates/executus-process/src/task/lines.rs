//! The output of a task, line by line.

use std::future::Future;

use super::About;
use crate::child::{Line, Running};
use crate::complaint::complaint;
use crate::failure::TaskFailure;
use crate::report::Report;

/// A task whose output is read while it runs.
///
/// Nothing is read ahead but what fits a pipe and one buffer: a task whose lines nobody takes waits.
/// Where a report or JSON lines were asked for, the last line is looked at when the task fails: what
/// it had used may stand there. The timeout counts from the start; it is kept when the next line is asked for. **Cancellation**:
/// dropping the future of [`next`](Self::next) loses nothing; dropping this ends the task at once.
#[derive(Debug)]
pub struct TaskLines {
    running: Option<Running>,
    about: About,
    /// The last line that may be a report.
    last: Option<String>,
}

impl TaskLines {
    pub(super) fn new(running: Running, about: About) -> Self {
        Self { running: Some(running), about, last: None }
    }

    /// The next line; `None` when the task has ended well.
    ///
    /// # Errors
    /// [`TaskFailure`], once and also in the log, behind the last line.
    pub async fn next(&mut self) -> Result<Option<Line>, TaskFailure> {
        self.next_until(std::future::pending()).await
    }

    /// The next line, or the end of the task when `stopped` answers before it.
    ///
    /// # Errors
    /// [`TaskFailure`], once and also in the log, behind the last line.
    pub async fn next_until(
        &mut self,
        stopped: impl Future<Output = ()>,
    ) -> Result<Option<Line>, TaskFailure> {
        let Some(running) = &mut self.running else { return Ok(None) };
        if let Some(line) = running.next_line(stopped).await {
            if self.about.reports() && !line.is_cut && line.text.starts_with('{') {
                self.last = Some(line.text.clone());
            }
            return Ok(Some(line));
        }
        let Some(running) = self.running.take() else { return Ok(None) };
        let ending = running.finish();
        match ending.outcome {
            Ok(_) => Ok(None),
            Err(error) => {
                let said = complaint(&ending.stderr.kept);
                let last = self.last.take().and_then(|last| Report::read(last.as_bytes()).ok());
                let (error, report) = self.about.told(error, last);
                let failure = self.about.failure(error).complaint(said, &self.about.secrets);
                Err(failure.reported(report).log())
            }
        }
    }
}
