//! Ranges of addresses.

use std::fmt;
use std::net::IpAddr;

use crate::reader::{Item, Reader};

const NETWORKS: &str = "an array of networks such as [\"10.0.0.0/8\", \"fd00::/8\"]";

/// A range of addresses: those that share the first bits of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NetworkDef {
    /// Its first address.
    pub address: IpAddr,
    /// How many bits are shared: 32 (128 for IPv6) for one address alone.
    pub prefix: u8,
}

impl NetworkDef {
    /// Reads `10.0.0.0/8`, or one address.
    ///
    /// # Errors
    /// What is wrong with the text.
    fn parse(text: &str) -> Result<Self, String> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| format!("`{text}` is no network"))?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => most,
            // `parse` would take a sign too.
            Some(digits) => digits
                .parse()
                .ok()
                .filter(|prefix| *prefix <= most && digits.bytes().all(|b| b.is_ascii_digit()))
                .ok_or_else(|| {
                    format!("`{text}` has no length behind its slash from 0 to {most}")
                })?,
        };
        let read = Self { address, prefix };
        let first = read.first();
        if first != read {
            // One of both is a mistake.
            return Err(format!("`{text}` is an address inside the network {first}"));
        }
        Ok(read)
    }

    /// The same network by its first address.
    fn first(self) -> Self {
        let prefix = u32::from(self.prefix);
        let address = match self.address {
            IpAddr::V4(v4) => {
                let mask = u32::MAX.checked_shl(32_u32.saturating_sub(prefix)).unwrap_or(0);
                IpAddr::V4((v4.to_bits() & mask).into())
            }
            IpAddr::V6(v6) => {
                let mask = u128::MAX.checked_shl(128_u32.saturating_sub(prefix)).unwrap_or(0);
                IpAddr::V6((v6.to_bits() & mask).into())
            }
        };
        Self { address, ..self }
    }
}

impl fmt::Display for NetworkDef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

/// Reads a list of networks.
pub(crate) fn read_networks<'a>(reader: &mut Reader<'a>, item: &Item<'a>) -> Vec<NetworkDef> {
    let mut networks = Vec::new();
    for element in item.array(reader, NETWORKS).unwrap_or_default() {
        let Some(text) = element.text(reader, NETWORKS) else { continue };
        match NetworkDef::parse(text.value) {
            Ok(network) => networks.push(network),
            Err(message) => reader.problem(text.at, message, NETWORKS),
        }
    }
    networks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks() {
        for (text, shown) in [
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("127.0.0.1", "127.0.0.1/32"),
            ("fd00::/8", "fd00::/8"),
            ("::/0", "::/0"),
            ("::1", "::1/128"),
        ] {
            assert_eq!(NetworkDef::parse(text).unwrap().to_string(), shown);
        }
        for (text, part) in [
            ("", "no network"),
            ("example.com", "no network"),
            ("010.0.0.0/8", "no network"),
            ("10.0.0.0/", "from 0 to 32"),
            ("10.0.0.0/+8", "from 0 to 32"),
            ("10.0.0.0/33", "from 0 to 32"),
            ("::/129", "from 0 to 128"),
            ("10.1.0.0/8", "inside the network 10.0.0.0/8"),
            ("fd00::1/8", "inside the network fd00::/8"),
        ] {
            let error = NetworkDef::parse(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
