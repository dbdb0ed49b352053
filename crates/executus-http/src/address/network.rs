//! A range of addresses.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use thiserror::Error;

/// A range of addresses, written `10.0.0.0/8` or `fd00::/8`; one address alone is a range of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Network {
    first: IpAddr,
    prefix: u8,
}

/// Why a text is no range of addresses.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NetworkError {
    /// The part before the slash is no address.
    #[error("`{text}` is no network; write it as 10.0.0.0/8, fd00::/8 or one address")]
    Address {
        /// What was read, at most 80 characters of it.
        text: String,
    },
    /// The part behind the slash is no length of a prefix.
    #[error("`{text}` has no length behind its slash from 0 to {most}")]
    Prefix {
        /// What was read, at most 80 characters of it.
        text: String,
        /// How long the prefix can be.
        most: u8,
    },
    /// The address has bits behind its prefix: one of both is a mistake.
    #[error("`{text}` names an address inside its network; write the network as {network}")]
    Inside {
        /// What was read, at most 80 characters of it.
        text: String,
        /// The network that it lies in.
        network: Network,
    },
}

impl Network {
    /// The network of this address and length; bits behind the prefix are dropped. `None` for a
    /// length that the address does not have.
    #[must_use]
    pub fn new(address: IpAddr, prefix: u8) -> Option<Self> {
        let bits = width(address);
        (prefix <= bits).then(|| Self { first: masked(address, prefix), prefix })
    }

    /// Whether the address lies in it.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        width(address) == width(self.first) && masked(address, self.prefix) == self.first
    }

    /// Whether all of it lies in that one.
    pub(crate) fn is_within(&self, other: &Self) -> bool {
        self.prefix >= other.prefix && other.contains(self.first)
    }
}

impl From<IpAddr> for Network {
    fn from(address: IpAddr) -> Self {
        Self { first: address, prefix: width(address) }
    }
}

const fn width(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

fn masked(address: IpAddr, prefix: u8) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
            IpAddr::V4((v4.to_bits() & mask).into())
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
            IpAddr::V6((v6.to_bits() & mask).into())
        }
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let shown = || executus_core::text::bounded_to(text.escape_debug().to_string(), 80);
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let Ok(address) = address.parse::<IpAddr>() else {
            return Err(NetworkError::Address { text: shown() });
        };
        let Some(prefix) = prefix else { return Ok(address.into()) };
        let most = width(address);
        // `parse` would take a sign too.
        let prefix = prefix.parse().ok().filter(|_| prefix.bytes().all(|b| b.is_ascii_digit()));
        let Some(network) = prefix.and_then(|prefix| Self::new(address, prefix)) else {
            return Err(NetworkError::Prefix { text: shown(), most });
        };
        if network.first != address {
            return Err(NetworkError::Inside { text: shown(), network });
        }
        Ok(network)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_read_and_shown() {
        for (text, shown) in [
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("127.0.0.1", "127.0.0.1/32"),
            ("fd00::/8", "fd00::/8"),
            ("::/0", "::/0"),
            ("::1", "::1/128"),
        ] {
            assert_eq!(text.parse::<Network>().unwrap().to_string(), shown);
        }
    }

    #[test]
    fn what_is_no_network_is_told() {
        for (text, part) in [
            ("", "no network"),
            ("10.0.0/8", "no network"),
            ("010.0.0.0/8", "no network"),
            ("example.com", "no network"),
            ("10.0.0.0/", "from 0 to 32"),
            ("10.0.0.0/+8", "from 0 to 32"),
            ("10.0.0.0/33", "from 0 to 32"),
            ("::/129", "from 0 to 128"),
            ("10.1.0.0/8", "write the network as 10.0.0.0/8"),
            ("fd00::1/8", "write the network as fd00::/8"),
        ] {
            let error = text.parse::<Network>().unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn a_network_contains_its_first_and_its_last() {
        for (network, inside, outside) in [
            ("10.0.0.0/8", ["10.0.0.0", "10.255.255.255"], ["9.255.255.255", "11.0.0.0"]),
            ("172.16.0.0/12", ["172.16.0.0", "172.31.255.255"], ["172.15.255.255", "172.32.0.0"]),
            ("fe80::/10", ["fe80::", "febf:ffff::"], ["fe7f::", "fec0::"]),
            ("1.2.3.4/32", ["1.2.3.4", "1.2.3.4"], ["1.2.3.5", "::ffff:1.2.3.4"]),
        ] {
            let network: Network = network.parse().unwrap();
            for address in inside {
                assert!(network.contains(address.parse().unwrap()), "{network} {address}");
            }
            for address in outside {
                assert!(!network.contains(address.parse().unwrap()), "{network} {address}");
            }
        }
        let all: Network = "0.0.0.0/0".parse().unwrap();
        assert!(all.contains("255.1.1.1".parse().unwrap()));
        assert!(!all.contains("::1".parse().unwrap()));
    }
}
