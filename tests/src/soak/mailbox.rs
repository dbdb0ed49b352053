//! A delivery that keeps every parcel as it arrived, repeated ones too.

use std::sync::Arc;

use async_trait::async_trait;
use executus_core::port::{Delivery, DeliveryError, Parcel};
use parking_lot::Mutex;

/// See the module. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Mailbox(Arc<Mutex<Vec<Parcel>>>);

impl Mailbox {
    /// All that arrived, in order.
    #[must_use]
    pub fn parcels(&self) -> Vec<Parcel> {
        self.0.lock().clone()
    }
}

#[async_trait]
impl Delivery for Mailbox {
    async fn deliver(&self, parcel: &Parcel) -> Result<(), DeliveryError> {
        self.0.lock().push(parcel.clone());
        Ok(())
    }
}
