//! Who asks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// What kind of principal asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PrincipalKind {
    /// A person, or an agent on a person's behalf.
    #[default]
    User,
    /// A service of the host.
    Service,
}

/// Who asks: a name that the host vouches for, with roles and attributes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Principal {
    /// The name.
    pub id: Arc<str>,
    /// What kind it is.
    #[serde(default)]
    pub kind: PrincipalKind,
    /// What it may do: `reader`, `writer`, `admin`, `pii-reader`, `secrets-reader`, …
    #[serde(default)]
    pub roles: BTreeSet<String>,
    /// What else is known of it: `tenant`, …
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
}

impl Principal {
    /// A user without roles.
    pub fn user(id: impl Into<Arc<str>>) -> Self {
        Self {
            id: id.into(),
            kind: PrincipalKind::User,
            roles: BTreeSet::new(),
            attributes: BTreeMap::new(),
        }
    }

    /// A service without roles.
    pub fn service(id: impl Into<Arc<str>>) -> Self {
        Self { kind: PrincipalKind::Service, ..Self::user(id) }
    }

    /// With this role.
    #[must_use]
    pub fn role(mut self, role: impl Into<String>) -> Self {
        self.roles.insert(role.into());
        self
    }

    /// With this attribute.
    #[must_use]
    pub fn attribute(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.attributes.insert(name.into(), value.into());
        self
    }

    /// Whether it has this role.
    #[must_use]
    pub fn has(&self, role: &str) -> bool {
        self.roles.contains(role)
    }
}
