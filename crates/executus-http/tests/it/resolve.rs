//! Names whose addresses cannot be told, and addresses that do not answer.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use executus_http::{
    ByteStream, Client, ConnectFailure, HttpError, Method, Phase, Request, Resolve, ResolveError,
    Transport,
};
use tokio::join;

use crate::reach::{Names, Reach};
use crate::support::{LONG, Peer, SHORT, ok};

#[derive(Debug)]
struct Silent;

#[async_trait]
impl Resolve for Silent {
    async fn resolve(&self, _: &str) -> Result<Vec<IpAddr>, ResolveError> {
        std::future::pending().await
    }
}

async fn refused(resolve: Arc<dyn Resolve>, limit: Duration, url: &str) -> HttpError {
    let client = Client::builder().resolver(resolve).connect_timeout(limit).build().unwrap();
    client.send(Request::new(Method::Get, url).unwrap()).await.unwrap_err()
}

#[tokio::test]
async fn a_name_service_that_is_silent_takes_the_time_to_connect() {
    let error = refused(Arc::new(Silent), SHORT, "http://h.test/").await;
    assert!(matches!(error, HttpError::Timeout { phase: Phase::Connect, .. }), "{error}");
    assert!(!error.was_sent());
}

#[derive(Debug)]
struct Panicking;

#[async_trait]
impl Resolve for Panicking {
    async fn resolve(&self, _: &str) -> Result<Vec<IpAddr>, ResolveError> {
        panic!("no resolver")
    }
}

#[async_trait]
impl Transport for Panicking {
    async fn connect(&self, _: SocketAddr) -> std::io::Result<Box<dyn ByteStream>> {
        panic!("no transport")
    }
}

#[tokio::test]
async fn a_panic_is_a_failure_to_connect() {
    let error = refused(Arc::new(Panicking), LONG, "http://h.test/").await;
    assert!(
        matches!(&error, HttpError::Connect { failure: ConnectFailure::Name, message, .. }
        if message.contains("no resolver")),
        "{error}"
    );
    let client = Client::builder().transport(Arc::new(Panicking)).build().unwrap();
    let request = Request::new(Method::Get, "http://127.0.0.1/").unwrap();
    let error = client.send(request).await.unwrap_err();
    assert!(
        matches!(&error, HttpError::Connect { failure: ConnectFailure::Other, message, .. }
        if message.contains("no transport")),
        "{error}"
    );
}

#[tokio::test]
async fn a_name_without_addresses_is_told_as_one() {
    let reach = Reach::new(Names::default().with("empty.test", &[]));
    for url in ["http://empty.test/", "https://empty.test/", "http://other.test/"] {
        let error = refused(reach.names(), LONG, url).await;
        let is_name = matches!(error, HttpError::Connect { failure: ConnectFailure::Name, .. });
        assert!(is_name && error.retry() && !error.was_sent(), "{error}");
    }
}

/// Over real sockets: of two addresses of this machine, one has nobody who listens.
#[tokio::test]
async fn an_address_that_refuses_leaves_the_next() {
    let peer = Peer::start().await;
    let url = peer.url("/").replace("127.0.0.1", "both.test");
    for ips in [["127.0.0.2", "127.0.0.1"], ["::1", "127.0.0.1"], ["127.0.0.1", "::1"]] {
        let reach = Reach::new(Names::default().with("both.test", &ips));
        let client =
            Client::builder().resolver(reach.names()).connect_timeout(LONG).build().unwrap();
        let request = Request::new(Method::Get, &url).unwrap();
        let (response, (received, _open)) = join!(client.send(request), peer.answer(ok("")));
        assert_eq!(response.unwrap().status(), 200, "{ips:?}");
        assert!(received.header("host").unwrap().starts_with("both.test:"));
    }
}

/// An address is asked for by what it is, whatever it is written like.
#[tokio::test]
async fn an_address_in_another_spelling_is_connected_to() {
    let peer = Peer::start().await;
    for host in ["127.1", "0x7f000001", "2130706433", "0177.0.0.1", "[::ffff:127.0.0.1]"] {
        let url = peer.url("/").replace("127.0.0.1", host);
        let client = Client::builder().resolver(Arc::new(Silent)).build().unwrap();
        let request = Request::new(Method::Get, &url).unwrap();
        let (response, _open) = join!(client.send(request), peer.answer(ok("")));
        assert_eq!(response.unwrap().status(), 200, "{host}");
    }
}
