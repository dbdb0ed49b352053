//! The first byte says how a body is encoded, the rest is the body. Whatever comes: no panic, no more
//! than the limit, and an error that tells of the encoding.
#![no_main]

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use executus_http::{ByteStream, Client, HttpError, Method, Request, Transport};
use libfuzzer_sys::fuzz_target;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Runtime;

const LIMIT: usize = 64 * 1024;
const CODINGS: [&str; 7] = ["gzip", "deflate", "br", "zstd", "identity", "gzip, br", "x"];

thread_local! {
    static ANSWER: RefCell<Vec<u8>> = RefCell::default();
}

/// One server, which gives the answer to whatever is asked.
#[derive(Debug)]
struct World;

#[async_trait]
impl Transport for World {
    async fn connect(&self, _: SocketAddr) -> io::Result<Box<dyn ByteStream>> {
        let (here, mut there) = tokio::io::duplex(1 << 20);
        let answer = ANSWER.with_borrow_mut(std::mem::take);
        // What is asked is not looked at, and fits.
        tokio::task::spawn(async move {
            let mut asked = [0; 4096];
            let _ = there.read(&mut asked).await;
            let _ = there.write_all(&answer).await;
        });
        Ok(Box::new(here))
    }
}

fn world() -> &'static (Runtime, Client) {
    static WORLD: OnceLock<(Runtime, Client)> = OnceLock::new();
    WORLD.get_or_init(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let runtime = runtime.expect("a runtime");
        let client =
            Client::builder().transport(Arc::new(World)).idle_timeout(Duration::from_secs(5));
        (runtime, client.build().expect("a client"))
    })
}

fuzz_target!(|data: &[u8]| {
    let [coding, body @ ..] = data else { return };
    if body.len() > 1 << 19 {
        return;
    }
    let coding = CODINGS[usize::from(*coding) % CODINGS.len()];
    let head = format!(
        "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-encoding: {coding}\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    ANSWER.set([head.as_bytes(), body].concat());
    let (runtime, client) = world();
    let read = runtime.block_on(async {
        let request = Request::new(Method::Get, "http://127.0.0.1/").expect("a request");
        client.send(request).await?.bytes(LIMIT).await
    });
    match read {
        Ok(bytes) => assert!(bytes.len() <= LIMIT),
        Err(HttpError::TooLarge { limit: LIMIT, .. }) => {}
        Err(HttpError::Encoding { encoding, message, .. }) => {
            assert!(encoding == coding && message.len() < 200, "{encoding}: {message}");
        }
        Err(other) => panic!("unexpected: {other:?}"),
    }
});
