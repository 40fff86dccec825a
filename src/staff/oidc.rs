//! Signing in at an OpenID provider: who a person is there, and which role that gives at the desk.
//!
//! Authorization code flow with PKCE, `state`, `nonce` and a check of the issuer (OpenID Connect
//! Core 1.0, RFC 7636, RFC 9207). The scope is `openid`, and the one named like the claim with the
//! groups where the provider has it; never `profile` or `email`. Of what the provider says the
//! portal takes the subject, the session, the groups, the time of the sign-in, its `acr`, and the
//! claim of `PIC_OIDC_NAME_CLAIM`; every other claim is dropped where it arrives ([`Person::of`]).
//! Subject and session are kept as HMACs, and tokens nowhere.
//!
//! A session at the desk lasts [`LASTS`], and after each [`CONFIRMED_FOR`] the browser is sent to
//! the provider with `prompt=none` before the next page: so the groups are looked at again, and
//! where the provider cannot be asked or says no, the session is refused.
//!
//! | module | what it does |
//! |---|---|
//! | [`attempt`] | what a browser keeps between leaving for the provider and coming back |
//! | [`provider`] | asks the provider |
//! | [`client`] | the HTTP client for that |
//! | [`store`] | stores the accounts and sessions |

pub mod attempt;
pub mod client;
pub mod provider;
pub mod store;

use std::{collections::HashMap, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use openidconnect::AdditionalClaims;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Name, Role};
use crate::{base32, secret::Secret, web::sign_in::Oidc};

/// How long a session lasts that was opened at the provider.
pub const LASTS: Duration = Duration::from_hours(8);
/// How long the provider's word on a session holds.
pub const CONFIRMED_FOR: Duration = Duration::from_hours(1);
/// A page that is opened this long before that has the session confirmed early, so that a form on
/// it can be sent in peace.
pub const CONFIRMED_AHEAD: Duration = Duration::from_mins(15);

/// The claims of a token that `openidconnect` has no field for, while they are read.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Claims(HashMap<String, Value>);

impl AdditionalClaims for Claims {}

impl Claims {
    /// Whether there is a claim of this name.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// The text of a claim.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str()
    }

    /// Whether the claim `events` has this one.
    #[must_use]
    pub fn has_event(&self, name: &str) -> bool {
        let events = self.0.get("events").and_then(Value::as_object);
        events.is_some_and(|events| events.contains_key(name))
    }

    /// The texts of a claim that is a list, or a single text.
    fn list(&self, name: &str) -> Vec<&str> {
        match self.0.get(name) {
            Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).collect(),
            Some(Value::String(text)) => vec![text],
            _ => Vec::new(),
        }
    }
}

/// What the provider says of a person, before the portal has taken its part.
#[derive(Clone, Copy, Debug)]
pub struct Told<'a> {
    /// The subject.
    pub subject: &'a str,
    /// When the person signed in at the provider.
    pub signed_in_at: Option<DateTime<Utc>>,
    /// How strictly.
    pub acr: Option<&'a str>,
    /// The other claims of the ID token.
    pub id_token: &'a Claims,
    /// The claims of `UserInfo`, where the ID token has no groups.
    pub user_info: &'a Claims,
}

/// What the portal takes of that, and nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// HMAC of issuer and subject.
    pub subject: [u8; 32],
    /// HMAC of issuer and the provider's session, where it names one.
    pub session: Option<[u8; 32]>,
    /// Names for the account: the first that is free is taken.
    pub names: Vec<Name>,
    /// What the groups allow; `None`: nothing.
    pub role: Option<Role>,
    /// How long ago the person signed in at the provider, if it says so and vouches for the `acr`
    /// that is asked for.
    pub proved_ago: Option<Duration>,
}

impl Person {
    /// Takes what the portal needs of what the provider says at `now`.
    #[must_use]
    pub fn of(told: Told<'_>, oidc: &Oidc, secret: &Secret, now: DateTime<Utc>) -> Self {
        let subject = subject(secret, &oidc.issuer, told.subject);
        let with_groups = [told.id_token, told.user_info];
        let groups: Vec<_> = with_groups
            .iter()
            .flat_map(|claims| claims.list(&oidc.groups_claim))
            .collect();
        let is_in = |wanted: &[String]| wanted.iter().any(|it| groups.contains(&it.as_str()));
        let role = if is_in(&oidc.agents) {
            Some(Role::Agent)
        } else {
            is_in(&oidc.readers).then_some(Role::Reader)
        };
        let claimed = oidc.name_claim.as_ref().and_then(|claim| {
            let mut texts = with_groups.iter().filter_map(|claims| claims.text(claim));
            texts.find_map(|text| Name::parse(text).ok())
        });
        let vouched = oidc.acr.is_none() || oidc.acr.as_deref() == told.acr;
        let ago = |at: DateTime<Utc>| (now - at).max(TimeDelta::zero()).to_std().ok();
        Self {
            session: told
                .id_token
                .text("sid")
                .map(|sid| session(secret, &oidc.issuer, sid)),
            names: claimed.into_iter().chain(made_up(&subject)).collect(),
            role,
            proved_ago: told.signed_in_at.filter(|_| vouched).and_then(ago),
            subject,
        }
    }
}

/// The name that the portal makes up for the account of a subject.
fn made_up(subject: &[u8; 32]) -> Option<Name> {
    Name::parse(&format!("sso-{}", base32::encode(&subject[..5]))).ok()
}

/// What is kept of a subject.
#[must_use]
pub fn subject(secret: &Secret, issuer: &str, subject: &str) -> [u8; 32] {
    // A NUL separates them: no issuer has one.
    let both = format!("{issuer}\0{subject}");
    secret.mac(b"pic-portal OpenID subject\0", both.as_bytes())
}

/// What is kept of the provider's session.
#[must_use]
pub fn session(secret: &Secret, issuer: &str, session: &str) -> [u8; 32] {
    let both = format!("{issuer}\0{session}");
    secret.mac(b"pic-portal OpenID session\0", both.as_bytes())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::web::sign_in::ClientSecret;

    fn oidc() -> Oidc {
        Oidc {
            issuer: "https://login.contoso.com".into(),
            client_id: "pic-portal".into(),
            client_secret: ClientSecret("secret".into()),
            groups_claim: "groups".into(),
            readers: vec!["readers".into()],
            agents: vec!["agents".into(), "leads".into()],
            name_claim: None,
            step_up: None,
            acr: None,
        }
    }

    fn claims(claims: &Value) -> Claims {
        serde_json::from_value(claims.clone()).unwrap()
    }

    fn person(oidc: &Oidc, id_token: &Value) -> Person {
        let told = Told {
            subject: "248289761001",
            signed_in_at: Some(DateTime::UNIX_EPOCH),
            acr: Some("mfa"),
            id_token: &claims(id_token),
            user_info: &Claims::default(),
        };
        let secret = Secret::from_bytes(&[1; 32]).unwrap();
        let now = DateTime::UNIX_EPOCH + Duration::from_mins(5);
        Person::of(told, oidc, &secret, now)
    }

    #[test]
    fn groups_give_the_highest_role_and_unknown_ones_nothing() {
        for (groups, role) in [
            (json!(["readers"]), Some(Role::Reader)),
            (json!(["staff", "leads", "readers"]), Some(Role::Agent)),
            (json!("agents"), Some(Role::Agent)),
            (json!(["Agents", "agents ", "agents,readers", ""]), None),
            (json!([["agents"], 1, null, {"agents": true}]), None),
            (json!(null), None),
            (json!({"agents": "agents"}), None),
        ] {
            let person = person(&oidc(), &json!({"groups": groups}));
            assert_eq!(person.role, role, "{groups}");
        }
        assert_eq!(person(&oidc(), &json!({"roles": ["agents"]})).role, None);
        let nobody = Oidc {
            agents: Vec::new(),
            readers: Vec::new(),
            ..oidc()
        };
        assert_eq!(person(&nobody, &json!({"groups": [""]})).role, None);
    }

    #[test]
    fn nothing_else_is_taken_and_a_name_is_no_address() {
        let planted = json!({
            "groups": ["agents"], "sid": "one", "staff_number": "a-17", "upn": "anna@contoso.com",
        });
        let named = |claim: Option<&str>| {
            let name_claim = claim.map(str::to_owned);
            let oidc = Oidc {
                name_claim,
                ..oidc()
            };
            let names = person(&oidc, &planted).names;
            names.iter().map(Name::to_string).collect::<Vec<_>>()
        };
        let made_up = named(None);
        assert!(made_up.len() == 1 && made_up[0].starts_with("sso-"));
        assert_eq!(named(Some("staff_number")), ["a-17", &made_up[0]]);
        assert_eq!(named(Some("upn")), made_up);
        assert_eq!(named(Some("none")), made_up);
        let shown = format!("{:?}", person(&oidc(), &planted));
        assert!(!shown.contains("anna") && !shown.contains("a-17"));
    }

    #[test]
    fn a_proof_is_recent_and_as_strict_as_asked_for() {
        let proved = |acr: Option<&str>| {
            let acr = acr.map(str::to_owned);
            person(&Oidc { acr, ..oidc() }, &json!({})).proved_ago
        };
        let ago = Some(Duration::from_mins(5));
        assert_eq!([proved(None), proved(Some("mfa"))], [ago; 2]);
        assert_eq!(proved(Some("phr")), None);
    }

    #[test]
    fn another_issuer_has_other_subjects() {
        let secret = Secret::from_bytes(&[1; 32]).unwrap();
        let one = subject(&secret, "https://a.example", "1");
        assert_ne!(one, subject(&secret, "https://b.example", "1"));
        assert_ne!(one, subject(&secret, "https://a.example", "2"));
        assert_ne!(one, session(&secret, "https://a.example", "1"));
    }
}
