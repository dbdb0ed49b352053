//! Accounts: whose limits a hold takes from, and what stands in them.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Amounts, BudgetError, Limit};
use crate::id::HoldId;
use crate::time::Timestamp;

/// What a budget knows of a hold when it is asked for one.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Claim<'a> {
    /// The hold; it names the run and its life.
    pub hold: &'a HoldId,
    /// Who asks for the run.
    pub caller: &'a Arc<str>,
}

impl<'a> Claim<'a> {
    /// The claim of a hold.
    #[must_use]
    pub const fn new(hold: &'a HoldId, caller: &'a Arc<str>) -> Self {
        Self { hold, caller }
    }
}

type Rule = Arc<dyn Fn(&Claim<'_>) -> Vec<Arc<str>> + Send + Sync>;

/// Which accounts a hold takes from: its caller's own, and those that a host names.
///
/// A hold takes from all of them or from none. The caller's account has the caller's id as its
/// key; a host that names others (`tenant:acme`, `model:large`) gives them keys that no caller id
/// can have. Limits by model, for example, are a budget for each model's executor that shares the
/// store and [names](Self::and_always) the model.
///
/// Rules are asked under no lock, once for each `reserve`. A panic in one refuses the run.
#[derive(Clone, Default)]
pub struct Accounts {
    rules: Vec<Rule>,
}

impl Accounts {
    /// The most accounts that one hold takes from.
    pub const MOST: usize = 8;

    /// The longest key of an account, in bytes.
    pub const LONGEST: usize = 512;

    /// The caller's own account.
    #[must_use]
    pub fn caller() -> Self {
        Self::default()
    }

    /// And those that this rule names.
    #[must_use]
    pub fn and(
        mut self,
        rule: impl Fn(&Claim<'_>) -> Vec<Arc<str>> + Send + Sync + 'static,
    ) -> Self {
        self.rules.push(Arc::new(rule));
        self
    }

    /// And this one, for every hold.
    #[must_use]
    pub fn and_always(self, account: impl Into<Arc<str>>) -> Self {
        let account = account.into();
        self.and(move |_| vec![Arc::clone(&account)])
    }

    /// The accounts of a claim: the caller's first, then in the order of the rules, each once.
    ///
    /// # Errors
    /// [`BudgetError::Account`] for more than [`Self::MOST`], an empty key, one longer than
    /// [`Self::LONGEST`], and one with control characters. A caller's own key may be empty.
    pub fn of(&self, claim: &Claim<'_>) -> Result<Vec<Arc<str>>, BudgetError> {
        let mut accounts = vec![Arc::clone(claim.caller)];
        for account in self.rules.iter().flat_map(|rule| rule(claim)) {
            if account.is_empty() {
                return Err(BudgetError::Account { message: "a key is empty".into() });
            }
            if !accounts.contains(&account) {
                accounts.push(account);
            }
        }
        if accounts.len() > Self::MOST {
            let message = format!("{} were named, {} fit", accounts.len(), Self::MOST);
            return Err(BudgetError::Account { message });
        }
        for account in &accounts {
            if account.len() > Self::LONGEST {
                let message = format!("a key has {} bytes, {} fit", account.len(), Self::LONGEST);
                return Err(BudgetError::Account { message });
            }
            if account.chars().any(char::is_control) {
                return Err(BudgetError::Account {
                    message: "a key has control characters".into(),
                });
            }
        }
        Ok(accounts)
    }
}

impl fmt::Debug for Accounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accounts").field("rules", &self.rules.len()).finish_non_exhaustive()
    }
}

/// What stands in an account.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Account {
    /// Its limits, in the order in which they are asked.
    pub limits: Vec<LimitUse>,
    /// What is held.
    pub held: Amounts,
    /// What was ever spent by holds that are over.
    pub spent: Amounts,
    /// The part of `spent` that was counted above what was held.
    pub overrun: Amounts,
}

/// What stands against one limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitUse {
    /// The limit.
    pub limit: Limit,
    /// What was spent within its window.
    pub spent: Amounts,
    /// What is left beside what is held and spent; [`Amounts::MAX`] where there is no limit.
    pub left: Amounts,
    /// When the first part of what was spent leaves the window; `None` when nothing will.
    pub reset: Option<Timestamp>,
}

impl LimitUse {
    /// What stands against a limit at a moment, given what was spent in its window's buckets.
    ///
    /// `buckets` are pairs of bucket and amounts; those that no longer count are passed over.
    #[must_use]
    pub fn of(limit: Limit, held: Amounts, buckets: &[(u64, Amounts)], now: Timestamp) -> Self {
        let oldest = limit.window.oldest(now);
        let counted = || buckets.iter().filter(|(bucket, _)| *bucket >= oldest);
        let spent = counted().fold(Amounts::default(), |sum, (_, more)| sum.capped_add(*more));
        let first = counted().filter(|(_, spent)| *spent != Amounts::default());
        let reset = first.map(|(bucket, _)| *bucket).min().and_then(|b| limit.window.leaves(b));
        let left = limit.amounts.left(held, spent);
        Self { limit, spent, left, reset }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::RunId;

    fn of(accounts: &Accounts, caller: &str) -> Result<Vec<Arc<str>>, BudgetError> {
        let hold = HoldId { run: RunId::random(), attempt: 1 };
        accounts.of(&Claim::new(&hold, &caller.into()))
    }

    #[test]
    fn accounts_are_named_once_and_in_order() {
        let accounts = Accounts::caller()
            .and(|claim| vec![format!("tenant:{}", &claim.caller[..1]).into()])
            .and_always("model:large")
            .and(|claim| vec![Arc::clone(claim.caller)]);
        let named = of(&accounts, "anna").unwrap();
        let expected: Vec<Arc<str>> = ["anna", "tenant:a", "model:large"].map(Arc::from).into();
        assert_eq!(named, expected);
    }

    #[test]
    fn accounts_are_checked() {
        assert!(of(&Accounts::caller().and_always(""), "anna").is_err());
        assert!(of(&Accounts::caller().and_always("a\nb"), "anna").is_err());
        assert!(of(&Accounts::caller(), &"x".repeat(513)).is_err());
        let many = Accounts::caller().and(|_| (0..8).map(|n| n.to_string().into()).collect());
        assert!(of(&many, "anna").is_err());
    }
}
