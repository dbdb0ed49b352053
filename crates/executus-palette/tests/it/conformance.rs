//! The palette keeps its contract.

use std::sync::Arc;

use async_trait::async_trait;
use executus_core::Reply;
use executus_core::port::Palette;
use executus_palette::{AgentEntry, LocalPalette};
use executus_testkit::conformance::{self, PaletteProbe};
use executus_testkit::scripted::Say;
use serde_json::{Value, json};

use crate::support::{Scripted, needing};

struct View;

#[async_trait]
impl PaletteProbe for View {
    async fn agent(&self) -> (Arc<str>, Value) {
        ("quick".into(), json!({"input": {"task": "anything"}}))
    }

    async fn hanging(&self) -> (Arc<str>, Value) {
        ("endless".into(), json!({}))
    }
}

/// P1 P2 P3: the kit.
#[tokio::test(start_paused = true)]
async fn it_conforms() {
    let quick = AgentEntry::new("quick", "Answers at once.").input(needing("task"));
    let endless = AgentEntry::new("endless", "Never answers.");
    let palette = LocalPalette::builder()
        .agent(Scripted::new(quick, vec![Reply::text("there")]))
        .agent(Scripted::new(endless, vec![Say::Hang]))
        .build()
        .unwrap();
    let port: Arc<dyn Palette> = Arc::new(palette.clone());
    conformance::palette(&port, &View).await;
    // Whoever has ended is forgotten.
    assert!(format!("{palette:?}").contains("runs: 0"), "{palette:?}");
}
