//! The pages under `/help`.

use askama::Template;
use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};
use serde::Deserialize;
use std::sync::Arc;

use super::{
    CONTENTS, Explanation, Terms, Topic,
    address::{Address, ROUTING_DOMAIN},
    finding, reason,
};
use crate::{
    agreement::Programme,
    error::{Error, Problem},
    names::SipDomain,
    readiness::{Code, Severity},
    request::{MAX_DOMAINS, MAX_EDGES, Reason},
    web::{
        form::Fields,
        page, page_with,
        parts::Field,
        shell::{Section, Shell},
        site::Site,
        when::span,
    },
};

/// `GET /help`: the list of all pages.
#[derive(Debug, Template)]
#[template(path = "help/contents.html")]
struct ContentsPage<'a> {
    shell: Shell<'a>,
    contents: &'static [(&'static str, &'static [Topic])],
    findings: Vec<(&'static str, Vec<(String, &'static str)>)>,
    reasons: Vec<(String, &'static str)>,
}

/// `GET /help/{topic}`. The texts are in `templates/help`, one file a topic.
#[derive(Debug, Template)]
#[template(path = "help/topic.html")]
struct TopicPage<'a> {
    shell: Shell<'a>,
    topic: Topic,
    /// The promise in words.
    promise: String,
    /// The expiry in words.
    limit: String,
    /// Where to turn: a text, a URL, or empty.
    support: &'a str,
    /// The domains whose addresses stay plain, with commas between them.
    plain_domains: String,
    /// The tool's field; its errors make the page an error page.
    address: Field,
    /// The tool's result.
    written: Option<Written>,
}

/// The result of the address tool.
#[derive(Debug)]
struct Written {
    address: String,
    is_plain: bool,
}

impl TopicPage<'_> {
    /// The network's name as a PowerShell string.
    fn identity(&self) -> String {
        format!("'{}'", self.shell.provider.replace('\'', "''"))
    }

    fn support_is_link(&self) -> bool {
        ["https://", "http://", "mailto:", "tel:"]
            .iter()
            .any(|scheme| self.support.starts_with(scheme))
    }

    fn provider_is_skype(&self) -> bool {
        self.shell.provider.eq_ignore_ascii_case("skype")
    }
}

/// The page of a reason or of a finding.
#[derive(Debug, Template)]
#[template(path = "help/explanation.html")]
struct ExplanationPage<'a> {
    shell: Shell<'a>,
    is: Explanation,
}

/// `GET /help`.
pub(crate) async fn contents(State(site): State<Arc<Site>>) -> Result<Response, Error> {
    let limit = span(site.clocks.expiry);
    let terms = Terms { limit: &limit };
    page(
        StatusCode::OK,
        &ContentsPage {
            shell: site.shell(Section::Help),
            contents: CONTENTS,
            findings: findings(),
            reasons: Reason::ALL
                .iter()
                .map(|reason| {
                    let title = reason::explain(*reason, terms).title;
                    (format!("/help/reasons/{}", reason.as_str()), title)
                })
                .collect(),
        },
    )
}

/// The findings, grouped by their severity.
fn findings() -> Vec<(&'static str, Vec<(String, &'static str)>)> {
    let of = |grave: &[Severity]| {
        let codes = Code::ALL.iter();
        codes
            .filter(|code| grave.contains(&code.severity()))
            .map(|code| (format!("/help/findings/{}", code.as_str()), code.title()))
            .collect()
    };
    vec![
        (
            "If a request has to wait",
            of(&[Severity::Blocking, Severity::Unknown]),
        ),
        ("If there is a warning", of(&[Severity::Warning])),
        ("If a check passed", of(&[Severity::Ok])),
    ]
}

fn topic_page(site: &Site, topic: Topic) -> TopicPage<'_> {
    let plain: Vec<&str> = site.plain_domains.iter().map(SipDomain::as_str).collect();
    TopicPage {
        shell: site.shell(Section::Help),
        topic,
        promise: span(site.clocks.promise),
        limit: span(site.clocks.expiry),
        support: site.support.as_deref().unwrap_or_default(),
        plain_domains: plain.join(","),
        address: Field::new("address"),
        written: None,
    }
}

/// `GET /help/{topic}`.
pub(crate) async fn topic(
    State(site): State<Arc<Site>>,
    Path(slug): Path<String>,
) -> Result<Response, Error> {
    let topic = Topic::parse(&slug).ok_or(Error::NoPage)?;
    page(StatusCode::OK, &topic_page(&site, topic))
}

/// `GET /help/address`: the empty tool.
pub(crate) async fn address(State(site): State<Arc<Site>>) -> Result<Response, Error> {
    page(StatusCode::OK, &topic_page(&site, Topic::Address))
}

/// The field of the tool. Not `Debug`: a person's address.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct AddressForm {
    address: String,
}

/// `POST /help/address`: the same page with the answer. A POST, so that the address gets into no
/// access log and no browser history; it is used for this response and nothing else.
pub(crate) async fn write_address(
    State(site): State<Arc<Site>>,
    Fields(form): Fields<AddressForm>,
) -> Result<Response, Error> {
    let mut view = topic_page(&site, Topic::Address);
    let plain = &site.plain_domains;
    let read = Address::parse(&form.address);
    view.address.value = form.address;
    match read {
        Ok(address) => {
            view.written = Some(Written {
                address: address.written(plain),
                is_plain: address.is_plain(plain),
            });
            page(StatusCode::OK, &view)
        }
        Err(problem) => {
            let message = problem.message();
            view.shell.error = true;
            view.address.errors.push(message.clone());
            page_with(Problem::field("address", &message), &view)
        }
    }
}

/// `GET /help/reasons/{reason}`.
pub(crate) async fn reason(
    State(site): State<Arc<Site>>,
    Path(reason): Path<String>,
) -> Result<Response, Error> {
    let reason = Reason::parse(&reason).ok_or(Error::NoPage)?;
    let limit = span(site.clocks.expiry);
    explanation(&site, reason::explain(reason, Terms { limit: &limit }))
}

/// `GET /help/findings/{code}`.
pub(crate) async fn finding(
    State(site): State<Arc<Site>>,
    Path(code): Path<String>,
) -> Result<Response, Error> {
    let code = Code::parse(&code).ok_or(Error::NoPage)?;
    let is = finding::explain(
        code,
        &site.provider,
        site.checks.mode(),
        site.checks.proof(),
    );
    explanation(&site, is)
}

fn explanation(site: &Site, is: Explanation) -> Result<Response, Error> {
    let shell = site.shell(Section::Help);
    page(StatusCode::OK, &ExplanationPage { shell, is })
}
