//! What is large travels by reference.

use std::fs;

use executus_core::port::{Delivery as _, DeliveryError};
use executus_core::transcript::ArtifactBody;
use executus_deliver::{Artifacts, Direct, Folder, Routes, When};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use crate::support::{run, with};

fn inline(bytes: usize) -> ArtifactBody {
    ArtifactBody::Inline("x".repeat(bytes))
}

async fn delivered(
    folder: &TempDir,
    artifacts: Artifacts,
    parcel: &executus_core::port::Parcel,
) -> Value {
    let target = Folder::new(folder.path().join("results"));
    let routes = Routes::new().to("files", When::Always, target.clone()).unwrap();
    Direct::new(routes).artifacts(artifacts).deliver(parcel).await.unwrap();
    let text = fs::read(target.path_of(&parcel.spec.run_id)).unwrap();
    serde_json::from_slice::<Value>(&text).unwrap()["data"].clone()
}

/// DV-02: artifacts above the size lie in the folder under their digest, and the message refers to
/// them; smaller ones, and those that lie elsewhere, travel as they are.
#[tokio::test]
async fn large_artifacts_are_references() {
    let folder = TempDir::new().unwrap();
    let kept = folder.path().join("a b");
    let artifacts = Artifacts::new(&kept).above(100);
    let elsewhere = ArtifactBody::Uri("s3://bucket/x".into());
    let parcel = with(
        "run-1",
        "done",
        &[
            ("small", inline(100)),
            ("large", inline(101)),
            ("far", elsewhere),
            ("same", inline(101)),
        ],
    );
    let data = delivered(&folder, artifacts.clone(), &parcel).await;
    let found = data["artifacts"].as_array().unwrap();
    assert_eq!(
        found[0],
        json!({"name": "small", "media_type": "text/plain", "text": "x".repeat(100)})
    );
    assert_eq!(found[2]["uri"], "s3://bucket/x");
    let digest = found[1]["sha256"].as_str().unwrap();
    assert_eq!(found[1]["bytes"], 101);
    assert_eq!(found[1]["text"], Value::Null);
    let uri = found[1]["uri"].as_str().unwrap();
    assert!(uri.starts_with("file:///") && uri.ends_with(&format!("/a%20b/{digest}")), "{uri}");
    let file = fs::read(kept.join(digest)).unwrap();
    assert_eq!(file, "x".repeat(101).into_bytes());
    let expected: String = Sha256::digest(&file).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(digest, expected);
    assert_eq!(found[3]["sha256"], found[1]["sha256"]);
    assert_eq!(fs::read_dir(&kept).unwrap().count(), 1);
    let data =
        delivered(&folder, artifacts.base_url("https://files.example.com/a/"), &parcel).await;
    assert_eq!(data["artifacts"][1]["uri"], format!("https://files.example.com/a/{digest}"));
}

/// Many small ones are large too, and so is an output: its beginning travels.
#[tokio::test]
async fn a_message_stays_small() {
    let folder = TempDir::new().unwrap();
    let artifacts = Artifacts::new(folder.path().join("kept")).above(1000);
    let many: Vec<_> = (0..10).map(|_| ("part", inline(900))).collect();
    let data = delivered(&folder, artifacts, &with("run-1", &"y".repeat(5000), &many)).await;
    let found = data["artifacts"].as_array().unwrap();
    let inline = found.iter().filter(|artifact| artifact["text"].is_string()).count();
    assert_eq!((inline, found.len()), (4, 11));
    assert_eq!(found[10]["name"], "output.txt");
    assert_eq!(found[10]["bytes"], 5000);
    let output = data["output"].as_str().unwrap();
    assert!(output.starts_with("yyy") && output.ends_with("5000 bytes in all]"), "{output}");
}

/// Without a folder a result that is too large is refused, and says what to do.
#[tokio::test]
async fn what_is_too_large_is_refused() {
    let folder = TempDir::new().unwrap();
    let routes = Routes::new().to("files", When::Always, Folder::new(folder.path())).unwrap();
    let parcel = with("run-1", "", &[("huge", inline(9 << 20))]);
    let error = Direct::new(routes).deliver(&parcel).await.unwrap_err();
    assert!(matches!(error, DeliveryError::Rejected { .. }), "{error}");
    assert!(error.to_string().contains("set a folder for artifacts"), "{error}");
    assert!(!folder.path().join(format!("{}.json", run("run-1"))).exists());
}
