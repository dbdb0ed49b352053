//! Readers of real runs, recorded in SQLite and as files.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use executus_audit_files::{Config as LogConfig, FileAudit};
use executus_audit_sqlite::{AuditReader, Config, QueryError, SqliteAudit};
use executus_core::memory::{FanOutAudit, MemoryCheckpointer};
use executus_core::port::Audit;
use executus_core::{
    Effect, Executor, Model, ModelError, Ports, Reply, RunId, RunRequest, RunStatus, Tool, Toolbox,
    Turn,
};
use executus_stream::{
    Feed, Follow, Hub, HubConfig, Live, Stored, StoredError, StoredEvent, StoredRun, StreamEvent,
};
use executus_testkit::scripted::{Do, ScriptedTool};
use serde_json::json;
use tempfile::TempDir;

/// The file as a storage of streams.
struct Kept(AuditReader);

impl Kept {
    async fn ask<T: Send + 'static>(
        &self,
        query: impl FnOnce(&AuditReader) -> Result<T, QueryError> + Send + 'static,
    ) -> Result<Option<T>, StoredError> {
        let reader = self.0.clone();
        let asked = tokio::task::spawn_blocking(move || query(&reader)).await;
        match asked.map_err(|error| StoredError::new(error.to_string()))? {
            Ok(answer) => Ok(Some(answer)),
            Err(QueryError::NotFound { .. }) => Ok(None),
            Err(error) => Err(StoredError::new(error.to_string())),
        }
    }
}

#[async_trait]
impl Stored for Kept {
    async fn run(&self, run: &RunId) -> Result<Option<StoredRun>, StoredError> {
        let run = run.clone();
        let found = self.ask(move |reader| reader.run(&run)).await?;
        Ok(found.map(|run| StoredRun { status: run.status, closed: run.closed }))
    }

    async fn events(
        &self,
        run: &RunId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, StoredError> {
        let run = run.clone();
        let limit = u32::try_from(limit).unwrap_or(u32::MAX);
        let records = self.ask(move |reader| reader.records_after(&run, after, limit)).await?;
        let event = |record: executus_audit_sqlite::AuditRecord| StoredEvent {
            seq: record.seq,
            at: record.at,
            step: record.key.step,
            call: record.key.call,
            kind: record.kind,
            body: record.body,
        };
        Ok(records.unwrap_or_default().into_iter().map(event).collect())
    }
}

/// Calls a tool in each step; thinks for ever in one of them.
struct Steps {
    hangs: Option<u32>,
}

#[async_trait]
impl Model for Steps {
    async fn decide(&self, turn: &Turn) -> Result<Reply, ModelError> {
        match turn.step() {
            step if self.hangs == Some(step) => std::future::pending().await,
            step @ 1..=6 => {
                let mut reply =
                    Reply::call(["once", "look"][(step % 2) as usize], json!({"n": step}));
                reply.text = "thought of the model".into();
                Ok(reply)
            }
            _ => Ok(Reply::text("done")),
        }
    }
}

struct World {
    _folder: TempDir,
    run: RunId,
    hub: Hub,
    sqlite: SqliteAudit,
    files: FileAudit,
    checkpointer: MemoryCheckpointer,
}

impl World {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        Self {
            run: RunId::new("Watched Run").unwrap(),
            hub: Hub::new(HubConfig::default()),
            sqlite: SqliteAudit::open(Config::new(folder.path().join("audit.db"))).unwrap(),
            files: FileAudit::open(LogConfig::new(folder.path().join("log"))).unwrap(),
            checkpointer: MemoryCheckpointer::default(),
            _folder: folder,
        }
    }

    fn executor(&self) -> Executor {
        let both = FanOutAudit::new()
            .required(Arc::new(self.sqlite.clone()))
            .required(Arc::new(self.files.clone()));
        let audit: Arc<dyn Audit> = Arc::new(self.hub.audit(Arc::new(both)));
        let checkpointer = Some(Arc::new(self.checkpointer.clone()) as Arc<_>);
        Executor::new(Ports { audit: Some(audit), checkpointer, ..Ports::default() })
    }

    fn request(&self, hangs: Option<u32>) -> RunRequest {
        let tool = |name: &str, effect: Effect| {
            Arc::new(ScriptedTool::new(name, Do::Echo).with(|spec| spec.effect(effect)))
                as Arc<dyn Tool>
        };
        let tools = [tool("once", Effect::Once), tool("look", Effect::ReadOnly)];
        RunRequest::new(Arc::new(Steps { hangs }))
            .run_id(self.run.clone())
            .inputs(json!({"raw": "input of the run"}))
            .tools(Toolbox::new(tools).unwrap())
    }

    fn stored(&self) -> Arc<dyn Stored> {
        Arc::new(Kept(self.sqlite.reader()))
    }

    /// A reader as soon as something is known of the run.
    async fn open(&self, after: u64) -> Feed {
        loop {
            let live: Arc<dyn Live> = Arc::new(self.hub.clone());
            match Feed::open(&self.run, after, Some(live), Some(self.stored())).await {
                Ok(feed) => return feed,
                Err(error) => assert_eq!(error.http_status(), 404),
            }
            tokio::task::yield_now().await;
        }
    }
}

/// Reads until the run is over, over as many streams as it takes.
async fn read_on(world: &World, mut after: u64) -> Vec<StreamEvent> {
    let mut all = Vec::new();
    loop {
        let mut feed = world.open(after).await;
        while let Some(event) = feed.next().await {
            after = event.id.unwrap_or(after);
            let over = &*event.kind == "complete";
            if event.id.is_some() || over {
                all.push(event);
            }
            if over {
                return all;
            }
        }
        tokio::task::yield_now().await;
    }
}

/// AL-09, SF-08: what is seen live is what is stored, field by field, and nothing hidden is in it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn live_and_stored_say_the_same() {
    let world = World::new();
    let executor = world.executor();
    let mut request = world.request(None);
    let events = request.watch(64);
    let run = executor.start(request).unwrap();
    let (live, (), settled) =
        tokio::join!(read_on(&world, 0), world.hub.watch(&world.run, events), run.settled());
    assert_eq!(settled.outcome.status, RunStatus::Ok);
    assert!(!world.hub.is_live(&world.run));
    let replayed = read_on(&world, 0).await;
    assert_eq!(live, replayed);
    let kinds: Vec<_> = live.iter().map(|event| &*event.kind).collect();
    for kind in ["opened", "decided", "started", "acted", "complete"] {
        assert!(kinds.contains(&kind), "{kinds:?}");
    }
    let text: String = live.iter().map(|event| &*event.data).collect();
    assert!(!text.contains("input of the run") && !text.contains("thought"), "{text}");
    assert!(text.contains("\"tool\":\"once\""), "{text}");

    // The files tell of the same records.
    let log = world.files.reader().records(&world.run).unwrap();
    let logged: Vec<_> = log.iter().map(|record| Some(record.seq)).collect();
    let shown: Vec<_> = live.iter().map(|event| event.id).filter(|id| id.is_some()).collect();
    assert_eq!(logged, shown);
    assert_eq!(log.iter().filter(|record| record.file.is_some()).count(), 6);
}

/// What somebody sees who follows the storage, as another process would.
async fn follow(world: &World) -> Vec<StreamEvent> {
    let mut tail = loop {
        let every = Duration::from_millis(5);
        match Follow::open(world.stored(), &world.run, 0, every).await {
            Ok(follow) => break follow,
            Err(error) => assert_eq!(error.http_status(), 404),
        }
        tokio::task::yield_now().await;
    };
    let mut all = Vec::new();
    while let Some(event) = tail.next().await {
        let event = event.unwrap();
        if event.id.is_some() || &*event.kind == "complete" {
            all.push(event);
        }
    }
    all
}

/// A run that is shut down after three calls, and goes on in another executor.
async fn live_twice(world: &World) {
    let first = world.executor();
    let run = first.start(world.request(Some(4))).unwrap();
    while run.tally().tool_calls < 3 {
        tokio::task::yield_now().await;
    }
    first.shutdown(Duration::from_secs(5)).await;
    assert_eq!(run.settled().await.outcome.status, RunStatus::Interrupted);
    let second = world.executor();
    let run = second.resume(&world.run, |_| world.request(None)).await.unwrap();
    assert_eq!(run.settled().await.outcome.status, RunStatus::Ok);
}

/// SF-08: a reader, and one in another process, over a shutdown and the next life: each record
/// once and in order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_goes_on_over_the_lives_of_a_run() {
    let world = World::new();
    let (seen, followed, ()) = tokio::join!(read_on(&world, 0), follow(&world), live_twice(&world));
    let ids: Vec<_> = seen.iter().filter_map(|event| event.id).collect();
    assert_eq!(ids, (1..=ids.len() as u64).collect::<Vec<_>>());
    assert_eq!(seen, followed);
    assert!(seen.iter().any(|event| &*event.kind == "resumed"));
}
