//! Checks the request form, and makes a request of it.
//!
//! No I/O here. [`RequestForm`] holds the fields as sent; [`RequestForm::check`] makes a [`Wanted`]
//! of them, or says for each wrong field what to type. `validator` checks presence and size, the
//! domain types everything else; both end in [`FieldError`] at once.

mod alone;
mod edges;
mod findings;
mod offers;

use std::fmt;

use serde::Deserialize;
use validator::Validate;

use self::{
    alone::{NO_LICENCES, NO_MAY_ACT},
    findings::Findings,
};
use super::{
    Deployment, MAX_EDGES, Routes, Wanted,
    reference::{NOT_AN_ID, SubmissionId},
};
use crate::{
    agreement::{self, AgreementNumber, NumberWarning, Programme},
    names::{AccessEdge, EdgeRoutes, Fqdn, Role, SipDomain},
};

/// The fields of `POST /requests/new` as they were sent (`docs/design.md#contract`). Any other
/// field is refused, so that no one can send contact data, not even by mistake.
#[derive(Clone, Default, Deserialize, Validate)]
#[serde(deny_unknown_fields, default)]
pub struct RequestForm {
    /// Licensing programme.
    #[validate(length(min = 1, code = "programme"))]
    pub programme: String,
    /// The agreement number.
    pub number: String,
    /// Access Edge FQDNs, in pairs with `domains`.
    // `max` is MAX_EDGES, which the macro does not take from another module.
    #[validate(length(min = 1, max = 10, code = "edges"))]
    pub edge: Vec<String>,
    /// SIP domains of each edge: lines, commas or spaces between them.
    #[validate(length(min = 1, max = 10, code = "edges"))]
    pub domains: Vec<String>,
    /// Where the users are homed.
    #[validate(length(min = 1, code = "deployment"))]
    pub deployment: String,
    /// `on` says both declarations at once, for programs.
    pub terms: String,
    /// `on` when the people who will connect hold the licences.
    pub licences: String,
    /// `on` when who sends the form may act for the domains.
    pub may_act: String,
    /// The random UUID of this form.
    pub submission_id: String,
    /// The button that was pressed.
    pub action: String,
}

/// Redacted: people typed this.
impl fmt::Debug for RequestForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RequestForm(..)")
    }
}

/// The buttons of the form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Adds an Access Edge.
    AddEdge,
    /// Removes the Access Edge with this index, from 0.
    RemoveEdge(usize),
    /// Shows the review.
    Review,
    /// Goes back from the review to the form.
    Change,
    /// Takes all names that are offered in place of refused ones, and shows the review.
    UseThese,
    /// Submits the request.
    Submit,
}

impl Action {
    /// The button with that value. An empty value means that Enter was pressed, which is
    /// *Continue*.
    #[must_use]
    pub fn parse(value: &str) -> Option<Self> {
        match value {
            "" | "review" => Some(Self::Review),
            "add-edge" => Some(Self::AddEdge),
            "change" => Some(Self::Change),
            "submit" => Some(Self::Submit),
            "use-these" => Some(Self::UseThese),
            _ => {
                let place: usize = value.strip_prefix("remove-edge-")?.parse().ok()?;
                (1..=MAX_EDGES)
                    .contains(&place)
                    .then(|| Self::RemoveEdge(place - 1))
            }
        }
    }
}

/// A field of the form; indexes count from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// The licensing programme.
    Programme,
    /// The agreement number.
    Number,
    /// The FQDN of the Access Edge with this index.
    Edge(usize),
    /// The SIP domains of the Access Edge with this index.
    Domains(usize),
    /// Where the users are homed.
    Deployment,
    /// The declaration about licences.
    Licences,
    /// The declaration about acting for the domains.
    MayAct,
    /// The hidden submission id.
    SubmissionId,
    /// The form as a whole.
    Form,
}

/// What is wrong with a field, in words for the person who typed it and for no one else.
#[derive(Clone, PartialEq, Eq)]
pub struct FieldError {
    /// The field that is wrong.
    pub field: Field,
    /// The line that is wrong, from 1, where the field is a list.
    pub line: Option<usize>,
    /// What to type instead.
    pub message: String,
}

impl FieldError {
    /// An error of a field as a whole.
    pub fn new(field: Field, message: impl Into<String>) -> Self {
        Self {
            field,
            line: None,
            message: message.into(),
        }
    }
}

/// Redacted: the message may hold what was typed.
impl fmt::Debug for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FieldError")
            .field("field", &self.field)
            .finish_non_exhaustive()
    }
}

/// Something that was changed in the input, or that is unusual about it; never an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// A name is stored in another form than it was typed.
    Normalised {
        /// The field it was typed in.
        field: Field,
        /// The name as typed.
        typed: Typed,
        /// The name as it will be stored.
        used: Typed,
    },
    /// What was left out of a pasted list, because it is no name.
    LeftOut {
        /// Index of the edge.
        edge: usize,
        /// Each piece with its line, from 1; a text that must not be shown is missing.
        pieces: Vec<(usize, Option<Typed>)>,
    },
    /// Domains that were listed more than once for one edge are stored once.
    Merged {
        /// Index of the edge.
        edge: usize,
        /// How many duplicates were dropped.
        doubles: usize,
    },
    /// Names that begin with the numbers of their lines, as `1.contoso.com` and `2.fabrikam.com` do:
    /// they may be a numbered list without spaces.
    Numbered {
        /// Index of the edge.
        edge: usize,
        /// The first of them, and the name that may be meant.
        first: (SipDomain, SipDomain),
        /// How many there are.
        count: usize,
    },
    /// Names with an ending that is on no list of public endings.
    UnknownEnding {
        /// The names.
        names: Vec<Fqdn>,
    },
    /// The number has an unusual form.
    Number(NumberWarning),
    /// Partners that discover by the rule of 2019 will not find these domains' edge
    /// (`docs/field.md#dns-certificate-transport`): its name is not one label and then the domain.
    NotDiscoverable {
        /// The Access Edge they will not find.
        edge: AccessEdge,
        /// The SIP domains concerned.
        domains: Vec<SipDomain>,
    },
}

/// What a person typed, or what was made of it, to be shown to that person: no `Display`, redacted
/// `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Typed(pub String);

impl fmt::Debug for Typed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Typed(..)")
    }
}

/// A form that is a valid request.
#[derive(Clone, Debug)]
pub struct Checked {
    /// The request to be stored.
    pub wanted: Wanted,
    /// The form's submission id.
    pub submission: SubmissionId,
    /// What was normalised, merged, or is unusual.
    pub notes: Vec<Note>,
}

impl RequestForm {
    /// An empty form with fields for one edge and a submission id of its own.
    #[must_use]
    pub fn blank() -> Self {
        Self {
            edge: vec![String::new()],
            domains: vec![String::new()],
            submission_id: SubmissionId::random().to_field(),
            ..Self::default()
        }
    }

    /// Makes a request of what was typed.
    ///
    /// # Errors
    ///
    /// All errors, in the order of the fields on the page.
    pub fn check(&self) -> Result<Checked, Vec<FieldError>> {
        let mut findings = Findings::default();
        if let Err(errors) = self.validate() {
            findings.presence(&errors);
        }
        let programme = self.checked_programme(&mut findings);
        let number = self.checked_number(programme, &mut findings);
        let routes = self.checked_routes(&mut findings);
        let deployment = Deployment::parse(&self.deployment);
        if deployment.is_none() && !self.deployment.is_empty() {
            findings.wrong(Field::Deployment, "Select one of the two answers");
        }
        for (field, declared, message) in [
            (Field::Licences, self.declares_licences(), NO_LICENCES),
            (Field::MayAct, self.declares_may_act(), NO_MAY_ACT),
        ] {
            if !declared {
                findings.wrong(field, message);
            }
        }
        let submission = SubmissionId::parse(&self.submission_id);
        if submission.is_none() {
            findings.wrong(Field::SubmissionId, NOT_AN_ID);
        }
        match (programme, number, routes, deployment, submission) {
            (Some(programme), Some(number), Some(routes), Some(deployment), Some(submission))
                if findings.errors.is_empty() =>
            {
                Ok(Checked {
                    wanted: Wanted {
                        programme,
                        number,
                        deployment,
                        routes,
                    },
                    submission,
                    notes: findings.notes,
                })
            }
            _ => Err(findings.in_page_order(self.pairs().count())),
        }
    }

    /// The routes alone, for a check without a request; with what was normalised, merged, or is
    /// unusual.
    ///
    /// # Errors
    ///
    /// All their errors, in the order of the fields on the page.
    pub fn routes(&self) -> Result<(Routes, Vec<Note>), Vec<FieldError>> {
        let mut findings = Findings::default();
        match self.checked_routes(&mut findings) {
            Some(routes) if findings.errors.is_empty() => Ok((routes, findings.notes)),
            _ => Err(findings.in_page_order(self.pairs().count())),
        }
    }

    fn checked_programme(&self, findings: &mut Findings) -> Option<Programme> {
        let programme = self.programme.parse().ok();
        if programme.is_none() && !self.programme.is_empty() {
            findings.wrong(
                Field::Programme,
                "Select one of the four licensing programmes",
            );
        }
        programme
    }

    fn checked_number(
        &self,
        programme: Option<Programme>,
        findings: &mut Findings,
    ) -> Option<AgreementNumber> {
        match AgreementNumber::parse(&self.number) {
            Ok(number) => {
                let warnings = programme
                    .map(|p| agreement::warnings(p, &number))
                    .unwrap_or_default();
                findings.normalised(Field::Number, &self.number, number.as_str());
                findings
                    .notes
                    .extend(warnings.into_iter().map(Note::Number));
                Some(number)
            }
            Err(problem) => {
                findings.wrong(Field::Number, problem.message(programme));
                None
            }
        }
    }

    fn checked_routes(&self, findings: &mut Findings) -> Option<Routes> {
        // Their number was checked, and reported, before.
        if !(1..=MAX_EDGES).contains(&self.pairs().count()) {
            return None;
        }
        let mut wanted = Vec::new();
        let mut lines = Vec::new();
        let mut whole = true;
        for (place, (edge, domains)) in self.pairs().enumerate() {
            let edge = match AccessEdge::parse(edge) {
                Ok(parsed) => {
                    findings.normalised(Field::Edge(place), edge, parsed.as_str());
                    findings.unknown_ending(parsed.as_fqdn());
                    Some(parsed)
                }
                Err(error) => {
                    findings.wrong(Field::Edge(place), error.message(Role::AccessEdge));
                    None
                }
            };
            let domains = findings.domains(place, domains);
            match (edge, domains) {
                (Some(edge), Some((domains, at))) => {
                    wanted.push(EdgeRoutes { edge, domains });
                    lines.push(at);
                }
                _ => whole = false,
            }
        }
        if !whole {
            return None;
        }
        let names = wanted.clone();
        match Routes::new(wanted) {
            Ok(routes) => {
                findings.discoverable(&routes);
                Some(routes)
            }
            Err(problems) => {
                findings.routes(&problems, &names, &lines);
                None
            }
        }
    }
}

#[cfg(test)]
mod tests;
