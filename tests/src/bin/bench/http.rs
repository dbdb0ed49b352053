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
const PAIRS: usize = 9;
const WARM: usize = 2;
const CONCURRENCY: usize = 64;
/// Requests of one measurement.
const REQUESTS: usize = 16_000;
/// Bytes of the large body.
const LARGE: usize = 100 << 20;
/// Acquired permits of one measurement.
const PERMITS: u32 = 200_000;

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

/// How long all requests took, and the time of which 99 % took no longer.
struct Taken {
    all: Duration,
    p99: Duration,
}

async fn many<F>(one: impl Fn() -> F) -> Result<Taken, String>
where
    F: Future<Output = Result<usize, String>> + Send + 'static,
{
    let began = now();
    let mut askers = JoinSet::new();
    for _ in 0..CONCURRENCY {
        let asks: Vec<F> = (0..REQUESTS / CONCURRENCY).map(|_| one()).collect();
        askers.spawn(async move {
            let mut times = Vec::with_capacity(asks.len());
            for ask in asks {
                let began = now();
                if ask.await? != 5 {
                    return Err("a short answer".to_owned());
                }
                times.push(began.elapsed());
            }
            Ok(times)
        });
    }
    let mut times = Vec::with_capacity(REQUESTS);
    while let Some(asked) = askers.join_next().await {
        times.extend(asked.map_err(|error| error.to_string())??);
    }
    let all = began.elapsed();
    times.sort_unstable();
    let p99 = times.get(times.len() * 99 / 100).copied().unwrap_or_default();
    Ok(Taken { all, p99 })
}

fn client(policy: AddressPolicy) -> executus_http::ClientBuilder {
    let profile = Profile::DRIVER;
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
    let mut per_second = Vec::new();
    let yardstick = raw();
    let measured: Result<(), String> = runtime().block_on(async {
        let raw_ones = || {
            let (client, uri) = (yardstick.clone(), uri.clone());
            async move { ask_raw(&client, &uri).await }
        };
        let ours = |client: &Client| {
            let (client, url) = (client.clone(), Arc::clone(&url));
            async move { ask(&client, &url).await }
        };
        for pair in 0..WARM + PAIRS {
            let raw = many(raw_ones).await?;
            let own = many(|| ours(&plain)).await?;
            let safe = many(|| ours(&guarded)).await?;
            if pair >= WARM {
                rates.push(raw.all.as_secs_f64() / own.all.as_secs_f64());
                guarded_rates.push(raw.all.as_secs_f64() / safe.all.as_secs_f64());
                p99s.push(safe.p99.as_secs_f64() / raw.p99.as_secs_f64());
                per_second.push(REQUESTS as f64 / safe.all.as_secs_f64());
            }
        }
        Ok(())
    });
    measured?;
    report.add(&Figure::at_least("http.requests_over_hyper", figure::median(rates), 0.95));
    let guarded = figure::median(guarded_rates);
    report.add(&Figure::at_least("http.requests_guarded_over_hyper", guarded, 0.90));
    report.add(&Figure::at_most("http.p99_over_hyper", figure::median(p99s), 1.2));
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
        for pair in 0..WARM + PAIRS {
            let began = now();
            let raw = ask_raw(&yardstick, &uri).await?;
            let raw_time = began.elapsed().as_secs_f64();
            let began = now();
            let own = ask(&client, &url).await?;
            let own_time = began.elapsed().as_secs_f64();
            if raw != LARGE || own != LARGE {
                return Err("a short body".to_owned());
            }
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
        for pair in 0..WARM + PAIRS {
            let began = now();
            for _ in 0..PERMITS {
                if let Ok(permit) = circuit.acquire().await {
                    permit.success().await;
                }
            }
            if pair >= WARM {
                times.push(began.elapsed().as_secs_f64() * 1e9 / f64::from(PERMITS));
            }
        }
    });
    report.add(&Figure::at_most("circuit.check_ns", figure::median(times), 2000.0));
}
