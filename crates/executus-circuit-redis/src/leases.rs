//! Leases that a fleet shares.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use executus_circuit::{Lease, LeaseStore, Owner, StoreError};
use executus_redis::{Redis, RedisError, Script};

use crate::answer::{failed, term, text};
use crate::args::micros;
use crate::config::Config;
use crate::scripts::LeaseScripts;

/// Leases on a server that a fleet shares, on that server's clock. Clones share the connection.
///
/// Every call is idempotent, is made again while there is time, and ends within the deadline of
/// [`Config::server`]. Terms rise with the server's time, so they also rise when it lost its data.
#[derive(Debug, Clone)]
pub struct RedisLeases(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    redis: Redis,
    scripts: LeaseScripts,
    namespace: String,
    idle: String,
}

impl RedisLeases {
    /// Leases on this server, which is connected to with the first call.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        Self(Arc::new(Inner {
            redis: Redis::new(config.server.clone()),
            scripts: LeaseScripts::new(),
            namespace: config.namespace.to_string(),
            idle: config.idle.as_millis().to_string(),
        }))
    }

    /// Leases on this server, if it is there and fit.
    ///
    /// # Errors
    /// [`RedisError::Unfit`] for a server that evicts or is too old; any other when it does not
    /// answer within the deadline.
    pub async fn connect(config: &Config) -> Result<Self, RedisError> {
        let leases = Self::new(config);
        leases.0.redis.time().await?;
        Ok(leases)
    }

    /// The term, where the lease is held after the call.
    async fn call(
        &self,
        script: &Script,
        name: &str,
        args: &[&str],
    ) -> Result<Option<u64>, StoreError> {
        let key = format!("{{{}:lease:{name}}}", self.0.namespace);
        let mut all = vec![self.0.idle.as_bytes()];
        all.extend(args.iter().map(|arg| arg.as_bytes()));
        let value = self.0.redis.eval(script, &[&key], &all).await.map_err(failed)?;
        term(text(&value)?)
    }
}

#[async_trait]
impl LeaseStore for RedisLeases {
    async fn acquire(
        &self,
        name: &str,
        owner: &Owner,
        ttl: Duration,
    ) -> Result<Option<Lease>, StoreError> {
        if ttl.is_zero() {
            return Ok(None);
        }
        let args = [owner.as_str(), &*micros(ttl)];
        let term = self.call(&self.0.scripts.acquire, name, &args).await?;
        Ok(term.map(|term| Lease { name: name.into(), owner: owner.clone(), term }))
    }

    async fn renew(&self, lease: &Lease, ttl: Duration) -> Result<bool, StoreError> {
        let (ttl, term) = (micros(ttl), lease.term.to_string());
        let args = [lease.owner.as_str(), &*ttl, &*term];
        Ok(self.call(&self.0.scripts.renew, &lease.name, &args).await?.is_some())
    }

    async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        let args = [lease.owner.as_str(), &*lease.term.to_string()];
        self.call(&self.0.scripts.release, &lease.name, &args).await.map(drop)
    }
}
