//! What kind of address an address is.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::network::Network;

/// What kind of address an address is, by the registries of special addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AddressKind {
    /// Anywhere on the Internet.
    Public,
    /// This machine: `127.0.0.0/8`, `::1`.
    Loopback,
    /// A private network: `10.0.0.0/8`, `172.16.0.0/12`, `192.168.0.0/16`, `fc00::/7`.
    Private,
    /// The network of a provider behind its own translation: `100.64.0.0/10`.
    Shared,
    /// The link alone: `169.254.0.0/16`, `fe80::/10`. Clouds keep credentials there.
    LinkLocal,
    /// Where a cloud tells a machine its credentials.
    Metadata,
    /// No host, and this machine to many systems: `0.0.0.0/8`, `::`.
    Unspecified,
    /// A group of hosts, or all of a link.
    Multicast,
    /// For documentation, measurements, protocols, or of no use yet.
    Reserved,
}

impl fmt::Display for AddressKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Public => "a public address",
            Self::Loopback => "an address of this machine",
            Self::Private => "an address of a private network",
            Self::Shared => "an address of a provider's own network",
            Self::LinkLocal => "an address of the link alone",
            Self::Metadata => "an address where a cloud tells credentials",
            Self::Unspecified => "the address of no host",
            Self::Multicast => "the address of a group of hosts",
            Self::Reserved => "a reserved address",
        })
    }
}

const fn v4(
    a: u8,
    b: u8,
    c: u8,
    d: u8,
    prefix: u8,
    kind: AddressKind,
) -> (Ipv4Addr, u8, AddressKind) {
    (Ipv4Addr::new(a, b, c, d), prefix, kind)
}

/// The first row that holds decides. Clouds' own addresses come before the networks they lie in.
const V4: &[(Ipv4Addr, u8, AddressKind)] = &[
    v4(169, 254, 169, 254, 32, AddressKind::Metadata),
    // Azure; a public address.
    v4(168, 63, 129, 16, 32, AddressKind::Metadata),
    // Alibaba, Oracle's older cloud.
    v4(100, 100, 100, 200, 32, AddressKind::Metadata),
    v4(192, 0, 0, 192, 32, AddressKind::Metadata),
    v4(169, 254, 0, 0, 16, AddressKind::LinkLocal),
    v4(0, 0, 0, 0, 8, AddressKind::Unspecified),
    v4(127, 0, 0, 0, 8, AddressKind::Loopback),
    v4(10, 0, 0, 0, 8, AddressKind::Private),
    v4(172, 16, 0, 0, 12, AddressKind::Private),
    v4(192, 168, 0, 0, 16, AddressKind::Private),
    v4(100, 64, 0, 0, 10, AddressKind::Shared),
    // Protocols, documentation, relays of 6to4, measurements.
    v4(192, 0, 0, 0, 24, AddressKind::Reserved),
    v4(192, 0, 2, 0, 24, AddressKind::Reserved),
    v4(198, 51, 100, 0, 24, AddressKind::Reserved),
    v4(203, 0, 113, 0, 24, AddressKind::Reserved),
    v4(192, 88, 99, 0, 24, AddressKind::Reserved),
    v4(198, 18, 0, 0, 15, AddressKind::Reserved),
    v4(224, 0, 0, 0, 4, AddressKind::Multicast),
    v4(255, 255, 255, 255, 32, AddressKind::Multicast),
    v4(240, 0, 0, 0, 4, AddressKind::Reserved),
];

const fn v6(words: [u16; 8], prefix: u8, kind: AddressKind) -> (Ipv6Addr, u8, AddressKind) {
    let [a, b, c, d, e, f, g, h] = words;
    (Ipv6Addr::new(a, b, c, d, e, f, g, h), prefix, kind)
}

/// As above. What embeds an IPv4 address is not here.
const V6: &[(Ipv6Addr, u8, AddressKind)] = &[
    v6([0, 0, 0, 0, 0, 0, 0, 0], 128, AddressKind::Unspecified),
    v6([0, 0, 0, 0, 0, 0, 0, 1], 128, AddressKind::Loopback),
    // AWS, Google, Scaleway.
    v6([0xfd00, 0xec2, 0, 0, 0, 0, 0, 0], 32, AddressKind::Metadata),
    v6([0xfd20, 0xce, 0, 0, 0, 0, 0, 0], 32, AddressKind::Metadata),
    v6([0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42], 128, AddressKind::Metadata),
    v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10, AddressKind::LinkLocal),
    v6([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7, AddressKind::Private),
    v6([0xff00, 0, 0, 0, 0, 0, 0, 0], 8, AddressKind::Multicast),
    // Protocols (Teredo among them, which embeds), documentation.
    v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 32, AddressKind::Public),
    v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 23, AddressKind::Reserved),
    v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32, AddressKind::Reserved),
    v6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20, AddressKind::Reserved),
    v6([0x2000, 0, 0, 0, 0, 0, 0, 0], 3, AddressKind::Public),
    v6([0, 0, 0, 0, 0, 0, 0, 0], 0, AddressKind::Reserved),
];

/// A kind, and the network whose addresses have it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ranged {
    pub(super) kind: AddressKind,
    pub(super) range: Network,
}

/// The kind of an address itself, whatever it embeds.
pub(super) fn of(address: IpAddr) -> Ranged {
    fn first<T: Into<IpAddr> + Copy>(table: &[(T, u8, AddressKind)], ip: IpAddr) -> Option<Ranged> {
        table.iter().find_map(|&(first, prefix, kind)| {
            let range = Network::new(first.into(), prefix)?;
            range.contains(ip).then_some(Ranged { kind, range })
        })
    }
    let found = match address {
        IpAddr::V4(_) => first(V4, address),
        IpAddr::V6(_) => first(V6, address),
    };
    found.unwrap_or(Ranged { kind: AddressKind::Public, range: address.into() })
}

/// The IPv4 addresses that a packet to this address can reach by translation or through a tunnel,
/// and whether the address stands for these alone.
pub(super) fn embedded(address: Ipv6Addr) -> (Vec<Ipv4Addr>, bool) {
    let bits = address.to_bits();
    #[expect(clippy::cast_possible_truncation, reason = "the low 32 bits are meant")]
    let at = |shift: u32| Ipv4Addr::from_bits((bits >> shift) as u32);
    match address.segments() {
        // `::` and `::1` are none of IPv4.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => (Vec::new(), false),
        // Compatible and mapped, translated, NAT64.
        [0, 0, 0, 0, 0, 0 | 0xffff, _, _]
        | [0, 0, 0, 0, 0xffff, 0, _, _]
        | [0x64, 0xff9b, 0, 0, 0, 0, _, _] => (vec![at(0)], true),
        // 6to4.
        [0x2002, ..] => (vec![at(80)], true),
        // Teredo: its server, and its client turned around.
        [0x2001, 0, ..] => (vec![at(64), Ipv4Addr::from_bits(!at(0).to_bits())], true),
        // ISATAP, in any network.
        [_, _, _, _, 0 | 0x200, 0x5efe, _, _] => (vec![at(0)], false),
        _ => (Vec::new(), false),
    }
}
