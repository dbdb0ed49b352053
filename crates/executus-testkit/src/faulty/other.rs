//! Faulty critics, models and tools.

use std::time::Duration;

use executus_core::port::critic::Directive;
use executus_core::port::{Critic, CriticError, RunStart, Watcher};
use executus_core::transcript::Acted;
use executus_core::{
    Model, ModelError, Reply, RunId, Tool, ToolContext, ToolError, ToolOutput, ToolSpec, Turn,
};
use serde_json::Value;
use tokio::sync::watch;

use super::{Answer, Fault, Faulty, Plan, Site, boom, call};

fn critic_error() -> Option<CriticError> {
    Some(CriticError::Unavailable { message: "planned".into(), source: None })
}

fn model_error() -> Option<ModelError> {
    Some(ModelError::Unavailable { message: "planned".into() })
}

fn tool_error() -> Option<ToolError> {
    Some(ToolError::failed("planned"))
}

impl Critic for Faulty<dyn Critic> {
    fn monitor<'life0, 'life1, 'async_trait>(
        &'life0 self,
        start: &'life1 RunStart,
        soft_timeout: Duration,
    ) -> Answer<'async_trait, Result<Option<Box<dyn Watcher>>, CriticError>>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
        Self: 'async_trait,
    {
        let run = &start.spec.run_id;
        call(&self.plan, Site::Monitor, Some(run), critic_error, move || {
            Box::pin(async move {
                let inner = self.inner.monitor(start, soft_timeout).await?;
                Ok(inner.map(|inner| {
                    let (plan, run) = (self.plan.clone(), run.clone());
                    Box::new(FaultyWatcher { plan, run, inner }) as Box<dyn Watcher>
                }))
            })
        })
    }
}

struct FaultyWatcher {
    plan: Plan,
    run: RunId,
    inner: Box<dyn Watcher>,
}

impl FaultyWatcher {
    /// Panics where the plan says so; nothing else can go wrong with a call that does not wait.
    fn enter(&self, site: Site) {
        match self.plan.enter(site, Some(&self.run)) {
            Some(Fault::Hang | Fault::Stuck | Fault::Late(_)) | None => {}
            Some(_) => boom(site),
        }
    }
}

impl Watcher for FaultyWatcher {
    fn step(&self, step: u32) {
        self.enter(Site::WatcherStep);
        self.inner.step(step);
    }

    fn decided(&self, step: u32, reply: &Reply) {
        self.inner.decided(step, reply);
    }

    fn tool(&self, name: &str, args: &Value) {
        self.enter(Site::WatcherTool);
        self.inner.tool(name, args);
    }

    fn acted(&self, acted: &Acted) {
        self.inner.acted(acted);
    }

    fn steer(&self) -> Vec<String> {
        self.enter(Site::WatcherSteer);
        self.inner.steer()
    }

    fn directive(&self) -> Option<watch::Receiver<Directive>> {
        self.enter(Site::WatcherDirective);
        self.inner.directive()
    }

    fn stop<'life0, 'async_trait>(&'life0 self) -> Answer<'async_trait, ()>
    where
        'life0: 'async_trait,
        Self: 'async_trait,
    {
        let none = || None::<()>;
        let stopped = call(&self.plan, Site::WatcherStop, Some(&self.run), none, move || {
            Box::pin(async move {
                self.inner.stop().await;
                Ok(())
            })
        });
        Box::pin(async move {
            let _ = stopped.await;
        })
    }
}

impl Model for Faulty<dyn Model> {
    fn decide<'life0, 'life1, 'async_trait>(
        &'life0 self,
        turn: &'life1 Turn,
    ) -> Answer<'async_trait, Result<Reply, ModelError>>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
        Self: 'async_trait,
    {
        call(&self.plan, Site::Decide, Some(&turn.spec().run_id), model_error, move || {
            self.inner.decide(turn)
        })
    }
}

impl Tool for Faulty<dyn Tool> {
    fn spec(&self) -> &ToolSpec {
        self.inner.spec()
    }

    fn call<'life0, 'life1, 'life2, 'async_trait>(
        &'life0 self,
        context: &'life1 ToolContext,
        args: &'life2 Value,
    ) -> Answer<'async_trait, Result<ToolOutput, ToolError>>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
        'life2: 'async_trait,
        Self: 'async_trait,
    {
        call(&self.plan, Site::ToolCall, Some(context.run_id()), tool_error, move || {
            self.inner.call(context, args)
        })
    }
}
