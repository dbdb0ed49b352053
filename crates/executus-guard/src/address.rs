//! Hosts that are not of the public network.
//!
//! Judged by what the address says. Where a name leads is decided when it is connected to, by who
//! connects; a guard sees only what the agent wrote.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether this host, as it stands in an address, is not of the public network.
pub(crate) fn is_private(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    if let Ok(ip) = bare.parse::<IpAddr>() {
        return is_private_ip(ip);
    }
    // Names that never leave the machine or its network: RFC 6761, 6762, 8375, and plain words.
    let local = ["localhost", "local", "internal", "intranet", "lan", "home", "corp", "home.arpa"];
    !bare.contains('.') && !is_top_level(bare)
        || local.iter().any(|name| bare == *name || bare.ends_with(&format!(".{name}")))
}

/// A name of one word is one of the local network, except for the few that are a domain themselves.
fn is_top_level(word: &str) -> bool {
    matches!(word, "gov" | "ai" | "arab" | "va")
}

fn is_private_ip(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => is_private_v4(v4),
        IpAddr::V6(v6) => is_private_v6(v6),
    }
}

fn is_private_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    ip.is_unspecified()
        || ip.is_loopback()
        || ip.is_private()
        || ip.is_link_local()
        || ip.is_broadcast()
        || ip.is_documentation()
        || ip.is_multicast()
        || a == 0
        || a >= 240
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
        || (a == 198 && (b == 18 || b == 19))
        // A cloud's own, within the public ones.
        || ip == Ipv4Addr::new(168, 63, 129, 16)
}

fn is_private_v6(ip: Ipv6Addr) -> bool {
    let parts = ip.segments();
    if let Some(v4) = embedded(parts) {
        return is_private_v4(v4);
    }
    // Only `2000::/3` is given out; in it are protocols with Teredo, and documentation.
    !(0x2000..0x4000).contains(&parts[0])
        || (parts[0] == 0x2001 && (parts[1] < 0x0200 || parts[1] == 0x0db8))
        || (parts[0] == 0x3fff && parts[1] < 0x1000)
}

/// The address of IPv4 that one of IPv6 stands for: mapped, compatible, NAT64, 6to4.
fn embedded(parts: [u16; 8]) -> Option<Ipv4Addr> {
    let of = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        Ipv4Addr::new(a, b, c, d)
    };
    match parts {
        [0, 0, 0, 0, 0, 0xffff, high, low] => Some(of(high, low)),
        [0, 0, 0, 0, 0, 0, high, low] if high != 0 => Some(of(high, low)),
        [0x0064, 0xff9b, 0, 0, 0, 0, high, low] => Some(of(high, low)),
        [0x2002, high, low, ..] => Some(of(high, low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::is_private;
    use crate::page::Page;

    #[test]
    fn private_hosts_are_told() {
        for private in [
            "http://localhost",
            "http://LOCALHOST:8080",
            "http://a.localhost.",
            "http://127.0.0.1",
            "http://127.1",
            "http://0x7f000001",
            "http://2130706433",
            "http://0",
            "http://10.1.2.3",
            "http://172.16.0.1",
            "http://172.31.255.255",
            "http://192.168.1.1",
            "http://169.254.169.254",
            "http://100.64.0.1",
            "http://[::1]",
            "http://[::]",
            "http://[fe80::1]",
            "http://[fd00::1]",
            "http://[::ffff:10.0.0.1]",
            "http://[64:ff9b::a00:1]",
            "http://[2002:7f00:1::]",
            "http://printer",
            "http://nas.local",
            "http://metadata.google.internal",
            "http://224.0.0.1",
            "http://user:pass@127.0.0.1",
            "http://１２７.0.0.1",
        ] {
            let page = Page::parse(private).unwrap();
            assert!(is_private(page.host()), "{private} → {}", page.host());
        }
        for public in [
            "http://example.com",
            "http://8.8.8.8",
            "http://172.32.0.1",
            "http://localhost.example.com",
            "http://[2606:4700::1111]",
            "http://gov",
            "http://[::ffff:8.8.8.8]",
            "http://10.example.com",
        ] {
            let page = Page::parse(public).unwrap();
            assert!(!is_private(page.host()), "{public} → {}", page.host());
        }
    }
}
