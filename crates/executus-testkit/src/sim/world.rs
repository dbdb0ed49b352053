//! The world of one seed: ports that outlive processes, processes that come and go.

use std::collections::{BTreeMap, HashSet};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use executus_core::executor::{Awaited, ResumeError};
use executus_core::memory::{MemoryAudit, MemoryBudget, MemoryCheckpointer, MemoryDelivery};
use executus_core::port::palette::EntryKind;
use executus_core::port::{Amounts, Audit, Budget, Checkpointer, Critic, Delivery, Palette, Ports};
use executus_core::{
    Answer, ErrorKind, Executor, Key, Model, Run, RunHandle, RunId, RunRequest, RunStatus, Settled,
    Tool, ToolSpec, Toolbox,
};
use tokio::task::JoinHandle;

use super::check;
use super::crash::{Fuse, Mortal};
use super::schedule::{Process, ProcessEnd, RunPlan, Schedule, Stroke, Word};
use crate::faulty::{Faulty, Plan};
use crate::scripted::{Behind, ScriptedCritic, ScriptedModel, ScriptedPalette, ScriptedTool};

/// How long a crashed holder's hold and claim last.
const LEASE: Duration = Duration::from_secs(120);

/// How often runs that await approval may need a boot to come to their end: once a step.
const MOST_BOOTS: u32 = 8;

/// What happened to a run in one process.
#[derive(Debug)]
pub(super) struct Life {
    pub(super) settled: Option<Settled>,
    /// What the caller was told before settling, if it asked.
    pub(super) told: Option<RunStatus>,
    pub(super) plan: Plan,
    pub(super) crashed: bool,
    pub(super) shutdown: bool,
    pub(super) resumed: bool,
}

pub(super) struct World {
    pub(super) schedule: Schedule,
    pub(super) audit: Arc<MemoryAudit>,
    pub(super) budget: Arc<MemoryBudget>,
    pub(super) checkpointer: Arc<MemoryCheckpointer>,
    pub(super) delivery: Arc<MemoryDelivery>,
    pub(super) critic: Arc<ScriptedCritic>,
    pub(super) palette: Arc<ScriptedPalette>,
    pub(super) tools: Vec<Arc<ScriptedTool>>,
    /// How many words were said to calls that await approval.
    said: usize,
    /// Whether no call is left without an answer any more.
    says_all: bool,
    /// The keys of the calls that somebody approved in time.
    pub(super) approved: HashSet<String>,
    pub(super) lives: BTreeMap<RunId, Vec<Life>>,
    pub(super) violations: Vec<String>,
}

impl World {
    pub(super) fn new(schedule: Schedule) -> Self {
        let limit = Amounts {
            tokens: schedule.limit_tokens,
            runtime_ms: Amounts::MAX,
            cost_micros: Amounts::MAX,
            runs: 8,
        };
        let tools = schedule.tools.iter().map(|plan| {
            let tool = ScriptedTool::new(plan.name, plan.act.clone()).with(|spec| {
                let spec = ToolSpec { timeout: plan.limit, approval: plan.approval, ..spec };
                spec.effect(plan.effect)
            });
            tool.shared()
        });
        Self {
            audit: Arc::new(MemoryAudit::default()),
            budget: Arc::new(MemoryBudget::new(limit).with_lease(LEASE)),
            checkpointer: Arc::new(MemoryCheckpointer::default()),
            delivery: Arc::new(MemoryDelivery::default()),
            critic: Arc::new(ScriptedCritic::new()),
            palette: Arc::new(ScriptedPalette::new().with(
                EntryKind::Agent,
                "child",
                Behind::Run(ScriptedModel::answering("from below").shared(), Toolbox::default()),
            )),
            tools: tools.collect(),
            said: 0,
            says_all: false,
            approved: HashSet::new(),
            lives: BTreeMap::new(),
            violations: Vec::new(),
            schedule,
        }
    }

    /// Lets everything happen; then checks the rules.
    pub(super) async fn live(mut self) -> Vec<String> {
        let processes = std::mem::take(&mut self.schedule.processes);
        for (at, process) in processes.into_iter().enumerate() {
            self.process(at == 0, process).await;
            // Whoever died must be missed before others take over.
            tokio::time::sleep(LEASE + Duration::from_secs(1)).await;
        }
        self.finish_waiting().await;
        check::check(&mut self);
        self.violations
    }

    /// Boots again, healthy each time, while runs are kept that await approval: each may ask for
    /// more.
    async fn finish_waiting(&mut self) {
        self.says_all = true;
        for _ in 0..MOST_BOOTS {
            let mut waiting = 0;
            for run in self.checkpointer.kept() {
                waiting += u32::from(self.is_waiting(&run).await);
            }
            if waiting == 0 {
                return;
            }
            self.process(false, Process { plan: Plan::new(), end: ProcessEnd::AtRest }).await;
            tokio::time::sleep(LEASE + Duration::from_secs(1)).await;
        }
    }

    /// Whether what is kept of a run awaits approval.
    async fn is_waiting(&self, run: &RunId) -> bool {
        let kept = self.checkpointer.load(run).await.ok().flatten();
        let kept = kept.and_then(|kept| Run::fold(&kept.records).ok());
        kept.is_some_and(|run| run.waits().is_some())
    }

    /// What is said at this boot to the calls of a run that await approval.
    fn answers(&mut self, run: &RunId, awaited: &[Awaited]) -> Vec<Answer> {
        let mut answers = Vec::new();
        for call in awaited {
            let word = self.schedule.words[self.said % self.schedule.words.len()];
            self.said += 1;
            let answer = Answer::yes(call.step, call.call, "somebody").at(call.until);
            answers.push(match word {
                Word::Yes => {
                    let key = Key { step: call.step, call: Some(call.call), args: None };
                    self.approved.insert(key.in_run(run));
                    answer
                }
                Word::No => Answer { approved: false, ..answer },
                Word::Late => answer.at(call.until.after(Duration::from_millis(1))),
                Word::Nothing if !self.says_all => continue,
                Word::Nothing => Answer { approved: false, ..answer },
            });
        }
        answers
    }

    fn executor(&self, plan: &Plan) -> Executor {
        let [audit, budget, critic, checkpointer, palette, delivery] = self.schedule.ports;
        let inner: Arc<dyn Audit> = Arc::<MemoryAudit>::clone(&self.audit);
        let audit = audit.then(|| Faulty::new(inner, plan) as Arc<dyn Audit>);
        let inner: Arc<dyn Budget> = Arc::<MemoryBudget>::clone(&self.budget);
        let budget = budget.then(|| Faulty::new(inner, plan) as Arc<dyn Budget>);
        let inner: Arc<dyn Critic> = Arc::<ScriptedCritic>::clone(&self.critic);
        let critic = critic.then(|| Faulty::new(inner, plan) as Arc<dyn Critic>);
        let inner: Arc<dyn Checkpointer> = Arc::new(MemoryCheckpointer::clone(&self.checkpointer));
        let checkpointer = checkpointer.then(|| Faulty::new(inner, plan) as Arc<dyn Checkpointer>);
        let inner: Arc<dyn Palette> = Arc::<ScriptedPalette>::clone(&self.palette);
        let palette = palette.then(|| Faulty::new(inner, plan) as Arc<dyn Palette>);
        let inner: Arc<dyn Delivery> = Arc::<MemoryDelivery>::clone(&self.delivery);
        let delivery = delivery.then(|| Faulty::new(inner, plan) as Arc<dyn Delivery>);
        Executor::new(Ports { audit, budget, critic, checkpointer, palette, delivery })
    }

    fn request(&self, run: &RunPlan, plan: &Plan) -> RunRequest {
        let model: Arc<dyn Model> = ScriptedModel::new(run.script.iter().cloned()).shared();
        let tools = self.tools.iter().map(|tool| {
            let inner: Arc<dyn Tool> = Arc::<ScriptedTool>::clone(tool);
            Faulty::new(inner, plan) as Arc<dyn Tool>
        });
        let request = RunRequest::new(Faulty::new(model, plan))
            .tools(Toolbox::new(tools).unwrap_or_default())
            .name("simulated")
            .caller("caller")
            .limits(run.limits.clone())
            .dry_run(run.dry);
        if run.delegates { request.delegate_to(EntryKind::Agent, "child") } else { request }
    }

    async fn process(&mut self, first: bool, process: Process) {
        let Process { plan, end } = process;
        let executor = self.executor(&plan);
        let fuse = Fuse::new(end);
        let mut under_way = Vec::new();
        if first {
            for (at, run) in self.schedule.runs.iter().enumerate() {
                let Ok(id) = RunId::new(format!("run-{at}")) else { continue };
                let request = self.request(run, &plan).run_id(id.clone());
                match executor.prepare(request) {
                    Ok((handle, task)) => {
                        let task = spawn(Mortal::new(task, &fuse));
                        under_way.push((id, handle, task, run.strokes.clone()));
                    }
                    Err(error) => self.violations.push(format!("{id} was not started: {error}")),
                }
            }
        } else if self.schedule.ports[3] {
            // A boot that fails leaves what is kept for the next one.
            let runs = executor.resumable().await.unwrap_or_default();
            for id in runs {
                let run = number(&id).and_then(|at| self.schedule.runs.get(at));
                let Some(run) = run else {
                    self.violations.push(format!("{id} is kept, but is no run of this world"));
                    continue;
                };
                let request = self.request(run, &plan);
                let mut awaited = 0;
                let resumed = executor.prepare_resume(&id, |resumed| {
                    awaited = resumed.awaited.len();
                    request.answers(self.answers(&resumed.spec.run_id, &resumed.awaited))
                });
                match resumed.await {
                    Ok((handle, task)) => {
                        let task = spawn(Mortal::new(task, &fuse));
                        under_way.push((id, handle, task, Vec::new()));
                    }
                    Err(ResumeError::AwaitingApproval { .. }) if awaited == 0 => {
                        self.violations.push(format!("{id} waits for nobody"));
                    }
                    Err(_) => {}
                }
            }
        }
        let watched: Vec<_> = under_way
            .into_iter()
            .map(|(id, handle, task, strokes)| {
                let critic = Arc::clone(&self.critic);
                let fuse = Arc::clone(&fuse);
                let watching = spawn_watch(handle, strokes, critic, fuse);
                (id, task, watching)
            })
            .collect();
        let mut shutdown = false;
        if let ProcessEnd::Shutdown { after, grace } = end {
            tokio::time::sleep(after).await;
            shutdown = true;
            let report = executor.shutdown(grace).await;
            if !report.unsettled.is_empty() && grace > Duration::from_secs(1) && plan.is_clean() {
                self.violations.push(format!("unsettled without a fault: {report:?}"));
            }
        }
        for (id, task, watching) in watched {
            if task.await.is_err() {
                self.violations.push(format!("{id}: a panic crossed into the task"));
            }
            match watching.await {
                Ok((settled, told)) => {
                    let life = Life {
                        settled,
                        told,
                        plan: plan.clone(),
                        crashed: fuse.is_blown(),
                        shutdown,
                        resumed: !first,
                    };
                    if parked(&life) && !self.is_waiting(&id).await {
                        self.violations
                            .push(format!("{id}: left to an approval, but waits for none"));
                    }
                    self.lives.entry(id).or_default().push(life);
                }
                Err(_) => self.violations.push(format!("{id}: a panic crossed to the caller")),
            }
        }
        if !fuse.is_blown() {
            // A child run that its parent could not wait for settles within its own bounds.
            tokio::time::sleep(Duration::from_secs(30)).await;
            check::at_rest(self, &plan, &executor);
        }
    }
}

/// Whether a life ended since a call awaits approval.
pub(super) fn parked(life: &Life) -> bool {
    let error = life.settled.as_ref().and_then(|settled| settled.outcome.error.as_ref());
    error.is_some_and(|error| error.kind == ErrorKind::AwaitingApproval)
}

fn number(id: &RunId) -> Option<usize> {
    id.as_str().strip_prefix("run-")?.parse().ok()
}

#[expect(clippy::disallowed_methods, reason = "the simulator is the host, and joins its tasks")]
fn spawn<T: Send + 'static>(task: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
    tokio::spawn(task)
}

type Watched = (Option<Settled>, Option<RunStatus>);

/// What the caller of a run does: strokes in order, then waiting until all is settled.
fn spawn_watch(
    handle: RunHandle,
    mut strokes: Vec<Stroke>,
    critic: Arc<ScriptedCritic>,
    fuse: Arc<Fuse>,
) -> JoinHandle<Watched> {
    strokes.sort_by_key(|stroke| stroke.after());
    spawn(async move {
        let began = tokio::time::Instant::now();
        let id = handle.run_id().clone();
        let observer = handle.observe();
        let mut handle = Some(handle);
        for stroke in strokes {
            tokio::time::sleep_until(began + stroke.after()).await;
            match (stroke, &handle) {
                (Stroke::Cancel(_), Some(handle)) => handle.cancel(),
                (Stroke::Drop(_), Some(_)) => handle = None,
                (Stroke::Steer(_), Some(handle)) => handle.steer("caller", "simulated"),
                (Stroke::Critic(_), _) => critic.stop(&id, "simulated"),
                (Stroke::Deadline(_), _) => {
                    let soon =
                        executus_core::Clock::system().now().after(Duration::from_millis(20));
                    critic.move_deadline(&id, Some(soon));
                }
                (_, None) => {}
            }
        }
        let blown = fuse.blown.notified();
        tokio::pin!(blown);
        blown.as_mut().enable();
        if fuse.is_blown() {
            return (observer.try_settled(), None);
        }
        let told = async {
            let told = observer.outcome().await.status;
            let settled = tokio::time::timeout(Duration::from_secs(120), observer.settled()).await;
            (settled.ok(), Some(told))
        };
        tokio::pin!(told);
        std::future::poll_fn(|cx| {
            if let std::task::Poll::Ready(done) = told.as_mut().poll(cx) {
                return std::task::Poll::Ready(done);
            }
            blown.as_mut().poll(cx).map(|()| (observer.try_settled(), None))
        })
        .await
    })
}

impl Stroke {
    const fn after(self) -> Duration {
        match self {
            Self::Cancel(after)
            | Self::Drop(after)
            | Self::Steer(after)
            | Self::Critic(after)
            | Self::Deadline(after) => after,
        }
    }
}
