//! Renders errors, as a page or as `application/problem+json` (RFC 9457).

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use askama::Template;
use axum::{
    body::Bytes,
    extract::Request,
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
};

use super::{
    HTML, accept,
    parts::Way,
    rendered,
    shell::{Section, Shell},
    site::Site,
};
use crate::error::Problem;

/// The page for an error. It says what to do next, never what failed inside.
#[derive(Clone, Debug, Template)]
#[template(path = "error.html")]
struct ErrorPage<'a> {
    /// The frame of the page.
    shell: Shell<'a>,
    /// The HTTP status code.
    status: u16,
    /// The heading, such as "Page not found".
    title: String,
    /// What happened and what to do, a paragraph each.
    lines: Vec<String>,
    /// Links that lead on; the start page is always offered.
    ways: Vec<Way>,
    /// The id by which support staff find the error in the log.
    incident: Option<String>,
}

/// In the extensions of a response: a program reads it, so its text is not replaced by a page.
#[derive(Clone, Copy, Debug)]
pub struct Plain;

/// Error pages by what they show: the status, the heading, what to do, the way back, and whether
/// for staff. A page is the same for every client, so responses that wait to be sent share its
/// bytes: one client can have thousands of them waiting. All texts are the program's own, so there
/// are few pages.
#[derive(Debug, Default)]
pub(super) struct ErrorPages(Mutex<HashMap<Words, Bytes>>);

type Words = (
    StatusCode,
    &'static str,
    &'static str,
    Option<(&'static str, &'static str)>,
    bool,
);

impl ErrorPages {
    fn lock(&self) -> MutexGuard<'_, HashMap<Words, Bytes>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How an error is shown to the client: as a page, or as `application/problem+json`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Face {
    wants_json: bool,
    at_desk: bool,
}

impl Face {
    pub(super) fn wanted(request: &Request) -> Self {
        Self {
            wants_json: accept::prefers_json(request.headers()),
            at_desk: request.uri().path().starts_with("/staff/"),
        }
    }

    /// Gives an error response its body; everything else stays.
    pub(super) fn put_on(
        self,
        site: &Site,
        pages: &ErrorPages,
        mut response: Response,
    ) -> Response {
        let wants_json = self.wants_json;
        let status = response.status();
        if !status.is_client_error() && !status.is_server_error() {
            return response;
        }
        if response.extensions().get::<Plain>().is_some() {
            return response;
        }
        let problem = response.extensions_mut().remove::<Problem>();
        // A form that is shown again with its errors has a page already.
        let has_page = response
            .headers()
            .get(header::CONTENT_TYPE)
            .is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
        if has_page && !wants_json {
            return response;
        }
        let problem = problem.unwrap_or_else(|| Problem::of(status));
        let mut faced = if wants_json {
            let body = serde_json::to_vec(&problem).unwrap_or_default();
            ([(header::CONTENT_TYPE, "application/problem+json")], body).into_response()
        } else {
            self.page(site, pages, status, &problem).map_or_else(
                |_| problem.title.into_response(),
                |page| ([(header::CONTENT_TYPE, HTML)], page).into_response(),
            )
        };
        *faced.status_mut() = status;
        for name in [header::RETRY_AFTER, header::ALLOW] {
            if let Some(value) = response.headers_mut().remove(&name) {
                faced.headers_mut().insert(name, value);
            }
        }
        faced
    }

    /// The page of `problem`, shared by all responses that show the same one.
    fn page(
        self,
        site: &Site,
        pages: &ErrorPages,
        status: StatusCode,
        problem: &Problem,
    ) -> Result<Bytes, askama::Error> {
        let at_desk = self.at_desk;
        let words = (status, problem.title, problem.detail, problem.way, at_desk);
        if problem.incident.is_none()
            && let Some(page) = pages.lock().get(&words)
        {
            return Ok(page.clone());
        }
        // Pages for administrators are of no use to staff.
        let way = match problem.way {
            Some((href, _)) if at_desk && !href.starts_with("/staff/") => None,
            way => way,
        };
        let back = Some(("/staff/requests", "Back to the requests")).filter(|_| at_desk);
        let way = way.or(back).map(|(href, label)| Way {
            href: href.into(),
            label: label.into(),
        });
        let page = rendered(&ErrorPage {
            shell: site.shell(if at_desk {
                Section::Staff
            } else {
                Section::None
            }),
            status: status.as_u16(),
            title: problem.title.into(),
            lines: vec![problem.detail.into()],
            ways: way.into_iter().collect(),
            incident: problem.incident.clone(),
        })?;
        if problem.incident.is_none() {
            pages.lock().insert(words, page.clone());
        }
        Ok(page)
    }
}
