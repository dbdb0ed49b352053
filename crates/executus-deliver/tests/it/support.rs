//! What the tests share.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use executus_core::port::Parcel;
use executus_core::secret::Secret;
use executus_core::transcript::{Artifact, ArtifactBody};
use executus_core::{RunId, RunStatus};
use executus_deliver::{Backoff, OutboxConfig, SigningKey};
use executus_http::Client;
use executus_testkit::sample;
use parking_lot::Mutex;
use tokio::io::AsyncWrite;

/// A key of the right form.
pub(crate) const KEY: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

pub(crate) fn key() -> SigningKey {
    SigningKey::new(&Secret::new(KEY)).unwrap()
}

pub(crate) fn client() -> Client {
    Client::builder().build().unwrap()
}

pub(crate) fn run(id: &str) -> RunId {
    RunId::new(id).unwrap()
}

pub(crate) fn parcel(id: &str, status: RunStatus) -> Parcel {
    sample::parcel(&run(id), status)
}

/// One with these artifacts, and this output.
pub(crate) fn with(id: &str, output: &str, artifacts: &[(&str, ArtifactBody)]) -> Parcel {
    let mut outcome = sample::outcome(&run(id), RunStatus::Ok);
    outcome.output = Some(output.to_owned());
    for (name, body) in artifacts {
        let (name, media_type) = ((*name).to_owned(), "text/plain".to_owned());
        outcome.artifacts.push(Arc::new(Artifact { name, media_type, body: body.clone() }));
    }
    Parcel { spec: Arc::new(sample::spec(&run(id))), outcome: Arc::new(outcome) }
}

/// Attempts that follow each other at once.
pub(crate) const fn quick(attempts: u32) -> Backoff {
    Backoff { first: Duration::from_millis(5), longest: Duration::from_millis(20), attempts }
}

/// An outbox that does not wait long.
pub(crate) fn config(folder: &tempfile::TempDir, attempts: u32) -> OutboxConfig {
    let mut config = OutboxConfig::new(folder.path().join("outbox.db"));
    config.backoff = quick(attempts);
    config.attempt = Duration::from_secs(5);
    config.margin = Duration::from_secs(1);
    config.poll = Duration::from_millis(50);
    config
}

/// A stream that can be read.
#[derive(Default)]
pub(crate) struct Sheet(pub(crate) Arc<Mutex<Vec<u8>>>);

impl AsyncWrite for Sheet {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.0.lock().extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
