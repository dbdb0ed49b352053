//! Where requests may go.
//!
//! A name says nothing about where it leads: who answers for it can let it lead anywhere, another
//! way each time. So addresses are judged, not names, each one at the time it is connected to.

mod host;
mod kind;
mod network;

use std::net::IpAddr;

pub(crate) use self::host::Host;
pub use self::kind::AddressKind;
use self::kind::Ranged;
pub use self::network::{Network, NetworkError};

/// Where requests may go, by the addresses that a host has.
///
/// It is asked at the time of connecting, for every address that a name has, and the connection
/// goes to one of these addresses: the name is not looked up again. One address that is refused
/// refuses the host. An address that embeds one of IPv4 (mapped, compatible, NAT64, 6to4, Teredo, ISATAP) is
/// judged by what it embeds. What an IP address is written like (`127.1`, `0x7f000001`) does not
/// matter.
///
/// An address is refused if a [denied](Self::deny) network holds it. An address of the link alone
/// (`169.254.0.0/16`, `fe80::/10`) or one where a cloud tells credentials is allowed only by
/// [`allow`](Self::allow) of a network inside that range: no wider network and no kind of policy
/// includes it. Any other address is allowed by [`allow`](Self::allow) of a network that holds it,
/// or by the kind of the policy.
///
/// The policy of a client without one is [`private`](Self::private).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressPolicy {
    scope: Scope,
    allowed: Vec<Network>,
    denied: Vec<Network>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    Nothing,
    Public,
    Private,
    Anything,
}

/// An address that is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) ip: IpAddr,
    pub(crate) kind: AddressKind,
}

impl AddressPolicy {
    const fn of(scope: Scope) -> Self {
        Self { scope, allowed: Vec::new(), denied: Vec::new() }
    }

    /// Public addresses: for URLs that come from others.
    #[must_use]
    pub const fn public() -> Self {
        Self::of(Scope::Public)
    }

    /// Public addresses, those of private networks and of this machine: for URLs that whoever runs
    /// the program has written.
    #[must_use]
    pub const fn private() -> Self {
        Self::of(Scope::Private)
    }

    /// Any address, those of documentation and groups of hosts included.
    #[must_use]
    pub const fn anything() -> Self {
        Self::of(Scope::Anything)
    }

    /// No address but those of networks that [`allow`](Self::allow) names.
    #[must_use]
    pub const fn nothing() -> Self {
        Self::of(Scope::Nothing)
    }

    /// Addresses of this network too.
    #[must_use]
    pub fn allow(mut self, network: Network) -> Self {
        self.allowed.push(network);
        self
    }

    /// No addresses of this network, allowed or not.
    #[must_use]
    pub fn deny(mut self, network: Network) -> Self {
        self.denied.push(network);
        self
    }

    /// Whether requests may go there.
    ///
    /// # Errors
    /// The kind of address that is refused: its own, or of one that it embeds.
    pub fn check(&self, ip: IpAddr) -> Result<(), AddressKind> {
        let (inner, stands_for_it) = match ip {
            IpAddr::V4(_) => (Vec::new(), false),
            IpAddr::V6(v6) => kind::embedded(v6),
        };
        let own = kind::of(ip);
        if self.denies(ip) {
            return Err(own.kind);
        }
        if !stands_for_it {
            self.admit(ip, own)?;
        }
        inner.into_iter().map(IpAddr::V4).try_for_each(|ip| {
            let ranged = kind::of(ip);
            if self.denies(ip) { Err(ranged.kind) } else { self.admit(ip, ranged) }
        })
    }

    fn denies(&self, ip: IpAddr) -> bool {
        self.denied.iter().any(|network| network.contains(ip))
    }

    fn admit(&self, ip: IpAddr, Ranged { kind, range }: Ranged) -> Result<(), AddressKind> {
        let mut named = self.allowed.iter().filter(|network| network.contains(ip));
        let admitted = match kind {
            AddressKind::LinkLocal | AddressKind::Metadata => named.any(|n| n.is_within(&range)),
            _ if named.next().is_some() => true,
            AddressKind::Public => self.scope != Scope::Nothing,
            AddressKind::Private | AddressKind::Shared | AddressKind::Loopback => {
                matches!(self.scope, Scope::Private | Scope::Anything)
            }
            AddressKind::Unspecified | AddressKind::Multicast | AddressKind::Reserved => {
                self.scope == Scope::Anything
            }
        };
        if admitted { Ok(()) } else { Err(kind) }
    }

    /// Judges all addresses of a host, and refuses all for one.
    pub(crate) fn judge(&self, ips: impl IntoIterator<Item = IpAddr>) -> Result<(), Refused> {
        for ip in ips {
            self.check(ip).map_err(|kind| Refused { ip, kind })?;
        }
        Ok(())
    }
}

impl Default for AddressPolicy {
    fn default() -> Self {
        Self::private()
    }
}

#[cfg(test)]
mod tests;
