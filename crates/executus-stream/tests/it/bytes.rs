//! Traces and recordings.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use executus_stream::{ByteError, ByteFeed, ByteSource, LiveError, StoredBytes, StoredError};

/// Gives these pieces; then it ends, or breaks off. Counts its drops.
struct Pieces {
    pieces: Vec<&'static str>,
    breaks: bool,
    dropped: Arc<AtomicUsize>,
}

#[async_trait]
impl ByteSource for Pieces {
    async fn next(&mut self) -> Result<Option<Vec<u8>>, LiveError> {
        match self.pieces.is_empty() {
            false => Ok(Some(self.pieces.remove(0).into())),
            true if self.breaks => Err(LiveError::new("the connection was reset")),
            true => Ok(None),
        }
    }
}

impl Drop for Pieces {
    fn drop(&mut self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }
}

struct Disk(Option<&'static str>);

#[async_trait]
impl StoredBytes for Disk {
    async fn open(&self) -> Result<Option<Box<dyn ByteSource>>, StoredError> {
        let pieces = |text| Pieces { pieces: vec![text], breaks: false, dropped: Arc::default() };
        Ok(self.0.map(|text| Box::new(pieces(text)) as Box<dyn ByteSource>))
    }
}

/// What is sent, how it ends, and how often the live source was dropped.
async fn sent(
    live: Option<(&[&'static str], bool)>,
    stored: Option<&'static str>,
) -> (String, Option<ByteError>, usize) {
    let dropped = Arc::new(AtomicUsize::new(0));
    let live = live.map(|(pieces, breaks)| {
        let dropped = Arc::clone(&dropped);
        Box::new(Pieces { pieces: pieces.to_vec(), breaks, dropped }) as Box<dyn ByteSource>
    });
    let mut feed = ByteFeed::new(live, Some(Arc::new(Disk(stored))));
    let (mut text, mut error) = (String::new(), None);
    while let Some(piece) = feed.next().await {
        assert!(error.is_none(), "something came after the end");
        match piece {
            Ok(piece) => text.push_str(&String::from_utf8(piece).unwrap()),
            Err(why) => error = Some(why),
        }
    }
    assert!(feed.next().await.is_none(), "closed twice");
    (text, error, dropped.load(Ordering::Relaxed))
}

/// SF-01 SF-03
#[tokio::test]
async fn nothing_live_was_sent_so_what_is_stored_is() {
    let (text, error, closed) = sent(Some((&[], true)), Some("persisted")).await;
    assert_eq!((text.as_str(), closed), ("persisted", 1));
    assert!(error.is_none());
    // An empty piece is nothing.
    let (text, _, closed) = sent(Some((&["", ""], true)), Some("persisted")).await;
    assert_eq!((text.as_str(), closed), ("persisted", 1));
}

/// SF-02 SF-03
#[tokio::test]
async fn after_one_byte_nothing_stored_is_appended() {
    let (text, error, closed) = sent(Some((&["l"], true)), Some("persisted")).await;
    assert_eq!((text.as_str(), closed), ("l", 1));
    assert!(matches!(error, Some(ByteError::Cut { sent: 1, .. })), "{error:?}");
}

#[tokio::test]
async fn a_whole_live_stream_is_all() {
    let (text, error, closed) = sent(Some((&["li", "ve"], false)), Some("persisted")).await;
    assert_eq!((text.as_str(), closed), ("live", 1));
    assert!(error.is_none());
    // Nothing is all of it, too.
    let (text, error, _) = sent(Some((&[], false)), Some("persisted")).await;
    assert_eq!(text, "");
    assert!(error.is_none());
}

#[tokio::test]
async fn what_is_nowhere_is_said_so() {
    let (_, error, _) = sent(None, None).await;
    assert!(matches!(error, Some(ByteError::NotFound)), "{error:?}");
    let (_, error, _) = sent(Some((&[], true)), None).await;
    assert!(matches!(error, Some(ByteError::Cut { sent: 0, .. })), "{error:?}");
    let (text, error, _) = sent(None, Some("persisted")).await;
    assert_eq!(text, "persisted");
    assert!(error.is_none());
}
