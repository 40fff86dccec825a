//! The secrets of the portal: the database's own, management keys, and the tokens of sessions and
//! of the set-up link. `Debug` prints none of them, and SQL keeps only hashes of those that are
//! given out.

use std::{fmt, time::Duration};

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::base32;

/// The database's secret, 32 bytes: management keys are derived from it, so that a retry of the
/// same submission shows the same key although SQL keeps only hashes.
#[derive(Clone)]
pub struct Secret([u8; 32]);

impl Secret {
    /// The secret from its row; `None` when it does not have 32 bytes.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// A code for `content` that is valid in this database only: HMAC-SHA-256 under the secret.
    /// `label` keeps different uses apart; it ends in a NUL.
    ///
    /// # Panics
    ///
    /// Never: HMAC takes a key of any length.
    #[must_use]
    pub fn mac(&self, label: &[u8], content: &[u8]) -> [u8; 32] {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes a key of any length");
        mac.update(label);
        mac.update(content);
        mac.finalize().into_bytes().into()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// The 128-bit secret of a service, shown with its first receipt (`docs/design.md#words`). With the
/// agreement number it opens the service; with a reference it withdraws the request.
#[derive(Clone, Copy)]
pub struct ManagementKey([u8; 16]);

impl ManagementKey {
    /// A new key, to replace a lost one.
    #[must_use]
    pub fn random() -> Self {
        Self(base32::random())
    }

    /// The key of the service that `submission` creates: the first 128 bits of its HMAC-SHA-256
    /// under the database's secret.
    #[must_use]
    pub fn derive(secret: &Secret, submission: &[u8; 16]) -> Self {
        let mac = secret.mac(b"pic-portal management key\0", submission);
        let mut key = [0; 16];
        key.copy_from_slice(&mac[..16]);
        Self(key)
    }

    /// Reads what a person typed: any case, spaces and hyphens anywhere, `O` for `0`, `I` or `L`
    /// for `1`. `None` if that is no management key.
    #[must_use]
    pub fn parse(typed: &str) -> Option<Self> {
        base32::decode(&base32::symbols(typed)?).map(Self)
    }

    /// The first half of the SHA-256 of the 16 bytes, which SQL keeps: as many bits as the key has.
    #[must_use]
    pub fn hash(&self) -> [u8; 16] {
        let mut half = [0; 16];
        half.copy_from_slice(&Sha256::digest(self.0)[..16]);
        half
    }

    /// Whether this is the key with that hash, in constant time.
    #[must_use]
    pub fn matches(&self, hash: &[u8]) -> bool {
        self.hash().ct_eq(hash).into()
    }

    /// The text for the receipt, and for nothing else: 26 symbols in groups of four.
    #[must_use]
    pub fn reveal(&self) -> String {
        base32::encode_grouped(&self.0)
    }
}

impl fmt::Debug for ManagementKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ManagementKey(..)")
    }
}

/// The secret of one signed-in browser, of administrators and of staff: 160 random bits in a
/// cookie.
pub type SessionToken = Token<20>;

/// The secret of the link that makes the first staff account: 128 random bits.
pub type SetUpToken = Token<16>;

/// The secret in the address of a service's feed and calendar: 160 random bits.
pub type WatchToken = Token<20>;

/// `N` random bytes that are given out once; SQL keeps their hash.
#[derive(Clone, Copy)]
pub struct Token<const N: usize>([u8; N]);

impl<const N: usize> Token<N> {
    /// A new random token.
    #[must_use]
    pub fn random() -> Self {
        Self(base32::random())
    }

    /// Reads a token that was given out. `None` if it has another form.
    #[must_use]
    pub fn parse(value: &str) -> Option<Self> {
        base32::decode(value).map(Self)
    }

    /// SHA-256 of its bytes, which SQL keeps.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.0).into()
    }

    /// The text to give to its owner, and to no one else.
    #[must_use]
    pub fn reveal(&self) -> String {
        base32::encode(&self.0)
    }
}

impl<const N: usize> fmt::Debug for Token<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

/// How long a session lasts.
#[derive(Clone, Copy, Debug)]
pub struct SessionLimits {
    /// It ends when it has not been used for this long.
    pub idle: Duration,
    /// It ends this long after it began, used or not.
    pub absolute: Duration,
}

/// Sessions of administrators.
pub const SERVICE_SESSIONS: SessionLimits = SessionLimits {
    idle: Duration::from_mins(30),
    absolute: Duration::from_hours(8),
};

/// Sessions of staff: a working day.
pub const STAFF_SESSIONS: SessionLimits = SessionLimits {
    idle: Duration::from_mins(30),
    absolute: Duration::from_hours(12),
};

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_key_is_read_as_it_is_shown(bytes: [u8; 16]) {
            let key = ManagementKey(bytes);
            let read = ManagementKey::parse(&key.reveal().to_lowercase()).unwrap();
            prop_assert!(read.matches(&key.hash()));
        }
    }

    #[test]
    fn the_same_submission_has_the_same_key_and_another_has_another() {
        let (one, two) = (Secret([1; 32]), Secret([2; 32]));
        let (a, b) = ([1; 16], [2; 16]);
        let key = ManagementKey::derive(&one, &a);
        assert!(ManagementKey::derive(&one, &a).matches(&key.hash()));
        assert!(!ManagementKey::derive(&one, &b).matches(&key.hash()));
        assert!(!ManagementKey::derive(&two, &a).matches(&key.hash()));
        assert!(!key.matches(&[]));
        assert_eq!(format!("{key:?} {one:?}"), "ManagementKey(..) Secret(..)");
    }

    #[test]
    fn a_token_is_read_as_it_is_shown_and_does_not_show_itself() {
        let token = SessionToken::random();
        let read = SessionToken::parse(&token.reveal()).unwrap();
        assert_eq!(read.hash(), token.hash());
        assert_eq!(format!("{token:?}"), "Token(..)");
        assert!(SetUpToken::parse(&token.reveal()).is_none());
    }
}
