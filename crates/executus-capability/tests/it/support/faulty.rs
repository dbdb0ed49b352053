//! Parts of a kernel that fail as planned.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use executus_capability::budget::{CountError, Shown, TokenCounter};
use executus_capability::firewall::{FirewallError, Screen, ScreenChunks, ScreenRequest};
use executus_capability::handle::{
    Expansion, HandleError, HandleRef, HandleStore, NewHandle, Page,
};
use executus_capability::policy::{Ask, Denial, Policy};
use executus_capability::record::{ActionLog, ActionLogError, ActionQuery, ActionRecord};
use executus_capability::{Constraints, Frame};
use parking_lot::Mutex;
use serde_json::{Map, Value};

/// How a call goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    Error,
    Panic,
    /// It never answers. What cannot wait fails instead.
    Hang,
    /// It answers after this. What cannot wait answers at once.
    Late(Duration),
}

/// Which calls go wrong, by the names of the methods.
#[derive(Debug, Clone, Default)]
pub(crate) struct Faults {
    planned: Arc<Mutex<HashMap<&'static str, Fault>>>,
    calls: Arc<Mutex<HashMap<&'static str, u64>>>,
}

impl Faults {
    pub(crate) fn set(&self, call: &'static str, fault: Fault) {
        self.planned.lock().insert(call, fault);
    }

    pub(crate) fn heal(&self) {
        self.planned.lock().clear();
    }

    /// How often it was called.
    pub(crate) fn count(&self, call: &'static str) -> u64 {
        self.calls.lock().get(call).copied().unwrap_or(0)
    }

    fn enter(&self, call: &'static str) -> Option<Fault> {
        *self.calls.lock().entry(call).or_insert(0) += 1;
        self.planned.lock().get(call).copied()
    }

    fn now<E>(&self, call: &'static str, error: E) -> Result<(), E> {
        match self.enter(call) {
            Some(Fault::Panic) => panic!("planned panic: {call}"),
            Some(Fault::Error | Fault::Hang) => Err(error),
            Some(Fault::Late(_)) | None => Ok(()),
        }
    }

    async fn wait<E>(&self, call: &'static str, error: E) -> Result<(), E> {
        match self.enter(call) {
            Some(Fault::Panic) => panic!("planned panic: {call}"),
            Some(Fault::Error) => Err(error),
            Some(Fault::Hang) => std::future::pending().await,
            Some(Fault::Late(time)) => {
                tokio::time::sleep(time).await;
                Ok(())
            }
            None => Ok(()),
        }
    }
}

pub(crate) struct Faulty<T> {
    inner: T,
    faults: Faults,
}

impl<T> Faulty<T> {
    pub(crate) fn shared(inner: T, faults: &Faults) -> Arc<Self> {
        Arc::new(Self { inner, faults: faults.clone() })
    }
}

impl<T: Policy> Policy for Faulty<T> {
    fn decide(&self, ask: &Ask<'_>) -> Result<Constraints, Denial> {
        self.faults.now("decide", Denial::new("planned", "planned"))?;
        self.inner.decide(ask)
    }

    fn explain(&self, ask: &Ask<'_>) -> Result<Constraints, Vec<Denial>> {
        let _ = self.faults.now("explain", ());
        self.inner.explain(ask)
    }
}

impl<T: Screen> Screen for Faulty<T> {
    fn screen(&self, raw: &Value, request: &ScreenRequest<'_>) -> Result<Frame, FirewallError> {
        self.faults.now("screen", FirewallError::failed("planned"))?;
        self.inner.screen(raw, request)
    }

    fn chunks(&self, request: &ScreenRequest<'_>) -> Result<Box<dyn ScreenChunks>, FirewallError> {
        self.faults.now("chunks", FirewallError::failed("planned"))?;
        let inner = self.inner.chunks(request)?;
        Ok(Box::new(Chunks { inner, faults: self.faults.clone() }))
    }

    fn page(&self, page: Page) -> Result<Page, FirewallError> {
        self.faults.now("page", FirewallError::failed("planned"))?;
        self.inner.page(page)
    }
}

struct Chunks {
    inner: Box<dyn ScreenChunks>,
    faults: Faults,
}

impl ScreenChunks for Chunks {
    fn push(&mut self, chunk: &Value, is_final: bool) -> Result<Frame, FirewallError> {
        self.faults.now("push", FirewallError::failed("planned"))?;
        self.inner.push(chunk, is_final)
    }

    fn finish(&mut self) -> Result<Frame, FirewallError> {
        self.faults.now("finish", FirewallError::failed("planned"))?;
        self.inner.finish()
    }
}

#[async_trait]
impl<T: HandleStore> HandleStore for Faulty<T> {
    async fn store(&self, new: NewHandle) -> Result<HandleRef, HandleError> {
        self.faults.wait("store", HandleError::Store { message: "planned".into() }).await?;
        self.inner.store(new).await
    }

    async fn expand(&self, ask: &Expansion<'_>) -> Result<Page, HandleError> {
        self.faults.wait("expand", HandleError::Store { message: "planned".into() }).await?;
        self.inner.expand(ask).await
    }
}

impl<T: TokenCounter> TokenCounter for Faulty<T> {
    fn count(&self, shown: Shown<'_>) -> Result<u64, CountError> {
        self.faults.now("count", CountError::failed("planned"))?;
        self.inner.count(shown)
    }
}

#[async_trait]
impl<T: ActionLog> ActionLog for Faulty<T> {
    async fn record(&self, record: &ActionRecord) -> Result<(), ActionLogError> {
        let error = ActionLogError::Unwritten { message: "planned".into() };
        self.faults.wait("record", error).await?;
        self.inner.record(record).await
    }

    async fn get(&self, action_id: &str) -> Result<Option<ActionRecord>, ActionLogError> {
        let error = ActionLogError::Unread { message: "planned".into() };
        self.faults.wait("get", error).await?;
        self.inner.get(action_id).await
    }

    async fn query(&self, query: &ActionQuery) -> Result<Vec<ActionRecord>, ActionLogError> {
        let error = ActionLogError::Unread { message: "planned".into() };
        self.faults.wait("query", error).await?;
        self.inner.query(query).await
    }
}

/// A screen that shows the same whatever it gets: what a frame of its mode may hold.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fixed {
    pub(crate) facts: Vec<String>,
    pub(crate) rows: Vec<Map<String, Value>>,
    pub(crate) raw: Option<Value>,
}

impl Fixed {
    fn frame(&self, request: &ScreenRequest<'_>) -> Frame {
        Frame {
            facts: self.facts.clone(),
            rows: self.rows.clone(),
            raw: self.raw.clone(),
            ..Frame::empty(request)
        }
    }
}

impl Screen for Fixed {
    fn screen(&self, _: &Value, request: &ScreenRequest<'_>) -> Result<Frame, FirewallError> {
        Ok(self.frame(request))
    }

    fn chunks(&self, request: &ScreenRequest<'_>) -> Result<Box<dyn ScreenChunks>, FirewallError> {
        Ok(Box::new(Same(self.frame(request))))
    }

    fn page(&self, page: Page) -> Result<Page, FirewallError> {
        Ok(page)
    }
}

struct Same(Frame);

impl ScreenChunks for Same {
    fn push(&mut self, _: &Value, is_final: bool) -> Result<Frame, FirewallError> {
        Ok(Frame { is_final, ..self.0.clone() })
    }

    fn finish(&mut self) -> Result<Frame, FirewallError> {
        let request = Frame { facts: vec![], rows: vec![], raw: None, ..self.0.clone() };
        Ok(Frame { is_final: true, ..request })
    }
}
