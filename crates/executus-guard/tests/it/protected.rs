//! Files that the agent's tools cannot write.

use std::fs;
use std::sync::Arc;

use executus_core::{Effect, Tool};
use executus_guard::{ConfigError, Guard, GuardConfig, Protected, Role, Sequence, SignalKind};
use executus_testkit::scripted::Do;
use executus_testkit::scripted::ScriptedTool;
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::stage::{code, run};

struct Place {
    folder: tempfile::TempDir,
    guard: Guard,
    kinds: Arc<Mutex<Vec<SignalKind>>>,
}

fn place() -> Place {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("conf")).unwrap();
    fs::write(folder.path().join("conf/guard.toml"), "max_errors = 5").unwrap();
    let protected = Protected::new(folder.path(), ["conf/guard.toml"]).unwrap();
    let kinds: Arc<Mutex<Vec<SignalKind>>> = Arc::default();
    let told = Arc::clone(&kinds);
    let config = GuardConfig { stuck: None, max_errors: 100, ..GuardConfig::default() };
    let guard = Guard::builder(config).protect(protected);
    let guard = guard.on_signal(move |signal| told.lock().push(signal.kind)).build().unwrap();
    Place { folder, guard, kinds }
}

impl Place {
    fn tool(&self, effect: Effect) -> (Arc<ScriptedTool>, Arc<dyn Tool>) {
        let tool = ScriptedTool::new("write", Do::Echo).with(|spec| spec.effect(effect)).shared();
        (Arc::clone(&tool), self.guard.wrap(tool, Role::default()))
    }

    async fn code(&self, tool: &dyn Tool, args: Value) -> String {
        let answer = tool.call(&run("run").context(1, 0), &args).await;
        answer.err().map_or_else(|| "made".to_owned(), |error| code(&error).to_owned())
    }
}

#[tokio::test]
async fn a_protected_file_is_not_written() {
    let place = place();
    let root = place.folder.path().canonicalize().unwrap();
    let whole = root.join("conf/guard.toml").to_str().unwrap().to_owned();
    #[cfg(unix)]
    std::os::unix::fs::symlink(root.join("conf"), root.join("link")).unwrap();
    let (made, tool) = place.tool(Effect::Once);
    let names = [
        json!({"path": "conf/guard.toml"}),
        json!({"path": "./conf/../conf/guard.toml"}),
        json!({"path": whole}),
        json!({"path": format!("file://{whole}")}),
        json!({"files": [{"to": "conf"}]}),
        json!({"move": {"conf/guard.toml": "away"}}),
        json!({"command": "echo 'max_errors = 99' > conf/guard.toml"}),
        #[cfg(unix)]
        json!({"path": "link/guard.toml"}),
        #[cfg(unix)]
        json!({"path": "link"}),
    ];
    for args in names {
        assert_eq!(place.code(&*tool, args.clone()).await, "protected", "{args}");
    }
    assert_eq!(made.calls().len(), 0);
    for args in [json!({"path": "conf/other.toml"}), json!({"path": "notes.md"}), json!({"n": 1})] {
        assert_eq!(place.code(&*tool, args.clone()).await, "made", "{args}");
    }
    let (_, reader) = place.tool(Effect::ReadOnly);
    assert_eq!(place.code(&*reader, json!({"path": "conf/guard.toml"})).await, "made");
}

/// What a name does not tell is seen in what the file holds: then nothing is done any more.
#[tokio::test]
async fn a_changed_file_closes_the_guard() {
    let place = place();
    let (made, tool) = place.tool(Effect::ReadOnly);
    assert_eq!(place.code(&*tool, json!({})).await, "made");
    fs::write(place.folder.path().join("conf/guard.toml"), "max_errors = 99").unwrap();
    assert_eq!(place.code(&*tool, json!({})).await, "guard_closed");
    fs::remove_file(place.folder.path().join("conf/guard.toml")).unwrap();
    assert_eq!(place.code(&*tool, json!({})).await, "guard_closed");
    assert_eq!(made.calls().len(), 1);
    assert_eq!(*place.kinds.lock(), [SignalKind::Closed, SignalKind::Closed]);
    let sequence = Sequence::new("all", executus_core::Toolbox::new([tool]).unwrap()).unwrap();
    let args = json!({"actions": [{"tool": "write"}]});
    assert_eq!(place.code(&sequence, args).await, "guard_closed");
}

#[test]
fn what_cannot_be_read_cannot_be_protected() {
    let folder = tempfile::tempdir().unwrap();
    let error = Protected::new(folder.path(), ["nothing.toml"]).unwrap_err();
    assert!(matches!(error, ConfigError::Protect { .. }), "{error}");
}
