//! `executus doctor`: whether all that runs need is there, and what to do where it is not.

use std::time::Duration;

use serde_json::json;

use crate::budget::Spending;
use crate::cli::DoctorArgs;
use crate::config::Config;
use crate::exit::Exit;
use crate::fault::Fault;
use crate::{deliver, output, store};

mod disk;
mod file;

/// How long anything outside may take.
const WITHIN: Duration = Duration::from_secs(15);

/// How something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    Well,
    /// It works, and somebody should look at it.
    Odd,
    Ill,
}

/// One thing that was looked at.
#[derive(Debug)]
struct Finding {
    what: String,
    how: How,
    text: String,
    /// What to do.
    help: Option<String>,
}

impl Finding {
    fn well(what: impl Into<String>, text: impl Into<String>) -> Self {
        Self { what: what.into(), how: How::Well, text: text.into(), help: None }
    }

    fn odd(what: impl Into<String>, text: impl Into<String>, help: impl Into<String>) -> Self {
        let help = Some(help.into());
        Self { what: what.into(), how: How::Odd, text: text.into(), help }
    }

    fn ill(what: impl Into<String>, text: impl Into<String>, help: impl Into<String>) -> Self {
        let help = Some(help.into());
        Self { what: what.into(), how: How::Ill, text: text.into(), help }
    }

    /// What a command would have said.
    fn fault(what: impl Into<String>, fault: &Fault) -> Self {
        let (text, help) = (fault.message().to_owned(), fault.advice().map(str::to_owned));
        Self { what: what.into(), how: How::Ill, text, help }
    }
}

/// Looks at everything, one after the other, and tells each at once.
///
/// # Errors
/// What could not be printed. What is not well is told by the exit code: 1.
pub(crate) async fn run(args: &DoctorArgs, config: &Config) -> Result<Exit, Fault> {
    let mut teller = Teller { json: args.json, ill: 0, odd: 0 };
    teller.tell(configuration(config))?;
    for finding in database(args) {
        teller.tell(finding)?;
    }
    if let Some(finding) = spending(config).await {
        teller.tell(finding)?;
    }
    for finding in delivery(args, config).await {
        teller.tell(finding)?;
    }
    for path in &args.files {
        for finding in file::look_at(path, args, config).await {
            teller.tell(finding)?;
        }
    }
    if !args.json {
        output::line(&match (teller.ill, teller.odd) {
            (0, 0) => "all is well".to_owned(),
            (0, odd) => format!("{odd} to look at"),
            (ill, odd) => format!("{ill} not well, {odd} to look at"),
        })?;
    }
    Ok(if teller.ill == 0 { Exit::Ok } else { Exit::Error })
}

struct Teller {
    json: bool,
    ill: u32,
    odd: u32,
}

impl Teller {
    fn tell(&mut self, finding: Finding) -> Result<(), Fault> {
        let Finding { what, how, text, help } = finding;
        let word = match how {
            How::Well => "ok",
            How::Odd => "warn",
            How::Ill => "fail",
        };
        self.ill += u32::from(how == How::Ill);
        self.odd += u32::from(how == How::Odd);
        if self.json {
            let line = json!({"check": what, "state": word, "text": text, "help": help});
            return output::line(&line.to_string());
        }
        output::line(&format!("{word:4}  {what}: {text}"))?;
        match help {
            Some(help) => output::line(&format!("      help: {help}")),
            None => Ok(()),
        }
    }
}

/// One that could not be read has ended the command before.
fn configuration(config: &Config) -> Finding {
    Finding::well(
        "configuration",
        match &config.source {
            Some(path) => path.display().to_string(),
            None => "none, all defaults".to_owned(),
        },
    )
}

/// The database of runs and its disk.
fn database(args: &DoctorArgs) -> Vec<Finding> {
    let path = match store::path(&args.store) {
        Ok(path) => path,
        Err(fault) => return vec![Finding::fault("database", &fault)],
    };
    let mut found = vec![disk::look_at(&path)];
    found.push(if path.exists() {
        match store::reader(&args.store) {
            Ok(_) => Finding::well("database", path.display().to_string()),
            Err(fault) => Finding::fault("database", &fault),
        }
    } else {
        Finding::well("database", format!("{}, made by the first run", path.display()))
    });
    match args.store.keeping.audit.anchor() {
        Ok(Some(_)) => found.push(Finding::well("anchor", "its key is there")),
        Ok(None) => {}
        Err(fault) => found.push(Finding::fault("anchor", &fault)),
    }
    found
}

/// The budget, where it is limited.
async fn spending(config: &Config) -> Option<Finding> {
    let opened = match tokio::time::timeout(WITHIN, Spending::open(&config.budget)).await {
        Ok(opened) => opened,
        Err(_) => {
            let text = format!("no answer within {WITHIN:?}");
            return Some(Finding::ill("budget", text, "look at the server that `[budget]` names"));
        }
    };
    let spending = match opened {
        Ok(spending) => spending,
        Err(fault) => return Some(Finding::fault("budget", &fault)),
    };
    let finding = match &spending {
        Spending::Unlimited => None,
        Spending::Memory(_) => Some(Finding::well("budget", "in memory, for each process alone")),
        Spending::Redis(_) => Some(Finding::well("budget", "Redis answers")),
        Spending::Refused(refused) => Some(Finding::ill(
            "budget",
            refused.why(),
            "no run begins without it: mend `[budget] store` in executus.toml, or the server",
        )),
    };
    spending.close().await;
    finding
}

/// The targets, and what did not reach them.
async fn delivery(args: &DoctorArgs, config: &Config) -> Vec<Finding> {
    let Ok(db) = store::path(&args.store) else { return Vec::new() };
    let mut found = Vec::new();
    if !config.deliver.is_empty() {
        found.push(match deliver::routes(config) {
            Ok(routes) => {
                let names: Vec<_> = routes.names().collect();
                Finding::well("delivery", format!("to {}", names.join(", ")))
            }
            Err(fault) => Finding::fault("delivery", &fault),
        });
    }
    match deliver::given_up(config, &db).await {
        Ok(None | Some((0, 0))) => {}
        Ok(Some((waiting, 0))) => found.push(Finding::odd(
            "outbox",
            format!("{waiting} results wait"),
            "`executus outbox run` sends them",
        )),
        Ok(Some((waiting, dead))) => found.push(Finding::odd(
            "outbox",
            format!("{dead} results were given up, {waiting} wait"),
            "`executus outbox list` says why, `executus outbox retry` sends them again",
        )),
        Err(fault) => found.push(Finding::fault("outbox", &fault)),
    }
    found
}
