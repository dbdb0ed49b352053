//! Performing a capability whose result comes in pieces.

use std::fmt;
use std::sync::Arc;

use executus_core::isolate::{Panicked, call, drop_quietly};
use tokio::sync::{mpsc, oneshot};

use super::action::Action;
use super::admit::Admitted;
use super::attempt::{Attempts, unanswered};
use super::error::{InvokeError, Stage, StageError};
use super::invoke::{Served, finish, panicked};
use super::wait::within;
use super::{Inner, Invocation, Kernel};
use crate::driver::{Chunk, ChunkStream, Driver, DriverError};
use crate::firewall::{FirewallError, ScreenChunks};
use crate::frame::{Frame, Mode};

mod whole;

use whole::Whole;

/// The frames of one invocation. Dropping it before its last frame gives the invocation up.
pub struct FrameStream {
    frames: mpsc::Receiver<Frame>,
    last: Option<oneshot::Receiver<Result<Frame, InvokeError>>>,
}

impl fmt::Debug for FrameStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FrameStream").field("ended", &self.last.is_none()).finish_non_exhaustive()
    }
}

impl FrameStream {
    /// The next frame; `None` after the last one or an error. The last one is shown when there is a
    /// record of the invocation.
    ///
    /// **Cancellation**: a frame is not lost when the future is dropped.
    ///
    /// # Errors
    /// [`InvokeError`]: what the invocation ended with.
    pub async fn next(&mut self) -> Result<Option<Frame>, InvokeError> {
        if let Some(frame) = self.frames.recv().await {
            return Ok(Some(frame));
        }
        let Some(last) = &mut self.last else { return Ok(None) };
        // The task is gone without a word only when its runtime is.
        let last = last.await.unwrap_or(Err(InvokeError::Cancelled));
        self.last = None;
        last.map(Some)
    }
}

/// Where the frames of a stream go.
struct Reader {
    frames: mpsc::Sender<Frame>,
    /// Told once when the first driver has been let in.
    begun: Option<oneshot::Sender<()>>,
}

/// What a driver of a streaming invocation has given.
enum Begun {
    Stream(Box<dyn ChunkStream>),
    Whole(serde_json::Value),
}

impl Kernel {
    /// Performs a capability and shows a frame for each piece of its result, the last one marked as
    /// such. Drivers that stream are asked first, in the order of the plan, then the others, whose
    /// result is one last frame.
    ///
    /// A task of the kernel's reads the driver and holds one frame for the reader, so that a reader
    /// that is gone, or idle for too long, ends the invocation.
    ///
    /// # Errors
    /// [`InvokeError`]: it was refused before a driver was asked. What goes wrong later is an error
    /// of [`FrameStream::next`].
    pub async fn invoke_stream(&self, invocation: Invocation) -> Result<FrameStream, InvokeError> {
        let (frames, received) = mpsc::channel(1);
        let (end, mut last) = oneshot::channel();
        let (begun, has_begun) = oneshot::channel();
        let reader = Reader { frames, begun: Some(begun) };
        let action = self.0.begin(&invocation);
        let kernel = Arc::clone(&self.0);
        self.0.tracker.spawn(serve(kernel, action, invocation, reader, end));
        if has_begun.await.is_err() {
            // It ended before it had begun.
            return match (&mut last).await {
                Ok(Err(error)) => Err(error),
                Ok(Ok(frame)) => {
                    let (end, last) = oneshot::channel();
                    let _ = end.send(Ok(frame));
                    Ok(FrameStream { frames: received, last: Some(last) })
                }
                Err(_) => Err(InvokeError::Cancelled),
            };
        }
        Ok(FrameStream { frames: received, last: Some(last) })
    }
}

async fn serve(
    kernel: Arc<Inner>,
    mut action: Action,
    invocation: Invocation,
    mut reader: Reader,
    mut end: oneshot::Sender<Result<Frame, InvokeError>>,
) {
    let stop = invocation.cancellation.clone();
    let work = kernel.stream(&mut action, &invocation, &mut reader);
    let ended = tokio::select! {
        biased;
        () = end.closed() => Err(InvokeError::Cancelled),
        ended = kernel.unless_cancelled(stop.as_ref(), work) => ended,
    };
    let last = finish(action, ended).await;
    drop(reader);
    let _ = end.send(last);
}

impl Inner {
    async fn stream(
        &self,
        action: &mut Action,
        invocation: &Invocation,
        reader: &mut Reader,
    ) -> Result<Served, InvokeError> {
        self.number(action, invocation).await?;
        let admitted = self.admit(action, invocation)?;
        reader.has_begun();
        let until = admitted.until;
        let work = self.pieces(action, invocation, &admitted, reader);
        match (self.left(until)?, until) {
            (Some(left), Some(at)) => {
                tokio::time::timeout(left, work).await.unwrap_or(Err(InvokeError::Deadline { at }))
            }
            _ => work.await,
        }
    }

    async fn pieces(
        &self,
        action: &mut Action,
        invocation: &Invocation,
        admitted: &Admitted<'_>,
        reader: &Reader,
    ) -> Result<Served, InvokeError> {
        let mut attempts = Attempts::new(self, invocation, admitted);
        let drivers = attempts.drivers();
        let streams = |driver: &dyn Driver| {
            // One that panics when it is asked does not stream.
            call(|| driver.streaming().is_some()).unwrap_or(false)
        };
        let (streaming, plain): (Vec<_>, Vec<_>) =
            drivers.into_iter().partition(|(_, driver)| streams(&***driver));
        for (id, driver) in streaming.into_iter().chain(plain) {
            let begun = attempts.attempt(action, id, |request, limit| async move {
                within(limit, || {
                    Box::pin(async move {
                        match driver.streaming() {
                            Some(streaming) => streaming.open(&request).await.map(Begun::Stream),
                            None => driver.execute(&request).await.map(Begun::Whole),
                        }
                    })
                })
                .await
            });
            match begun.await? {
                Some(Begun::Stream(stream)) => {
                    let source = Source { stream: Some(stream), driver: id };
                    return self.relay(action, invocation, &attempts, reader, source).await;
                }
                Some(Begun::Whole(raw)) => {
                    return self.whole(action, invocation, admitted, raw).await;
                }
                None => {}
            }
        }
        Err(attempts.exhausted(action))
    }

    /// Shows what comes of a stream, but for its last frame.
    async fn relay(
        &self,
        action: &mut Action,
        invocation: &Invocation,
        attempts: &Attempts<'_>,
        reader: &Reader,
        mut source: Source<'_>,
    ) -> Result<Served, InvokeError> {
        let admitted = attempts.admitted;
        let mut screen = {
            let request = self.screened(action, invocation, admitted, None);
            let chunks = call(|| self.screen.chunks(&request));
            Screening(Some(chunks.map_err(|why| panicked(Stage::Firewall, why))??))
        };
        let mut whole = Whole::new(admitted.mode != Mode::Raw, self.limits.kept);
        let mut cost: u64 = 0;
        let mut frame = loop {
            let chunk = match source.next(admitted).await {
                Ok(chunk) => chunk,
                Err(error) => {
                    return Err(attempts.failed(action, self.clean(invocation, error)));
                }
            };
            let (mut frame, is_final) = match &chunk {
                Some(chunk) => (screen.push(chunk)?, chunk.is_final),
                None => (screen.finish()?, true),
            };
            self.confine(action, admitted, &mut frame);
            if let Some(chunk) = chunk {
                whole.push(chunk.data);
            }
            cost = cost.saturating_add(self.count(&frame)?);
            if is_final {
                break frame;
            }
            frame.is_final = false;
            action.shows(&frame);
            reader.show(frame, self.limits.reader).await?;
        };
        drop(source);
        invocation.tell_mode(&mut frame);
        match whole.into_value() {
            Ok(Some(value)) => {
                frame.handle = Some(self.keep(invocation, admitted, Arc::new(value)).await?);
            }
            Ok(None) => {}
            Err(warning) => frame.warnings.push(warning),
        }
        self.left(admitted.until)?;
        Ok(Served { frame, cost })
    }
}

impl Reader {
    fn has_begun(&mut self) {
        if let Some(begun) = self.begun.take() {
            let _ = begun.send(());
        }
    }

    async fn show(&self, frame: Frame, limit: std::time::Duration) -> Result<(), InvokeError> {
        match tokio::time::timeout(limit, self.frames.send(frame)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(InvokeError::Cancelled),
            Err(_) => Err(StageError::Late { stage: Stage::Reader, limit }.into()),
        }
    }
}

/// A driver's stream, dropped where its panics stay.
struct Source<'a> {
    stream: Option<Box<dyn ChunkStream>>,
    driver: &'a str,
}

impl Source<'_> {
    async fn next(&mut self, admitted: &Admitted<'_>) -> Result<Option<Chunk>, DriverError> {
        let Some(stream) = &mut self.stream else { return Ok(None) };
        // The gap between two pieces: the whole is cut at a deadline of its own.
        let next = within(admitted.limit, || stream.next()).await;
        next.unwrap_or_else(|why| Err(unanswered(self.driver, &admitted.capability.id, why)))
    }
}

impl Drop for Source<'_> {
    fn drop(&mut self) {
        drop_quietly(self.stream.take());
    }
}

/// What the firewall holds of a stream, dropped where its panics stay.
struct Screening(Option<Box<dyn ScreenChunks>>);

impl Screening {
    fn push(&mut self, chunk: &Chunk) -> Result<Frame, InvokeError> {
        self.with(|chunks| chunks.push(&chunk.data, chunk.is_final))
    }

    fn finish(&mut self) -> Result<Frame, InvokeError> {
        self.with(|chunks| chunks.finish())
    }

    fn with(
        &mut self,
        screen: impl FnOnce(&mut dyn ScreenChunks) -> Result<Frame, FirewallError>,
    ) -> Result<Frame, InvokeError> {
        let chunks = self.0.as_deref_mut().ok_or(FirewallError::Ended)?;
        let screened: Result<_, Panicked> = call(|| screen(chunks));
        Ok(screened.map_err(|why| panicked(Stage::Firewall, why))??)
    }
}

impl Drop for Screening {
    fn drop(&mut self) {
        drop_quietly(self.0.take());
    }
}
