//! What was found when: one row for each peer and each look at it.

use std::collections::VecDeque;
use std::sync::Arc;

use async_trait::async_trait;
use executus_core::Timestamp;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::facts::Facts;
use super::verdict::Verdict;

/// What one look at a peer found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HealthRow {
    /// The peer.
    pub target: Arc<str>,
    /// When it was looked at.
    pub at: Timestamp,
    /// What is known of it.
    pub facts: Facts,
    /// What follows.
    pub verdict: Verdict,
    /// The monitor's term: rows of an older leader that come late can be told apart.
    pub term: u64,
}

/// A row was not kept.
#[derive(Debug, Clone, Error)]
#[error("the health history is not available: {message}")]
pub struct HistoryError {
    /// What happened.
    pub message: String,
}

/// Keeps rows.
///
/// **Called** by the monitor after each look, within its limit. **Errors and panics** are logged:
/// history is bookkeeping, and no look fails for it.
#[async_trait]
pub trait HealthHistory: Send + Sync {
    /// Keeps a row.
    ///
    /// # Errors
    /// [`HistoryError`].
    async fn keep(&self, row: &HealthRow) -> Result<(), HistoryError>;
}

/// The newest rows, in memory. Clones share them.
#[derive(Debug, Clone)]
pub struct MemoryHistory {
    rows: Arc<Mutex<VecDeque<HealthRow>>>,
    most: usize,
}

impl MemoryHistory {
    /// Keeps this many rows, at least one; the oldest goes first.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { rows: Arc::default(), most: most.max(1) }
    }

    /// The rows, the oldest first.
    #[must_use]
    pub fn rows(&self) -> Vec<HealthRow> {
        self.rows.lock().iter().cloned().collect()
    }
}

#[async_trait]
impl HealthHistory for MemoryHistory {
    async fn keep(&self, row: &HealthRow) -> Result<(), HistoryError> {
        let mut rows = self.rows.lock();
        if rows.len() == self.most {
            rows.pop_front();
        }
        rows.push_back(row.clone());
        Ok(())
    }
}
