//! The book on the server: each change one script, in the words of the port.

use std::sync::Arc;

use executus_core::port::{Amounts, BudgetError};
use executus_core::{HoldId, RunId};
use executus_redis::redis::Value;
use executus_redis::{Redis, RedisError, Script};
use parking_lot::Mutex;

use crate::answer::{Answer, pack};
use crate::config::Config;
use crate::error::unavailable;
use crate::scripts::Scripts;

/// The server's side of a budget.
#[derive(Debug)]
pub(crate) struct Book {
    pub(crate) redis: Redis,
    pub(crate) scripts: Scripts,
    prefix: String,
    meta: String,
    leases: String,
    lease: String,
    remember: String,
    known: Mutex<Known>,
}

/// What this process knows of the server's history.
#[derive(Debug)]
struct Known {
    epoch: Arc<str>,
    /// The highest count that was seen in this epoch.
    count: u64,
}

impl Book {
    pub(crate) fn new(config: &Config) -> Self {
        let prefix = config.namespace.prefix("budget");
        Self {
            redis: Redis::new(config.server.clone()),
            scripts: Scripts::new(),
            meta: format!("{prefix}meta"),
            leases: format!("{prefix}leases"),
            lease: config.lease.as_millis().to_string(),
            remember: config.remember.as_millis().to_string(),
            known: Mutex::new(Known { epoch: "".into(), count: 0 }),
            prefix,
        }
    }

    /// Whether an epoch was ever seen.
    pub(crate) fn epoch(&self) -> Arc<str> {
        Arc::clone(&self.known.lock().epoch)
    }

    pub(crate) fn account_key(&self, account: &str) -> String {
        format!("{}a:{account}", self.prefix)
    }

    pub(crate) fn accounts_key(&self) -> String {
        format!("{}accounts", self.prefix)
    }

    fn hold_key(&self, id: &str) -> String {
        format!("{}h:{id}", self.prefix)
    }

    /// Runs a script on the book and on one key more, where there is one.
    pub(crate) async fn call(
        &self,
        script: &Script,
        key: Option<&str>,
        args: &[&[u8]],
    ) -> Result<Answer, RedisError> {
        let (epoch, count) = {
            let known = self.known.lock();
            (Arc::clone(&known.epoch), known.count.to_string())
        };
        let keys = [self.meta.as_str(), self.leases.as_str(), key.unwrap_or_default()];
        let keys = &keys[..if key.is_some() { 3 } else { 2 }];
        let mut all: Vec<&[u8]> = Vec::with_capacity(args.len() + 2);
        all.extend([epoch.as_bytes(), count.as_bytes()]);
        all.extend(args);
        let value = self.redis.eval(script, keys, &all).await?;
        let answer = Answer::read(value)
            .ok_or_else(|| self.redis.unreadable("no answer of the budget's"))?;
        if let Answer::Done { count, epoch, .. } = &answer {
            self.saw(epoch.as_ref(), *count);
        }
        Ok(answer)
    }

    /// `epoch`: the server's, where it is not the one that this process named.
    fn saw(&self, epoch: Option<&Arc<str>>, count: u64) {
        let mut known = self.known.lock();
        if let Some(epoch) = epoch.filter(|epoch| **epoch != known.epoch) {
            *known = Known { epoch: Arc::clone(epoch), count };
        }
        known.count = known.count.max(count);
    }

    pub(crate) async fn reserve(
        &self,
        hold: &HoldId,
        accounts: &[Arc<str>],
        ask: Amounts,
    ) -> Result<(), BudgetError> {
        let id = hold.to_string();
        let (names, sums) = (accounts.join("\n"), pack(&[ask, Amounts::default()]));
        let args = [
            id.as_bytes(),
            self.lease.as_bytes(),
            self.remember.as_bytes(),
            names.as_bytes(),
            &sums,
        ];
        let key = self.hold_key(&id);
        let answer = self.call(&self.scripts.reserve, Some(&key), &args).await;
        answer.map_err(unavailable)?.granted(hold)
    }

    pub(crate) async fn charge(
        &self,
        hold: &HoldId,
        line: &RunId,
        total: Amounts,
    ) -> Result<(), BudgetError> {
        let (id, total) = (hold.to_string(), pack(&[total]));
        let line = line.as_str().as_bytes();
        let args = [id.as_bytes(), self.lease.as_bytes(), self.remember.as_bytes(), line, &total];
        let key = self.hold_key(&id);
        let answer = self.call(&self.scripts.charge, Some(&key), &args).await;
        answer.map_err(unavailable)?.granted(hold)
    }

    /// `accounts`: those of a hold that this process knows was granted. A server that has forgotten
    /// it counts what was spent all the same.
    pub(crate) async fn settle(
        &self,
        hold: &HoldId,
        spent: Amounts,
        accounts: Option<&[Arc<str>]>,
    ) -> Result<(), BudgetError> {
        let (id, spent) = (hold.to_string(), pack(&[spent]));
        let names = accounts.map_or_else(String::new, |names| format!("-{}", names.join("\n")));
        let own = hold.run.as_str().as_bytes();
        let args = [id.as_bytes(), self.remember.as_bytes(), own, &spent, names.as_bytes()];
        let key = self.hold_key(&id);
        let answer = self.call(&self.scripts.settle, Some(&key), &args).await;
        answer.map_err(unavailable)?.ended(hold)
    }

    pub(crate) async fn release(&self, hold: &HoldId) -> Result<(), BudgetError> {
        let id = hold.to_string();
        let key = self.hold_key(&id);
        let args = [id.as_bytes(), self.remember.as_bytes()];
        let answer = self.call(&self.scripts.release, Some(&key), &args).await;
        answer.map_err(unavailable)?.ended(hold)
    }

    /// Renews leases, and returns the holds that are over.
    pub(crate) async fn renew(&self, holds: &[String]) -> Result<Vec<String>, RedisError> {
        let mut args = vec![self.lease.as_bytes(), self.remember.as_bytes()];
        args.extend(holds.iter().map(|id| id.as_bytes()));
        match self.call(&self.scripts.renew, None, &args).await? {
            Answer::Done { rest, .. } => {
                let Some(Value::Array(over)) = rest.first() else { return Ok(Vec::new()) };
                Ok(over.iter().filter_map(crate::answer::text).collect())
            }
            _ => Ok(Vec::new()),
        }
    }

    pub(crate) fn remember(&self) -> &str {
        &self.remember
    }

    pub(crate) fn meta_key(&self) -> &str {
        &self.meta
    }

    /// The namespace, as its keys show it.
    pub(crate) fn namespace(&self) -> &str {
        self.prefix.trim_start_matches('{').split('}').next().unwrap_or_default()
    }
}
