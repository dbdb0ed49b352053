//! Who issues tokens, verifies them, and takes them back.

use std::sync::Arc;
use std::time::Duration;

use executus_core::secret::Secret;
use executus_core::text::bounded_to;
use executus_core::{Clock, Timestamp};
use parking_lot::RwLock;
use uuid::Uuid;

use super::keys::{KeyError, Keys};
use super::ledger::Ledger;
use super::{MAX_TOKEN_BYTES, Mac, Token, TokenError, narrow, shown};
use crate::capability::CapabilityId;
use crate::constraint::Constraints;
use crate::principal::Principal;

/// The longest name of a principal that a token is issued to, in bytes.
const MAX_PRINCIPAL_BYTES: usize = 512;
/// The most tokens that are alive at a time.
const MAX_ALIVE: usize = 1_000_000;

/// What a token is asked for.
#[derive(Debug, Clone)]
pub struct Grant<'a> {
    /// Who may show it.
    pub principal: &'a Principal,
    /// What it is for.
    pub capability: &'a CapabilityId,
    /// What it narrows an invocation to. They are signed as they stand.
    pub constraints: Constraints,
    /// How long it is valid; zero for not at all.
    pub lifetime: Duration,
}

impl<'a> Grant<'a> {
    /// A token without constraints, valid for [`TokenAuthority::LIFETIME`].
    #[must_use]
    pub fn new(principal: &'a Principal, capability: &'a CapabilityId) -> Self {
        let lifetime = TokenAuthority::LIFETIME;
        Self { principal, capability, constraints: Constraints::default(), lifetime }
    }

    /// With these constraints.
    #[must_use]
    pub fn constraints(mut self, constraints: Constraints) -> Self {
        self.constraints = constraints;
        self
    }

    /// With this time to live.
    #[must_use]
    pub const fn lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = lifetime;
        self
    }
}

/// What of a token is handed on, and to whom.
#[derive(Debug, Clone)]
pub struct Delegation<'a> {
    /// The token that is handed on.
    pub parent: &'a Token,
    /// Who hands it on: its principal.
    pub from: &'a Principal,
    /// Who gets it.
    pub to: &'a Principal,
    /// What changes: a constraint that is not named here is inherited.
    pub constraints: Constraints,
    /// How long the new one is valid; `None` for as long as the parent.
    pub lifetime: Option<Duration>,
}

/// Issues tokens, verifies them, hands them on and takes them back.
///
/// **A token is valid** when neither it nor one it was delegated from was revoked, its time is not
/// over, its signature is that of all its fields, and it is shown by its principal for its
/// capability. These are checked in this order, so that the reason does not depend on how many there
/// are.
///
/// **Keys** have names (`kid`). One signs, the others only verify: [`rotate`](Self::rotate) makes a
/// new one sign, [`retire`](Self::retire) gives an old one up with all tokens it signed.
///
/// **Revocations** are known to this authority alone and to its end: a host that verifies tokens in
/// several processes, or after a restart, with the same keys, tells each of them, or retires the
/// key. A revocation is remembered for a day longer than the token would have been valid.
///
/// **Concurrency**: `verify` runs beside `verify`. A delegation that races with a revocation of its
/// parent gives a token that is revoked. **Errors** never show a key or a signature.
#[derive(Debug)]
pub struct TokenAuthority {
    clock: Clock,
    keys: RwLock<Keys>,
    ledger: RwLock<Ledger>,
}

impl TokenAuthority {
    /// How long a token is valid unless told otherwise: an hour.
    pub const LIFETIME: Duration = Duration::from_secs(3600);
    /// The longest that a token may be valid: 30 days.
    pub const MAX_LIFETIME: Duration = Duration::from_secs(30 * 24 * 3600);
    /// How often a token may be handed on.
    pub const MAX_DELEGATIONS: usize = 8;

    /// An authority that signs with this key, and tells the time by this clock.
    ///
    /// # Errors
    /// [`KeyError`] for a key of less than 32 bytes, or a name that is none.
    pub fn new(kid: &str, key: &Secret, clock: Clock) -> Result<Self, KeyError> {
        let keys = RwLock::new(Keys::new(kid, key)?);
        Ok(Self { clock, keys, ledger: RwLock::default() })
    }

    /// An authority with a random key that nobody else has: its tokens end with it.
    ///
    /// # Errors
    /// None that is known: a random key is long enough.
    pub fn random(clock: Clock) -> Result<Self, KeyError> {
        let key = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
        Self::new("random", &Secret::new(key), clock)
    }

    /// Makes a new key sign from now on. The others still verify.
    ///
    /// # Errors
    /// [`KeyError`]; the keys stay as they are.
    pub fn rotate(&self, kid: &str, key: &Secret) -> Result<(), KeyError> {
        self.keys.write().rotate(kid, key)
    }

    /// Gives up a key: no token that it signed is valid any more. Whether there was one.
    ///
    /// # Errors
    /// [`KeyError::Current`] for the key that signs.
    pub fn retire(&self, kid: &str) -> Result<bool, KeyError> {
        self.keys.write().retire(kid)
    }

    /// The name of the key that signs.
    #[must_use]
    pub fn current_kid(&self) -> String {
        self.keys.read().current().to_owned()
    }

    /// Issues a token. Whether the principal may have it is the policy's to say.
    ///
    /// # Errors
    /// [`TokenError::Unfit`] for a principal without a name, a life time above
    /// [`MAX_LIFETIME`](Self::MAX_LIFETIME), or constraints too large to be signed.
    pub fn issue(&self, grant: Grant<'_>) -> Result<Token, TokenError> {
        let now = self.clock.now();
        if grant.lifetime > Self::MAX_LIFETIME {
            let found = format!("{} s", grant.lifetime.as_secs_f64());
            let expected = format!("at most {} s", Self::MAX_LIFETIME.as_secs());
            return Err(TokenError::Unfit { field: "the life time", found, expected });
        }
        self.sign(Token {
            token_id: Uuid::new_v4().simple().to_string(),
            kid: String::new(),
            principal_id: Arc::clone(&grant.principal.id),
            capability_id: grant.capability.clone(),
            constraints: grant.constraints,
            issued_at: now,
            expires_at: now.after(grant.lifetime),
            ancestors: Vec::new(),
            mac: Mac([0; 32]),
        })
    }

    /// Says whether this principal may perform this capability under this token.
    ///
    /// # Errors
    /// The first fault in this order: [`TokenError::Revoked`], [`TokenError::Expired`],
    /// [`TokenError::UnknownKey`] or [`TokenError::Signature`], [`TokenError::Principal`],
    /// [`TokenError::Capability`].
    pub fn verify(
        &self,
        token: &Token,
        principal: &Principal,
        capability: &CapabilityId,
    ) -> Result<(), TokenError> {
        let now = self.clock.now();
        self.check_revoked(token)?;
        if token.expires_at <= now {
            return Err(TokenError::Expired { expires_at: token.expires_at, now });
        }
        self.check_signature(token)?;
        if token.principal_id != principal.id {
            return Err(TokenError::Principal { principal: shown(&principal.id) });
        }
        if token.capability_id != *capability {
            return Err(TokenError::Capability { capability: capability.to_string() });
        }
        Ok(())
    }

    /// Hands a token on. The new one is for the same capability and allows no more: it expires no
    /// later, shows no more rows and fields, has at least the same scope, times out no later, and
    /// what other constraints there are stay as they are. It is revoked when its parent is.
    ///
    /// # Errors
    /// Those of [`verify`](Self::verify) for the parent shown by `from`; [`TokenError::Wider`] with
    /// the field that would allow more; [`TokenError::Constraint`] for one that means nothing;
    /// [`TokenError::Unfit`] after [`MAX_DELEGATIONS`](Self::MAX_DELEGATIONS), and as
    /// [`issue`](Self::issue) has it.
    pub fn delegate(&self, delegation: Delegation<'_>) -> Result<Token, TokenError> {
        let Delegation { parent, from, to, constraints, lifetime } = delegation;
        self.verify(parent, from, &parent.capability_id)?;
        if parent.ancestors.len() >= Self::MAX_DELEGATIONS {
            let found = format!("handed on {} times", parent.ancestors.len());
            let expected = format!("at most {} times", Self::MAX_DELEGATIONS);
            return Err(TokenError::Unfit { field: "the token", found, expected });
        }
        let now = self.clock.now();
        let expires_at = match lifetime {
            None => parent.expires_at,
            Some(lifetime) => now.after(lifetime),
        };
        if expires_at > parent.expires_at {
            return Err(TokenError::Wider { field: "expires_at".into() });
        }
        let constraints = narrow::narrowed(&parent.constraints, &constraints)?;
        let mut ancestors = parent.ancestors.clone();
        ancestors.push(parent.token_id.clone());
        self.sign(Token {
            token_id: Uuid::new_v4().simple().to_string(),
            kid: String::new(),
            principal_id: Arc::clone(&to.id),
            capability_id: parent.capability_id.clone(),
            constraints,
            issued_at: now,
            expires_at,
            ancestors,
            mac: Mac([0; 32]),
        })
    }

    /// Revokes a token, and with it all that were delegated from it. Whether it was not revoked
    /// before. A token that this authority did not issue can be revoked too; a text that is no id of
    /// a token cannot.
    pub fn revoke(&self, token_id: &str) -> bool {
        let is_id = token_id.len() == 32 && token_id.bytes().all(|byte| byte.is_ascii_hexdigit());
        let now = self.clock.now();
        is_id && self.ledger.write().revoke(token_id, now.after(Self::MAX_LIFETIME))
    }

    /// Revokes every token of a principal that is still valid, and with them all that were delegated
    /// from them. How many of the principal's own were newly revoked: 0 the second time, and for one
    /// that is not known. Tokens that are issued later are not concerned.
    pub fn revoke_principal(&self, principal: &str) -> usize {
        let now = self.clock.now();
        let mut ledger = self.ledger.write();
        ledger.forget(now);
        ledger.revoke_principal(principal)
    }

    /// The time by this authority's clock.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn check_revoked(&self, token: &Token) -> Result<(), TokenError> {
        let ledger = self.ledger.read();
        let mut ids = std::iter::once(&token.token_id).chain(&token.ancestors);
        match ids.find(|id| ledger.is_revoked(id)) {
            Some(id) => Err(TokenError::Revoked { token_id: id.clone() }),
            None => Ok(()),
        }
    }

    fn check_signature(&self, token: &Token) -> Result<(), TokenError> {
        let keys = self.keys.read();
        if !keys.knows(&token.kid) {
            return Err(TokenError::UnknownKey { kid: shown(&token.kid) });
        }
        match keys.sign(token) {
            Some(mac) if mac == token.mac => Ok(()),
            _ => Err(TokenError::Signature),
        }
    }

    /// Signs a token with the current key and remembers it.
    fn sign(&self, mut token: Token) -> Result<Token, TokenError> {
        let principal = &token.principal_id;
        if !(1..=MAX_PRINCIPAL_BYTES).contains(&principal.len()) {
            let found = format!("`{}`", shown(principal));
            let expected = format!("1 to {MAX_PRINCIPAL_BYTES} bytes");
            return Err(TokenError::Unfit { field: "the principal's name", found, expected });
        }
        {
            let keys = self.keys.read();
            keys.current().clone_into(&mut token.kid);
            token.mac = keys.sign(&token).ok_or_else(|| too_large("too deep to be signed"))?;
        }
        if token.encode().len() > MAX_TOKEN_BYTES {
            return Err(too_large("larger than a token may be"));
        }
        let mut ledger = self.ledger.write();
        ledger.forget(token.issued_at);
        if ledger.alive() >= MAX_ALIVE {
            let found = format!("{MAX_ALIVE}");
            let expected = "fewer; wait until some expire, or revoke them".into();
            return Err(TokenError::Unfit { field: "the number of valid tokens", found, expected });
        }
        if token.expires_at > token.issued_at {
            ledger.issued(&token.token_id, &token.principal_id, token.expires_at);
        }
        Ok(token)
    }
}

fn too_large(found: &str) -> TokenError {
    TokenError::Unfit {
        field: "what its constraints come to",
        found: bounded_to(found.to_owned(), 80),
        expected: format!("at most 32 levels, and {MAX_TOKEN_BYTES} bytes with all fields"),
    }
}
