//! One attempt: a place, the circuit, a connection, the head of the response.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use http::Uri;
use hyper::body::Incoming;
use hyper::ext::ReasonPhrase;
use tokio::time::{Instant, timeout, timeout_at};

use crate::body::Whole;
use crate::connect::NoConnection;
use crate::error::{HttpError, Part, Phase};
use crate::failure::Unanswered;
use crate::pool::body::{Body, Lease};
use crate::pool::connection::{Life, Sender, Shared, Unopened};
use crate::pool::host::Host;
use crate::pool::seat::Seat;
use crate::pool::verdict::{Failed, What};

/// What an exchange is told.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ask<'a> {
    /// What errors call the server.
    pub(crate) address: &'a str,
    pub(crate) headers_timeout: Duration,
    pub(crate) total: Option<Total>,
}

/// When all must be done.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Total {
    pub(crate) at: Instant,
    /// How long that was when it began.
    pub(crate) limit: Duration,
}

impl Ask<'_> {
    fn late(&self, phase: Phase, limit: Duration) -> HttpError {
        HttpError::Timeout { phase, limit, address: self.address.to_owned() }
    }

    /// The earlier one of a limit and the total's.
    fn due(&self, phase: Phase, now: Instant, limit: Duration) -> (Instant, Phase, Duration) {
        let at = now + limit;
        match self.total {
            Some(total) if total.at < at => (total.at, Phase::Total, total.limit),
            Some(_) | None => (at, phase, limit),
        }
    }
}

impl Host {
    /// Sends a request, once, and waits for the head of its response.
    ///
    /// **Cancellation**: the connection is closed, the place is given back, and nobody learns
    /// anything.
    pub(crate) async fn exchange(
        self: &Arc<Self>,
        request: http::Request<Whole>,
        ask: &Ask<'_>,
    ) -> Result<http::Response<Body>, HttpError> {
        let seat = match self.sit(ask).await {
            Ok(seat) => seat,
            Err(late) => return Err(self.late(late)),
        };
        let longest = match ask.total {
            Some(total) => total.limit,
            None => self.settings.connect_timeout.saturating_add(ask.headers_timeout),
        };
        let pass = self.gate.pass(ask, longest).await?;
        match self.attempt(request, ask, seat).await {
            Ok(response) => {
                pass.answered(response.status()).await;
                Ok(response)
            }
            Err(failed) => Err(self.judge(failed, pass).await),
        }
    }

    /// Waits for a place among the connections that there may be.
    async fn sit(self: &Arc<Self>, ask: &Ask<'_>) -> Result<Seat, HttpError> {
        let mut seat = Seat::new(self);
        let place = match self.places.try_acquire() {
            Ok(place) => place,
            Err(_) => {
                let limit = self.settings.pool_timeout;
                let (due, phase, limit) = ask.due(Phase::Pool, Instant::now(), limit);
                match timeout_at(due, self.places.acquire()).await {
                    Ok(Ok(place)) => place,
                    Ok(Err(_)) | Err(_) => return Err(ask.late(phase, limit)),
                }
            }
        };
        place.forget();
        seat.placed();
        Ok(seat)
    }

    async fn attempt(
        self: &Arc<Self>,
        mut request: http::Request<Whole>,
        ask: &Ask<'_>,
        mut seat: Seat,
    ) -> Result<http::Response<Body>, Failed> {
        // A connection may turn out one of HTTP/2, or one of HTTP/1.1 after all.
        let whole = self.base.secure.then(|| request.uri().clone());
        request.headers_mut().insert(http::header::HOST, self.host_field.clone());
        loop {
            let mut now = Instant::now();
            let taken = self.take(now);
            let generation = taken.generation;
            let is_fresh = taken.sender.is_none();
            let (mut sender, life) = match taken.sender {
                Some(kept) => kept,
                None => self.open(ask, generation, now).await?,
            };
            seat.sits_on(life);
            if is_fresh {
                now = Instant::now();
            }
            match (&sender, &whole) {
                (Sender::Http2(_), Some(whole)) => *request.uri_mut() = whole.clone(),
                (Sender::Http1(_) | Sender::Http2(_), _) => to_origin_form(&mut request),
            }
            let (due, phase, limit) = ask.due(Phase::Headers, now, ask.headers_timeout);
            let Ok(sent) = timeout_at(due, sender.send(request)).await else {
                return Err(Failed { error: ask.late(phase, limit), what: What::Late, generation });
            };
            match sent {
                Ok(response) if head_bytes(&response) > self.settings.max_header_bytes => {
                    let (part, limit) = (Part::Head, self.settings.max_header_bytes);
                    let address = ask.address.to_owned();
                    let error = HttpError::TooLarge { part, limit, address };
                    return Err(Failed::new(error, generation));
                }
                Ok(response) => {
                    self.answered(is_fresh.then_some(now));
                    let lease = Lease { sender, seat, generation };
                    return Ok(response.map(|body: Incoming| Body::new(body, lease)));
                }
                Err(mut error) => {
                    let unsent = error.take_message();
                    match unsent {
                        // A kept connection that had ended already: nothing was written to it.
                        Some(unsent) if !is_fresh => {
                            request = unsent;
                            drop(seat.gets_up());
                        }
                        unsent => {
                            let error = self.unanswered(ask, unsent.is_none(), error.error());
                            return Err(Failed::new(error, generation));
                        }
                    }
                }
            }
        }
    }

    /// Makes a connection.
    async fn open(
        self: &Arc<Self>,
        ask: &Ask<'_>,
        generation: Option<u64>,
        began: Instant,
    ) -> Result<(Sender, Life), Failed> {
        let opening = self.open_or_share(generation);
        let opened = match ask.total {
            None => opening.await,
            Some(total) => match timeout_at(total.at, opening).await {
                Ok(opened) => opened,
                Err(_) => {
                    // A limit for all that is shorter than the one for a connection is one for a
                    // connection, unless most of it went elsewhere.
                    let spent = Instant::now().saturating_duration_since(began);
                    let what =
                        if spent >= total.limit / 2 { What::Unconnected } else { What::Late };
                    let error = ask.late(Phase::Total, total.limit);
                    return Err(Failed { error, what, generation });
                }
            },
        };
        opened.map_err(|error| Failed::new(self.unanswered(ask, false, &error), generation))
    }

    async fn open_or_share(
        self: &Arc<Self>,
        generation: Option<u64>,
    ) -> Result<(Sender, Life), Unopened> {
        let open = || self.settings.opener.open(&self.uri, self.tasks.connection());
        let (false, Some(generation)) = (self.is_http1(), generation) else {
            return open().await;
        };
        // One connection of HTTP/2 serves all: of those who come at once, one makes it.
        let limit = self.settings.connect_timeout;
        let first = timeout(limit, self.opening.lock())
            .await
            .map_err(|_| Unopened::Connect(NoConnection::TimedOut))?;
        if self.is_http1() {
            drop(first);
            return open().await;
        }
        if let Some(shared) = self.take(Instant::now()).sender {
            return Ok(shared);
        }
        match open().await? {
            (Sender::Http2(sender), life) => {
                let shared = Shared::new(sender, life);
                let mine = shared.sender();
                self.share(shared, generation);
                Ok(mine)
            }
            own @ (Sender::Http1(_), _) => {
                self.speaks_http1.store(true, Ordering::Relaxed);
                Ok(own)
            }
        }
    }

    fn unanswered(
        &self,
        ask: &Ask<'_>,
        sent: bool,
        error: &(dyn std::error::Error + 'static),
    ) -> HttpError {
        let unanswered = Unanswered {
            address: ask.address,
            sent,
            connect_timeout: self.settings.connect_timeout,
            max_header_bytes: self.settings.max_header_bytes,
        };
        unanswered.because(error)
    }
}

/// How long a head is, as far as anything is kept of it.
fn head_bytes(response: &http::Response<Incoming>) -> usize {
    let reason = response.extensions().get::<ReasonPhrase>();
    let fields = response.headers().iter();
    let fields: usize = fields.map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    fields + reason.map_or(0, |reason| reason.as_bytes().len())
}

/// Without scheme and host, as HTTP/1.1 wants it.
fn to_origin_form(request: &mut http::Request<Whole>) {
    if request.uri().authority().is_none() {
        return;
    }
    *request.uri_mut() = match request.uri().path_and_query() {
        Some(path) if path.as_str() != "/" => Uri::from(path.clone()),
        Some(_) | None => Uri::default(),
    };
}
