//! Tokens: granted, refused, taken back.

use executus_core::isolate::call;
use executus_core::secret::Secrets;
use serde_json::Value;

use super::action::Action;
use super::error::{GrantError, Stage};
use super::invoke::panicked;
use super::{GrantRequest, Inner, Kernel};
use crate::firewall::scrub_text;
use crate::policy::{Ask, Denial};
use crate::principal::Principal;
use crate::record::{ActionKind, ActionLogError, recorded};
use crate::token::{Grant, Token, TokenAuthority};

impl Kernel {
    /// Asks the policy, and signs a token for what it allows.
    ///
    /// A denial is recorded as well as may be: a log that cannot record does not hide it. A grant
    /// that cannot be recorded is taken back.
    ///
    /// # Errors
    /// [`GrantError`].
    pub async fn grant(&self, request: GrantRequest) -> Result<Token, GrantError> {
        let GrantRequest { principal, capability, action_id, run_id, .. } = &request;
        let named = action_id.as_deref();
        let mut action = Action::begin(&self.0, ActionKind::Deny, principal, named, run_id.clone());
        let record = &mut action.draft().record;
        capability.as_str().clone_into(&mut record.capability_id);
        record.args = request.recorded();
        match self.0.decide(&request) {
            Ok(token) => {
                let record = &mut action.draft().record;
                record.kind = ActionKind::Grant;
                record.token_id = Some(token.token_id.clone());
                if action_id.is_some() {
                    record.action_id.push_str("/grant");
                }
                if let Err(error) = action.end(Ok(0)).await {
                    self.0.authority.revoke(&token.token_id);
                    return Err(error.into());
                }
                Ok(token)
            }
            Err(error) => {
                let _ = action.end(Err((error.code().to_owned(), error.to_string()))).await;
                Err(error)
            }
        }
    }

    /// Every condition that keeps a token from being granted; none when it would be granted now.
    /// Nothing is recorded or counted.
    ///
    /// # Errors
    /// [`GrantError::UnknownCapability`], [`GrantError::Stage`].
    pub fn explain_denial(&self, request: &GrantRequest) -> Result<Vec<Denial>, GrantError> {
        self.0.ask(request, |ask| self.0.policy.explain(ask).err().unwrap_or_default())
    }

    /// Takes a token back, and with it all that were delegated from it. Whether it was not taken
    /// back before. It stays revoked when there is no record of it.
    ///
    /// # Errors
    /// [`ActionLogError`]: it is revoked, and there is no record of it.
    pub async fn revoke(&self, by: &Principal, token_id: &str) -> Result<bool, ActionLogError> {
        let mut action = Action::begin(&self.0, ActionKind::Revoke, by, None, None);
        let shown = &token_id[..token_id.floor_char_boundary(128)];
        action.draft().record.token_id = Some(scrub_text(shown));
        let newly = self.0.authority.revoke(token_id);
        action.end(Ok(0)).await?;
        Ok(newly)
    }

    /// Takes all tokens of a principal back. How many were not taken back before.
    ///
    /// # Errors
    /// As [`revoke`](Self::revoke).
    pub async fn revoke_principal(
        &self,
        by: &Principal,
        principal_id: &str,
    ) -> Result<usize, ActionLogError> {
        let mut action = Action::begin(&self.0, ActionKind::Revoke, by, None, None);
        let shown = &principal_id[..principal_id.floor_char_boundary(512)];
        action.draft().record.args = serde_json::json!({ "principal_id": scrub_text(shown) });
        let newly = self.0.authority.revoke_principal(principal_id);
        action.end(Ok(0)).await?;
        Ok(newly)
    }
}

impl GrantRequest {
    /// What a record says of it.
    fn recorded(&self) -> Value {
        let mut said = self.constraints.fields().clone();
        if !self.justification.is_empty() {
            said.insert("justification".into(), self.justification.as_str().into());
        }
        recorded("", &said, &Secrets::default())
    }
}

impl Inner {
    fn decide(&self, request: &GrantRequest) -> Result<Token, GrantError> {
        if self.tracker.is_closed() {
            return Err(GrantError::Closed);
        }
        let decided = self.ask(request, |ask| self.policy.decide(ask))?;
        let constraints = decided.map_err(|denial| {
            let message = scrub_text(&denial.message);
            GrantError::Denied(Denial::new(denial.code, message))
        })?;
        let lifetime = request.lifetime.unwrap_or(TokenAuthority::LIFETIME);
        let grant = Grant::new(&request.principal, &request.capability);
        Ok(self.authority.issue(grant.constraints(constraints).lifetime(lifetime))?)
    }

    fn ask<T>(
        &self,
        request: &GrantRequest,
        put: impl FnOnce(&Ask<'_>) -> T,
    ) -> Result<T, GrantError> {
        let id = &request.capability;
        let capability = self.registry.get(id);
        let capability = capability.ok_or_else(|| GrantError::UnknownCapability(id.clone()))?;
        let ask = Ask {
            principal: &request.principal,
            capability,
            justification: &request.justification,
            constraints: &request.constraints,
            now: self.clock.now(),
        };
        Ok(call(|| put(&ask)).map_err(|why| panicked(Stage::Policy, why))?)
    }
}
