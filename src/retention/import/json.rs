//! Reads an export in JSON, an object at a time.
//!
//! The requests are objects: of an array, of an array or in members somewhere inside another object,
//! or one after the other. No more than one of them is held at a time in each object around it.

use std::{
    cell::Cell,
    fmt,
    io::{self, BufRead, Read},
};

use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde_json::error::Category;

use super::{
    fields::{Dropped, Field, Meaning, meaning},
    intake::Intake,
    reader::Fault,
    row::{Problem, Values},
};

/// No list has more texts than this that is a list of SIP domains: the rule on how many a request may
/// have is told by `group`.
const MOST_TEXTS: usize = 10_000;
const NO_OBJECTS: &str = "is neither an array of objects nor an object after the other";

/// Reads a file.
pub(super) fn read(text: impl BufRead, intake: &mut Intake<'_>) -> Result<(), Fault> {
    let (line, open) = (Cell::new(1), Cell::new(None));
    let mut file = serde_json::Deserializer::from_reader(Counted { text, line: &line });
    while file.end().is_err() {
        let node = Node {
            intake,
            line: &line,
            open: &open,
            is_top: true,
        };
        let found = node.deserialize(&mut file).and_then(|found| match found {
            Found::Object(object) => {
                object.take(intake);
                Ok(())
            }
            Found::Requests => Ok(()),
            Found::Nothing | Found::Text(_) | Found::List(_) | Found::Edges(_) | Found::Other => {
                Err(serde_json::Error::custom(NO_OBJECTS))
            }
        });
        found.map_err(|error| {
            let line = match error.line() {
                0 => line.get(),
                at => at as u64,
            };
            match (error.classify(), open.get()) {
                (Category::Io, _) => Fault::Io(error.into()),
                (Category::Eof, Some(began)) => {
                    Fault::broken(began, "begins an object that does not end")
                }
                (Category::Eof, None) => {
                    Fault::broken(line, "ends before the array does: the file is cut off")
                }
                (Category::Data, _) => Fault::broken(line, NO_OBJECTS),
                (Category::Syntax, _) => Fault::broken(
                    line,
                    "is not JSON: a comma before a bracket that closes, a comment, a missing quotation mark, or another encoding than UTF-8",
                ),
            }
        })?;
    }
    Ok(())
}

/// Text, with the line that is being read.
struct Counted<'a, R> {
    text: R,
    line: &'a Cell<u64>,
}

impl<R: BufRead> Read for Counted<'_, R> {
    /// Reads one byte, so that this is where the reader is.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let room = buffer.len().min(1);
        let read = self.text.read(&mut buffer[..room])?;
        let ends = buffer[..read] == *b"\n";
        // Between the texts of a sequence stands a record separator (RFC 7464).
        if buffer[..read] == *b"\x1e" {
            buffer[0] = b' ';
        }
        self.line.set(self.line.get() + u64::from(ends));
        Ok(read)
    }
}

/// What a value is.
enum Found {
    Nothing,
    /// A text, a number, or yes or no.
    Text(String),
    /// Texts.
    List(Vec<String>),
    Object(Box<Object>),
    /// Access Edges, each with its domains.
    Edges(Vec<Object>),
    /// It has requests inside, which were taken.
    Requests,
    Other,
}

/// An object, as far as it is of interest.
struct Object {
    line: u64,
    values: Values,
    /// What is wrong with its members, the first.
    fault: Option<(Field, &'static str)>,
    dropped: Vec<Dropped>,
    /// Requests were found inside.
    is_envelope: bool,
    /// Its Access Edges, each with its domains, where they are objects of their own.
    edges: Vec<Object>,
    /// The first member that is a request itself, by the kind of its name: it is part of this one,
    /// if this is a request.
    inner: Option<(Box<Object>, Dropped)>,
}

impl Object {
    /// Whether this is a request and not something about it: it has most of what a request needs.
    fn is_request(&self) -> bool {
        let of_edges = if self.edges.is_empty() { 0 } else { 2 };
        self.values.needed() + of_edges + 1 >= Field::NEEDED.len()
    }

    /// Whether this is an Access Edge of a request, with its domains.
    fn is_edge(&self) -> bool {
        let has = |field| self.values.has(field);
        let is_request = has(Field::Programme) || has(Field::Number);
        let is_plain = !self.is_envelope && self.edges.is_empty();
        has(Field::Edge) && has(Field::Domains) && !is_request && is_plain
    }

    /// Keeps a member that is a request itself until it is known what this is. That several are held is
    /// the sign of an envelope: then they are taken.
    fn hold(&mut self, inner: Box<Self>, kind: Dropped, intake: &mut Intake<'_>) {
        match self.inner.take() {
            None if !self.is_envelope => self.inner = Some((inner, kind)),
            before => {
                self.is_envelope = true;
                for object in before.map(|(object, _)| object).into_iter().chain([inner]) {
                    object.take(intake);
                }
            }
        }
    }

    /// What is known at the end of the object: it is a request, and the member that looked like one is
    /// part of it; or it is an envelope of that one.
    fn close(&mut self, intake: &mut Intake<'_>) {
        match self.inner.take() {
            Some((_, kind)) if self.is_request() => self.dropped.push(kind),
            Some((object, _)) => {
                self.is_envelope = true;
                object.take(intake);
            }
            None => {}
        }
    }

    fn take(self, intake: &mut Intake<'_>) {
        let fault = match (self.fault, self.values.needed()) {
            _ if self.is_envelope && !self.is_request() => return,
            _ if self.is_envelope => {
                Some((None, "is a request with others inside. Leave these out"))
            }
            (Some((field, fault)), _) => Some((Some(field), fault)),
            (None, 0) if self.values.is_empty() && self.dropped.is_empty() => return,
            (None, 0) if self.values.is_over() => None,
            (None, 0) => Some((None, "has none of the members that a request needs")),
            (None, _) => None,
        };
        for kind in self
            .dropped
            .iter()
            .chain(self.edges.iter().flat_map(|edge| &edge.dropped))
        {
            intake.drop_value(0, kind);
        }
        let has = |field| self.values.has(field);
        let fault = match fault {
            None if !self.edges.is_empty() && (has(Field::Edge) || has(Field::Domains)) => Some((
                None,
                "has Access Edges inside, and one or its domains beside them: which belongs to which is not said",
            )),
            fault => fault,
        };
        match fault {
            None if !self.edges.is_empty() => {
                for edge in self.edges {
                    match edge.fault {
                        None => intake.row(edge.line, &self.values.at_edge_of(&edge.values)),
                        Some((field, fault)) => {
                            intake.problems.add(Problem::new(edge.line, field, fault));
                        }
                    }
                }
            }
            None => intake.row(self.line, &self.values),
            Some((field, fault)) => intake.problems.add(Problem::new(self.line, field, fault)),
        }
    }
}

/// What a member of this name means: `edges` the same as `edge`.
fn member(name: &str) -> Meaning {
    let singular = name.strip_suffix(['s', 'S']).map(meaning);
    let of_edges = Meaning::Field(Field::Edge);
    match singular {
        Some(meaning) if meaning == of_edges => of_edges,
        _ => meaning(name),
    }
}

/// Reads a value, and takes the requests in it.
struct Node<'a, 'i> {
    intake: &'a mut Intake<'i>,
    line: &'a Cell<u64>,
    /// Where the object begins that is being read.
    open: &'a Cell<Option<u64>>,
    /// Whether every object of an array is a request.
    is_top: bool,
}

impl<'i> Node<'_, 'i> {
    fn inside(&mut self) -> Node<'_, 'i> {
        Node {
            intake: self.intake,
            line: self.line,
            open: self.open,
            is_top: false,
        }
    }
}

impl<'de> DeserializeSeed<'de> for Node<'_, '_> {
    type Value = Found;

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<Found, D::Error> {
        value.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_, '_> {
    type Value = Found;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Found, E> {
        Ok(Found::Nothing)
    }

    fn visit_bool<E>(self, yes: bool) -> Result<Found, E> {
        Ok(Found::Text(yes.to_string()))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Found, E> {
        Ok(Found::Text(number.to_string()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Found, E> {
        Ok(Found::Text(number.to_string()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Found, E> {
        // A number that a spreadsheet shows like 1.23457E+14, and has rounded to that.
        Ok(Found::Text(if number >= 1e11 {
            format!("{number:e}").replace('e', "E+")
        } else {
            format!("{number:?}")
        }))
    }

    fn visit_str<E>(self, text: &str) -> Result<Found, E> {
        Ok(Found::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut values: A) -> Result<Found, A::Error> {
        // Inside an object the first of a list tells what it is.
        let (mut is_list, mut is_first) = (self.is_top, true);
        let mut has_requests = self.is_top;
        let (mut texts, mut edges) = (Some(Vec::new()), Some(Vec::new()));
        while let Some(found) = values.next_element_seed(self.inside())? {
            match found {
                Found::Object(object) if is_list || (is_first && object.is_request()) => {
                    (is_list, has_requests) = (true, true);
                    object.take(self.intake);
                }
                Found::Object(object) if object.is_edge() => {
                    edges = edges.filter(|edges| edges.len() < MOST_TEXTS);
                    if let Some(edges) = &mut edges {
                        edges.push(*object);
                    }
                    (texts, is_first) = (None, false);
                    continue;
                }
                Found::Object(object) => has_requests |= object.is_envelope,
                Found::Requests => has_requests = true,
                Found::Nothing
                | Found::Other
                | Found::Text(_)
                | Found::List(_)
                | Found::Edges(_)
                    if is_list =>
                {
                    return Err(A::Error::custom(NO_OBJECTS));
                }
                Found::Text(text) => {
                    // More than a request may have are no domains.
                    texts = texts.filter(|texts| texts.len() < MOST_TEXTS);
                    if let Some(texts) = &mut texts {
                        texts.push(text);
                    }
                    (edges, is_first) = (None, false);
                    continue;
                }
                Found::Nothing | Found::Other | Found::List(_) | Found::Edges(_) => {}
            }
            (texts, edges) = (None, None);
            is_first = false;
        }
        Ok(match texts {
            _ if has_requests => Found::Requests,
            Some(texts) => Found::List(texts),
            None => edges.map_or(Found::Other, Found::Edges),
        })
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut members: A) -> Result<Found, A::Error> {
        let mut object = Object {
            line: self.line.get(),
            values: Values::default(),
            fault: None,
            dropped: Vec::new(),
            is_envelope: false,
            edges: Vec::new(),
            inner: None,
        };
        let outer = self.open.replace(Some(object.line));
        while let Some(name) = members.next_key::<String>()? {
            match member(&name) {
                Meaning::Field(field) => {
                    let fault = match members.next_value_seed(self.inside())? {
                        Found::Text(text) if object.values.set(field, &text) => None,
                        Found::List(texts) if field == Field::Domains => {
                            let is_first = object.values.set(field, &texts.join("\n"));
                            (!is_first).then_some("is there twice")
                        }
                        Found::List(texts) if field == Field::Edge => match &texts[..] {
                            [] => None,
                            [text] if object.values.set(field, text) => None,
                            [_] => Some("is there twice"),
                            _ => Some(
                                "has several Access Edges, and which SIP domains belong to which is not said",
                            ),
                        },
                        Found::Edges(edges) if field == Field::Edge => {
                            object.edges.extend(edges);
                            None
                        }
                        Found::Object(edge) if field == Field::Edge && edge.is_edge() => {
                            object.edges.push(*edge);
                            None
                        }
                        Found::Nothing => None,
                        Found::Requests => {
                            object.is_envelope = true;
                            None
                        }
                        Found::Object(inner) if inner.is_envelope => {
                            object.is_envelope = true;
                            None
                        }
                        Found::Object(inner) if inner.is_request() => {
                            object.hold(inner, Dropped::Unknown, self.intake);
                            None
                        }
                        Found::Text(_) => Some("is there twice"),
                        Found::Other if field == Field::Domains => {
                            Some("is a list of something else than texts")
                        }
                        Found::Object(_) | Found::Other if field == Field::Edge => Some(
                            "is neither a text nor a number, nor Access Edges, each an object with its SIP domains",
                        ),
                        Found::List(_) | Found::Object(_) | Found::Edges(_) | Found::Other => {
                            Some("is neither a text nor a number")
                        }
                    };
                    object.fault = object.fault.or(fault.map(|fault| (field, fault)));
                }
                Meaning::Dropped(kind) if !object.is_request() => {
                    match members.next_value_seed(self.inside())? {
                        Found::Nothing => {}
                        Found::Requests => object.is_envelope = true,
                        Found::Object(inner) if inner.is_envelope => object.is_envelope = true,
                        Found::Object(inner) if inner.is_request() => {
                            object.hold(inner, kind, self.intake);
                        }
                        Found::Object(_)
                        | Found::Text(_)
                        | Found::List(_)
                        | Found::Edges(_)
                        | Found::Other => object.dropped.push(kind),
                    }
                }
                Meaning::Dropped(kind) => {
                    if members.next_value::<Option<IgnoredAny>>()?.is_some() {
                        object.dropped.push(kind);
                    }
                }
            }
        }
        object.close(self.intake);
        self.open.set(outer);
        Ok(Found::Object(Box::new(object)))
    }
}
