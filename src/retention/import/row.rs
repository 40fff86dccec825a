//! Reads the values of one line of an export, and says what is wrong with them.
//!
//! What is wrong is told by line, column and kind of fault; a value is never repeated.

use std::{borrow::Cow, fmt};

use chrono::{DateTime, Utc};

use super::{
    day::date,
    fields::Field,
    value::{
        DEPLOYMENTS, OVER, PROGRAMMES, STATES, is_no_value, is_rounded, is_type_name, listed,
        one_of, whole,
    },
};
use crate::{
    agreement::{AgreementNumber, Programme},
    names::{AccessEdge, NameProblem, SipDomain},
    request::Deployment,
};

/// How many problems are told of one by one; the others are counted.
const TOLD: usize = 100;
/// The longest number of a request in an old portal, in bytes.
const LONGEST_ID: usize = 200;

const ADDRESS: &str = "holds an address. No contact information comes in: take it out of the file";

/// Something wrong in the file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Line, from 1.
    pub line: u64,
    /// Column, where it is in one.
    pub field: Option<Field>,
    /// The kind of fault, and what to do; nothing of what stands there.
    pub fault: Cow<'static, str>,
}

impl Problem {
    pub(super) fn new(
        line: u64,
        field: impl Into<Option<Field>>,
        fault: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            line,
            field: field.into(),
            fault: fault.into(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}", self.line)?;
        if let Some(field) = self.field {
            write!(f, ", column {}", field.as_str())?;
        }
        write!(f, ": {}", self.fault)
    }
}

/// Everything wrong in the file.
#[derive(Debug, Default)]
pub struct Problems {
    told: Vec<Problem>,
    untold: u64,
}

impl Problems {
    pub(super) fn add(&mut self, problem: Problem) {
        if self.told.len() < TOLD {
            self.told.push(problem);
        } else {
            self.untold += 1;
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.told.is_empty()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut told: Vec<_> = self.told.iter().collect();
        told.sort();
        for problem in told {
            writeln!(f, "{problem}")?;
        }
        if self.untold > 0 {
            writeln!(f, "... and {} more", self.untold)?;
        }
        write!(f, "Nothing was imported. Mend the file, and run this again")
    }
}

/// The fields of one line as text; what is empty is not there.
#[derive(Default)]
pub(super) struct Values([Option<String>; Field::ALL.len()]);

/// A line that is right.
pub(super) struct Row {
    pub(super) line: u64,
    pub(super) id: Option<String>,
    pub(super) programme: Programme,
    pub(super) number: AgreementNumber,
    pub(super) edge: AccessEdge,
    pub(super) domains: Vec<SipDomain>,
    pub(super) deployment: Deployment,
    /// Whether its routes are in force; else it is in progress.
    pub(super) provisioned: bool,
    pub(super) submitted_at: Option<DateTime<Utc>>,
}

/// What is wrong with a value.
pub(super) type Fault = Cow<'static, str>;

/// Quotation marks that programs and people write.
const QUOTES: [(char, char); 5] = [
    ('"', '"'),
    ('\'', '\''),
    ('\u{201c}', '\u{201d}'),
    ('\u{201e}', '\u{201c}'),
    ('\u{ab}', '\u{bb}'),
];

impl Values {
    /// Whether the field has a value.
    pub(super) fn has(&self, field: Field) -> bool {
        self.get(field).is_some()
    }

    /// The request's values with the Access Edge and the domains of one of its edges. What else an edge has,
    /// such as a state, is its own.
    pub(super) fn at_edge_of(&self, edge: &Self) -> Self {
        let mut values = self.0.clone();
        for field in [Field::Edge, Field::Domains] {
            values[field as usize].clone_from(&edge.0[field as usize]);
        }
        Self(values)
    }

    /// Takes the value of a field; says whether it was the first.
    pub(super) fn set(&mut self, field: Field, value: &str) -> bool {
        let place = &mut self.0[field as usize];
        let first = place.is_none();
        if !value.trim().is_empty() {
            *place = Some(value.to_owned());
        }
        first
    }

    /// The value of a field, without what people write around it so that a spreadsheet keeps its
    /// digits (`="1234567"`, `'1234567`), and without quotation marks that are not CSV's. A database
    /// writes `NULL` for none.
    fn get(&self, field: Field) -> Option<&str> {
        let value = self.0[field as usize].as_deref()?.trim();
        let value = value.strip_prefix('=').unwrap_or(value);
        let inside = |(open, close): (char, char)| value.strip_prefix(open)?.strip_suffix(close);
        let inner = QUOTES.into_iter().find_map(inside);
        let inner = inner.or(value.strip_prefix('\'')).unwrap_or(value).trim();
        let is_none = inner.eq_ignore_ascii_case("null") || inner == "\\N";
        (!is_none && !inner.is_empty()).then_some(inner)
    }

    /// How many of the fields that a request needs have a value.
    pub(super) fn needed(&self) -> usize {
        Field::NEEDED
            .into_iter()
            .filter(|&field| self.has(field))
            .count()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(Option::is_none)
    }

    /// Whether the request is over: nothing else of it is looked at.
    pub(super) fn is_over(&self) -> bool {
        self.get(Field::State)
            .is_some_and(|state| one_of(OVER, state).is_some())
    }

    /// Reads the line that begins at `line`; `problems` learns what is wrong. Each field is looked at,
    /// whatever is wrong with the others. `numbers_checked`: an agreement number may have as many digits
    /// as a telephone number.
    pub(super) fn read(
        &self,
        line: u64,
        now: DateTime<Utc>,
        numbers_checked: bool,
        problems: &mut Problems,
    ) -> Option<Row> {
        let mut reader = Reader {
            line,
            values: self,
            problems,
        };
        let provisioned = reader.value(Field::State, Some(false), |text| {
            one_of(STATES, text).ok_or("is not a state that is known: activated, in progress, or one that is over (rejected, cancelled, ...)".into())
        });
        let id = reader.value(Field::Id, Some(None), |text| match text.len() {
            0..=LONGEST_ID => Ok(Some(text.to_owned())),
            _ => Err("is longer than 200 bytes".into()),
        });
        let programme = reader.value(Field::Programme, None, |text| {
            one_of(PROGRAMMES, text).ok_or("is none of the four programmes: Volume Licensing, Partner Network, Service Provider (SPLA), High Volume".into())
        });
        let number = reader.value(Field::Number, None, |text| match AgreementNumber::parse(&whole(text)) {
            Ok(number) if number.could_be_telephone() && !numbers_checked => {
                Err("has as many digits as a telephone number. No contact information comes in: take it out of the file, or, if all such numbers were checked and are agreement numbers, add --numbers-checked".into())
            }
            Err(_) if is_rounded(text) => {
                Err("was rounded by a spreadsheet, which shows it like 1.23457E+14, and its last digits are gone. Make the column text in what it comes from, and export it again".into())
            }
            read => read.map_err(|problem| problem.to_string().into()),
        });
        let edge = reader.value(Field::Edge, None, |text| {
            AccessEdge::parse(text).map_err(|error| error.problem().to_string().into())
        });
        let mut names = Vec::new();
        let domains = reader.value(Field::Domains, None, |text| {
            names = listed(text)?;
            Ok(())
        });
        for error in names.iter().filter_map(|name| name.as_ref().err()) {
            reader.wrong(
                Field::Domains,
                match error.problem() {
                    NameProblem::Address => ADDRESS.into(),
                    problem => problem.to_string().into(),
                },
            );
        }
        let names: Option<Vec<_>> = names.into_iter().map(Result::ok).collect();
        let deployment = reader.value(Field::Deployment, Some(Deployment::OnPremises), |text| {
            one_of(DEPLOYMENTS, text).ok_or("is neither on-premises nor split".into())
        });
        let submitted_at = reader.value(Field::Submitted, Some(None), |text| date(text, now));
        Some(Row {
            line,
            id: id?,
            programme: programme?,
            number: number?,
            edge: edge?,
            domains: domains.and(names)?,
            deployment: deployment?,
            provisioned: provisioned?,
            submitted_at: submitted_at?,
        })
    }
}

struct Reader<'a> {
    line: u64,
    values: &'a Values,
    problems: &'a mut Problems,
}

impl Reader<'_> {
    fn wrong(&mut self, field: Field, fault: Fault) {
        self.problems.add(Problem::new(self.line, field, fault));
    }

    /// The value of a field, which must have no address in it, or what it is where it is `empty`;
    /// `None`: it is wrong.
    fn value<T>(
        &mut self,
        field: Field,
        empty: Option<T>,
        read: impl FnOnce(&str) -> Result<T, Fault>,
    ) -> Option<T> {
        let value = match self.values.get(field) {
            None => empty.ok_or("is empty".into()),
            // Among domains the sign may stand alone in front of one: each is looked at by itself.
            Some(text) if field != Field::Domains && text.contains(['@', '＠', '﹫']) => {
                Err(ADDRESS.into())
            }
            Some(text) if is_no_value(text) => Err(
                "holds what a spreadsheet shows in place of a value, like #N/A or ####. Export it again with the value".into(),
            ),
            Some(text) if is_type_name(text) => Err(
                "holds the name of a type, which PowerShell writes in place of an object or a list. Export the text: -join for a list, the property itself for an object".into(),
            ),
            Some(text) => read(text),
        };
        value.map_err(|fault| self.wrong(field, fault)).ok()
    }
}
