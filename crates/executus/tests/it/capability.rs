//! Capabilities: the binary between a model and tools that it may not call directly.

mod denied;
mod filtered;
mod guide;
mod offered;
mod rules;

use std::path::Path;

use executus_testkit::provider::SeenRequest;
use serde_json::Value;

use crate::support::{Said, Scene};

/// What the model was told last.
fn told(request: &SeenRequest) -> &str {
    let last = request.body["messages"].as_array().unwrap().last().unwrap();
    last["content"].as_str().unwrap()
}

/// The names of the tools that the model was offered.
fn offered(request: &SeenRequest) -> Vec<&str> {
    let tools = request.body["tools"].as_array().unwrap().iter();
    let mut names: Vec<_> = tools.map(|tool| tool["function"]["name"].as_str().unwrap()).collect();
    names.sort_unstable();
    names
}

/// The actions that the calls of the run led to, in order.
pub(crate) fn actions(scene: &Scene) -> Vec<String> {
    let explained = scene.explained();
    let ids = explained.records().iter().filter_map(|record| record.get("action_id"));
    ids.map(|id| id.as_str().unwrap().to_owned()).collect()
}

/// What `explain ACTION --json` says.
pub(crate) fn explain(scene: &Scene, action: &str) -> Value {
    scene.home.executus(&["explain", action, "--json"]).expect(0).last()["action"].clone()
}

/// What `explain ACTION` says.
fn in_words(scene: &Scene, action: &str) -> String {
    scene.home.executus(&["explain", action]).expect(0).stdout
}

/// Everything that a run left: what it said, what is said of it, and each file but those that it
/// began with.
fn left(scene: &Scene, said: &Said, began_with: &[&str]) -> Vec<String> {
    let mut texts = vec![said.stdout.clone(), said.stderr.clone()];
    for args in [&["explain", "r"][..], &["explain", "r", "--json"], &["replay", "r"]] {
        let said = scene.home.executus(args).expect(0);
        texts.extend([said.stdout, said.stderr]);
    }
    for action in actions(scene) {
        texts.push(in_words(scene, &action));
    }
    files(scene.home.path(), began_with, &mut texts);
    texts
}

fn files(folder: &Path, but: &[&str], texts: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, but, texts);
        } else if !but.iter().any(|name| path.ends_with(name)) {
            let bytes = std::fs::read(&path).unwrap();
            texts.push(format!("{}: {}", path.display(), String::from_utf8_lossy(&bytes)));
        }
    }
}
