//! Bodies that are compressed.

use std::time::Duration;

use async_compression::tokio::write::{BrotliEncoder, GzipEncoder, ZlibEncoder, ZstdEncoder};
use async_compression::zstd::CParameter;
use async_compression::{Level, brotli};
use executus_http::{HttpError, Part};
use executus_testkit::hostile::{HostileServer, Reply};
use tokio::io::AsyncWriteExt;

use crate::support::{LONG, SHORT, client, get};

pub(crate) const CODINGS: [&str; 4] = ["gzip", "deflate", "br", "zstd"];

/// Bytes as they are sent in this coding.
pub(crate) async fn encoded(coding: &str, bytes: &[u8]) -> Vec<u8> {
    macro_rules! through {
        ($encoder:expr) => {{
            let mut encoder = $encoder;
            encoder.write_all(bytes).await.unwrap();
            encoder.shutdown().await.unwrap();
            encoder.into_inner()
        }};
    }
    match coding {
        "gzip" => through!(GzipEncoder::with_quality(Vec::new(), Level::Fastest)),
        "deflate" => through!(ZlibEncoder::with_quality(Vec::new(), Level::Fastest)),
        "br" => through!(BrotliEncoder::with_quality(Vec::new(), Level::Fastest)),
        "zstd" => through!(ZstdEncoder::with_quality(Vec::new(), Level::Fastest)),
        // Further back than is allowed.
        "br-24" => {
            let params = brotli::EncoderParams::default().quality(Level::Fastest).window_size(24);
            through!(BrotliEncoder::with_params(Vec::new(), params))
        }
        "zstd-23" => through!(ZstdEncoder::with_quality_and_params(
            Vec::new(),
            Level::Fastest,
            &[CParameter::window_log(23)]
        )),
        other => panic!("no encoder for {other}"),
    }
}

/// A whole answer in this coding.
pub(crate) fn typed(coding: &str, bytes: impl AsRef<[u8]>) -> Reply {
    Reply::status(200, &[("content-encoding", coding)], bytes)
}

pub(crate) async fn bytes(reply: Reply, max: usize) -> Result<Vec<u8>, HttpError> {
    let server = HostileServer::always(reply);
    let response = client().send(get(&server, "/p").idle_timeout(SHORT)).await?;
    response.bytes(max).await.map(Vec::from)
}

fn refusal(result: Result<Vec<u8>, HttpError>) -> (String, String) {
    let error = result.unwrap_err();
    assert!(!error.retry() && error.was_sent(), "{error:?}");
    let HttpError::Encoding { encoding, message, .. } = error else { panic!("{error:?}") };
    (encoding, message)
}

#[tokio::test]
async fn every_coding_is_undone() {
    let text = "a text, a text, a text; ".repeat(10_000);
    for coding in CODINGS {
        let body = encoded(coding, text.as_bytes()).await;
        assert!(body.len() < text.len() / 10);
        assert_eq!(bytes(typed(coding, &body), text.len()).await.unwrap(), text.as_bytes());
        // However it is cut.
        let pieces =
            body.chunks(7).fold(Reply::chunked(&[("content-encoding", coding)]), |reply, piece| {
                reply.chunk(piece)
            });
        assert_eq!(bytes(pieces.chunk(""), text.len()).await.unwrap(), text.as_bytes());
        let error = bytes(typed(coding, &body), text.len() - 1).await.unwrap_err();
        let limit = text.len() - 1;
        assert!(
            matches!(&error, HttpError::TooLarge { part: Part::Body, limit: l, .. } if *l == limit)
        );
        // The length that the server tells is not the one of the body.
        let server = HostileServer::always(typed(coding, &body));
        let response = client().send(get(&server, "/")).await.unwrap();
        assert_eq!(response.remaining(), None);
        assert_eq!(response.text(text.len()).await.unwrap(), text);
    }
}

#[tokio::test]
async fn the_connection_is_kept_after_a_decoded_body() {
    for coding in CODINGS {
        let body = encoded(coding, b"again").await;
        let chunked = Reply::chunked(&[("content-encoding", coding)]).chunk(&body).chunk("");
        let server = HostileServer::script([typed(coding, &body), chunked]);
        let client = client();
        for _ in 0..3 {
            let response = client.send(get(&server, "/").accept_compressed(true)).await.unwrap();
            assert_eq!(response.bytes(9).await.unwrap(), "again");
        }
        assert_eq!(server.counts().accepted, 1, "{coding}");
    }
}

#[tokio::test]
async fn several_members_are_one_body() {
    for coding in ["gzip", "zstd"] {
        let member = encoded(coding, b"ab").await;
        assert_eq!(bytes(typed(coding, member.repeat(3)), 9).await.unwrap(), b"ababab");
    }
}

#[tokio::test]
async fn an_empty_body_needs_no_decoder() {
    for coding in CODINGS.into_iter().chain(["compress"]) {
        assert_eq!(bytes(typed(coding, ""), 9).await.unwrap(), b"", "{coding}");
    }
    let empty = Reply::chunked(&[("content-encoding", "gzip")]).chunk("");
    assert_eq!(bytes(empty, 9).await.unwrap(), b"");
    assert_eq!(bytes(typed("gzip", encoded("gzip", b"").await), 9).await.unwrap(), b"");
}

#[tokio::test]
async fn what_cannot_be_undone_is_told() {
    for (coding, body) in
        [("compress", "x"), ("gzip, gzip", "x"), ("br, zstd", "x"), ("\tb[1m", "x")]
    {
        let (encoding, message) = refusal(bytes(typed(coding, body), 9).await);
        assert_eq!(encoding, coding.trim());
        assert!(message.contains("only one of gzip, deflate, br and zstd"), "{message}");
    }
    for coding in CODINGS {
        let whole = encoded(coding, &b"a text".repeat(100)).await;
        for (body, part) in [
            (whole[..whole.len() - 3].to_vec(), "ends before its end"),
            (b"{\"plain\": \"text, and not what it is said to be\"}".to_vec(), ""),
        ] {
            let (encoding, message) = refusal(bytes(typed(coding, body), 9000).await);
            assert_eq!(encoding, coding);
            assert!(message.contains(part), "{coding}: {message}");
        }
        let (encoding, _) =
            refusal(bytes(typed(coding, [&whole[..], b"more"].concat()), 9000).await);
        assert_eq!(encoding, coding);
    }
}

#[tokio::test]
async fn what_looks_far_back_is_refused() {
    let long = vec![b'x'; 1 << 20];
    for name in ["br-24", "zstd-23"] {
        let coding = name.split('-').next().unwrap();
        let (encoding, message) =
            refusal(bytes(typed(coding, encoded(name, &long).await), 2 << 20).await);
        assert_eq!(encoding, coding);
        assert!(message.contains("4 MiB") || message.contains("too much memory"), "{message}");
    }
    // The one of brotli for up to 1 GiB, which its RFC does not have.
    let (_, message) = refusal(bytes(typed("br", [0x11, 0x1e, 0x00, 0x03]), 9).await);
    assert!(message.contains("4 MiB"), "{message}");
}

#[tokio::test]
async fn a_connection_that_ends_early_is_dropped_and_not_broken() {
    let body = encoded("gzip", &vec![b'x'; 1 << 20]).await;
    let half = Reply::chunked(&[("content-encoding", "gzip")]).chunk(&body[..body.len() / 2]);
    for reply in [half.clone().close(), half.clone().reset()] {
        let error = bytes(reply, 2 << 20).await.unwrap_err();
        assert!(matches!(error, HttpError::Dropped { before_head: false, .. }), "{error:?}");
    }
    let error = bytes(half.stall(), 2 << 20).await.unwrap_err();
    assert!(matches!(error, HttpError::Timeout { .. }), "{error:?}");
}

/// Members without content decode to nothing, however many there are.
#[tokio::test]
async fn an_endless_nothing_meets_a_limit_in_time() {
    for coding in ["gzip", "zstd"] {
        let member = encoded(coding, b"").await;
        let reply =
            Reply::chunked(&[("content-encoding", coding)]).chunks_forever(member.repeat(100));
        let server = HostileServer::always(reply);
        let request = get(&server, "/").idle_timeout(SHORT).total_timeout(LONG);
        let error = client().send(request).await.unwrap().bytes(9).await.unwrap_err();
        assert!(matches!(error, HttpError::Timeout { limit: SHORT, .. }), "{error:?}");
        server.until(|counts| counts.open == 0).await;
    }
}

#[tokio::test]
async fn what_a_request_asks_for_is_sent() {
    let body = encoded("gzip", b"text").await;
    let server = HostileServer::always(typed("gzip", &body));
    let plain = get(&server, "/");
    for (request, accepted, expected) in [
        (plain.clone(), "identity", &b"text"[..]),
        (plain.clone().accept_compressed(true), "gzip, br, zstd", b"text"),
        (plain.header("accept-encoding", "gzip").unwrap(), "gzip", &body),
    ] {
        let response = client().send(request).await.unwrap();
        assert_eq!(response.bytes(1000).await.unwrap(), expected);
        let seen = server.requests().pop().unwrap();
        assert_eq!(seen.header("accept-encoding"), Some(accepted));
    }
}

#[tokio::test]
async fn pieces_come_as_they_are_sent() {
    let mut encoder = GzipEncoder::new(Vec::new());
    encoder.write_all(b"first").await.unwrap();
    encoder.flush().await.unwrap();
    let first = encoder.get_ref().clone();
    let reply = Reply::chunked(&[("content-encoding", "gzip")]).chunk(first);
    let server = HostileServer::always(reply.wait(Duration::from_millis(1)).stall());
    let mut response = client().send(get(&server, "/")).await.unwrap();
    assert_eq!(response.chunk().await.unwrap().unwrap(), "first");
}
