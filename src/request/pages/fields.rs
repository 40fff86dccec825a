//! Shows the fields of a form with what was typed and what is wrong, for requests and services.

use axum::{
    http::{StatusCode, header},
    response::Response,
};

use super::view::{AlreadySentPage, EdgeFields, Hidden, LaterPage};
use crate::{
    error::{Error, Problem, TooMany},
    names::SipDomain,
    request::{
        form::{self, FieldError, Note, RequestForm, Typed},
        queue::NotStored,
    },
    web::{
        page, page_with,
        parts::{Field, Problem as Line, count},
        shell::Section,
        site::Site,
    },
};

/// The most edges of one form that are shown again; no browser sends more than ten.
const MOST_SHOWN: usize = 50;

/// The most offered names that are shown.
const MOST_OFFERS: usize = 10;
/// The most pieces of a pasted list that are shown as left out.
const MOST_LEFT_OUT: usize = 5;

/// The id of a field on the page, used by the error summary and by programs.
fn id_of(field: form::Field) -> String {
    match field {
        form::Field::Programme => "programme".into(),
        form::Field::Number => "number".into(),
        form::Field::Edge(place) => format!("edge-{}", place + 1),
        form::Field::Domains(place) => format!("domains-{}", place + 1),
        form::Field::Deployment => "deployment".into(),
        form::Field::Licences => "licences".into(),
        form::Field::MayAct => "may_act".into(),
        form::Field::SubmissionId => "submission_id".into(),
        form::Field::Form => "form".into(),
    }
}

/// A field with what was typed and its errors.
pub(crate) fn field(errors: &[FieldError], at: form::Field, value: &str) -> Field {
    let of_field = || errors.iter().filter(|e| e.field == at);
    Field {
        id: id_of(at),
        value: value.to_owned(),
        errors: of_field().map(|e| e.message.clone()).collect(),
        lines: of_field().map(|e| e.line).collect(),
        notes: Vec::new(),
    }
}

/// The names offered in place of refused ones, where there are errors: the first ten, and a count of
/// the others.
pub(crate) fn offers(form: &RequestForm, errors: &[FieldError]) -> Vec<String> {
    if errors.is_empty() {
        return Vec::new();
    }
    let mut offers = form.offers();
    let more = offers.len().saturating_sub(MOST_OFFERS);
    offers.truncate(MOST_OFFERS);
    if more > 0 {
        offers.push(format!("and {}", count(more, "more name", "more names")));
    }
    offers
}

/// The fields of all edges.
pub(crate) fn edge_fields(form: &RequestForm, errors: &[FieldError]) -> Vec<EdgeFields> {
    form.pairs()
        .take(MOST_SHOWN)
        .enumerate()
        .map(|(place, (edge, domains))| EdgeFields {
            edge: field(errors, form::Field::Edge(place), edge),
            domains: field(errors, form::Field::Domains(place), domains),
        })
        .collect()
}

/// The same edges as hidden fields.
pub(crate) fn hidden_edges(form: &RequestForm) -> impl Iterator<Item = Hidden> {
    form.pairs()
        .take(MOST_SHOWN)
        .flat_map(|(edge, domains)| [Hidden::new("edge", edge), Hidden::new("domains", domains)])
}

/// Errors of the form as a whole, or of a field that is not visible.
pub(crate) fn general(errors: &[FieldError]) -> Vec<Line> {
    errors
        .iter()
        .filter(|e| matches!(e.field, form::Field::Form | form::Field::SubmissionId))
        .map(|e| Line {
            text: e.message.clone(),
            ..Line::default()
        })
        .collect()
}

/// The same errors for programs.
pub(crate) fn form_problem(errors: &[FieldError]) -> Problem {
    Problem::form(errors.iter().map(|e| (id_of(e.field), &e.message)))
}

/// What is unusual but may be right, as a sentence; `None` for what was only normalised.
pub(crate) fn warning(note: &Note) -> Option<String> {
    match note {
        Note::Normalised { .. } => None,
        Note::LeftOut { edge, pieces } => {
            let told = |(line, text): &(usize, Option<Typed>)| match text {
                Some(Typed(text)) => format!("“{text}” (line {line})"),
                None => format!("what stands in line {line}"),
            };
            let first: Vec<_> = pieces.iter().take(MOST_LEFT_OUT).map(told).collect();
            let more = match pieces.len().saturating_sub(first.len()) {
                0 => String::new(),
                more => format!(", and {more} more"),
            };
            Some(format!(
                "Access Edge {}: left out of your list, because these are not SIP domains: {}{more}.",
                edge + 1,
                first.join(", "),
            ))
        }
        Note::Merged { edge, doubles } => Some(format!(
            "Access Edge {}: {} removed.",
            edge + 1,
            count(*doubles, "duplicate was", "duplicates were"),
        )),
        Note::Numbered {
            edge,
            first: (typed, meant),
            count,
        } => Some(format!(
            "Access Edge {}: {count} names begin with the numbers of their lines, as {typed} does. If \
             {meant} is meant, change your answers and remove the numbers.",
            edge + 1,
        )),
        Note::UnknownEnding { names } => Some(format!(
            "We know no public ending like that of {}. Check the spelling. Partners cannot find a name \
             that works inside your network only.",
            first_of(names),
        )),
        Note::Number(warning) => Some(warning.message()),
        Note::NotDiscoverable { edge, domains } => Some(format!(
            "Some partners only find servers named directly under the domain, like sip.{}. \
                 {edge} is not, for {}. Partners who added your server by name are not \
                 affected.",
            domains.first().map_or("contoso.com", SipDomain::as_str),
            first_of(domains)
        )),
    }
}

/// The first three names, and how many more there are.
fn first_of(names: &[impl ToString]) -> String {
    let first: Vec<String> = names.iter().take(3).map(ToString::to_string).collect();
    let more = match names.len().saturating_sub(first.len()) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    first.join(", ") + &more
}

/// 409: other content was sent under this submission id. The page does not say which request that
/// was: the id, which is in pages and in the logs of programs, must not lead to it.
pub(crate) fn already_sent(site: &Site, section: Section) -> Result<Response, Error> {
    let view = AlreadySentPage {
        shell: site.shell(section),
        of_service: section == Section::Service,
    };
    page_with(Problem::already_sent(), &view)
}

/// Why a form is not accepted now, and is shown to be sent again.
pub(crate) enum PutOff {
    /// The network has sent too many: 429.
    TooMany(TooMany),
    /// It was not stored in time, or it is unknown whether it was: 503.
    NotStored(NotStored),
}

impl PutOff {
    /// Why it was not accepted, and when to send it again.
    fn message(&self) -> String {
        match self {
            Self::TooMany(too_many) => format!(
                "Too many requests were sent from your network. Nothing was stored: send this again in {}.",
                count(usize::from(too_many.seconds()), "second", "seconds")
            ),
            Self::NotStored(_) => format!(
                "The portal has too much to do, or its database is away. Send this again in {} seconds: it will not be stored twice.",
                Problem::BUSY_FOR
            ),
        }
    }
}

/// A form that cannot be accepted now and is to be sent again.
pub(crate) struct Resubmit {
    /// The section its page belongs to.
    pub(crate) section: Section,
    /// The address it is sent to.
    pub(crate) action: &'static str,
    /// All that was typed.
    pub(crate) hidden: Vec<Hidden>,
    /// Whether it cancels a service.
    pub(crate) cancels: bool,
}

/// The page for a form that cannot be accepted now, with all that was typed.
pub(crate) fn later(site: &Site, again: Resubmit, why: PutOff) -> Result<Response, Error> {
    let view = LaterPage {
        shell: site.shell(again.section),
        action: again.action,
        message: why.message(),
        hidden: again.hidden,
        cancels: again.cancels,
    };
    Ok(put_off(page(StatusCode::OK, &view)?, why))
}

impl From<PutOff> for Error {
    fn from(why: PutOff) -> Self {
        match why {
            PutOff::TooMany(too_many) => Self::TooMany(too_many),
            PutOff::NotStored(why) => why.into(),
        }
    }
}

/// A page with a form that cannot be accepted now: 429 or 503, with `Retry-After`.
pub(crate) fn put_off(mut shown: Response, why: impl Into<Error>) -> Response {
    let problem = Problem::from(why.into());
    *shown.status_mut() = problem.status;
    if let Some(seconds) = problem.retry_after {
        shown
            .headers_mut()
            .insert(header::RETRY_AFTER, seconds.into());
    }
    shown.extensions_mut().insert(problem);
    shown
}
