//! `executus budget`: what callers may spend, have spent and hold.

use std::fmt::Write as _;
use std::sync::Arc;

use executus_budget_redis::{Hold, OpenError, RedisBudget, RedisError};
use executus_core::port::Amounts;
use executus_core::port::budget::{Account, Limit, LimitUse};
use serde_json::{Map, Value, json};

use crate::amounts::{shown, window_text};
use crate::cli::{BudgetCommand, SetArgs};
use crate::config::BudgetConfig;
use crate::exit::Exit;
use crate::fault::{Fault, chain};
use crate::output;
use crate::time::rfc3339;

/// Does what was asked for, on the budget that the configuration names.
///
/// # Errors
/// When there is none that outlives a process, or its server does not do as it is asked.
pub(crate) async fn run(command: &BudgetCommand, config: &BudgetConfig) -> Result<Exit, Fault> {
    let Some(redis) = &config.redis else {
        return Err(Fault::usage(
            "the budget is kept in memory, for each process alone: nothing of \
             it is left to look at",
        )
        .help(
            "share it through Redis: write `[budget]` and `store = \"redis://localhost:6379\"` in \
             executus.toml",
        ));
    };
    let budget = RedisBudget::open(redis);
    let done = perform(command, &budget, config).await;
    budget.close().await;
    done.map(|()| Exit::Ok)
}

async fn perform(
    command: &BudgetCommand,
    budget: &RedisBudget,
    config: &BudgetConfig,
) -> Result<(), Fault> {
    match command {
        BudgetCommand::Show(args) => {
            let callers = match &args.caller {
                Some(caller) => vec![Arc::from(caller.as_str())],
                None => budget.accounts().await.map_err(|error| failed(&error))?,
            };
            if callers.is_empty() && !args.json {
                output::note("nobody has spent anything yet");
            }
            for caller in callers {
                let account = budget.account(&caller).await.map_err(|error| failed(&error))?;
                output::result(&if args.json {
                    format!("{}\n", account_json(&caller, &account))
                } else {
                    account_text(&caller, &account)
                })?;
            }
            Ok(())
        }
        BudgetCommand::Set(args) => set(args, budget).await,
        BudgetCommand::Holds(args) => {
            let mut from = None;
            loop {
                let page = budget.holds(from).await.map_err(|error| failed(&error))?;
                for hold in &page.holds {
                    output::line(&if args.json {
                        hold_json(hold).to_string()
                    } else {
                        hold_text(hold)
                    })?;
                }
                from = page.next;
                if from.is_none() {
                    return Ok(());
                }
            }
        }
        BudgetCommand::Reseed(args) => {
            let spent: Vec<(Arc<str>, Amounts)> =
                args.spent.iter().map(|(name, spent)| (name.as_str().into(), *spent)).collect();
            budget.reseed(&spent).await.map_err(|error| failed(&error))?;
            if !config.limits.is_empty() {
                let set = budget.set_default_limits(&config.limits).await;
                set.map_err(|error| failed(&error))?;
            }
            output::note("the budget is set up: runs are granted from here on");
            Ok(())
        }
        BudgetCommand::Export => {
            let mut written = Ok(());
            let mut each = |line: String| {
                if written.is_ok() {
                    written = output::line(&line);
                }
            };
            budget.export(&mut each).await.map_err(|error| failed(&error))?;
            written
        }
    }
}

/// Puts one limit among those of a caller.
async fn set(args: &SetArgs, budget: &RedisBudget) -> Result<(), Fault> {
    let caller = &args.caller;
    let Some(window) = args.window else {
        return budget.clear_limits(caller).await.map_err(|error| failed(&error));
    };
    let named = args.named();
    if named.is_empty() {
        return Err(Fault::usage("the limit limits nothing")
            .help("name at least one of --tokens, --runtime, --cost and --runs"));
    }
    let account = budget.account(caller).await.map_err(|error| failed(&error))?;
    let mut limits: Vec<Limit> = account.limits.iter().map(|used| used.limit).collect();
    match limits.iter_mut().find(|limit| limit.window == window) {
        Some(limit) => *limit = named.limit(window),
        None => limits.push(named.limit(window)),
    }
    budget.set_limits(caller, &limits).await.map_err(|error| failed(&error))
}

fn failed(error: &OpenError) -> Fault {
    match error {
        OpenError::Server(error @ (RedisError::Config { .. } | RedisError::Unfit { .. })) => {
            Fault::usage(chain(error))
        }
        OpenError::Server(error) if error.retry() => Fault::error(chain(error))
            .help("start the server that `[budget] store` in executus.toml names"),
        OpenError::Server(error) => Fault::error(chain(error)),
        OpenError::Limits(_) => Fault::usage(chain(error)),
        _ => Fault::error(chain(error)),
    }
}

/// The dimensions that are something, in words; `none` where nothing is.
fn amounts_text(amounts: Amounts) -> String {
    let some = amounts.dimensions().into_iter().filter(|(_, amount)| *amount > 0);
    let some: Vec<_> = some
        .map(|(dimension, amount)| {
            let (name, text) = shown(dimension, amount);
            format!("{name} {text}")
        })
        .collect();
    if some.is_empty() { "none".to_owned() } else { some.join(", ") }
}

fn account_text(caller: &str, account: &Account) -> String {
    let Account { limits, held, spent, overrun } = account;
    let mut text = format!("{caller}\n");
    let mut row = |name: &str, rest: &str| {
        let _infallible = writeln!(text, "  {name:14} {rest}");
    };
    for used in limits {
        let LimitUse { limit, spent, left, reset } = used;
        let dimensions = limit.amounts.dimensions().into_iter();
        let all = dimensions.zip(spent.dimensions()).zip(left.dimensions());
        for (((dimension, most), (_, spent)), (_, left)) in all {
            if most >= Amounts::MAX {
                continue;
            }
            let (name, most) = shown(dimension, most);
            let (_, spent) = shown(dimension, spent);
            let (_, left) = shown(dimension, left);
            let spent =
                if dimension == "runs" { String::new() } else { format!(", spent {spent}") };
            row(&window_text(limit.window), &format!("{name}: {left} left of {most}{spent}"));
        }
        if let Some(at) = reset {
            row("", &format!("the first of it comes back at {}", at.utc()));
        }
    }
    if limits.is_empty() {
        row("limits", "none");
    }
    row("held", &amounts_text(*held));
    row("spent in all", &amounts_text(*spent));
    if *overrun != Amounts::default() {
        row("overrun", &amounts_text(*overrun));
    }
    text
}

fn hold_text(hold: &Hold) -> String {
    format!(
        "{}  {}  {}  charged {}  until {}",
        hold.id,
        hold.accounts.join(","),
        amounts_text(hold.held),
        amounts_text(hold.charged),
        hold.lease.utc()
    )
}

/// Amounts by dimension, without those that have no limit.
fn amounts_json(amounts: Amounts) -> Value {
    let limited = amounts.dimensions().into_iter().filter(|(_, amount)| *amount < Amounts::MAX);
    Value::Object(
        limited.map(|(name, amount)| (name.to_owned(), json!(amount))).collect::<Map<_, _>>(),
    )
}

fn account_json(caller: &str, account: &Account) -> Value {
    let limits = account.limits.iter().map(|used| {
        json!({
            "window": window_text(used.limit.window),
            "limit": amounts_json(used.limit.amounts),
            "spent": amounts_json(used.spent),
            "left": amounts_json(used.left),
            "reset": used.reset.map(rfc3339),
        })
    });
    json!({
        "caller_id": caller,
        "limits": limits.collect::<Vec<_>>(),
        "held": amounts_json(account.held),
        "spent": amounts_json(account.spent),
        "overrun": amounts_json(account.overrun),
    })
}

fn hold_json(hold: &Hold) -> Value {
    json!({
        "run_id": hold.id.run,
        "attempt": hold.id.attempt,
        "accounts": hold.accounts,
        "held": amounts_json(hold.held),
        "charged": amounts_json(hold.charged),
        "lease": rfc3339(hold.lease),
    })
}
