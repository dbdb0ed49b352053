//! When a server is started again. Knows no connection but by whether it is alive.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::definition::Definition;
use crate::error::McpError;
use crate::session::Session;

/// The wait before the second start in a row that may fail; each further one is twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(250);
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// A caller waits this long for a start; whoever would wait longer is told so.
const PATIENCE: Duration = Duration::from_secs(1);
/// A life this long was a good one.
const GOOD_LIFE: Duration = Duration::from_secs(60);

/// What came of a start.
pub(super) type Opened = Result<Arc<Session>, McpError>;

/// What a server listed.
#[derive(Debug, Clone)]
pub(super) struct Listed {
    /// How often its list had changed by then.
    pub(super) change: u64,
    pub(super) definitions: Arc<[Definition]>,
}

/// Where a server stands.
#[derive(Debug, Default)]
pub(super) struct Life {
    session: Option<Arc<Session>>,
    listed: Option<Listed>,
    opening: Option<watch::Receiver<Option<Opened>>>,
    backoff: Backoff,
    lives: u64,
}

pub(super) enum Standing {
    Alive(Arc<Session>),
    Opening(watch::Receiver<Option<Opened>>),
    Dead { open_at: Instant },
}

impl Life {
    /// What there is for a call.
    pub(super) fn standing(&mut self, server: &str, now: Instant) -> Result<Standing, McpError> {
        if let Some(session) = &self.session {
            if session.is_alive() {
                return Ok(Standing::Alive(Arc::clone(session)));
            }
            let lived = now.saturating_duration_since(session.born);
            self.backoff.failed(now, lived, session.epitaph(), fastrand::f64());
            self.take();
        }
        if let Some(opening) = &self.opening {
            return Ok(Standing::Opening(opening.clone()));
        }
        let open_at = self.backoff.open_at.unwrap_or(now);
        let wait = open_at.saturating_duration_since(now);
        if wait > PATIENCE {
            return Err(McpError::Down {
                server: server.to_owned(),
                wait,
                failures: self.backoff.failures,
                message: self.backoff.last.clone(),
            });
        }
        Ok(Standing::Dead { open_at })
    }

    pub(super) fn opens(&mut self, opening: watch::Receiver<Option<Opened>>) {
        self.opening = Some(opening);
    }

    pub(super) fn opened(&mut self, opened: &Opened, now: Instant) {
        self.opening = None;
        match opened {
            Ok(session) => {
                self.lives += 1;
                self.session = Some(Arc::clone(session));
            }
            Err(error) => {
                self.backoff.failed(now, Duration::ZERO, error.to_string(), fastrand::f64());
            }
        }
    }

    pub(super) fn take(&mut self) -> Option<Arc<Session>> {
        self.listed = None;
        self.session.take()
    }

    pub(super) fn listed(&self, session: &Arc<Session>, change: u64) -> Option<Arc<[Definition]>> {
        let own = self.session.as_ref().is_some_and(|own| Arc::ptr_eq(own, session));
        let listed = self.listed.as_ref().filter(|listed| own && listed.change == change)?;
        Some(Arc::clone(&listed.definitions))
    }

    pub(super) fn lists(&mut self, session: &Arc<Session>, listed: Listed) {
        if self.session.as_ref().is_some_and(|own| Arc::ptr_eq(own, session)) {
            self.listed = Some(listed);
        }
    }

    pub(super) const fn lives(&self) -> u64 {
        self.lives
    }
}

/// How long a server that fails is left alone.
#[derive(Debug, Default)]
struct Backoff {
    /// Failures in a row: starts that came to nothing, and short lives.
    failures: u32,
    last: String,
    open_at: Option<Instant>,
}

impl Backoff {
    /// `draw` is even in [0, 1).
    fn failed(&mut self, now: Instant, lived: Duration, last: String, draw: f64) {
        self.failures = if lived >= GOOD_LIFE { 1 } else { self.failures.saturating_add(1) };
        self.last = last;
        let wait = match self.failures {
            0 | 1 => Duration::ZERO,
            more => {
                let doubled = FIRST_WAIT.saturating_mul(2_u32.saturating_pow(more - 2));
                // Half of it for sure, so that many hosts do not start theirs at once.
                doubled.min(LONGEST_WAIT).mul_f64(0.5 + draw / 2.0)
            }
        };
        self.open_at = Some(now + wait);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn waits_grow_to_their_limit_and_a_good_life_ends_them() {
        let now = Instant::now();
        let mut backoff = Backoff::default();
        let mut waits = Vec::new();
        for _ in 0..12 {
            backoff.failed(now, Duration::ZERO, String::new(), 1.0);
            waits.push(backoff.open_at.unwrap().duration_since(now).as_millis());
        }
        let expected =
            [0, 250, 500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000, 30_000];
        assert_eq!(waits, expected);
        backoff.failed(now, GOOD_LIFE, String::new(), 1.0);
        assert_eq!(backoff.open_at, Some(now));
        backoff.failed(now, Duration::ZERO, String::new(), 0.0);
        assert_eq!(backoff.open_at, Some(now + FIRST_WAIT / 2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_wait_is_told_and_not_waited_for() {
        let mut life = Life::default();
        let failed = Err(McpError::Closed { server: "s".to_owned() });
        for _ in 0..8 {
            life.opened(&failed, Instant::now());
        }
        let error = life.standing("s", Instant::now()).err().unwrap();
        assert!(matches!(&error, McpError::Down { failures: 8, .. }), "{error}");
        tokio::time::advance(LONGEST_WAIT).await;
        assert!(matches!(life.standing("s", Instant::now()), Ok(Standing::Dead { .. })));
    }
}
