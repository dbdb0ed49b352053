//! The newest events of one life of a run.

use std::collections::VecDeque;

use crate::event::StreamEvent;

/// Bounded by count and bytes; the oldest go first.
pub(super) struct Ring {
    events: VecDeque<StreamEvent>,
    capacity: usize,
    bytes: usize,
    max_bytes: usize,
    /// The place of the oldest event, counted from the beginning.
    first: u64,
    /// The newest record that is not here: dropped, or in storage before the life began.
    behind: u64,
    /// The newest record.
    newest: u64,
    /// The newest step that is decided: its pieces come too late.
    decided: u32,
    end: Option<End>,
}

/// How the stream ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// In order: its last event is in the ring.
    Told,
    /// Whoever published went away in the middle.
    Lost,
}

/// What a reader finds at its place.
pub(super) enum Found {
    Event(StreamEvent),
    /// The place is gone: so many events, and whether records after the given one were among them.
    Gone {
        events: u64,
        records: bool,
    },
    Nothing,
    End(End),
}

impl Ring {
    pub(super) const fn new(capacity: usize, max_bytes: usize, last_seq: u64) -> Self {
        Self {
            events: VecDeque::new(),
            capacity,
            bytes: 0,
            max_bytes,
            first: 0,
            behind: last_seq,
            newest: last_seq,
            decided: 0,
            end: None,
        }
    }

    /// Takes an event; a record that is here already, or comes after the end, is left out.
    pub(super) fn push(&mut self, event: StreamEvent) -> bool {
        if self.end.is_some() || event.id.is_some_and(|id| id <= self.newest) {
            return false;
        }
        self.newest = event.id.unwrap_or(self.newest);
        self.bytes += event.size();
        self.events.push_back(event);
        while self.events.len() > 1
            && (self.events.len() > self.capacity || self.bytes > self.max_bytes)
        {
            let Some(oldest) = self.events.pop_front() else { break };
            self.bytes -= oldest.size();
            self.first += 1;
            self.behind = oldest.id.unwrap_or(self.behind);
        }
        true
    }

    /// A record will not come, though it happened: there was no room to keep it until it was
    /// durable.
    pub(super) fn skip(&mut self, seq: u64) {
        if seq <= self.newest {
            return;
        }
        // Whoever stands here must not go over it without a word.
        self.newest = seq;
        self.behind = seq;
        self.first += self.events.len() as u64 + 1;
        self.events.clear();
        self.bytes = 0;
    }

    pub(super) fn end(&mut self, end: End) -> bool {
        let first = self.end.is_none();
        self.end.get_or_insert(end);
        first
    }

    pub(super) fn decide(&mut self, step: u32) {
        self.decided = self.decided.max(step);
    }

    pub(super) const fn is_decided(&self, step: u32) -> bool {
        step <= self.decided
    }

    pub(super) fn is_lost(&self) -> bool {
        self.end == Some(End::Lost)
    }

    pub(super) const fn newest(&self) -> u64 {
        self.newest
    }

    pub(super) const fn behind(&self) -> u64 {
        self.behind
    }

    pub(super) const fn first(&self) -> u64 {
        self.first
    }

    /// What stands at this place, for a reader that has all records up to `seen`.
    pub(super) fn at(&self, place: u64, seen: u64) -> Found {
        let Some(index) = place.checked_sub(self.first) else {
            return Found::Gone { events: self.first - place, records: self.behind > seen };
        };
        match usize::try_from(index).ok().and_then(|index| self.events.get(index)) {
            Some(event) => Found::Event(event.clone()),
            None => self.end.map_or(Found::Nothing, Found::End),
        }
    }
}
