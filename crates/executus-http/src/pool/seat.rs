//! A place among the connections that there may be.

use std::sync::Arc;

use crate::pool::connection::Life;
use crate::pool::host::Host;

/// An exchange: its place, and the connection that it is on.
#[derive(Debug)]
pub(crate) struct Seat {
    host: Arc<Host>,
    is_under_way: bool,
    has_place: bool,
    life: Option<Life>,
}

impl Seat {
    /// An exchange begins. It has no place yet.
    pub(super) fn new(host: &Arc<Host>) -> Self {
        host.tasks.begin();
        Self { host: Arc::clone(host), is_under_way: true, has_place: false, life: None }
    }

    pub(super) const fn placed(&mut self) {
        self.has_place = true;
    }

    /// It has a connection. One that is shared takes up no place of its own.
    pub(super) fn sits_on(&mut self, life: Life) {
        if matches!(life, Life::Shared(_))
            && let Some(place) = self.place()
        {
            drop(place);
        }
        self.life = Some(life);
    }

    /// Its connection was gone already, or is handed on.
    pub(super) const fn gets_up(&mut self) -> Option<Life> {
        self.life.take()
    }

    /// The exchange has ended; its connection is still there.
    pub(super) fn ended(&mut self) {
        if std::mem::take(&mut self.is_under_way) {
            self.host.tasks.end();
        }
    }

    pub(super) const fn host(&self) -> &Arc<Host> {
        &self.host
    }

    fn place(&mut self) -> Option<Place> {
        std::mem::take(&mut self.has_place).then(|| Place(Arc::clone(&self.host)))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.ended();
        if let Some(life) = self.life.take() {
            if let Some(place) = self.place() {
                life.leave(place);
            }
        } else if self.has_place {
            self.host.places.add_permits(1);
        }
    }
}

/// A place whose connection is being closed.
#[derive(Debug)]
pub(crate) struct Place(Arc<Host>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.places.add_permits(1);
    }
}
