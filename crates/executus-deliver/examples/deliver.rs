//! A run whose result is kept in an outbox, and sent from it to a folder.

use std::error::Error;
use std::sync::Arc;

use async_trait::async_trait;
use executus_core::{Executor, Model, ModelError, Reply, RunRequest, Turn};
use executus_deliver::{Folder, Lines, Outbox, OutboxConfig, Routes, Shape, State, When};

/// Decides at once.
struct Answer;

#[async_trait]
impl Model for Answer {
    async fn decide(&self, _: &Turn) -> Result<Reply, ModelError> {
        Ok(Reply::text("The report is ready."))
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::temp_dir().join(format!("executus-deliver-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let results = Folder::new(folder.join("results"));
    let stdout = Lines::stdout().shape(Shape::Text);
    let routes = Routes::new().to("stdout", When::Always, stdout)?;
    let routes = routes.to("results", When::Ok, results.clone())?;
    let outbox = Outbox::open(OutboxConfig::new(folder.join("outbox.db")), routes)?;

    let executor = Executor::builder().delivery(Arc::new(outbox.clone())).build();
    let run = executor.start(RunRequest::new(Arc::new(Answer)))?;
    let id = run.run_id().clone();
    // Settled: the result is in the outbox, and would be after a crash.
    run.settled().await;
    assert_eq!(outbox.counts().await?.waiting, 2);

    // A host lets `outbox.run(stop)` send as long as it lives; this one sends once.
    outbox.flush().await?;
    assert_eq!(outbox.list(Some(State::Sent), 10).await?.len(), 2);
    assert!(results.path_of(&id).exists());
    outbox.close().await;
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}
