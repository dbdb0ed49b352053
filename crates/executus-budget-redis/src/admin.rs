//! What an operator asks: limits, accounts, holds, and from where to go on after a loss.

use std::collections::HashMap;
use std::sync::Arc;

use executus_core::port::budget::{Account, Amounts, Limit, LimitUse, Window};
use executus_core::{HoldId, RunId, Timestamp};
use executus_redis::redis::{self, Value};
use executus_redis::{RedisError, Script};
use serde::Serialize;

use crate::answer::{Answer, amounts, number, pack, pack_limits, read_limit, text, write_limits};
use crate::budget::RedisBudget;
use crate::error::OpenError;

/// How many holds or accounts a page has, about.
const PAGE: &str = "200";

/// A live hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Hold {
    /// Which.
    pub id: HoldId,
    /// What it takes from.
    pub accounts: Vec<Arc<str>>,
    /// What is held, the charged part included.
    pub held: Amounts,
    /// What was charged so far, over all lines.
    pub charged: Amounts,
    /// When its lease runs out, unless it is renewed.
    pub lease: Timestamp,
}

/// Some of the live holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HoldPage {
    /// They, in no order. A page may be empty although there are more.
    pub holds: Vec<Hold>,
    /// Where the next page begins; `None` after the last. A hold that lives all the while is on
    /// some page, and may be on two.
    pub next: Option<u64>,
}

impl RedisBudget {
    /// Sets the limits of an account; what is held or spent already stays so. A window that it had
    /// already keeps its count, a new one begins with nothing spent. An empty list limits nothing.
    ///
    /// # Errors
    /// [`OpenError::Limits`] for limits that mean nothing, [`OpenError::Server`] otherwise.
    pub async fn set_limits(&self, account: &str, limits: &[Limit]) -> Result<(), OpenError> {
        Limit::check(limits).map_err(OpenError::Limits)?;
        // An account without limits of its own has none in the store; `;` is a list of no limit.
        let list = if limits.is_empty() { ";".to_owned() } else { write_limits(limits) };
        self.write_limits(Some(account), &list, limits).await
    }

    /// Takes an account's own limits away: those of all accounts hold for it again.
    ///
    /// # Errors
    /// [`OpenError::Server`].
    pub async fn clear_limits(&self, account: &str) -> Result<(), OpenError> {
        self.write_limits(Some(account), "", &[]).await
    }

    /// Sets the limits of all accounts that have none of their own. Where that was never done, they
    /// are not limited.
    ///
    /// # Errors
    /// As [`Self::set_limits`].
    pub async fn set_default_limits(&self, limits: &[Limit]) -> Result<(), OpenError> {
        Limit::check(limits).map_err(OpenError::Limits)?;
        self.write_limits(None, &write_limits(limits), limits).await
    }

    async fn write_limits(
        &self,
        account: Option<&str>,
        list: &str,
        limits: &[Limit],
    ) -> Result<(), OpenError> {
        let book = &self.shared.book;
        let key = account.map(|account| book.account_key(account));
        let name = account.map_or_else(String::new, |account| format!("-{account}"));
        let packed = pack_limits(limits);
        let args = [name.as_bytes(), list.as_bytes(), &packed];
        self.ask(&book.scripts.limits, key.as_deref(), &args).await.map(|_| ())
    }

    /// What stands in an account, by the server's clock. Holds whose lease ran out are ended first.
    ///
    /// # Errors
    /// [`OpenError::Server`].
    pub async fn account(&self, account: &str) -> Result<Account, OpenError> {
        let book = &self.shared.book;
        let key = book.account_key(account);
        let rest =
            self.ask(&book.scripts.account, Some(&key), &[book.remember().as_bytes()]).await?;
        read_account(&rest).ok_or_else(|| self.unreadable("an account"))
    }

    /// The names of all accounts that were ever used, in order.
    ///
    /// # Errors
    /// [`OpenError::Server`].
    pub async fn accounts(&self) -> Result<Vec<Arc<str>>, OpenError> {
        let (mut names, mut cursor) = (Vec::new(), 0);
        loop {
            let mut cmd = redis::cmd("SSCAN");
            cmd.arg(self.shared.book.accounts_key()).arg(cursor).arg("COUNT").arg(PAGE);
            let page = self.shared.book.redis.command(&cmd).await.map_err(OpenError::Server)?;
            let page: Result<(u64, Vec<String>), _> = redis::from_redis_value(page);
            let (next, page) = page.map_err(|_| self.unreadable("a page of accounts"))?;
            names.extend(page.into_iter().map(Arc::<str>::from));
            cursor = next;
            if cursor == 0 {
                names.sort_unstable();
                names.dedup();
                return Ok(names);
            }
        }
    }

    /// A page of the live holds, from the beginning or where another page ended.
    ///
    /// # Errors
    /// [`OpenError::Server`].
    pub async fn holds(&self, from: Option<u64>) -> Result<HoldPage, OpenError> {
        let cursor = from.unwrap_or(0).to_string();
        let args = [cursor.as_bytes(), PAGE.as_bytes()];
        let rest = self.ask(&self.shared.book.scripts.holds, None, &args).await?;
        let page = || {
            let [next, Value::Array(list)] = rest.as_slice() else { return None };
            let holds: Option<Vec<Hold>> = list.iter().map(read_hold).collect();
            Some(HoldPage { holds: holds?, next: Some(number(next)?).filter(|next| *next != 0) })
        };
        page().ok_or_else(|| self.unreadable("a page of holds"))
    }

    /// The server's clock.
    ///
    /// # Errors
    /// [`OpenError::Server`].
    pub async fn now(&self) -> Result<Timestamp, OpenError> {
        self.shared.book.redis.time().await.map_err(OpenError::Server)
    }

    /// Begins an epoch: from here on the budget grants. For one that is set up, and for one whose
    /// server lost its data, once somebody has looked at what was lost.
    ///
    /// `spent` is what accounts are known to have spent, from an export or from the audit: what is
    /// above what the server remembers is counted, in the windows under way too.
    ///
    /// # Errors
    /// [`OpenError::Server`].
    pub async fn reseed(&self, spent: &[(Arc<str>, Amounts)]) -> Result<(), OpenError> {
        self.begin(false, spent).await
    }

    pub(crate) async fn seed_if_empty(&self) -> Result<(), OpenError> {
        self.begin(true, &[]).await
    }

    async fn begin(&self, if_empty: bool, spent: &[(Arc<str>, Amounts)]) -> Result<(), OpenError> {
        let epoch = uuid::Uuid::new_v4().simple().to_string();
        let only = if if_empty { "1" } else { "0" };
        let mut args = vec![epoch.into_bytes(), only.into()];
        for (account, amounts) in spent {
            let amounts = amounts.check().map_err(OpenError::Limits)?;
            args.extend([account.as_bytes().to_vec(), pack(&[amounts])]);
        }
        let args: Vec<&[u8]> = args.iter().map(Vec::as_slice).collect();
        self.ask(&self.shared.book.scripts.reseed, None, &args).await.map(|_| ())
    }

    /// Whether the budget's data is there.
    pub(crate) async fn check(&self) -> Result<(), OpenError> {
        let book = &self.shared.book;
        let mut cmd = redis::cmd("HMGET");
        cmd.arg(book.meta_key()).arg("epoch").arg("lost");
        let answer = book.redis.command(&cmd).await.map_err(OpenError::Server)?;
        match redis::from_redis_value::<(Option<String>, Option<String>)>(answer) {
            Ok((Some(_), None)) => Ok(()),
            Ok(_) => Err(OpenError::Unseeded { namespace: book.namespace().into() }),
            Err(_) => Err(self.unreadable("the epoch")),
        }
    }

    async fn ask(
        &self,
        script: &Script,
        key: Option<&str>,
        args: &[&[u8]],
    ) -> Result<Vec<Value>, OpenError> {
        match self.shared.book.call(script, key, args).await.map_err(OpenError::Server)? {
            Answer::Done { rest, .. } => Ok(rest),
            _ => Err(self.unreadable("what was asked for")),
        }
    }

    fn unreadable(&self, what: &str) -> OpenError {
        let error: RedisError = self.shared.book.redis.unreadable(what);
        OpenError::Server(error)
    }
}

/// An account: the server's time, and the fields in words.
fn read_account(rest: &[Value]) -> Option<Account> {
    let [now, Value::Array(fields)] = rest else { return None };
    let now = Timestamp::from_millis(number(now)?);
    let fields: HashMap<String, String> =
        fields.chunks(2).filter_map(|pair| Some((text(&pair[0])?, text(pair.get(1)?)?))).collect();
    let field = |name: &str| fields.get(name).map_or_else(Default::default, |text| amounts(text));
    let zero = |name: &str| field(name).unwrap_or_default();
    let (held, spent, overrun) = (zero("held"), zero("spent"), zero("over"));
    let list = fields.get("limits")?;
    let limits: Option<Vec<Limit>> =
        list.split(';').filter(|limit| !limit.is_empty()).map(read_limit).collect();
    let used = limits?.into_iter().map(|limit| {
        let buckets = match limit.window {
            Window::Total => vec![(0, spent)],
            Window::Fixed { .. } => fixed(&fields, limit.window).into_iter().collect(),
            Window::Rolling { .. } => rolling(&fields, limit.window),
        };
        LimitUse::of(limit, held, &buckets, now)
    });
    Some(Account { limits: used.collect(), held, spent, overrun })
}

/// The one bucket of a fixed window: `window=bucket,amounts`, among the sums of all windows.
fn fixed(fields: &HashMap<String, String>, window: Window) -> Option<(u64, Amounts)> {
    let name = format!("{window}=");
    let sum = fields.get("win")?.split(';').find_map(|sum| sum.strip_prefix(&name))?;
    let (bucket, spent) = sum.split_once(',')?;
    Some((bucket.parse().ok()?, amounts(spent)?))
}

fn rolling(fields: &HashMap<String, String>, window: Window) -> Vec<(u64, Amounts)> {
    let prefix = format!("b:{window}:");
    let buckets = fields.iter().filter_map(|(field, spent)| {
        Some((field.strip_prefix(&prefix)?.parse().ok()?, amounts(spent)?))
    });
    buckets.collect()
}

fn read_hold(value: &Value) -> Option<Hold> {
    let Value::Array(parts) = value else { return None };
    let [id, lease, accounts, held, charged] = parts.as_slice() else { return None };
    let id = text(id)?;
    let (run, attempt) = id.rsplit_once('#')?;
    Some(Hold {
        id: HoldId { run: RunId::new(run).ok()?, attempt: attempt.parse().ok()? },
        accounts: text(accounts)?.split('\n').map(Arc::from).collect(),
        held: amounts(&text(held)?)?,
        charged: amounts(&text(charged)?)?,
        lease: Timestamp::from_millis(number(lease)?),
    })
}
