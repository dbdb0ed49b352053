//! Files and streams.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use executus_core::RunStatus;
use executus_core::port::Delivery as _;
use executus_deliver::{Direct, Folder, Lines, Routes, Shape, When};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::AsyncReadExt as _;

use crate::support::{Sheet, parcel, quick, run};

/// One file each, whole, and nothing else in the folder.
#[tokio::test]
async fn a_folder_has_a_file_for_each_run() {
    let folder = TempDir::new().unwrap();
    let target = Folder::new(folder.path().join("new"));
    let direct = Direct::new(Routes::new().to("files", When::Always, target.clone()).unwrap());
    for id in ["run-1", "run-2", "run-1", "../../evil"] {
        direct.deliver(&parcel(id, RunStatus::Ok)).await.unwrap();
    }
    assert_eq!(fs::read_dir(folder.path().join("new")).unwrap().count(), 3);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    let text = fs::read_to_string(target.path_of(&run("../../evil"))).unwrap();
    let message: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(message["data"]["key"], "../../evil");
    assert!(text.ends_with("}\n"));
}

/// The same file, replaced at once: whoever reads sees one result or the other, whole.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_is_never_half() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("last.json");
    let direct = Direct::new(Routes::new().to("last", When::Always, Folder::file(&path)).unwrap());
    direct.deliver(&parcel("run", RunStatus::Ok)).await.unwrap();
    let seen = path.clone();
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let reading = std::thread::spawn(move || {
        let mut reads = 0;
        while stopped.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
            let message: Value = serde_json::from_slice(&fs::read(&seen).unwrap()).unwrap();
            assert!(message["data"]["key"].as_str().unwrap().starts_with("run"));
            reads += 1;
        }
        reads
    });
    for number in 0..50 {
        direct.deliver(&parcel(&format!("run-{number}"), RunStatus::Error)).await.unwrap();
    }
    drop(stop);
    assert!(reading.join().unwrap() > 0);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

/// A folder that cannot be written, and a path that is none, are told.
#[tokio::test]
async fn what_cannot_be_written_is_told() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    for target in [Folder::new(&file), Folder::file("/"), Folder::file(folder.path())] {
        let routes = Routes::new().to("files", When::Always, target).unwrap();
        let error = Direct::new(routes)
            .backoff(quick(1))
            .deliver(&parcel("run-1", RunStatus::Ok))
            .await
            .unwrap_err();
        assert!(error.to_string().contains("files: "), "{error}");
    }
    assert_eq!(fs::read(&file).unwrap(), b"");
}

/// Many at once do not mix, and each is a line, or a text.
#[tokio::test]
async fn lines_do_not_mix() {
    let sheet = Sheet::default();
    let text = Arc::clone(&sheet.0);
    let direct = Direct::new(Routes::new().to("out", When::Always, Lines::to(sheet)).unwrap());
    let mut deliveries = tokio::task::JoinSet::new();
    for number in 0..100 {
        let direct = direct.clone();
        deliveries.spawn(async move {
            direct.deliver(&parcel(&format!("run-{number}"), RunStatus::Ok)).await.unwrap();
        });
    }
    deliveries.join_all().await;
    let text = String::from_utf8(text.lock().clone()).unwrap();
    assert_eq!(text.lines().count(), 100);
    assert!(text.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()));
    let sheet = Sheet::default();
    let text = Arc::clone(&sheet.0);
    let lines = Lines::to(sheet).shape(Shape::Text);
    let direct = Direct::new(Routes::new().to("out", When::Always, lines).unwrap());
    direct.deliver(&parcel("run-1", RunStatus::Ok)).await.unwrap();
    assert_eq!(String::from_utf8(text.lock().clone()).unwrap(), "42\n");
}

/// A pipe that is not read holds up nobody; when it is read again, the next line is a whole one.
#[tokio::test(start_paused = true)]
async fn a_pipe_that_is_full_is_cut() {
    let (near, mut far) = tokio::io::duplex(64);
    let direct = Direct::new(Routes::new().to("out", When::Always, Lines::to(near)).unwrap())
        .within(Duration::from_secs(2));
    let error = direct.deliver(&parcel("run-1", RunStatus::Ok)).await.unwrap_err();
    assert!(error.retry() && error.to_string().contains("took longer"), "{error}");
    let mut text = Vec::new();
    let read = async {
        while text.iter().filter(|byte| **byte == b'\n').count() < 2 {
            far.read_buf(&mut text).await.unwrap();
        }
    };
    let next = parcel("run-2", RunStatus::Ok);
    let (delivered, ()) = tokio::join!(direct.deliver(&next), read);
    delivered.unwrap();
    let text = String::from_utf8(text).unwrap();
    let whole: Value = serde_json::from_str(text.lines().nth(1).unwrap()).unwrap();
    assert_eq!(whole["data"]["key"], "run-2");
}
