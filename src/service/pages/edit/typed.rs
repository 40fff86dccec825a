//! What is typed into the form that changes a service, and how it is carried from page to page.

use serde::Deserialize;

use super::super::correct::Basis;
use crate::{
    request::{
        form::RequestForm,
        pages::{fields::hidden_edges, view::Hidden},
    },
    service::store::Service,
};

/// The fields of `POST /service/edit` (`docs/design.md#contract`): those of a request without
/// programme, number and terms.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct EditForm {
    pub(super) edge: Vec<String>,
    pub(super) domains: Vec<String>,
    pub(super) deployment: String,
    pub(super) submission_id: String,
    pub(super) confirm_edge_change: String,
    /// The pending request that is corrected; empty for an update.
    pub(super) corrects: String,
    pub(super) action: String,
    /// The agreement number of the first request, which is corrected; empty: it stays as it is.
    corrected_number: String,
    /// With `management_key`: signs in again, where the session has ended.
    pub(super) number: String,
    pub(super) management_key: String,
}

impl EditForm {
    /// Makes a request's form of it, with what the service knows already, so that the same rules
    /// apply.
    pub(super) fn into_request(self, service: Option<&Service>) -> RequestForm {
        RequestForm {
            programme: service.map_or("", |it| it.programme.as_str()).into(),
            number: service.map_or("", |it| it.number.as_str()).into(),
            edge: self.edge,
            domains: self.domains,
            deployment: self.deployment,
            terms: "on".into(),
            submission_id: self.submission_id,
            action: self.action,
            ..RequestForm::default()
        }
    }

    /// The same, with the agreement number that it corrects, if it does.
    pub(super) fn into_corrected(mut self, service: &Service, basis: &Basis) -> RequestForm {
        let number = std::mem::take(&mut self.corrected_number);
        let mut form = self.into_request(Some(service));
        if basis.number.is_some() && !number.is_empty() {
            form.number = number;
        }
        form
    }

    /// Everything that was typed, as hidden fields of the form that signs in again. What was to be
    /// sent is reviewed first. Empty where there was nothing.
    pub(super) fn kept(self) -> Vec<Hidden> {
        if self.action.is_empty() {
            return Vec::new();
        }
        let action = match self.action.as_str() {
            "submit" => "review",
            action => action,
        };
        let more = [
            Hidden::new("action", action),
            Hidden::new("corrects", &self.corrects),
            Hidden::new("corrected_number", &self.corrected_number),
        ];
        let mut kept = typed(&self.into_request(None));
        kept.extend(more);
        kept
    }
}

/// Everything that was typed, as hidden fields.
pub(super) fn hidden(basis: &Basis, form: &RequestForm) -> Vec<Hidden> {
    let mut hidden = typed(form);
    if basis.corrects.is_some() {
        hidden.push(Hidden::new("corrects", basis.corrects()));
    }
    if basis.number.is_some() {
        hidden.push(Hidden::new("corrected_number", &form.number));
    }
    hidden
}

/// What was typed of the routes.
pub(super) fn typed(form: &RequestForm) -> Vec<Hidden> {
    let mut hidden: Vec<_> = hidden_edges(form).collect();
    hidden.extend([
        Hidden::new("deployment", &form.deployment),
        Hidden::new("submission_id", &form.submission_id),
    ]);
    hidden
}
