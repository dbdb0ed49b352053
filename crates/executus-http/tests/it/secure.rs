//! TLS, and HTTP/2 over it.

use std::sync::Arc;

use executus_http::{Client, HttpError, Method, Profile, Request};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::join;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;
use tokio_rustls::server::TlsStream;

use crate::support::{LONG, Peer, ok};

pub(crate) struct SecurePeer {
    listener: TcpListener,
    acceptor: TlsAcceptor,
    certificate: String,
}

impl SecurePeer {
    pub(crate) async fn start(alpn: &str) -> Self {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let key = PrivatePkcs8KeyDer::from(signing_key.serialize_der());
        let mut config =
            ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_no_client_auth()
                .with_single_cert(vec![cert.der().clone()], key.into())
                .unwrap();
        config.alpn_protocols = vec![alpn.as_bytes().to_vec()];
        Self {
            listener: TcpListener::bind("127.0.0.1:0").await.unwrap(),
            acceptor: TlsAcceptor::from(Arc::new(config)),
            certificate: cert.pem(),
        }
    }

    pub(crate) fn get(&self, host: &str) -> Request {
        let port = self.listener.local_addr().unwrap().port();
        Request::new(Method::Get, &format!("https://{host}:{port}/p?q=1")).unwrap()
    }

    pub(crate) async fn accept(&self) -> std::io::Result<TlsStream<TcpStream>> {
        let (stream, _) = self.listener.accept().await.unwrap();
        self.acceptor.accept(stream).await
    }

    /// A client that trusts this server.
    pub(crate) fn client(&self) -> Client {
        let builder = Client::builder().connect_timeout(LONG).headers_timeout(LONG);
        builder
            .add_root_certificate(self.certificate.as_str()) // Streams of one connection take up one place.
            .profile(Profile::default().max_connections(1))
            .build()
            .unwrap()
    }
}

#[tokio::test]
async fn a_certificate_of_an_added_root_is_accepted() {
    let peer = SecurePeer::start("http/1.1").await;
    let serve = async {
        let mut stream = peer.accept().await.unwrap();
        let mut head = [0; 1024];
        let read = stream.read(&mut head).await.unwrap();
        stream.write_all(ok("safe").as_bytes()).await.unwrap();
        (String::from_utf8_lossy(&head[..read]).into_owned(), stream)
    };
    let client = peer.client();
    let (response, (head, _open)) = join!(client.send(peer.get("localhost")), serve);
    assert!(head.starts_with("GET /p?q=1 HTTP/1.1\r\n"), "{head}");
    assert_eq!(response.unwrap().bytes(9).await.unwrap(), "safe");
}

#[tokio::test]
async fn other_certificates_are_not_accepted() {
    let peer = SecurePeer::start("http/1.1").await;
    let stranger = Client::builder().connect_timeout(LONG).build().unwrap();
    let trusting = peer.client();
    for (client, host) in [(stranger, "localhost"), (trusting, "127.0.0.1")] {
        let (error, accepted) = join!(client.send(peer.get(host)), peer.accept());
        assert!(accepted.is_err());
        let error = error.unwrap_err();
        assert!(matches!(error, HttpError::Tls { .. }), "{error:?}");
        assert!(error.to_string().contains("certificate"), "{error}");
        assert!(!error.retry() && !error.was_sent());
    }
}

#[tokio::test]
async fn a_server_without_tls_is_told() {
    let peer = Peer::start().await;
    let url = peer.url("/").replace("http://", "https://");
    let request = Request::new(Method::Get, &url).unwrap();
    let client = Client::builder().build().unwrap();
    let serve = async {
        let mut connection = peer.accept().await;
        connection.send("HTTP/1.1 400 Bad Request\r\n\r\n").await;
        connection
    };
    let (error, _open) = join!(client.send(request), serve);
    let error = error.unwrap_err();
    assert!(matches!(error, HttpError::Tls { .. }), "{error:?}");
}

#[tokio::test]
async fn requests_share_a_connection_of_http_2() {
    let peer = SecurePeer::start("h2").await;
    let client = peer.client();
    let serve = async {
        let mut connection = h2::server::handshake(peer.accept().await.unwrap()).await.unwrap();
        let mut waiting = Vec::new();
        while let Some(request) = connection.accept().await {
            let (request, respond) = request.unwrap();
            assert_eq!(request.uri().path(), "/p");
            assert_eq!(request.headers()["user-agent"], "executus/0.1.0");
            waiting.push(respond);
            // Both requests are there before either is answered.
            if waiting.len() == 2 {
                for mut respond in waiting.drain(..) {
                    let mut body = respond.send_response(http::Response::new(()), false).unwrap();
                    body.send_data("two".into(), true).unwrap();
                }
            }
        }
    };
    let both = async {
        let bytes = async || {
            let response = client.send(peer.get("localhost")).await.unwrap();
            response.bytes(9).await.unwrap()
        };
        assert_eq!(join!(bytes(), bytes()), ("two".into(), "two".into()));
    };
    tokio::select! {
        () = both => {}
        () = serve => panic!("the server has ended"),
    }
}

#[tokio::test]
async fn a_stream_of_http_2_that_is_reset() {
    let peer = SecurePeer::start("h2").await;
    for (reason, dropped) in
        [(h2::Reason::INTERNAL_ERROR, true), (h2::Reason::HTTP_1_1_REQUIRED, false)]
    {
        let serve = async {
            let mut connection = h2::server::handshake(peer.accept().await.unwrap()).await.unwrap();
            while let Some(request) = connection.accept().await {
                request.unwrap().1.send_reset(reason);
            }
        };
        let client = peer.client();
        let error = tokio::select! {
            answer = client.send(peer.get("localhost")) => answer.unwrap_err(),
            () = serve => panic!("the server has ended"),
        };
        let as_told = match error {
            HttpError::Dropped { before_head: true, sent: true, .. } => dropped,
            HttpError::Protocol { sent: true, .. } => !dropped,
            _ => false,
        };
        assert!(as_told, "{reason:?}: {error:?}");
    }
}
