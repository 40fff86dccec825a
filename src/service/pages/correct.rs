//! What an edit starts from: what is in force, or what the pending request asks for, which it corrects.

use crate::{
    agreement::AgreementNumber,
    db::PgPool,
    error::Error,
    names::{EdgeRoutes, SipDomain},
    request::{Deployment, Kind, form::RequestForm, loader::store::look_up, reference::Reference},
    service::store::Service,
};

/// What an edit changes.
pub(super) struct Basis {
    /// The pending request that is corrected; `None`: the service is updated.
    pub(super) corrects: Option<Reference>,
    pub(super) routes: Vec<EdgeRoutes>,
    pub(super) deployment: Option<Deployment>,
    /// The agreement number, where it can be corrected: while the first request is pending.
    pub(super) number: Option<AgreementNumber>,
}

impl Basis {
    /// What is in force.
    pub(super) fn in_force(service: &Service) -> Self {
        Self {
            corrects: None,
            routes: service.routes.clone(),
            deployment: service.deployment,
            number: None,
        }
    }

    /// What the pending request asks for; `None`: there is none, or it cancels the service.
    pub(super) async fn pending(pool: &PgPool, service: &Service) -> Result<Option<Self>, Error> {
        let pending = service.pending();
        let Some(pending) = pending.filter(|it| it.facts.kind != Kind::Cancel) else {
            return Ok(None);
        };
        let request = look_up(pool, pending.reference).await?;
        Ok(request.map(|request| Self {
            corrects: Some(request.reference),
            routes: request.routes,
            deployment: request.deployment,
            number: (request.kind == Kind::Initiate).then_some(request.number),
        }))
    }

    /// What a form with this `corrects` changes; `None`: that request is no longer pending.
    pub(super) async fn of(
        pool: &PgPool,
        service: &Service,
        corrects: &str,
    ) -> Result<Option<Self>, Error> {
        if corrects.is_empty() {
            return Ok(Some(Self::in_force(service)));
        }
        let pending = Self::pending(pool, service).await?;
        Ok(pending.filter(|it| it.corrects() == corrects))
    }

    /// The value of the field `corrects`.
    pub(super) fn corrects(&self) -> String {
        self.corrects
            .map(|reference| reference.to_string())
            .unwrap_or_default()
    }

    /// The form filled in with it.
    pub(super) fn form(&self) -> RequestForm {
        let mut form = RequestForm::blank();
        if !self.routes.is_empty() {
            form.edge = self.routes.iter().map(|of| of.edge.to_string()).collect();
            form.domains = self.routes.iter().map(|of| lines(&of.domains)).collect();
        }
        form.number = self.number.as_ref().map_or("", |it| it.as_str()).into();
        form.deployment = self.deployment.map_or("", Deployment::as_str).into();
        form
    }
}

fn lines(domains: &[SipDomain]) -> String {
    domains
        .iter()
        .map(SipDomain::as_str)
        .collect::<Vec<_>>()
        .join("\n")
}
