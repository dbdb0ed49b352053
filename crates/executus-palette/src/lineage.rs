//! Which runs delegated to which: for cycles, for limits, and for what a tree has spent.
//!
//! A run is known from its first delegation to its end, within this process: children are not kept
//! over a crash, and a resumed run delegates anew.

use std::collections::HashMap;
use std::sync::Arc;

use executus_core::port::PaletteError;
use executus_core::{RunId, ToolContext};
use parking_lot::Mutex;

use crate::config::PaletteLimits;

/// What runs used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Spent {
    pub(crate) tokens: u64,
    pub(crate) cost_micros: u64,
}

impl Spent {
    fn add(&mut self, other: Self) {
        self.tokens = self.tokens.saturating_add(other.tokens);
        self.cost_micros = self.cost_micros.saturating_add(other.cost_micros);
    }
}

/// One run that delegates, or was delegated to.
#[derive(Debug)]
pub(crate) struct Node {
    /// The names from the root to this run.
    path: Vec<Arc<str>>,
    /// How many agents were started below the root.
    tree: Arc<Mutex<u32>>,
    /// How many agents this run started, and what they and theirs spent.
    below: Mutex<(u32, Spent)>,
}

impl Node {
    fn root(name: &Arc<str>) -> Self {
        // A run without a name is like no agent.
        let path = Some(Arc::clone(name)).filter(|name| !name.is_empty());
        Self { path: path.into_iter().collect(), tree: Arc::default(), below: Mutex::default() }
    }

    /// What its children and theirs spent so far.
    pub(crate) fn spent_below(&self) -> Spent {
        self.below.lock().1
    }

    /// Takes note of what a child and those below it spent.
    pub(crate) fn ended(&self, child: &Self, own: Spent) {
        let mut spent = child.spent_below();
        spent.add(own);
        self.below.lock().1.add(spent);
    }
}

/// The runs that are known. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lineage(Arc<Mutex<HashMap<RunId, Arc<Node>>>>);

impl Lineage {
    /// The run that calls.
    pub(crate) fn caller(&self, context: &ToolContext) -> Arc<Node> {
        let id = context.run_id();
        let mut runs = self.0.lock();
        if let Some(node) = runs.get(id) {
            return Arc::clone(node);
        }
        let node = Arc::new(Node::root(&context.spec().subject_id));
        runs.insert(id.clone(), Arc::clone(&node));
        drop(runs);
        let forget = self.forgetting(id);
        context.on_clean_up("forget who delegated", move || async move {
            forget();
            Ok(())
        });
        node
    }

    /// A place for a child of the run that calls, under this id.
    pub(crate) fn enter(
        &self,
        (context, parent): (&ToolContext, &Arc<Node>),
        (id, name): (&RunId, &Arc<str>),
        limits: &PaletteLimits,
    ) -> Result<Arc<Node>, PaletteError> {
        let denied = |code: &str, message: String| {
            Err(PaletteError::Denied { code: code.to_owned(), message })
        };
        let mut path = parent.path.clone();
        path.push(Arc::clone(name));
        let shown = || path.join(" › ");
        if parent.path.contains(name) {
            let message = format!("the agent `{name}` is at work above already: {}", shown());
            return denied("agent_cycle", message);
        }
        let depth = context.spec().depth;
        if depth >= limits.max_depth {
            let most = limits.max_depth;
            let message = format!("agents may be {most} deep, and this is one deeper: {}", shown());
            return denied("agent_depth", message);
        }
        let mut tree = parent.tree.lock();
        let mut below = parent.below.lock();
        if below.0 >= limits.max_children {
            let most = limits.max_children;
            return denied(
                "agent_fan_out",
                format!("this run has started {most} agents, as many as it may"),
            );
        }
        if *tree >= limits.max_runs {
            let most = limits.max_runs;
            let message =
                format!("{most} agents were started below the run at the top, as many as may be");
            return denied("agent_tree", message);
        }
        *tree += 1;
        below.0 += 1;
        let node = Node { path, tree: Arc::clone(&parent.tree), below: Mutex::default() };
        let node = Arc::new(node);
        self.0.lock().insert(id.clone(), Arc::clone(&node));
        Ok(node)
    }

    /// What forgets a run.
    pub(crate) fn forgetting(&self, id: &RunId) -> impl Fn() + Send + Sync + 'static {
        let (runs, id) = (Arc::clone(&self.0), id.clone());
        move || {
            runs.lock().remove(&id);
        }
    }

    /// How many runs are known.
    pub(crate) fn len(&self) -> usize {
        self.0.lock().len()
    }
}
