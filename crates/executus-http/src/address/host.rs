//! The host of an address: a name, or an IP address in any of its spellings.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const MAX_NAME: usize = 253;
const MAX_LABEL: usize = 63;

/// The host of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Host<'a> {
    Ip(IpAddr),
    /// A name in ASCII; it may end with a dot.
    Name(&'a str),
}

impl<'a> Host<'a> {
    /// Reads a host, as it stands between `//` and the port.
    ///
    /// An IPv4 address is read as browsers and the C library read it: one to four numbers, decimal,
    /// octal behind `0` or hexadecimal behind `0x`, of which the last fills what is left. A name
    /// whose last label is such a number is no name: no two programs would agree on where it leads.
    ///
    /// # Errors
    /// What is wrong, to follow "the URL".
    pub(crate) fn read(text: &'a str) -> Result<Self, &'static str> {
        // The spelling that all read alike, and that most use.
        if let Ok(ip) = text.parse::<Ipv4Addr>() {
            return Ok(Self::Ip(ip.into()));
        }
        if let Some(rest) = text.strip_prefix('[') {
            let v6 = rest.strip_suffix(']').and_then(|inner| inner.parse::<Ipv6Addr>().ok());
            return match v6 {
                Some(ip) => Ok(Self::Ip(ip.into())),
                None => Err("has brackets around something else than an IPv6 address"),
            };
        }
        let name = text.strip_suffix('.').unwrap_or(text);
        if name.is_empty() {
            return Err("has no host");
        }
        let last = name.rsplit('.').next().unwrap_or(name);
        if is_number(last) {
            return match v4(name) {
                Some(ip) => Ok(Self::Ip(ip.into())),
                None => Err("has a host that ends with a number and is no IPv4 address"),
            };
        }
        if name.len() > MAX_NAME {
            return Err("has a host of more than 253 characters");
        }
        if name.split('.').any(|label| label.is_empty() || label.len() > MAX_LABEL) {
            return Err("has a host with an empty part, or one of more than 63 characters");
        }
        if !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)) {
            return Err("has a host with other characters than letters, digits, `-`, `_` and `.`");
        }
        Ok(Self::Name(text))
    }
}

fn v4(text: &str) -> Option<Ipv4Addr> {
    let numbers: Vec<u32> = text.split('.').take(5).map(number).collect::<Option<_>>()?;
    let (last, parts) = numbers.split_last().filter(|(_, parts)| parts.len() < 4)?;
    let mut bits = u64::from(*last);
    // What the parts before it leave.
    if bits >> (32 - 8 * parts.len()) != 0 {
        return None;
    }
    for (part, shift) in parts.iter().zip([24, 16, 8]) {
        bits |= u64::from(u8::try_from(*part).ok()?) << shift;
    }
    u32::try_from(bits).ok().map(Ipv4Addr::from_bits)
}

/// Whether this looks like a number, though it may be none: `09`.
fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) || number(text).is_some()
}

/// A number of an IPv4 address.
fn number(text: &str) -> Option<u32> {
    let (digits, radix) = match text.as_bytes() {
        [b'0', b'x' | b'X', ..] => (&text[2..], 16),
        [b'0', _, ..] => (&text[1..], 8),
        _ => (text, 10),
    };
    if text.is_empty() || digits.starts_with('+') {
        return None;
    }
    // `0x` alone is 0 to those who read such things.
    if digits.is_empty() { Some(0) } else { u32::from_str_radix(digits, radix).ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_the_same_in_all_its_spellings() {
        for (text, expected) in [
            ("127.0.0.1", "127.0.0.1"),
            ("127.0.0.1.", "127.0.0.1"),
            ("127.1", "127.0.0.1"),
            ("127.0.1", "127.0.0.1"),
            ("2130706433", "127.0.0.1"),
            ("0x7f000001", "127.0.0.1"),
            ("0X7F.1", "127.0.0.1"),
            ("0177.0.0.1", "127.0.0.1"),
            ("017700000001", "127.0.0.1"),
            ("0", "0.0.0.0"),
            ("0x", "0.0.0.0"),
            ("00", "0.0.0.0"),
            ("4294967295", "255.255.255.255"),
            ("10.65535", "10.0.255.255"),
            ("1.2.3.4", "1.2.3.4"),
            ("[::1]", "::1"),
            ("[::ffff:127.0.0.1]", "::ffff:127.0.0.1"),
            ("[0:0:0:0:0:0:0:1]", "::1"),
        ] {
            assert_eq!(Host::read(text), Ok(Host::Ip(expected.parse().unwrap())), "{text}");
        }
    }

    #[test]
    fn a_name_is_left_as_it_is() {
        let longest = format!("{0}.{0}.{0}.{1}", "a".repeat(63), "b".repeat(61));
        for name in
            ["localhost", "localhost.", "a_b.example.com", "1.2.3.4.example", "0x7f.x", &longest]
        {
            assert_eq!(Host::read(name), Ok(Host::Name(name)), "{name}");
        }
    }

    #[test]
    fn what_is_neither_is_told() {
        let long = format!("{0}.{0}.{0}.{0}", "a".repeat(63));
        for (text, part) in [
            ("", "no host"),
            (".", "no host"),
            ("1.2.3.4.5", "no IPv4"),
            ("256.1.1.1", "no IPv4"),
            ("1.2.3.256", "no IPv4"),
            ("1.2.65536", "no IPv4"),
            ("4294967296", "no IPv4"),
            ("09.0.0.1", "no IPv4"),
            ("1..2", "no IPv4"),
            (".1", "no IPv4"),
            ("example.0x1", "no IPv4"),
            ("example.08", "no IPv4"),
            ("0x100000000.1", "no IPv4"),
            ("a..b", "empty part"),
            ("a.b..", "empty part"),
            (&"a".repeat(64), "63"),
            (&long, "253"),
            ("a%2eb", "other characters"),
            ("a b", "other characters"),
            ("ä", "other characters"),
            ("a:b", "other characters"),
            ("[::1", "brackets"),
            ("[1.2.3.4]", "brackets"),
            ("[fe80::1%25eth0]", "brackets"),
            ("[]", "brackets"),
        ] {
            let error = Host::read(text).expect_err(text);
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
