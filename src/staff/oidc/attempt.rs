//! What a browser keeps between leaving for the provider and coming back.
//!
//! A cookie has 128 random bits; `state`, `nonce` and the PKCE verifier are HMACs of them under the
//! database's secret, so every process of the portal can check them and none stores anything. The
//! page that was wanted is in the cookie too, so the provider does not learn it.

use data_encoding::BASE64URL_NOPAD;
use subtle::ConstantTimeEq as _;

use crate::{
    base32,
    secret::{Secret, SetUpToken as Random},
};

/// Why the browser is sent to the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To sign in.
    SignIn,
    /// To have a session confirmed, without a question.
    Confirm,
    /// To have the person prove who they are again.
    StepUp,
}

impl Purpose {
    const ALL: [(Self, &'static str); 3] = [
        (Self::SignIn, "sign-in"),
        (Self::Confirm, "confirm"),
        (Self::StepUp, "step-up"),
    ];

    /// How an address and the cookie name it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        let named = Self::ALL.iter().find(|(purpose, _)| *purpose == self);
        named.map_or("", |(_, name)| name)
    }

    /// The purpose of this name; an empty one is that of signing in.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let named = Self::ALL.iter().find(|(_, it)| *it == name);
        let purpose = named.map(|(purpose, _)| *purpose);
        purpose.or_else(|| name.is_empty().then_some(Self::SignIn))
    }
}

/// One way to the provider and back.
#[derive(Clone, Debug)]
pub struct Attempt {
    random: Random,
    /// Why the browser is sent there.
    pub purpose: Purpose,
    /// The page of the desk to go to afterwards, or empty.
    pub next: String,
}

impl Attempt {
    /// A new attempt.
    #[must_use]
    pub fn new(purpose: Purpose, next: &str) -> Self {
        Self {
            random: Random::random(),
            purpose,
            next: next.to_owned(),
        }
    }

    /// The value of the cookie.
    #[must_use]
    pub fn to_cookie(&self) -> String {
        let next = BASE64URL_NOPAD.encode(self.next.as_bytes());
        format!("{}.{}.{next}", self.random.reveal(), self.purpose.as_str())
    }

    /// Reads a cookie; the caller looks at `next` as at anything that a client sends.
    #[must_use]
    pub fn parse(cookie: &str) -> Option<Self> {
        let mut parts = cookie.splitn(3, '.');
        let mut part = || parts.next();
        let (random, purpose, next) = (part()?, part()?, part()?);
        let next = BASE64URL_NOPAD.decode(next.as_bytes()).ok()?;
        Some(Self {
            random: Random::parse(random)?,
            purpose: Purpose::parse(purpose)?,
            next: String::from_utf8(next).ok()?,
        })
    }

    fn mac(&self, secret: &Secret, label: &[u8]) -> [u8; 32] {
        secret.mac(label, self.random.reveal().as_bytes())
    }

    /// `state`.
    #[must_use]
    pub fn state(&self, secret: &Secret) -> String {
        base32::encode(&self.mac(secret, b"pic-portal OpenID state\0")[..20])
    }

    /// Whether the browser came back from this attempt, in constant time.
    #[must_use]
    pub fn is_of(&self, state: &str, secret: &Secret) -> bool {
        self.state(secret).as_bytes().ct_eq(state.as_bytes()).into()
    }

    /// `nonce`.
    #[must_use]
    pub fn nonce(&self, secret: &Secret) -> String {
        base32::encode(&self.mac(secret, b"pic-portal OpenID nonce\0")[..20])
    }

    /// The code verifier of PKCE: 43 characters (RFC 7636, 4.1).
    #[must_use]
    pub fn verifier(&self, secret: &Secret) -> String {
        BASE64URL_NOPAD.encode(&self.mac(secret, b"pic-portal OpenID verifier\0"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_is_read_as_it_was_written_and_known_by_its_state() {
        let secret = Secret::from_bytes(&[1; 32]).unwrap();
        let attempt = Attempt::new(Purpose::StepUp, "/staff/requests?q=a;b,\"c\"");
        let read = Attempt::parse(&attempt.to_cookie()).unwrap();
        assert_eq!((read.purpose, &read.next), (Purpose::StepUp, &attempt.next));
        assert!(read.is_of(&attempt.state(&secret), &secret));
        assert_eq!(read.nonce(&secret), attempt.nonce(&secret));
        assert_eq!(attempt.verifier(&secret).len(), 43);
        let other = Attempt::new(Purpose::StepUp, &attempt.next);
        for state in ["", &other.state(&secret), &attempt.nonce(&secret)] {
            assert!(!attempt.is_of(state, &secret), "{state}");
        }
        for cookie in ["", "..", "a.b.c", ".sign-in.", &"0".repeat(100)] {
            assert!(Attempt::parse(cookie).is_none(), "{cookie}");
        }
    }
}
