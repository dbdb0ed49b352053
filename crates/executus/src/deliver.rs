//! Delivery of results: the targets of the configuration, behind an outbox.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use executus_core::port::{Delivery, DeliveryError, Parcel};
use executus_deliver::{Artifacts, Outbox, OutboxConfig, Routes, State, When};
use executus_playbook::{DeliverOn, RunFile};
use serde_json::{Value, json};

use crate::config::Config;
use crate::fault::{Fault, chain};

mod target;

/// Under which label a run keeps where its result goes.
const LABEL: &str = "deliver";

/// Delivery of a process that runs something.
#[derive(Debug)]
pub(crate) struct Delivering {
    outbox: Outbox,
    /// How long what is kept is waited for.
    wait: Duration,
}

impl Delivering {
    /// `None` where the configuration has no target.
    ///
    /// # Errors
    /// A target that cannot be one, a variable that is not set, a file that is none.
    pub(crate) fn open(config: &Config, db: &Path) -> Result<Option<Self>, Fault> {
        if config.deliver.is_empty() {
            return Ok(None);
        }
        let outbox = open(config, db, routes(config)?)?;
        Ok(Some(Self { outbox, wait: config.outbox.wait() }))
    }

    /// The port.
    pub(crate) fn port(&self) -> Arc<dyn Delivery> {
        Arc::new(ByLabel(self.outbox.clone()))
    }

    /// Sends what is kept, for a while. What is to be said of what is left.
    pub(crate) async fn close(self) -> Option<String> {
        let waited = tokio::time::sleep(self.wait);
        if let Err(error) = self.outbox.flush_until(waited).await {
            tracing::warn!(error = chain(&error), "results wait");
        }
        let counts = self.outbox.counts().await;
        self.outbox.close().await;
        let counts = counts.ok()?;
        if counts.dead > 0 {
            return Some(format!(
                "{} results were given up: `executus outbox list` says why, `executus outbox retry` \
                 sends them again",
                counts.dead
            ));
        }
        (counts.waiting > 0).then(|| {
            format!("{} results are not sent yet: `executus outbox run` sends them", counts.waiting)
        })
    }
}

/// The file of an outbox.
pub(crate) fn path(config: &Config, db: &Path) -> PathBuf {
    config.outbox.path.clone().unwrap_or_else(|| {
        let mut name = db.as_os_str().to_owned();
        name.push(".outbox");
        name.into()
    })
}

/// The outbox with these targets.
///
/// # Errors
/// A file that is none.
pub(crate) fn open(config: &Config, db: &Path, routes: Routes) -> Result<Outbox, Fault> {
    let path = path(config, db);
    let table = &config.outbox;
    let mut outbox = OutboxConfig::new(&path);
    if let Some(attempts) = table.attempts {
        outbox.backoff.attempts = attempts;
    }
    if let Some(folder) = &table.artifacts {
        let artifacts = Artifacts::new(folder);
        outbox.artifacts = Some(match &table.artifacts_url {
            Some(base) => artifacts.base_url(base),
            None => artifacts,
        });
    }
    crate::store::make_file(&path)?;
    Outbox::open(outbox, routes).map_err(|error| {
        Fault::error(chain(&error)).help("name another file with `path` in [outbox]")
    })
}

/// All targets of the configuration.
///
/// # Errors
/// As [`Delivering::open`].
pub(crate) fn routes(config: &Config) -> Result<Routes, Fault> {
    let policy = config.http.policy();
    let client = executus_http::Client::builder().address_policy(policy).build();
    let client = client.map_err(|error| Fault::error(format!("no HTTP client: {error}")))?;
    let mut routes = Routes::new();
    for target in &config.deliver {
        let place = format!("[[deliver]] `{}`", target.name);
        routes = target::add(routes, target, &client).map_err(|fault| fault.at(place))?;
    }
    Ok(routes)
}

/// What a run keeps of where its result goes, by its file and the configuration.
///
/// # Errors
/// A target that the configuration does not have.
pub(crate) fn label(file: &RunFile, config: &Config, labels: &mut Value) -> Result<(), Fault> {
    let mut chosen = Vec::new();
    for def in &file.deliver {
        let target = config.deliver.iter().find(|target| target.name == def.to);
        let target = target.ok_or_else(|| {
            Fault::usage(format!("[[deliver]]: there is no target `{}`", def.to))
                .help("add a [[deliver]] table of this name to executus.toml")
        })?;
        let on = match def.on {
            Some(DeliverOn::Always) => When::Always,
            Some(DeliverOn::Ok) => When::Ok,
            Some(DeliverOn::Error) => When::Error,
            None => target.on,
        };
        chosen.push(json!({"to": def.to, "on": word(on)}));
    }
    if !chosen.is_empty() {
        labels[LABEL] = Value::Array(chosen);
    }
    Ok(())
}

const fn word(on: When) -> &'static str {
    match on {
        When::Always => "always",
        When::Ok => "ok",
        When::Error => "error",
    }
}

/// Keeps a result for the targets that its run names, else for those of the configuration. Results
/// of child runs are their parents' affair.
#[derive(Debug)]
struct ByLabel(Outbox);

#[async_trait]
impl Delivery for ByLabel {
    async fn deliver(&self, parcel: &Parcel) -> Result<(), DeliveryError> {
        if parcel.spec.parent_run_id.is_some() {
            return Ok(());
        }
        let Some(chosen) = parcel.spec.labels.get(LABEL).and_then(Value::as_array) else {
            return self.0.deliver(parcel).await;
        };
        let status = parcel.outcome.status;
        let names = chosen.iter().filter_map(|chosen| {
            let on = match chosen["on"].as_str()? {
                "ok" => When::Ok,
                "error" => When::Error,
                _ => When::Always,
            };
            chosen["to"].as_str().filter(|_| on.is_for(status))
        });
        let names: Vec<&str> = names.collect();
        self.0.keep(parcel, names).await
    }
}

/// How many are in which state, for a doctor.
pub(crate) async fn given_up(config: &Config, db: &Path) -> Result<Option<(u64, u64)>, Fault> {
    if !path(config, db).exists() {
        return Ok(None);
    }
    let outbox = open(config, db, Routes::new())?;
    let counts = outbox.counts().await.map_err(|error| Fault::error(chain(&error)));
    outbox.close().await;
    counts.map(|counts| Some((counts.waiting, counts.dead)))
}

/// The words for a state, for the command line.
pub(crate) fn state(text: &str) -> Result<State, String> {
    State::parse(text).ok_or_else(|| format!("`{text}` is none of waiting, sent and dead"))
}
