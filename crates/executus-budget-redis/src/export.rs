//! The whole of a budget as lines of JSON.

use std::sync::Arc;

use executus_core::Timestamp;
use executus_core::port::Account;
use serde::Serialize;

use crate::admin::Hold;
use crate::budget::RedisBudget;
use crate::error::OpenError;

/// One line of an export.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
enum Line<'a> {
    /// The first: of what, when.
    Export {
        version: u32,
        namespace: &'a str,
        epoch: &'a str,
        at: Timestamp,
    },
    Account {
        account: &'a str,
        standing: &'a Account,
    },
    Hold {
        hold: &'a Hold,
    },
}

impl RedisBudget {
    /// Hands over every account and every live hold, each as a line of JSON. The first line names
    /// the version of the format (1). Accounts are read one after the other: the export is exact
    /// for each, and not one moment for all.
    ///
    /// # Errors
    /// [`OpenError::Server`]; what was handed over until then is right.
    pub async fn export(&self, each: &mut (dyn FnMut(String) + Send)) -> Result<(), OpenError> {
        let mut put = |line: &Line<'_>| {
            // Numbers, texts and lists: nothing in a line can fail to be JSON.
            if let Ok(text) = serde_json::to_string(line) {
                each(text);
            }
        };
        let names: Vec<Arc<str>> = self.accounts().await?;
        let book = &self.shared.book;
        let (at, epoch) = (self.now().await?, book.epoch());
        put(&Line::Export { version: 1, namespace: book.namespace(), epoch: &epoch, at });
        for account in &names {
            put(&Line::Account { account, standing: &self.account(account).await? });
        }
        let mut from = None;
        loop {
            let page = self.holds(from).await?;
            for hold in &page.holds {
                put(&Line::Hold { hold });
            }
            from = page.next;
            if from.is_none() {
                return Ok(());
            }
        }
    }
}
