//! Which addresses each policy allows.

use super::AddressKind::{
    LinkLocal, Loopback, Metadata, Multicast, Private, Public, Reserved, Shared, Unspecified,
};
use super::*;

/// What each address is to a policy that allows none, which says the kind of the first refused.
const KINDS: &[(AddressKind, &[&str])] = &[
    (Public, &["1.1.1.1", "93.184.216.34", "126.255.255.255", "128.0.0.0", "223.255.255.255"]),
    (Public, &["9.255.255.255", "11.0.0.0", "172.15.255.255", "172.32.0.0", "192.167.255.255"]),
    (Public, &["100.63.255.255", "100.128.0.0", "169.253.255.255", "169.255.0.0", "192.0.3.0"]),
    (Public, &["168.63.129.15", "168.63.129.17", "198.17.255.255", "198.20.0.0", "203.0.114.0"]),
    (Public, &["2600::1", "2606:4700:4700::1111", "2001:200::1", "2003::", "3ffe::1", "2a00::1"]),
    (Loopback, &["127.0.0.0", "127.0.0.1", "127.255.255.255", "::1", "::ffff:127.0.0.1"]),
    (Loopback, &["::127.0.0.1", "::ffff:0:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::"]),
    // Teredo with a server of this machine.
    (Loopback, &["2001:0:7f00:1::fefe:fefe"]),
    (Private, &["10.0.0.0", "10.255.255.255", "172.16.0.0", "172.31.255.255", "192.168.0.0"]),
    (Private, &["192.168.255.255", "fc00::", "fd00::1", "fdff:ffff::", "::ffff:10.0.0.1"]),
    (Private, &["64:ff9b::192.168.0.1", "2002:a00:1::1", "fd00:ec1::254", "fd00::5efe:101:101"]),
    (Shared, &["100.64.0.0", "100.64.0.1", "100.127.255.255", "::ffff:100.64.0.1"]),
    (LinkLocal, &["169.254.0.0", "169.254.170.2", "169.254.255.255", "fe80::1", "febf::1"]),
    (LinkLocal, &["::169.254.0.1", "::ffff:169.254.1.1", "fe80::200:5efe:101:101"]),
    (Metadata, &["169.254.169.254", "168.63.129.16", "100.100.100.200", "192.0.0.192"]),
    (Metadata, &["::169.254.169.254", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe"]),
    (Metadata, &["2002:a9fe:a9fe::", "2002:a83f:8110::1", "2001:0:a9fe:a9fe::"]),
    (Metadata, &["fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254", "fd00:42::42"]),
    (Unspecified, &["0.0.0.0", "0.1.2.3", "::", "::ffff:0.0.0.0", "64:ff9b::"]),
    (Multicast, &["224.0.0.1", "239.255.255.255", "255.255.255.255", "ff02::1", "ff0e::1"]),
    (Reserved, &["240.0.0.1", "255.255.255.254", "192.0.0.1", "192.0.2.1", "198.51.100.1"]),
    (Reserved, &["203.0.113.1", "198.18.0.1", "198.19.255.255", "192.88.99.1"]),
    (Reserved, &["2001:db8::1", "2001:2::1", "2001:10::1", "2001:1ff::", "3fff::1", "5f00::1"]),
    (Reserved, &["fec0::1", "100::1", "64:ff9b:1::1", "4000::1", "1::1"]),
];

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn network(text: &str) -> Network {
    text.parse().unwrap()
}

fn each(mut check: impl FnMut(IpAddr, AddressKind)) {
    for (kind, addresses) in KINDS {
        addresses.iter().for_each(|address| check(ip(address), *kind));
    }
}

#[test]
fn each_address_has_its_kind() {
    each(|ip, kind| assert_eq!(AddressPolicy::nothing().check(ip), Err(kind), "{ip}"));
}

#[test]
fn each_policy_allows_its_kinds() {
    let own: &[_] = &[Public, Loopback, Private, Shared];
    let all: &[_] = &[Public, Loopback, Private, Shared, Unspecified, Multicast, Reserved];
    for (policy, allowed) in [
        (AddressPolicy::public(), &[Public][..]),
        (AddressPolicy::private(), own),
        (AddressPolicy::default(), own),
        (AddressPolicy::anything(), all),
    ] {
        each(|ip, kind| {
            let expected = if allowed.contains(&kind) { Ok(()) } else { Err(kind) };
            assert_eq!(policy.check(ip), expected, "{ip} {policy:?}");
        });
    }
}

/// What a tunnel leads to counts as much as where it is entered.
#[test]
fn all_that_is_embedded_is_judged() {
    let policy = AddressPolicy::public();
    assert_eq!(policy.check(ip("2001:0:101:101::fefe:fefe")), Ok(()));
    assert_eq!(policy.check(ip("2001:0:101:101::80ff:fffe")), Err(Loopback));
    assert_eq!(policy.check(ip("2600::5efe:101:101")), Ok(()));
    assert_eq!(policy.check(ip("2600::5efe:a00:1")), Err(Private));
    assert_eq!(policy.check(ip("2600::200:5efe:a9fe:a9fe")), Err(Metadata));
}

#[test]
fn an_allowed_network_adds_to_the_policy() {
    let policy = AddressPolicy::public().allow(network("10.1.0.0/16"));
    for (address, expected) in [
        ("10.1.2.3", Ok(())),
        ("::ffff:10.1.2.3", Ok(())),
        ("64:ff9b::10.1.2.3", Ok(())),
        ("10.2.0.0", Err(Private)),
        ("1.1.1.1", Ok(())),
        ("127.0.0.1", Err(Loopback)),
    ] {
        assert_eq!(policy.check(ip(address)), expected, "{address}");
    }
    let only = AddressPolicy::nothing().allow(network("10.1.0.0/16"));
    assert_eq!(only.check(ip("10.1.2.3")), Ok(()));
    assert_eq!(only.check(ip("1.1.1.1")), Err(Public));
}

#[test]
fn clouds_and_links_are_named_or_refused() {
    for (allowed, address, is_allowed) in [
        ("0.0.0.0/0", "169.254.169.254", false),
        ("169.254.0.0/15", "169.254.1.1", false),
        ("169.254.0.0/16", "169.254.1.1", true),
        // Its own range is the one address.
        ("169.254.0.0/16", "169.254.169.254", false),
        ("169.254.169.254", "169.254.169.254", true),
        ("169.254.169.254", "::ffff:169.254.169.254", true),
        ("168.63.0.0/16", "168.63.129.16", false),
        ("168.63.129.16/32", "168.63.129.16", true),
        ("fc00::/7", "fd00:ec2::254", false),
        ("fd00:ec2::254", "fd00:ec2::254", true),
        ("::/0", "fe80::1", false),
        ("fe80::/10", "fe80::1", true),
        // What it embeds decides, and not what it is written like.
        ("::ffff:0:0/96", "::ffff:169.254.169.254", false),
        ("64:ff9b::/96", "64:ff9b::a9fe:a9fe", false),
    ] {
        let policy = AddressPolicy::anything().allow(network(allowed));
        assert_eq!(policy.check(ip(address)).is_ok(), is_allowed, "{allowed} {address}");
    }
}

#[test]
fn what_is_denied_is_refused_whatever_allows_it() {
    let denied = ["10.0.0.0/8", "2002::/16", "1.1.1.1"].map(network);
    let policy = denied.into_iter().fold(AddressPolicy::anything(), AddressPolicy::deny);
    let policy = policy.allow(network("10.1.0.0/16"));
    for (address, expected) in [
        ("10.1.2.3", Err(Private)),
        ("::ffff:10.1.2.3", Err(Private)),
        ("2001:0:101:101::", Err(Public)),
        ("1.1.1.1", Err(Public)),
        ("1.1.1.2", Ok(())),
    ] {
        assert_eq!(policy.check(ip(address)), expected, "{address}");
    }
    assert!(policy.check(ip("2002:102:304::1")).is_err());
}

#[test]
fn one_refused_address_refuses_the_host() {
    let policy = AddressPolicy::public();
    let judged = |ips: &[&str]| policy.judge(ips.iter().map(|text| ip(text)));
    assert_eq!(judged(&["1.1.1.1", "2600::1"]), Ok(()));
    let refused = Refused { ip: ip("10.0.0.1"), kind: Private };
    assert_eq!(judged(&["1.1.1.1", "10.0.0.1", "2600::1"]), Err(refused));
}
