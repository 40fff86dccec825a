//! Reads the settings of how staff sign in.

use std::path::PathBuf;

use axum::http::Uri;
use clap::Args;

use super::{Wrong, duration, first_line, set, wrong, yes};
use crate::web::sign_in::{ClientSecret, Oidc, StaffSignIn};

/// The settings as given, not looked at yet.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "How staff sign in")]
pub struct SignInGiven {
    /// Whether staff may sign in by password; `false` needs `PIC_OIDC_ISSUER` [default: true]
    #[arg(long, env = "PIC_STAFF_PASSWORDS", value_name = "BOOL")]
    pub staff_passwords: Option<String>,
    /// OpenID provider at which staff sign in, like `https://login.contoso.com`; an issuer whose
    /// discovery document is below it [default: none]
    #[arg(long, env = "PIC_OIDC_ISSUER", value_name = "URL")]
    pub oidc_issuer: Option<String>,
    /// Name under which the portal is registered at the provider
    #[arg(long, env = "PIC_OIDC_CLIENT_ID", value_name = "ID")]
    pub oidc_client_id: Option<String>,
    /// Secret of that registration
    #[arg(
        long,
        env = "PIC_OIDC_CLIENT_SECRET",
        value_name = "SECRET",
        hide_env_values = true
    )]
    pub oidc_client_secret: Option<String>,
    /// File with that secret in its first line; instead of `PIC_OIDC_CLIENT_SECRET`
    #[arg(long, env = "PIC_OIDC_CLIENT_SECRET_FILE", value_name = "FILE")]
    pub oidc_client_secret_file: Option<PathBuf>,
    /// Claim with the groups of a person, in the ID token or at the provider's `UserInfo` [default:
    /// groups]
    #[arg(long, env = "PIC_OIDC_GROUPS_CLAIM", value_name = "CLAIM")]
    pub oidc_groups_claim: Option<String>,
    /// Groups whose members may look, with commas between them [default: none]
    #[arg(long, env = "PIC_OIDC_READERS", value_name = "GROUPS")]
    pub oidc_readers: Option<String>,
    /// Groups whose members may look and act, with commas between them [default: none]
    #[arg(long, env = "PIC_OIDC_AGENTS", value_name = "GROUPS")]
    pub oidc_agents: Option<String>,
    /// Claim that names the account at the desk and in the audit, where its value is of the form of
    /// such a name; never an email address [default: none, and the portal makes a name up]
    #[arg(long, env = "PIC_OIDC_NAME_CLAIM", value_name = "CLAIM")]
    pub oidc_name_claim: Option<String>,
    /// How long ago a person may have signed in at the provider, at most, to refuse a request or
    /// cancel a service; the provider asks again after that [default: none]
    #[arg(long, env = "PIC_OIDC_STEP_UP", value_name = "TIME")]
    pub oidc_step_up: Option<String>,
    /// The `acr` that the provider has to vouch for, to refuse a request or cancel a service; needs
    /// `PIC_OIDC_STEP_UP` [default: none]
    #[arg(long, env = "PIC_OIDC_ACR", value_name = "ACR")]
    pub oidc_acr: Option<String>,
}

impl SignInGiven {
    /// Checks these settings.
    pub(super) fn sign_in(&self) -> Result<StaffSignIn, Wrong> {
        let passwords = match set(self.staff_passwords.as_ref()) {
            None => true,
            Some(_) => yes("PIC_STAFF_PASSWORDS", self.staff_passwords.as_ref())?,
        };
        let oidc = set(self.oidc_issuer.as_ref());
        let oidc = oidc.map(|issuer| self.oidc(issuer)).transpose()?;
        if !passwords && oidc.is_none() {
            return Err(wrong(
                "PIC_STAFF_PASSWORDS",
                "is false while PIC_OIDC_ISSUER is not set: nobody could sign in",
                "true",
            ));
        }
        Ok(StaffSignIn { passwords, oidc })
    }

    fn oidc(&self, issuer: &str) -> Result<Oidc, Wrong> {
        let text = |value: &Option<String>| set(value.as_ref()).map(str::to_owned);
        let needed = |variable, value: &Option<String>, example| {
            let fault = "is not set, and PIC_OIDC_ISSUER is";
            text(value).ok_or_else(|| wrong(variable, fault, example))
        };
        let oidc = Oidc {
            issuer: self::issuer(issuer)?,
            client_id: needed("PIC_OIDC_CLIENT_ID", &self.oidc_client_id, "pic-portal")?,
            client_secret: ClientSecret(needed(
                "PIC_OIDC_CLIENT_SECRET",
                &self.client_secret()?,
                "what the provider gave out",
            )?),
            groups_claim: text(&self.oidc_groups_claim).unwrap_or_else(|| "groups".into()),
            readers: groups(self.oidc_readers.as_ref()),
            agents: groups(self.oidc_agents.as_ref()),
            name_claim: text(&self.oidc_name_claim),
            step_up: set(self.oidc_step_up.as_ref())
                .map(|_| duration("PIC_OIDC_STEP_UP", self.oidc_step_up.as_ref(), "15m"))
                .transpose()?,
            acr: text(&self.oidc_acr),
        };
        if oidc.readers.is_empty() && oidc.agents.is_empty() {
            return Err(wrong(
                "PIC_OIDC_AGENTS",
                "is not set, and neither is PIC_OIDC_READERS: nobody could sign in",
                "federation-desk",
            ));
        }
        if oidc.acr.is_some() && oidc.step_up.is_none() {
            let fault = "is set while PIC_OIDC_STEP_UP is not";
            return Err(wrong("PIC_OIDC_ACR", fault, "mfa"));
        }
        if oidc.name_claim.as_deref() == Some("email") {
            return Err(wrong(
                "PIC_OIDC_NAME_CLAIM",
                "is email: no email address is kept",
                "staff_number",
            ));
        }
        Ok(oidc)
    }

    /// The client secret, from the setting or from a file.
    fn client_secret(&self) -> Result<Option<String>, Wrong> {
        const FILE: &str = "PIC_OIDC_CLIENT_SECRET_FILE";
        const EXAMPLE: &str = "/etc/pic-portal/oidc-secret";
        let in_file = first_line(FILE, self.oidc_client_secret_file.as_ref(), EXAMPLE)?;
        let given = set(self.oidc_client_secret.as_ref()).map(str::to_owned);
        if given.is_some() && in_file.is_some() {
            let fault = "is set, and PIC_OIDC_CLIENT_SECRET too: take one of them back";
            return Err(wrong(FILE, fault, EXAMPLE));
        }
        Ok(given.or(in_file))
    }
}

fn groups(value: Option<&String>) -> Vec<String> {
    let names = set(value).unwrap_or_default().split(',').map(str::trim);
    let names = names.filter(|name| !name.is_empty());
    names.map(str::to_owned).collect()
}

/// Over plain HTTP on this machine alone: the answers decide who gets in.
fn issuer(text: &str) -> Result<String, Wrong> {
    let is_sound = text.parse().is_ok_and(|url: Uri| {
        let is_local = matches!(url.host(), Some("127.0.0.1" | "[::1]" | "localhost"));
        let is_safe = url.scheme_str() == Some("https") || is_local;
        url.scheme().is_some() && is_safe && url.query().is_none()
    });
    if is_sound {
        return Ok(text.to_owned());
    }
    Err(wrong(
        "PIC_OIDC_ISSUER",
        "is not an address that begins with https://",
        "https://login.contoso.com",
    ))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// All that a provider needs.
    pub(in super::super) fn given() -> SignInGiven {
        SignInGiven {
            oidc_issuer: Some("https://login.contoso.com".into()),
            oidc_client_id: Some("pic-portal".into()),
            oidc_client_secret: Some("secret".into()),
            oidc_agents: Some("agents, leads,".into()),
            ..SignInGiven::default()
        }
    }

    #[test]
    fn a_provider_has_all_that_it_needs_or_the_start_says_what_is_missing() {
        let oidc = given().sign_in().unwrap().oidc.unwrap();
        assert_eq!(oidc.groups_claim, "groups");
        assert_eq!((oidc.readers.len(), oidc.agents.len()), (0, 2));
        assert!(!format!("{oidc:?}").contains("\"secret\""));
        let missing = |change: fn(&mut SignInGiven)| {
            let mut given = given();
            change(&mut given);
            given.sign_in().unwrap_err().variable
        };
        assert_eq!(missing(|g| g.oidc_client_id = None), "PIC_OIDC_CLIENT_ID");
        assert_eq!(
            missing(|g| g.oidc_client_secret = Some(" ".into())),
            "PIC_OIDC_CLIENT_SECRET"
        );
        assert_eq!(
            missing(|g| g.oidc_agents = Some(" , ".into())),
            "PIC_OIDC_AGENTS"
        );
        assert_eq!(missing(|g| g.oidc_acr = Some("mfa".into())), "PIC_OIDC_ACR");
        let both = |g: &mut SignInGiven| g.oidc_client_secret_file = Some("Cargo.toml".into());
        assert_eq!(missing(both), "PIC_OIDC_CLIENT_SECRET_FILE");
        let mut in_file = given();
        both(&mut in_file);
        in_file.oidc_client_secret = None;
        let oidc = in_file.sign_in().unwrap().oidc.unwrap();
        assert_eq!(oidc.client_secret.0, "[package]");
        let mut alone = given();
        alone.staff_passwords = Some("false".into());
        assert!(!alone.sign_in().unwrap().passwords);
        assert!(SignInGiven::default().sign_in().unwrap().passwords);
    }

    #[test]
    fn plain_http_is_for_this_machine_alone() {
        for issuer in ["http://127.0.0.1:3000", "http://localhost/realms/desk"] {
            assert!(super::issuer(issuer).is_ok(), "{issuer}");
        }
        for issuer in ["http://127.0.0.1.example", "http://10.0.0.1", "127.0.0.1"] {
            assert!(super::issuer(issuer).is_err(), "{issuer}");
        }
    }
}
