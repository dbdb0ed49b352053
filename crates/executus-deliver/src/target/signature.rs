//! Signatures in the scheme of Standard Webhooks.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use executus_core::secret::Secret;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use thiserror::Error;

const PREFIX: &str = "whsec_";
/// How many bytes a key may have, by the scheme.
const LEAST: usize = 24;
const MOST: usize = 64;

/// A key of a sender and its receiver: `whsec_` and base64 of 24 to 64 bytes. `Debug` hides it.
#[derive(Clone)]
pub struct SigningKey(Hmac<Sha256>);

/// Why a text is no key. The text is not repeated.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SigningKeyError {
    /// It is no base64.
    #[error(
        "a signing key is `whsec_` and base64, and this is none; make one with \
         `openssl rand -base64 32`"
    )]
    Base64,
    /// It has too few or too many bytes.
    #[error("a signing key has 24 to 64 bytes, this one has {bytes}")]
    Length {
        /// How many it has.
        bytes: usize,
    },
}

impl SigningKey {
    /// The key in this text; the prefix may be left out.
    ///
    /// # Errors
    /// See [`SigningKeyError`].
    pub fn new(text: &Secret) -> Result<Self, SigningKeyError> {
        let text = text.expose().trim();
        let text = text.strip_prefix(PREFIX).unwrap_or(text);
        let key = STANDARD.decode(text).map_err(|_| SigningKeyError::Base64)?;
        if !(LEAST..=MOST).contains(&key.len()) {
            return Err(SigningKeyError::Length { bytes: key.len() });
        }
        Hmac::new_from_slice(&key)
            .map(Self)
            .map_err(|_| SigningKeyError::Length { bytes: key.len() })
    }

    fn fed(&self, id: &str, seconds: u64, body: &[u8]) -> Hmac<Sha256> {
        let mut hmac = self.0.clone();
        hmac.update(format!("{id}.{seconds}.").as_bytes());
        hmac.update(body);
        hmac
    }

    /// `v1,` and the signature of a body under this id (`webhook-id`), sent at this time
    /// (`webhook-timestamp`, in seconds).
    #[must_use]
    pub fn sign(&self, id: &str, seconds: u64, body: &[u8]) -> String {
        let signature = self.fed(id, seconds, body).finalize().into_bytes();
        format!("v1,{}", STANDARD.encode(signature))
    }

    /// Whether one of the signatures in a field `webhook-signature` is by this key, compared in a
    /// time that tells nothing. The receiver also checks that the time is not long ago.
    #[must_use]
    pub fn verify(&self, id: &str, seconds: u64, body: &[u8], signatures: &str) -> bool {
        signatures.split(' ').filter_map(|one| one.strip_prefix("v1,")).any(|one| {
            STANDARD
                .decode(one)
                .is_ok_and(|bytes| self.fed(id, seconds, body).verify_slice(&bytes).is_ok())
        })
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Result<SigningKey, SigningKeyError> {
        SigningKey::new(&Secret::new(text))
    }

    /// The example of the scheme's own documentation and libraries.
    #[test]
    fn the_example_of_the_scheme() {
        let key = key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let (id, at, body) =
            ("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        let signature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        assert_eq!(key.sign(id, at, body), signature);
        assert!(key.verify(id, at, body, &format!("v1,AAAA v2,x {signature}")));
        assert!(!key.verify(id, at + 1, body, signature));
        assert!(!key.verify("msg", at, body, signature));
        assert!(!key.verify(id, at, b"{}", signature));
        assert!(!key.verify(id, at, body, ""));
    }

    #[test]
    fn what_is_no_key_is_refused_and_not_repeated() {
        let of = |text| key(text).map(|_| ());
        assert_eq!(of("whsec_not base64!"), Err(SigningKeyError::Base64));
        assert_eq!(of("c2hvcnQ="), Err(SigningKeyError::Length { bytes: 5 }));
        assert_eq!(of(""), Err(SigningKeyError::Length { bytes: 0 }));
        let shown = format!("{:?}", key("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap());
        assert_eq!(shown, "[redacted]");
    }
}
