//! One attempt at one target: bounded in time, and its panics caught.

use std::time::Duration;

use executus_core::isolate::isolate;

use crate::error::SendError;
use crate::message::Message;
use crate::target::Target;

/// See the module.
pub(crate) async fn attempt(
    target: &dyn Target,
    message: &Message,
    limit: Duration,
) -> Result<(), SendError> {
    match tokio::time::timeout(limit, isolate(|| target.send(message))).await {
        Ok(Ok(done)) => done,
        Ok(Err(panicked)) => Err(SendError::unavailable(format!("the target {panicked}"))),
        Err(_) => Err(SendError::unavailable(format!("it took longer than {limit:?}"))),
    }
}
