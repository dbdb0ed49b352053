//! Sending from the outbox: claims what is due, sends, and says how it ended.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use executus_core::Timestamp;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::job::{Claim, End, Found, What};
use super::{Inner, OutboxError};
use crate::attempt::attempt;
use crate::message::Message;
use crate::routes::Route;

/// How often what was sent long ago is forgotten.
const FORGET: Duration = Duration::from_secs(600);

/// See the module.
pub(super) struct Worker {
    inner: Arc<Inner>,
    lanes: Vec<Lane>,
    sending: JoinSet<Sent>,
    /// What each task sends, in case it is cut.
    claims: HashMap<Id, (usize, Claim)>,
    forget_at: Instant,
}

/// A target, and what goes to it.
struct Lane {
    route: Route,
    under_way: u32,
    /// When to look next.
    look_at: Instant,
    /// It asked to be left alone until then.
    rests_until: Option<Instant>,
    /// Nothing was due when it was looked at last.
    is_idle: bool,
}

/// How a task ended: for how long its target wants to be left alone.
struct Sent {
    rest: Option<Duration>,
}

impl Worker {
    pub(super) fn new(inner: &Arc<Inner>) -> Self {
        let now = Instant::now();
        let lane = |route: &Route| Lane {
            route: route.clone(),
            under_way: 0,
            look_at: now,
            rests_until: None,
            is_idle: false,
        };
        Self {
            inner: Arc::clone(inner),
            lanes: inner.routes.all().iter().map(lane).collect(),
            sending: JoinSet::new(),
            claims: HashMap::new(),
            forget_at: now,
        }
    }

    /// Sends until `stop` ends, or, with `once`, until nothing is due or the file fails.
    pub(super) async fn run(
        mut self,
        stop: impl Future<Output = ()>,
        once: bool,
    ) -> Result<(), OutboxError> {
        let mut stop = pin!(stop);
        let inner = Arc::clone(&self.inner);
        let mut result = Ok(());
        loop {
            if let Err(error) = self.look().await {
                tracing::warn!(%error, "the outbox cannot be looked at");
                if once {
                    result = Err(error);
                    break;
                }
            }
            if once && self.lanes.iter().all(|lane| lane.is_idle && lane.under_way == 0) {
                return Ok(());
            }
            let next = self.next_look();
            tokio::select! {
                () = &mut stop => break,
                Some(ended) = self.sending.join_next_with_id() => self.ended(ended).await,
                () = inner.news.notified() => self.look_again(),
                () = sleep_until(next) => {}
            }
        }
        self.wind_down().await;
        result
    }

    /// Claims what is due and begins to send it.
    async fn look(&mut self) -> Result<(), OutboxError> {
        let mut result = Ok(());
        let now = Instant::now();
        let config = &self.inner.config;
        let (poll, remember) = (config.poll, config.remember);
        for at in 0..self.lanes.len() {
            let lane = &self.lanes[at];
            let free = self.inner.config.per_target.max(1) - lane.under_way;
            let rests = lane.rests_until.is_some_and(|until| until > now);
            if free == 0 || lane.look_at > now {
                continue;
            }
            if rests {
                self.lanes[at].is_idle = true;
                continue;
            }
            let next = match self.claim(at, free).await {
                Ok(next) => next,
                Err(error) => {
                    result = Err(error);
                    Some(poll)
                }
            };
            // More that is due waits for a free place, not for a time.
            self.lanes[at].look_at = Instant::now() + next.unwrap_or(poll).min(poll);
        }
        if self.forget_at <= now {
            self.forget_at = now + FORGET;
            let before = Timestamp::now().before(remember);
            result = result.and(self.inner.ask(What::Forget { before }).await.map(drop));
        }
        result
    }

    /// Claims at most so many entries of a lane. After which time there may be more.
    async fn claim(&mut self, at: usize, free: u32) -> Result<Option<Duration>, OutboxError> {
        let config = &self.inner.config;
        let what = What::Claim {
            target: Arc::clone(&self.lanes[at].route.name),
            holder: Arc::clone(&self.inner.holder),
            most: free,
            lease: config.attempt + config.margin,
            attempts: config.backoff.attempts.max(1),
        };
        let Found::Claims { claims, next } = self.inner.ask(what).await? else { return Ok(None) };
        let lane = &mut self.lanes[at];
        lane.is_idle = claims.is_empty();
        lane.under_way += u32::try_from(claims.len()).unwrap_or(u32::MAX);
        for (claim, body) in claims {
            let send = send(Arc::clone(&self.inner), lane.route.clone(), claim, body);
            let task = self.sending.spawn(send);
            self.claims.insert(task.id(), (at, claim));
        }
        let now = Timestamp::now();
        Ok(next.map(|next| next.since(now)))
    }

    fn next_look(&self) -> Instant {
        let most = self.inner.config.per_target.max(1);
        let free = self.lanes.iter().filter(|lane| lane.under_way < most);
        let times = free.map(|lane| lane.rests_until.map_or(lane.look_at, |r| r.max(lane.look_at)));
        let latest = Instant::now() + self.inner.config.poll;
        times.min().unwrap_or(latest).min(latest)
    }

    fn look_again(&mut self) {
        let now = Instant::now();
        self.lanes.iter_mut().for_each(|lane| lane.look_at = now);
    }

    async fn ended(&mut self, ended: Result<(Id, Sent), JoinError>) {
        let (id, sent) = match ended {
            Ok((id, sent)) => (id, sent),
            // Its lease lets it be sent again.
            Err(error) => (error.id(), Sent { rest: None }),
        };
        let Some((at, _)) = self.claims.remove(&id) else { return };
        let now = Instant::now();
        let lane = &mut self.lanes[at];
        lane.under_way = lane.under_way.saturating_sub(1);
        lane.look_at = now;
        if let Some(rest) = sent.rest {
            let until = now + rest;
            lane.rests_until = Some(lane.rests_until.map_or(until, |known| known.max(until)));
        }
    }

    /// Waits for what is under way, and gives the rest back.
    async fn wind_down(mut self) {
        let grace = self.inner.config.grace;
        let all = async {
            while let Some(ended) = self.sending.join_next_with_id().await {
                self.ended(ended).await;
            }
        };
        if timeout(grace, all).await.is_ok() {
            return;
        }
        self.sending.shutdown().await;
        for (_, claim) in std::mem::take(&mut self.claims).into_values() {
            let holder = Arc::clone(&self.inner.holder);
            // One whose end was written just now is not held any more.
            let given = self.inner.ask(What::End { claim, holder, end: End::Back }).await;
            if let Err(error) = given {
                tracing::warn!(%error, "what was under way waits for its lease");
            }
        }
    }
}

/// Sends one message to one target, and says how it ended.
async fn send(inner: Arc<Inner>, route: Route, claim: Claim, body: Vec<u8>) -> Sent {
    let config = &inner.config;
    let target = &*route.name;
    let mut rest = None;
    let (key, result) = match Message::read(body) {
        Ok(message) => {
            let sent = attempt(&*route.target, &message, config.attempt).await;
            (message.key().to_string(), sent)
        }
        Err(error) => (String::new(), Err(error)),
    };
    let end = match result {
        Ok(()) => End::Sent,
        Err(error) if error.retry() && !config.backoff.is_last(claim.attempt) => {
            rest = error.retry_after().map(|asked| asked.min(config.backoff.longest));
            let wait = config.backoff.wait(claim.attempt, error.retry_after());
            tracing::debug!(%key, to = target, attempt = claim.attempt, %error, ?wait, "not sent yet");
            End::Later { due: Timestamp::now().after(wait), error: error.to_string() }
        }
        Err(error) => {
            let attempts = claim.attempt;
            tracing::error!(%key, to = target, attempts, %error, "a result is not delivered: see `outbox list`");
            End::Dead { error: error.to_string() }
        }
    };
    // A result that is not written would be sent again: a busy file is worth a few tries.
    for _ in 0..5 {
        let what = What::End { claim, holder: Arc::clone(&inner.holder), end: end.clone() };
        match inner.ask(what).await {
            Ok(_) => break,
            Err(error) if error.retry() => {
                tracing::warn!(%key, to = target, %error, "the outbox does not take a result");
                sleep(Duration::from_millis(200)).await;
            }
            Err(_) => break,
        }
    }
    Sent { rest }
}
