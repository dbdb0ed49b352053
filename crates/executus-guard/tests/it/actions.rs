//! Actions that may destroy something.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use executus_guard::{ActionPolicy, Classifier, ClassifyError, GuardConfig};
use parking_lot::Mutex;
use serde_json::json;

use crate::stage::{Stage, click, code};

#[derive(Clone, Copy)]
enum Says {
    Harmless,
    Destructive,
    Error,
    Panic,
    Nothing,
}

struct Scripted(Says, Mutex<Vec<String>>);

#[async_trait]
impl Classifier for Scripted {
    async fn is_destructive(&self, _: &str, wording: &str) -> Result<bool, ClassifyError> {
        self.1.lock().push(wording.to_owned());
        match self.0 {
            Says::Harmless => Ok(false),
            Says::Destructive => Ok(true),
            Says::Error => Err(ClassifyError { message: "no model".into() }),
            Says::Panic => panic!("the classifier"),
            Says::Nothing => std::future::pending().await,
        }
    }
}

async fn clicks(says: Option<Says>, wording: &str) -> (bool, usize) {
    let asked = says.map(|says| Arc::new(Scripted(says, Mutex::default())));
    let mut actions = ActionPolicy::default();
    if let Some(asked) = &asked {
        actions = actions.classifier(asked.clone(), Duration::from_secs(5));
    }
    let stage = Stage::new(GuardConfig { actions, ..GuardConfig::default() });
    let (made, click) = click(&stage);
    let answer = stage.call(&*click, json!({"text": wording})).await;
    if let Err(error) = &answer {
        assert_eq!(code(error), "destructive", "{error}");
    }
    assert_eq!(made.calls().len(), usize::from(answer.is_ok()));
    (answer.is_ok(), asked.map_or(0, |asked| asked.1.lock().len()))
}

/// SG-16: destructive wording is refused and harmless wording allowed, without asking; the rest is
/// up to the classifier: none allows, a broken one refuses.
#[tokio::test(start_paused = true)]
async fn wording_decides() {
    let destructive = [
        "Delete",
        "DELETE ACCOUNT",
        "Yes, delete it",
        "Buy now",
        "Place order",
        "Pay $20.00",
        "Close account",
        "De\u{200b}lete",
        "Cancel subscription",
        "View and delete",
    ];
    for wording in destructive {
        for says in [None, Some(Says::Harmless)] {
            assert_eq!(clicks(says, wording).await, (false, 0), "{wording}");
        }
    }
    for wording in
        ["Next", "next page »", "Search", "Read more about cats", "Close", "View deleted-items"]
    {
        for says in [None, Some(Says::Destructive), Some(Says::Panic)] {
            assert_eq!(clicks(says, wording).await, (true, 0), "{wording}");
        }
    }
    for wording in ["Submit", "Übernehmen", "", "OK", "Payments", "Drop-down"] {
        assert_eq!(clicks(None, wording).await, (true, 0), "{wording}");
        assert_eq!(clicks(Some(Says::Harmless), wording).await, (true, 1), "{wording}");
        for says in [Says::Destructive, Says::Error, Says::Panic, Says::Nothing] {
            assert_eq!(clicks(Some(says), wording).await, (false, 1), "{wording}");
        }
    }
}

#[tokio::test]
async fn wording_can_be_added() {
    let actions = ActionPolicy::default().destructive(["Kündigen"]).harmless(["Submit search"]);
    let stage = Stage::new(GuardConfig { actions, ..GuardConfig::default() });
    let (_, click) = click(&stage);
    assert!(stage.call(&*click, json!({"text": "Vertrag kündigen"})).await.is_err());
    assert!(stage.call(&*click, json!({"text": "submit search"})).await.is_ok());
}
