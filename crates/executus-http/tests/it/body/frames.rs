//! Bodies over HTTP/2 that break off, lie, or never end.

use bytes::Bytes;
use executus_http::{HttpError, Part};
use h2::{Reason, SendStream, server};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use super::{CAP, End, end};
use crate::secure::SecurePeer;

/// What the server does after the head and four bytes of the body.
#[derive(Debug, Clone, Copy)]
enum Deed {
    /// Instead of both.
    GoAwayFirst,
    GoAway(Reason),
    Reset(Reason),
    Gone,
    /// It had said ten.
    FourOfTen,
    /// It had said two.
    FourOfTwo,
    Endless,
    LongHead,
}

type Connection = server::Connection<TlsStream<TcpStream>, Bytes>;

/// Serves one request; the body goes on by itself where it is endless.
async fn serve(peer: &SecurePeer, deed: Deed) {
    let mut connection = server::handshake(peer.accept().await.unwrap()).await.unwrap();
    let Some(Ok((_, mut respond))) = connection.accept().await else { return };
    let head = match deed {
        Deed::GoAwayFirst => {
            connection.abrupt_shutdown(Reason::NO_ERROR);
            return drain(connection).await;
        }
        Deed::FourOfTen => http::Response::builder().header("content-length", "10"),
        Deed::FourOfTwo => http::Response::builder().header("content-length", "2"),
        Deed::LongHead => http::Response::builder().header("x-long", "x".repeat(1 << 20)),
        _ => http::Response::builder(),
    };
    let mut body = respond.send_response(head.body(()).unwrap(), false).unwrap();
    body.send_data("half".into(), matches!(deed, Deed::FourOfTen | Deed::FourOfTwo)).unwrap();
    // Until the client has had both.
    for _ in 0..3 {
        let _ = tokio::time::timeout(crate::support::SHORT / 5, connection.accept()).await;
    }
    match deed {
        Deed::GoAway(reason) => connection.abrupt_shutdown(reason),
        Deed::Reset(reason) => body.send_reset(reason),
        Deed::Gone => return,
        Deed::Endless => {
            tokio::join!(flood(body), drain(connection));
            return;
        }
        _ => {}
    }
    drain(connection).await;
}

async fn drain(mut connection: Connection) {
    while let Some(Ok(_)) = connection.accept().await {}
}

/// Sends as much as the client lets it, until that resets the stream.
async fn flood(mut body: SendStream<Bytes>) {
    let chunk = Bytes::from(vec![b'x'; 16 * 1024]);
    loop {
        body.reserve_capacity(chunk.len());
        match std::future::poll_fn(|context| body.poll_capacity(context)).await {
            Some(Ok(room)) if body.send_data(chunk.slice(..room), false).is_ok() => {}
            _ => return,
        }
    }
}

#[tokio::test]
async fn whatever_breaks_off_or_lies_over_http_2_is_typed() {
    let peer = SecurePeer::start("h2").await;
    for (deed, expected) in [
        (Deed::GoAwayFirst, End::Dropped),
        (Deed::GoAway(Reason::NO_ERROR), End::Dropped),
        (Deed::GoAway(Reason::INTERNAL_ERROR), End::Dropped),
        // The stream is left to go on, and the connection closed under it.
        (Deed::GoAway(Reason::PROTOCOL_ERROR), End::Dropped),
        (Deed::Reset(Reason::CANCEL), End::Dropped),
        (Deed::Reset(Reason::INTERNAL_ERROR), End::Dropped),
        (Deed::Reset(Reason::PROTOCOL_ERROR), End::Protocol),
        (Deed::Gone, End::Dropped),
        (Deed::FourOfTen, End::Protocol),
        (Deed::FourOfTwo, End::Protocol),
        (Deed::Endless, End::TooLarge(Part::Body)),
        (Deed::LongHead, End::TooLarge(Part::Head)),
    ] {
        let client = peer.client();
        let taking = async {
            let response = client.send(peer.get("localhost")).await?;
            response.bytes(CAP).await
        };
        let serving = async {
            serve(&peer, deed).await;
            // What the client makes of it is for the client to say.
            std::future::pending::<()>().await;
        };
        let result: Result<Bytes, HttpError> = tokio::select! {
            result = taking => result,
            () = serving => panic!("the server goes on"),
        };
        let error = result.expect_err(&format!("{deed:?}"));
        assert_eq!(end(&error), expected, "{deed:?}: {error:?}");
    }
}
