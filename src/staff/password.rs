//! Checks new passwords, hashes them and compares them.
//!
//! With argon2id and the parameters that the crate recommends (19 MiB, 2 passes), two at a time: a
//! thousand sign-ins at once take 38 MiB of memory and not 19 GiB. [`Turns`] decides who waits, and
//! how many. A name that does not exist costs the same time as a wrong password.

use crate::error::Error;
use std::fmt;

use argon2::{
    Argon2,
    password_hash::{PasswordHasher as _, PasswordVerifier as _},
};
use tokio::task::spawn_blocking;

use super::Name;
use super::turns::Full;
pub use super::turns::{Lane, Turns};

/// The fewest characters of a new password.
pub const SHORTEST: usize = 12;
/// The most bytes of a password: a longer one was pasted by mistake.
pub const LONGEST: usize = 1_024;
/// A hash that no password matches, with the parameters of all others.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$cGljLXBvcnRhbC1ub2JvZHk$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// What was typed as a password. `Debug` does not show it.
#[derive(Clone)]
pub struct Password(String);

/// Why a new password is refused. Each text says what to type instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordProblem {
    /// The password is too short.
    #[error(
        "Enter a password of at least {SHORTEST} characters, such as four words that nobody else puts together"
    )]
    Short,
    /// The password is too long.
    #[error("Enter a password of at most {LONGEST} bytes")]
    Long,
    /// It is the account's name, or little more.
    #[error("Enter a password that is not the name of the account")]
    Name,
}

impl Password {
    /// What was typed, to be compared.
    #[must_use]
    pub fn typed(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// A new password for the account of this name.
    ///
    /// # Errors
    ///
    /// [`PasswordProblem`], which says what to type.
    pub fn new(text: impl Into<String>, name: &Name) -> Result<Self, PasswordProblem> {
        let text = text.into();
        if text.len() > LONGEST {
            return Err(PasswordProblem::Long);
        }
        let rest = text.to_lowercase().replace(name.as_str(), "");
        if rest.trim().is_empty() && !text.is_empty() {
            return Err(PasswordProblem::Name);
        }
        if text.chars().count() < SHORTEST {
            return Err(PasswordProblem::Short);
        }
        Ok(Self(text))
    }

    fn is_too_long(&self) -> bool {
        self.0.len() > LONGEST
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

/// A password as SQL keeps it: argon2id in PHC form.
#[derive(Clone, PartialEq, Eq)]
pub struct Hashed(pub(super) String);

impl fmt::Debug for Hashed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hashed(..)")
    }
}

/// Why a password was not hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HashFault {
    /// Too many passwords wait for it. Nothing was compared.
    #[error("too many passwords wait to be hashed")]
    Busy,
    /// The machine is out of memory or randomness.
    #[error("a password could not be hashed")]
    Failed,
}

impl From<HashFault> for Error {
    fn from(fault: HashFault) -> Self {
        match fault {
            HashFault::Busy => Self::Crowded,
            HashFault::Failed => Self::Internal("a password could not be hashed"),
        }
    }
}

impl From<Full> for HashFault {
    fn from(Full: Full) -> Self {
        Self::Busy
    }
}

/// Hashes and compares passwords, a few at a time. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Hasher(Turns);

impl Hasher {
    /// The queue of passwords to be hashed, for metrics.
    #[must_use]
    pub const fn turns(&self) -> &Turns {
        &self.0
    }

    /// Hashes the password when it is the turn of `lane`; the result is as SQL keeps it.
    ///
    /// # Errors
    ///
    /// [`HashFault`].
    pub async fn hash(&self, password: Password, lane: Lane) -> Result<Hashed, HashFault> {
        self.run(lane, move || {
            let hashed = Argon2::default().hash_password(password.0.as_bytes());
            hashed
                .map(|hashed| Hashed(hashed.to_string()))
                .map_err(|_| HashFault::Failed)
        })
        .await?
    }

    /// Whether `password` is the one that was hashed. Without a hash it returns `false` after the
    /// same work.
    ///
    /// # Errors
    ///
    /// [`HashFault`].
    pub async fn matches(
        &self,
        password: Password,
        hashed: Option<Hashed>,
        lane: Lane,
    ) -> Result<bool, HashFault> {
        if password.is_too_long() {
            return Ok(false);
        }
        self.run(lane, move || {
            let kept = hashed.as_ref().map_or(NOBODY, |hashed| &hashed.0);
            let same = Argon2::default().verify_password(password.0.as_bytes(), kept);
            same.is_ok() && hashed.is_some()
        })
        .await
    }

    /// Runs `work` on a thread for blocking work, when it is its turn.
    async fn run<T: Send + 'static>(
        &self,
        lane: Lane,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, HashFault> {
        let turn = self.0.wait(lane).await?;
        // The turn ends with the work, even if the client has disconnected meanwhile.
        spawn_blocking(move || {
            let done = work();
            drop(turn);
            done
        })
        .await
        .map_err(|_| HashFault::Failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name() -> Name {
        Name::parse("anna.k").unwrap()
    }

    #[test]
    fn a_new_password_is_long_and_not_the_name() {
        let problem = |text: &str| Password::new(text, &name()).err();
        assert_eq!(problem("correct horse"), None);
        assert_eq!(problem("äöüäöüäöüäöü"), None, "characters are counted");
        assert_eq!(problem("elevenchars"), Some(PasswordProblem::Short));
        assert_eq!(problem(""), Some(PasswordProblem::Short));
        for text in ["anna.k", "Anna.K", " anna.k ", "anna.kanna.kanna.k"] {
            assert_eq!(problem(text), Some(PasswordProblem::Name), "{text}");
        }
        assert_eq!(problem(&"x".repeat(1_025)), Some(PasswordProblem::Long));
        assert_eq!(format!("{:?}", Password::typed("secret")), "Password(..)");
    }

    #[tokio::test]
    async fn a_password_is_known_again_and_no_other() {
        let (hash, right) = (Hasher::default(), Password::typed("correct horse"));
        let kept = hash.hash(right.clone(), Lane::Known).await.unwrap();
        assert!(kept.0.starts_with("$argon2id$v=19$"), "{}", kept.0);
        assert_ne!(
            kept,
            hash.hash(right.clone(), Lane::Known).await.unwrap(),
            "each has its salt"
        );
        let wrong = Password::typed("correct horse ");
        assert!(
            hash.matches(right.clone(), Some(kept.clone()), Lane::Known)
                .await
                .unwrap()
        );
        let other = hash.matches(wrong, Some(kept), Lane::Known).await;
        assert!(!other.unwrap());
        assert!(!hash.matches(right, None, Lane::Known).await.unwrap());
        assert_eq!(hash.turns().had(), 5);
    }

    /// Otherwise the time would reveal which names exist.
    #[tokio::test]
    async fn nobodys_hash_costs_what_all_others_cost() {
        let hashed = Hasher::default()
            .hash(Password::typed("correct horse"), Lane::Known)
            .await
            .unwrap();
        let cost = |hashed: &str| hashed.split('$').take(4).collect::<Vec<_>>().join("$");
        assert_eq!(cost(&hashed.0), cost(NOBODY));
        let parts: Vec<_> = NOBODY.split('$').map(str::len).collect();
        let others: Vec<_> = hashed.0.split('$').map(str::len).collect();
        assert_eq!(parts[5], others[5]);
        argon2::password_hash::phc::PasswordHash::new(NOBODY).unwrap();
    }
}
