//! Caches the empty form, of which only the submission id differs for each client.
//!
//! Everything else is the same while the portal runs, so it is rendered once, and the id is
//! inserted. The page is neither cached by clients nor compressed: two clients with one id would be
//! taken for one, and the length of a form that comes back with what was typed must not reveal it
//! (BREACH).

use std::sync::{Arc, OnceLock};

use askama::Template as _;
use axum::{
    http::header,
    response::{IntoResponse as _, Response},
};

use super::form;
use crate::{
    error::Error,
    request::{form::RequestForm, reference::SubmissionId},
    web::{HTML, site::Site},
};

/// The empty form, rendered at its first use. Cheap to clone; clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct BlankForm(Arc<OnceLock<Halves>>);

/// The page before its submission id, and after it.
#[derive(Debug)]
struct Halves {
    before: String,
    after: String,
}

impl Halves {
    /// Splits `page` at the only place of `id` in it.
    fn around(id: &str, page: &str) -> Option<Self> {
        let (before, after) = page.split_once(id)?;
        (!after.contains(id)).then(|| Self {
            before: before.to_owned(),
            after: after.to_owned(),
        })
    }

    /// The page with `id` inserted.
    fn with(&self, id: &str) -> String {
        [&self.before, id, &self.after].concat()
    }
}

impl BlankForm {
    /// The empty form with a submission id of its own.
    pub(super) fn show(&self, site: &Site) -> Result<Response, Error> {
        let body = if let Some(blank) = self.0.get() {
            blank.with(&SubmissionId::random().to_field())
        } else {
            let form = RequestForm::blank();
            let page = form::view(site, &form, &[]).render()?;
            if let Some(blank) = Halves::around(&form.submission_id, &page) {
                self.0.get_or_init(|| blank);
            }
            page
        };
        Ok(([(header::CONTENT_TYPE, HTML)], body).into_response())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_place_is_found_or_none() {
        let blank = Halves::around("id", "<id>").unwrap();
        assert_eq!(blank.with("another"), "<another>");
        assert!(Halves::around("id", "<>").is_none());
        assert!(Halves::around("id", "<id id>").is_none());
    }
}
