//! The settings of how staff sign in: by password, at an OpenID provider, or either.

use std::{fmt, time::Duration};

/// How staff sign in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaffSignIn {
    /// Whether accounts with passwords may sign in.
    pub passwords: bool,
    /// The OpenID provider at which staff sign in, if there is one.
    pub oidc: Option<Oidc>,
}

impl Default for StaffSignIn {
    fn default() -> Self {
        Self {
            passwords: true,
            oidc: None,
        }
    }
}

/// An OpenID provider, and what the portal takes from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Oidc {
    /// Its issuer, as its discovery document has it.
    pub issuer: String,
    /// The name under which the portal is registered there.
    pub client_id: String,
    /// The secret of that registration.
    pub client_secret: ClientSecret,
    /// The claim with the groups of a person.
    pub groups_claim: String,
    /// Groups whose members are readers.
    pub readers: Vec<String>,
    /// Groups whose members are agents.
    pub agents: Vec<String>,
    /// The claim that names the account at the desk; `None`: the portal makes a name up.
    pub name_claim: Option<String>,
    /// How long ago a person may have signed in at the provider, at most, to refuse or cancel;
    /// `None`: as long ago as the session began.
    pub step_up: Option<Duration>,
    /// The `acr` that the provider has to vouch for, to refuse or cancel; `None`: any.
    pub acr: Option<String>,
}

/// The secret by which the portal authenticates to the provider. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientSecret(pub String);

impl fmt::Debug for ClientSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientSecret(..)")
    }
}
