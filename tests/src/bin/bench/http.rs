//! What the HTTP client costs beside the plain client of hyper-util, over the same sockets: a server
//! on a thread of its own, the client on one thread. Also what a closed circuit costs.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use executus_circuit::{Circuit, CircuitKey, MemoryCircuits, Policy};
use executus_http::{AddressPolicy, Client, Method, Profile, Request};
use http_body::Body;
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::child::runtime;
use super::kernel::now;
use super::{Figure, Report, figure};

/// Measured pairs, after those that warm up.
const PAIRS: usize = 15;
const WARM: usize = 1;
const CONCURRENCY: usize = 64;
/// Within a pair each side has so many turns of so many requests: what else the machine does falls
/// on all sides alike.
const TURNS: usize = 25;
const REQUESTS: usize = 640;
/// Bytes of the large body, which comes to each side so many times.
const LARGE: usize = 100 << 20;
const BODIES: usize = 101;
/// Acquired permits of one measurement, which is too short to be interrupted often.
const PERMITS: u32 = 1_000;
const CHECKS: usize = 501;

type Raw = legacy::Client<HttpConnector, String>;

pub(crate) fn measure(report: &mut Report<'_>) -> Result<(), String> {
    if report.wants("http.requests") || report.wants("http.p99") {
        requests(report)?;
    }
    if report.wants("http.bytes") {
        bytes(report)?;
    }
    if report.wants("circuit.check_ns") {
        check(report);
    }
    Ok(())
}

/// A server of two answers, a short and a long one, that ends with this.
struct Server {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    fn start() -> Result<Self, String> {
        let text = |error: io::Error| format!("no server: {error}");
        let listener = std::net::TcpListener::bind("127.0.0.1:0").map_err(text)?;
        listener.set_nonblocking(true).map_err(text)?;
        let address = listener.local_addr().map_err(text)?;
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            runtime().block_on(async move {
                let Ok(listener) = TcpListener::from_std(listener) else { return };
                let mut connections = JoinSet::new();
                let serving = async {
                    while let Ok((stream, _)) = listener.accept().await {
                        connections.spawn(serve(stream));
                    }
                };
                tokio::select! { () = serving => {}, _ = stopped => {} }
            });
        });
        Ok(Self { address, stop: Some(stop), thread: Some(thread) })
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ended = thread.join();
        }
    }
}

async fn serve(mut stream: TcpStream) -> io::Result<()> {
    const SHORT: &[u8] =
        b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 5\r\n\r\nhello";
    let _best_effort = stream.set_nodelay(true);
    let piece = vec![b'x'; 64 * 1024];
    let mut head = Vec::with_capacity(4096);
    loop {
        head.clear();
        while !head.ends_with(b"\r\n\r\n") {
            if stream.read_buf(&mut head).await? == 0 {
                return Ok(());
            }
        }
        if head.starts_with(b"GET /large") {
            let fields = format!("HTTP/1.1 200 OK\r\ncontent-length: {LARGE}\r\n\r\n");
            stream.write_all(fields.as_bytes()).await?;
            let mut left = LARGE;
            while left > 0 {
                let now = left.min(piece.len());
                stream.write_all(&piece[..now]).await?;
                left -= now;
            }
        } else {
            stream.write_all(SHORT).await?;
        }
    }
}

fn raw() -> Raw {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    legacy::Client::builder(TokioExecutor::new()).build(connector)
}

async fn ask_raw(client: &Raw, url: &http::Uri) -> Result<usize, String> {
    let mut request = http::Request::new(String::new());
    *request.uri_mut() = url.clone();
    let mut response = client.request(request).await.map_err(|error| error.to_string())?;
    let mut bytes = 0;
    loop {
        let frame =
            std::future::poll_fn(|context| Pin::new(response.body_mut()).poll_frame(context));
        match frame.await {
            None => return Ok(bytes),
            Some(Ok(frame)) => bytes += frame.data_ref().map_or(0, bytes::Bytes::len),
            Some(Err(error)) => return Err(error.to_string()),
        }
    }
}

async fn ask(client: &Client, url: &str) -> Result<usize, String> {
    let request = Request::new(Method::Get, url).map_err(|error| error.to_string())?;
    let mut response = client.send(request).await.map_err(|error| error.to_string())?;
    let mut bytes = 0;
    while let Some(chunk) = response.chunk().await.map_err(|error| error.to_string())? {
        bytes += chunk.len();
    }
    Ok(bytes)
}

/// What the requests of one side took in a pair.
#[derive(Default)]
struct Taken {
    all: Duration,
    each: Vec<Duration>,
    /// Of the processor, by the client's thread.
    busy: Duration,
}

impl Taken {
    /// The time of which 99 % took no longer.
    fn p99(&mut self) -> f64 {
        self.each.sort_unstable();
        self.each.get(self.each.len() * 99 / 100).copied().unwrap_or_default().as_secs_f64()
    }

    fn rate(&self) -> f64 {
        self.each.len() as f64 / self.all.as_secs_f64()
    }

    async fn turn<F, A>(&mut self, ask: A) -> Result<(), String>
    where
        F: Future<Output = Result<usize, String>> + Send,
        A: Fn() -> F + Clone + Send + 'static,
    {
        let (began, busy) = (now(), busy()?);
        let mut askers = JoinSet::new();
        for _ in 0..CONCURRENCY {
            let ask = ask.clone();
            askers.spawn(async move {
                let mut times = Vec::with_capacity(REQUESTS / CONCURRENCY);
                for _ in 0..REQUESTS / CONCURRENCY {
                    let began = now();
                    if ask().await? != 5 {
                        return Err("a short answer".to_owned());
                    }
                    times.push(began.elapsed());
                }
                Ok(times)
            });
        }
        while let Some(asked) = askers.join_next().await {
            self.each.extend(asked.map_err(|error| error.to_string())??);
        }
        self.all += began.elapsed();
        self.busy += self::busy()?.saturating_sub(busy);
        Ok(())
    }
}

/// How long this thread had a processor.
fn busy() -> Result<Duration, String> {
    let path = "/proc/thread-self/schedstat";
    let said = std::fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?;
    let nanos = said.split(' ').next().and_then(|nanos| nanos.parse().ok());
    nanos.map(Duration::from_nanos).ok_or_else(|| format!("{path} cannot be read: {said}"))
}

/// As many connections are kept as are used: the plain client keeps all of them.
fn client(policy: AddressPolicy) -> executus_http::ClientBuilder {
    let profile = Profile::DRIVER.keep(CONCURRENCY, Profile::DRIVER.keep_alive);
    Client::builder().profile(profile).address_policy(policy)
}

fn requests(report: &mut Report<'_>) -> Result<(), String> {
    let server = Server::start()?;
    let url: Arc<str> = server.url("/").into();
    let uri: http::Uri = url.parse().map_err(|_| "no address".to_owned())?;
    let text = |error: executus_http::BuildError| error.to_string();
    let plain = client(AddressPolicy::anything()).build().map_err(text)?;
    let circuits = Arc::new(MemoryCircuits::default());
    let guarded = client(AddressPolicy::private()).circuits(circuits, Policy::default());
    let guarded = guarded.build().map_err(text)?;
    let (mut rates, mut guarded_rates, mut p99s) = (Vec::new(), Vec::new(), Vec::new());
    let (mut busy, mut per_second) = (Vec::new(), Vec::new());
    let yardstick = raw();
    let measured: Result<(), String> = runtime().block_on(async {
        let raw_ones = move || {
            let (client, uri) = (yardstick.clone(), uri.clone());
            async move { ask_raw(&client, &uri).await }
        };
        let ours = |client: Client| {
            let url = Arc::clone(&url);
            move || {
                let (client, url) = (client.clone(), Arc::clone(&url));
                async move { ask(&client, &url).await }
            }
        };
        let (plain, guarded) = (ours(plain), ours(guarded));
        for pair in 0..WARM + PAIRS {
            let [mut raw, mut own, mut safe] = std::array::from_fn(|_| Taken::default());
            for turn in 0..TURNS * 3 {
                // Nobody always comes behind the same one.
                match (turn + turn / 3) % 3 {
                    0 => raw.turn(raw_ones.clone()).await?,
                    1 => own.turn(plain.clone()).await?,
                    _ => safe.turn(guarded.clone()).await?,
                }
            }
            if pair >= WARM {
                rates.push(own.rate() / raw.rate());
                guarded_rates.push(safe.rate() / raw.rate());
                p99s.push(safe.p99() / raw.p99());
                busy.push(safe.busy.as_secs_f64() / raw.busy.as_secs_f64());
                per_second.push(safe.rate());
            }
        }
        Ok(())
    });
    measured?;
    report.add(&Figure::at_least("http.requests_over_hyper", figure::median(rates), 0.95));
    let guarded = figure::median(guarded_rates);
    report.add(&Figure::at_least("http.requests_guarded_over_hyper", guarded, 0.90));
    report.add(&Figure::at_most("http.p99_over_hyper", figure::median(p99s), 1.2));
    report.add(&Figure::told("http.requests_busy_over_hyper", figure::median(busy)));
    report.add(&Figure::told("http.requests_per_s", figure::median(per_second)));
    Ok(())
}

fn bytes(report: &mut Report<'_>) -> Result<(), String> {
    let server = Server::start()?;
    let url = server.url("/large");
    let uri: http::Uri = url.parse().map_err(|_| "no address".to_owned())?;
    let client = client(AddressPolicy::private());
    let client = client.build().map_err(|error| error.to_string())?;
    let yardstick = raw();
    let (mut ratios, mut rates) = (Vec::new(), Vec::new());
    let measured: Result<(), String> = runtime().block_on(async {
        for pair in 0..WARM + BODIES {
            let mut times = [0.0; 2];
            for side in [pair % 2, 1 - pair % 2] {
                let began = now();
                let bytes = match side {
                    0 => ask_raw(&yardstick, &uri).await?,
                    _ => ask(&client, &url).await?,
                };
                times[side] = began.elapsed().as_secs_f64();
                if bytes != LARGE {
                    return Err("a short body".to_owned());
                }
            }
            let [raw_time, own_time] = times;
            if pair >= WARM {
                ratios.push(raw_time / own_time);
                rates.push(LARGE as f64 / 1e6 / own_time);
            }
        }
        Ok(())
    });
    measured?;
    report.add(&Figure::at_least("http.bytes_over_hyper", figure::median(ratios), 0.95));
    report.add(&Figure::told("http.bytes_mb_per_s", figure::median(rates)));
    Ok(())
}

/// A permit of a closed circuit, from the question to the success.
fn check(report: &mut Report<'_>) {
    let store = Arc::new(MemoryCircuits::default());
    let circuit = Circuit::new(store, CircuitKey::transport("http://bench:80"), Policy::default());
    let mut times = Vec::new();
    runtime().block_on(async {
        for _ in 0..CHECKS {
            let began = now();
            for _ in 0..PERMITS {
                if let Ok(permit) = circuit.acquire().await {
                    permit.success().await;
                }
            }
            times.push(began.elapsed().as_secs_f64() * 1e9 / f64::from(PERMITS));
        }
    });
    report.add(&Figure::at_most("circuit.check_ns", figure::median(times), 2000.0));
}
