//! Handles the buttons of a form with edges, for requests and services.

use std::{convert::Infallible, sync::Arc};

use axum::{
    extract::{FromRef, FromRequestParts},
    http::request::Parts,
};

use super::fields::PutOff;
use crate::{
    db::notify::Notifier,
    error::Error,
    request::{
        form::{Action, Checked, FieldError, RequestForm},
        queue::{NotStored, Queue},
        reference::SubmissionId,
    },
    server::network::Network,
    web::{client::Client, site::Site},
};

/// The most domains that may wait for their check, in total.
const MOST_PENDING: u64 = 1_000_000;

/// Handles the buttons of a form.
pub(crate) struct FormFlow {
    pub(crate) site: Arc<Site>,
    pub(crate) queue: Queue,
    pub(crate) network: Network,
    notifier: Notifier,
}

/// What to do with a form.
pub(crate) enum Step {
    /// Show it again, with these errors.
    Show(Vec<FieldError>),
    /// Show it again to be sent later: it cannot be accepted now.
    Later(PutOff),
    /// Show the review.
    Review(Checked),
    /// Store the request.
    Submit(Checked),
}

impl FormFlow {
    /// The step of the pressed button; *add*, *remove* and *use these* change the form.
    ///
    /// # Errors
    ///
    /// [`Error::OtherFields`] for a button that the form does not have.
    pub(crate) fn step(&self, form: &mut RequestForm) -> Result<Step, Error> {
        let action = Action::parse(&form.action).ok_or(Error::OtherFields)?;
        if action == Action::Submit {
            if let Err(too_many) = self.site.throttle.submits.take(self.network) {
                return Ok(Step::Later(PutOff::TooMany(too_many)));
            }
            // Before the form is checked: refusing what cannot be stored should cost little.
            if let Err(full) = self.queue.admit() {
                return Ok(Step::Later(PutOff::NotStored(full)));
            }
        }
        match action {
            Action::Change => {}
            Action::AddEdge => form.add_edge(),
            Action::RemoveEdge(place) => form.remove_edge(place),
            Action::Review | Action::UseThese | Action::Submit => {
                if action == Action::UseThese {
                    form.take_offers();
                }
                return Ok(match form.check() {
                    Ok(checked) if action == Action::Submit => Step::Submit(checked),
                    Ok(checked) => Step::Review(checked),
                    Err(errors) => {
                        // An invalid id is replaced, so that the next submit works.
                        if SubmissionId::parse(&form.submission_id).is_none() {
                            form.submission_id = SubmissionId::random().to_field();
                        }
                        Step::Show(errors)
                    }
                });
            }
        }
        // A form that another page filled in has no id yet.
        if SubmissionId::parse(&form.submission_id).is_none() {
            form.submission_id = SubmissionId::random().to_field();
        }
        Ok(Step::Show(Vec::new()))
    }

    /// Counts `domains` if the network may ask for that many now. Where checks are off there is no
    /// limit.
    ///
    /// # Errors
    ///
    /// Why not; then nothing is counted.
    pub(crate) fn admit(&self, domains: usize) -> Result<(), PutOff> {
        if self.site.checks.checker().is_none() {
            return Ok(());
        }
        if self.notifier.pending_domains() >= MOST_PENDING {
            return Err(PutOff::NotStored(NotStored::Full));
        }
        let taken = self.site.throttle.domains.take(self.network, domains);
        taken.map_err(PutOff::TooMany)
    }
}

impl<S> FromRequestParts<S> for FormFlow
where
    Arc<Site>: FromRef<S>,
    Queue: FromRef<S>,
    Notifier: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let Client(network) = Client::from_request_parts(parts, state).await?;
        Ok(Self {
            site: Arc::from_ref(state),
            queue: Queue::from_ref(state),
            network,
            notifier: Notifier::from_ref(state),
        })
    }
}
