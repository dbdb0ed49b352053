//! The server of a schedule: it answers, drops and goes away as planned.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};
use turmoil::net::{TcpListener, TcpStream};

use super::{Fate, GONE_TO, PORT, RUN, millis};

/// With so many requests at once, one of their callers sees what happens to its connection.
const BUSY: usize = 3;

/// What the server does, and when.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    events: Vec<(Duration, Event)>,
    /// How long an answer takes, at most.
    work: u64,
    seed: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    /// All connections are closed.
    Burst,
    /// All connections are closed, and nobody listens for so long. It happens under way: whoever
    /// restarts while nobody asks is refused, and that counts.
    Restart(Duration),
    /// From here on every request is dropped.
    DropAll,
    /// The end.
    Death,
}

/// What connections are told.
#[derive(Debug, Clone, Copy, Default)]
struct Order {
    burst: u64,
    drops_all: bool,
}

impl Plan {
    pub(super) fn new(fate: Fate, gone_at: Duration, rng: &mut fastrand::Rng) -> Self {
        let (work, seed) = (rng.u64(20..300), rng.u64(..));
        let end = match fate {
            Fate::Bursts | Fate::Restarts | Fate::Stalls => RUN,
            Fate::Dies | Fate::CutOff | Fate::Returns | Fate::DropsAll => gone_at,
        };
        let mut events = Vec::new();
        let mut at = Duration::from_millis(rng.u64(300..1200));
        while at < end {
            let restarts = fate == Fate::Restarts && rng.bool();
            let away = Duration::from_millis(rng.u64(100..1200));
            events.push((at, if restarts { Event::Restart(away) } else { Event::Burst }));
            // Between two bursts there is time for answers on fresh connections.
            at += millis(rng, Duration::from_millis(1500), GONE_TO);
        }
        events.retain(|(at, _)| *at + Duration::from_millis(500) < end);
        match fate {
            Fate::Dies => events.push((gone_at, Event::Death)),
            Fate::DropsAll => events.push((gone_at, Event::DropAll)),
            Fate::Bursts | Fate::Restarts | Fate::Stalls | Fate::CutOff | Fate::Returns => {}
        }
        Self { events, work, seed }
    }

    pub(super) fn bursts(&self) -> u64 {
        let is_burst = |event| matches!(event, Event::Burst | Event::Restart(_));
        self.events.iter().filter(|(_, event)| is_burst(*event)).count() as u64
    }
}

/// Serves as planned.
pub(super) async fn serve(plan: Plan) -> turmoil::Result {
    let began = Instant::now();
    let orders = watch::Sender::new(Order::default());
    let mut rng = fastrand::Rng::with_seed(plan.seed);
    let mut events = plan.events.into_iter();
    let mut next = events.next();
    let busy = Arc::new(watch::Sender::new(0));
    let mut is_busy = busy.subscribe();
    let mut restart = None;
    let mut listener = TcpListener::bind(("0.0.0.0", PORT)).await?;
    loop {
        let at = next.map(|(at, _)| began + at);
        let due = async {
            match at {
                Some(at) => sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = due => {
                let event = next.take().map(|(_, event)| event);
                next = events.next();
                match event {
                    Some(Event::Burst) => orders.send_modify(|order| order.burst += 1),
                    Some(Event::DropAll) => orders.send_modify(|order| {
                        order.drops_all = true;
                        order.burst += 1;
                    }),
                    Some(Event::Restart(away)) => restart = Some(away),
                    Some(Event::Death) => {
                        orders.send_modify(|order| order.burst += 1);
                        drop(listener);
                        return Ok(());
                    }
                    None => {}
                }
            }
            // What it was found by is let go at once: it locks out those who count.
            _ = async { is_busy.wait_for(|requests| *requests >= BUSY).await.is_ok() },
                if restart.is_some() =>
            {
                orders.send_modify(|order| order.burst += 1);
                // The news of the drops must not come behind that of a refusal.
                sleep(Duration::from_millis(50)).await;
                drop(listener);
                sleep(restart.take().unwrap_or_default()).await;
                listener = TcpListener::bind(("0.0.0.0", PORT)).await?;
            }
            accepted = listener.accept() => {
                let (stream, _) = accepted?;
                let (orders, rng) = (orders.subscribe(), rng.fork());
                let busy = Arc::clone(&busy);
                #[expect(clippy::disallowed_methods, reason = "a task of the simulated host")]
                let _detached = tokio::spawn(async move {
                    // A client that is gone is no matter of the server.
                    let _gone = connection(stream, orders, &busy, plan.work, rng).await;
                });
            }
        }
    }
}

/// Answers one request after the other, until it is told to drop them.
async fn connection(
    mut stream: TcpStream,
    mut orders: watch::Receiver<Order>,
    busy: &watch::Sender<usize>,
    work: u64,
    mut rng: fastrand::Rng,
) -> std::io::Result<()> {
    orders.mark_unchanged();
    let burst = orders.borrow().burst;
    let talk = async {
        let mut head = Vec::new();
        loop {
            while !head.ends_with(b"\r\n\r\n") {
                if stream.read_buf(&mut head).await? == 0 {
                    return Ok(());
                }
            }
            if orders.borrow().drops_all {
                return Ok(());
            }
            let _request = Underway::of(busy);
            sleep(Duration::from_millis(rng.u64(1..=work))).await;
            let size = size(&head);
            head.clear();
            let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {size}\r\n\r\n");
            stream.write_all(answer.as_bytes()).await?;
            let (one, other) = (rng.usize(0..=size), vec![b'x'; size]);
            stream.write_all(&other[..one]).await?;
            sleep(Duration::from_millis(rng.u64(0..20))).await;
            stream.write_all(&other[one..]).await?;
        }
    };
    let mut told = orders.clone();
    tokio::select! {
        talked = talk => talked,
        _ = told.wait_for(|order| order.burst > burst) => Ok(()),
    }
}

/// A request that is being answered.
struct Underway<'a>(&'a watch::Sender<usize>);

impl<'a> Underway<'a> {
    fn of(busy: &'a watch::Sender<usize>) -> Self {
        busy.send_modify(|requests| *requests += 1);
        Self(busy)
    }
}

impl Drop for Underway<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|requests| *requests -= 1);
    }
}

/// `GET /<size>`
fn size(head: &[u8]) -> usize {
    let head = String::from_utf8_lossy(head);
    head.split([' ', '/']).nth(2).and_then(|size| size.parse().ok()).unwrap_or(0)
}
