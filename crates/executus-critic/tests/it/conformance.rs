//! The conformance kit.

use std::sync::Arc;

use async_trait::async_trait;
use executus_core::port::Critic;
use executus_core::{RunId, Timestamp};
use executus_critic::{CriticConfig, RuleCritic};
use executus_testkit::conformance::{self, CriticProbe};

struct View(RuleCritic);

#[async_trait]
impl CriticProbe for View {
    async fn steer(&self, run: &RunId, text: &str) {
        assert!(self.0.steer(run, text));
    }

    async fn move_deadline(&self, run: &RunId, deadline: Option<Timestamp>) {
        assert!(self.0.move_deadline(run, deadline));
    }

    async fn alive(&self, run: &RunId) -> usize {
        usize::from(self.0.is_watching(run))
    }
}

async fn conforms() {
    // The kit makes one call again and again: the rules over calls would say so.
    let critic = RuleCritic::new(CriticConfig::only_idle()).unwrap();
    let probe: Arc<dyn CriticProbe> = Arc::new(View(critic.clone()));
    conformance::critic(&critic as &dyn Critic, &probe).await;
}

/// C1 C2 C3 C4 C5: on one thread, under paused time.
#[tokio::test(start_paused = true)]
async fn it_conforms() {
    conforms().await;
}

/// C1 C2 C3 C4 C5: on several threads.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn it_conforms_on_threads() {
    conforms().await;
}
