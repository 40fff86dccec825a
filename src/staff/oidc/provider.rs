//! Asks the OpenID provider: where to send browsers, what a code is worth, whom a logout is about.
//!
//! Its discovery document and keys are kept for an hour, and fetched anew when a token is signed by
//! a key that is not among them, at most once a minute. Where the provider gives no answer, it is
//! not asked again for `RETRY`: nobody waits behind the others.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use openidconnect::{
    AccessToken, AuthType, AuthenticationContextClass, AuthenticationFlow, AuthorizationCode,
    Client as OidcClient, ClientId, ClientSecret, CsrfToken, DiscoveryError, EmptyExtraTokenFields,
    EndpointMaybeSet, EndpointNotSet, EndpointSet, IdToken, IdTokenClaims, IdTokenFields,
    IssuerUrl, Nonce, OAuth2TokenResponse as _, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl,
    RequestTokenError, Scope, StandardErrorResponse, StandardTokenResponse, SubjectIdentifier,
    TokenResponse as _,
    core::{
        CoreAuthDisplay, CoreAuthPrompt, CoreClientAuthMethod, CoreErrorResponseType,
        CoreGenderClaim, CoreJsonWebKey, CoreJweContentEncryptionAlgorithm,
        CoreJwsSigningAlgorithm, CoreProviderMetadata, CoreResponseType, CoreRevocableToken,
        CoreRevocationErrorResponse, CoreTokenIntrospectionResponse, CoreTokenType,
    },
};
use tokio::sync::Mutex;

use super::{
    Claims, Person, Told,
    attempt::{Attempt, Purpose},
    client::{Away, Client},
};
use crate::{
    secret::Secret,
    web::{origin::Origin, sign_in::Oidc},
};

/// Where the provider sends browsers back to.
pub const CALLBACK: &str = "/staff/sign-in/oidc/callback";
/// How long its documents are kept.
const KEPT: Duration = Duration::from_hours(1);
/// Between two looks for keys that are not there.
const LOOK_AGAIN: Duration = Duration::from_mins(1);
/// After no answer, none is waited for in this time.
const RETRY: Duration = Duration::from_secs(5);
/// How old a logout token may be.
const LOGOUT_AGE: Duration = Duration::from_mins(5);
/// The event of a logout token (OpenID Connect Back-Channel Logout 1.0, 2.4).
const LOGOUT: &str = "http://schemas.openid.net/event/backchannel-logout";

type IdClaims = IdTokenClaims<Claims, CoreGenderClaim>;
type SignedToken =
    IdToken<Claims, CoreGenderClaim, CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm>;
type Fields = IdTokenFields<
    Claims,
    EmptyExtraTokenFields,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJwsSigningAlgorithm,
>;
type Known = OidcClient<
    Claims,
    CoreAuthDisplay,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJsonWebKey,
    CoreAuthPrompt,
    StandardErrorResponse<CoreErrorResponseType>,
    StandardTokenResponse<Fields, CoreTokenType>,
    CoreTokenIntrospectionResponse,
    CoreRevocableToken,
    CoreRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

/// Why the provider's word is not taken. No value of what it said is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It gives no answer, or none that can be read.
    #[error("the OpenID provider cannot be asked")]
    Away,
    /// It does not take the portal's id and secret, or not for this.
    #[error("the OpenID provider does not take PIC_OIDC_CLIENT_ID and PIC_OIDC_CLIENT_SECRET")]
    Client,
    /// It does not take the code.
    #[error("the OpenID provider does not take the code that it gave out")]
    Refused,
    /// What it says is not signed by it, not for the portal, not of this attempt, or too old.
    #[error("the token of the OpenID provider is not valid")]
    Invalid,
}

impl From<Away> for Fault {
    fn from(Away: Away) -> Self {
        Self::Away
    }
}

/// Why the provider's documents are of no use, for its operator. No value of what it said is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// This machine trusts no authority.
    #[error("this machine has no root certificates")]
    NoRoots,
    /// It gives no answer.
    #[error("it gives no answer")]
    NoAnswer,
    /// Its answer has this HTTP status.
    #[error("it answers with HTTP status {0}")]
    Status(u16),
    /// Its answer is something else.
    #[error("its answer is no discovery document, or no key set")]
    Unreadable,
    /// The document is another issuer's.
    #[error("its discovery document has another issuer than PIC_OIDC_ISSUER")]
    OtherIssuer,
    /// Nothing that it signs can be checked.
    #[error("its key set is empty")]
    NoKeys,
}

/// Fetches the documents of the provider with these settings, and looks whether they can be used.
///
/// # Errors
///
/// [`Trouble`].
pub async fn look(oidc: &Oidc) -> Result<(), Trouble> {
    let http = client(oidc).map_err(|_| Trouble::NoRoots)?;
    let metadata = metadata(oidc, &http).await?;
    if metadata.jwks().keys().is_empty() {
        return Err(Trouble::NoKeys);
    }
    Ok(())
}

fn client(oidc: &Oidc) -> std::io::Result<Client> {
    Client::new(oidc.issuer.starts_with("http:"))
}

async fn metadata(oidc: &Oidc, http: &Client) -> Result<CoreProviderMetadata, Trouble> {
    let issuer = IssuerUrl::new(oidc.issuer.clone()).map_err(|_| Trouble::OtherIssuer)?;
    let metadata = CoreProviderMetadata::discover_async(issuer, http).await;
    // The error has the document in it: nothing of it is told.
    metadata.map_err(|error| match error {
        DiscoveryError::Request(Away) => Trouble::NoAnswer,
        DiscoveryError::Response(status, ..) if !status.is_success() => {
            Trouble::Status(status.as_u16())
        }
        DiscoveryError::Validation(_) => Trouble::OtherIssuer,
        _ => Trouble::Unreadable,
    })
}

/// What was fetched of the provider, and when; `None`: it gave no answer.
#[derive(Debug)]
struct Fetched {
    at: Instant,
    documents: Option<Arc<Documents>>,
}

#[derive(Debug)]
struct Documents {
    client: Known,
    /// Whether there is a scope named like the claim with the groups.
    has_group_scope: bool,
}

/// The OpenID provider of the settings.
#[derive(Debug)]
pub struct Provider {
    /// The settings.
    pub oidc: Oidc,
    redirect: RedirectUrl,
    http: Client,
    fetched: Mutex<Option<Fetched>>,
}

/// Whom a logout is about, as the provider names them.
#[derive(Clone, Debug)]
pub struct Logout {
    /// The subject.
    pub subject: String,
    /// The session; `None`: all of the subject.
    pub session: Option<String>,
}

impl Provider {
    /// The provider of these settings, for the portal at `public_url`; `None`, with a line in the
    /// log, where this machine cannot ask any.
    #[must_use]
    pub fn new(oidc: &Oidc, public_url: &Origin) -> Option<Self> {
        let http = client(oidc)
            .inspect_err(|error| {
                tracing::error!(%error, "nobody can sign in at the OpenID provider: this machine has no root certificates");
            })
            .ok()?;
        let redirect = RedirectUrl::new(format!("{}{CALLBACK}", public_url.as_str())).ok()?;
        Some(Self {
            oidc: oidc.clone(),
            redirect,
            http,
            fetched: Mutex::default(),
        })
    }

    /// Its documents, not older than `most`.
    async fn documents(&self, most: Duration) -> Result<Arc<Documents>, Fault> {
        let mut fetched = self.fetched.lock().await;
        if let Some(Fetched { at, documents }) = &*fetched {
            let kept = if documents.is_some() { most } else { RETRY };
            if at.elapsed() < kept {
                return documents.clone().ok_or(Fault::Away);
            }
        }
        let documents = self.fetch().await.map(Arc::new);
        let at = Instant::now();
        *fetched = Some(Fetched {
            at,
            documents: documents.clone().ok(),
        });
        documents
    }

    async fn fetch(&self) -> Result<Documents, Fault> {
        let metadata = metadata(&self.oidc, &self.http).await;
        let metadata = metadata.map_err(|_| Fault::Away)?;
        let groups = Scope::new(self.oidc.groups_claim.clone());
        let has_group_scope = metadata
            .scopes_supported()
            .is_some_and(|scopes| scopes.contains(&groups));
        let methods = metadata.token_endpoint_auth_methods_supported();
        let by_post = methods.is_some_and(|methods| {
            methods.contains(&CoreClientAuthMethod::ClientSecretPost)
                && !methods.contains(&CoreClientAuthMethod::ClientSecretBasic)
        });
        let client = Known::from_provider_metadata(
            metadata,
            ClientId::new(self.oidc.client_id.clone()),
            Some(ClientSecret::new(self.oidc.client_secret.0.clone())),
        );
        Ok(Documents {
            client: client
                .set_redirect_uri(self.redirect.clone())
                .set_auth_type(if by_post {
                    AuthType::RequestBody
                } else {
                    AuthType::BasicAuth
                }),
            has_group_scope,
        })
    }

    /// The address at the provider to which the browser is sent.
    ///
    /// # Errors
    ///
    /// [`Fault::Away`].
    pub async fn address(&self, attempt: &Attempt, secret: &Secret) -> Result<String, Fault> {
        let documents = self.documents(KEPT).await?;
        let (state, nonce) = (attempt.state(secret), attempt.nonce(secret));
        let verifier = PkceCodeVerifier::new(attempt.verifier(secret));
        let mut asked = documents
            .client
            .authorize_url(
                AuthenticationFlow::<CoreResponseType>::AuthorizationCode,
                move || CsrfToken::new(state),
                move || Nonce::new(nonce),
            )
            .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier));
        if documents.has_group_scope {
            asked = asked.add_scope(Scope::new(self.oidc.groups_claim.clone()));
        }
        match attempt.purpose {
            Purpose::SignIn => {}
            Purpose::Confirm => asked = asked.add_prompt(CoreAuthPrompt::None),
            Purpose::StepUp => {
                asked = asked.set_max_age(self.oidc.step_up.unwrap_or_default());
                for acr in self.oidc.acr.iter().cloned() {
                    asked = asked.add_auth_context_value(AuthenticationContextClass::new(acr));
                }
            }
        }
        let (address, _, _) = asked.url();
        Ok(address.into())
    }

    /// The person for whom the provider gave out `code` in this attempt.
    ///
    /// # Errors
    ///
    /// [`Fault`].
    pub async fn person(
        &self,
        code: String,
        attempt: &Attempt,
        secret: &Secret,
        now: DateTime<Utc>,
    ) -> Result<Person, Fault> {
        let documents = self.documents(KEPT).await?;
        let verifier = PkceCodeVerifier::new(attempt.verifier(secret));
        let tokens = documents
            .client
            .exchange_code(AuthorizationCode::new(code))
            .map_err(|_| Fault::Away)?
            .set_pkce_verifier(verifier)
            .request_async(&self.http)
            .await
            .map_err(|error| match error {
                RequestTokenError::ServerResponse(said) => match said.error() {
                    CoreErrorResponseType::InvalidClient
                    | CoreErrorResponseType::UnauthorizedClient => Fault::Client,
                    _ => Fault::Refused,
                },
                RequestTokenError::Request(_) => Fault::Away,
                _ => Fault::Invalid,
            })?;
        let token = tokens.id_token().ok_or(Fault::Invalid)?;
        let nonce = attempt.nonce(secret);
        let is_nonce = |found: Option<&Nonce>| {
            let is_it = found.is_some_and(|found| *found.secret() == nonce);
            is_it.then_some(()).ok_or_else(String::new)
        };
        let claims = self.verified(token, is_nonce).await?;
        let mut user_info = Claims::default();
        if !claims.additional_claims().has(&self.oidc.groups_claim) {
            user_info = self
                .user_info(&documents, tokens.access_token(), claims.subject())
                .await?;
        }
        let told = Told {
            subject: claims.subject().as_str(),
            signed_in_at: claims.auth_time(),
            acr: claims.auth_context_ref().map(|acr| acr.as_str()),
            id_token: claims.additional_claims(),
            user_info: &user_info,
        };
        Ok(Person::of(told, &self.oidc, secret, now))
    }

    /// What `UserInfo` says of this subject; nothing where the provider has none.
    async fn user_info(
        &self,
        documents: &Documents,
        token: &AccessToken,
        subject: &SubjectIdentifier,
    ) -> Result<Claims, Fault> {
        let asked = documents
            .client
            .user_info(token.clone(), Some(subject.clone()));
        let Ok(asked) = asked else {
            return Ok(Claims::default());
        };
        let told = asked
            .request_async::<Claims, _, CoreGenderClaim>(&self.http)
            .await;
        let told = told.map_err(|error| match error {
            openidconnect::UserInfoError::Request(_) => Fault::Away,
            _ => Fault::Invalid,
        })?;
        Ok(told.additional_claims().clone())
    }

    /// The claims of a token that the provider has signed for the portal.
    async fn verified(
        &self,
        token: &SignedToken,
        nonce: impl Fn(Option<&Nonce>) -> Result<(), String>,
    ) -> Result<IdClaims, Fault> {
        // A key that is not among those kept may be a new one.
        for most in [KEPT, LOOK_AGAIN] {
            let documents = self.documents(most).await?;
            let verifier = documents.client.id_token_verifier();
            let verifier = verifier.allow_all_jose_types();
            if let Ok(claims) = token.claims(&verifier, &nonce) {
                return Ok(claims.clone());
            }
        }
        Err(Fault::Invalid)
    }

    /// Whom this logout token is about.
    ///
    /// # Errors
    ///
    /// [`Fault`].
    pub async fn logout(&self, token: &str, now: DateTime<Utc>) -> Result<Logout, Fault> {
        let token: SignedToken = token.parse().map_err(|_| Fault::Invalid)?;
        let no_nonce = |found: Option<&Nonce>| found.map_or(Ok(()), |_| Err(String::new()));
        let claims = self.verified(&token, no_nonce).await?;
        let more = claims.additional_claims();
        let is_recent = now
            .signed_duration_since(claims.issue_time())
            .abs()
            .to_std();
        if !more.has_event(LOGOUT) || is_recent.is_ok_and(|age| age > LOGOUT_AGE) {
            return Err(Fault::Invalid);
        }
        Ok(Logout {
            subject: claims.subject().to_string(),
            session: more.text("sid").map(str::to_owned),
        })
    }
}
