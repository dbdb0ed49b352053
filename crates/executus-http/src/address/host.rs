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
