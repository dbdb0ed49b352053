//! What hangs is cut.

use std::time::Duration;

use async_trait::async_trait;
use executus_core::RunStatus;
use executus_core::port::Delivery as _;
use executus_deliver::{
    Direct, Message, Outbox, RouteError, Routes, SendError, State, Target, Webhook, When,
};
use tempfile::TempDir;
use tokio::time::Instant;

use crate::receiver::{Act, OK, Receiver};
use crate::support::{client, config, parcel};

/// A target that somebody wrote badly.
#[derive(Debug)]
enum Bad {
    Hangs,
    Panics,
}

#[async_trait]
impl Target for Bad {
    async fn send(&self, _: &Message) -> Result<(), SendError> {
        match self {
            Self::Hangs => std::future::pending().await,
            Self::Panics => panic!("badly written"),
        }
    }
}

/// A target that hangs or panics is cut after its time, and what the others have got stays.
#[tokio::test(start_paused = true)]
async fn a_delivery_that_hangs_is_cut() {
    for bad in [Bad::Hangs, Bad::Panics] {
        let folder = TempDir::new().unwrap();
        let files = executus_deliver::Folder::new(folder.path());
        let routes = Routes::new().to("bad", When::Always, bad).unwrap();
        let routes = routes.to("files", When::Always, files).unwrap();
        let direct = Direct::new(routes).within(Duration::from_secs(3));
        let began = Instant::now();
        let error = direct.deliver(&parcel("run-1", RunStatus::Ok)).await.unwrap_err();
        assert!(began.elapsed() <= Duration::from_secs(3), "{:?}", began.elapsed());
        assert!(error.retry() && error.to_string().contains("bad: "), "{error}");
        assert!(!error.to_string().contains("files: "), "{error}");
        assert!(folder.path().join("run-1.json").exists());
    }
}

/// A receiver that never answers costs its attempts their time, and goes to the dead; the others
/// are not held up.
#[tokio::test]
async fn a_receiver_that_hangs_is_cut() {
    let hangs = Receiver::start(|_, _| Act::Hang).await;
    let works = Receiver::start(|_, _| OK).await;
    let hook = |receiver: &Receiver| Webhook::new(client(), &receiver.url("/")).unwrap();
    let routes = Routes::new().to("hangs", When::Always, hook(&hangs)).unwrap();
    let routes = routes
        .to("panics", When::Always, Bad::Panics)
        .unwrap()
        .to("works", When::Always, hook(&works))
        .unwrap();
    let folder = TempDir::new().unwrap();
    let mut config = config(&folder, 2);
    config.attempt = Duration::from_millis(100);
    let outbox = Outbox::open(config, routes).unwrap();
    outbox.deliver(&parcel("run-1", RunStatus::Ok)).await.unwrap();
    let dead = async {
        loop {
            let dead = outbox.list(Some(State::Dead), 9).await.unwrap();
            if dead.len() == 2 {
                break dead;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let dead = tokio::select! {
        dead = dead => dead,
        () = outbox.run(std::future::pending()) => unreachable!("nobody stops it"),
    };
    assert_eq!(dead[0].error.as_deref(), Some("it took longer than 100ms"));
    assert_eq!(dead[1].error.as_deref(), Some("the target panicked: badly written"));
    assert_eq!((dead[0].attempts, dead[1].attempts), (2, 2));
    assert_eq!((hangs.received().len(), works.received().len()), (2, 1));
}

/// Names are checked.
#[test]
fn a_target_has_a_name_of_its_own() {
    for name in ["", "a b", "ü", "a/b", &"x".repeat(65)] {
        let error = Routes::new().to(name, When::Always, Bad::Hangs).unwrap_err();
        assert!(matches!(error, RouteError::Name { .. }), "{error}");
    }
    let routes = Routes::new().to("a", When::Ok, Bad::Hangs).unwrap();
    let error = routes.to("a", When::Error, Bad::Hangs).unwrap_err();
    assert_eq!(error, RouteError::Twice { name: "a".into() });
}
