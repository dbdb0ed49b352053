//! Handles in memory.

use std::time::Duration;

use async_trait::async_trait;

use super::{Expansion, HandleError, HandleRef, HandleStore, NewHandle, Page};

/// Keeps results in this process.
#[derive(Debug)]
pub struct MemoryHandles {
    life_time: Duration,
}

impl Default for MemoryHandles {
    fn default() -> Self {
        Self { life_time: Duration::from_secs(600) }
    }
}

impl MemoryHandles {
    /// With another life time than 600 s.
    #[must_use]
    pub const fn life_time(mut self, life_time: Duration) -> Self {
        self.life_time = life_time;
        self
    }
}

#[async_trait]
impl HandleStore for MemoryHandles {
    async fn store(&self, new: NewHandle) -> Result<HandleRef, HandleError> {
        Ok(HandleRef {
            id: String::new(),
            expires_at: new.now.after(self.life_time),
            row_count: 0,
            bytes: 0,
        })
    }

    async fn expand(&self, _ask: &Expansion<'_>) -> Result<Page, HandleError> {
        Err(HandleError::NotFound)
    }
}
