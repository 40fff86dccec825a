//! Reads an export in JSON, an object at a time.
//!
//! The requests are objects: of an array, of an array somewhere inside another object, or one after
//! the other. No more than one of them is held at a time.

use std::{
    cell::Cell,
    fmt,
    io::{self, BufRead, Read},
};

use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde_json::{Value, error::Category};

use super::{
    fields::{Dropped, Field, Meaning, meaning},
    intake::Intake,
    reader::Fault,
    row::{Problem, Values},
};

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
            Found::Nothing | Found::Other => Err(serde_json::Error::custom(NO_OBJECTS)),
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
                (Category::Syntax, _) => Fault::broken(line, "is no JSON object in UTF-8"),
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
        self.line.set(self.line.get() + u64::from(ends));
        Ok(read)
    }
}

/// What a value is.
enum Found {
    Nothing,
    Object(Box<Object>),
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
}

impl Object {
    /// Whether this is a request and not something about it: it has most of what a request needs.
    fn is_request(&self) -> bool {
        self.values.needed() + 1 >= Field::NEEDED.len()
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
        for kind in &self.dropped {
            intake.drop_value(0, kind);
        }
        match fault {
            None => intake.row(self.line, &self.values),
            Some((field, fault)) => intake.problems.add(Problem::new(self.line, field, fault)),
        }
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

    fn visit_bool<E>(self, _: bool) -> Result<Found, E> {
        Ok(Found::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Found, E> {
        Ok(Found::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Found, E> {
        Ok(Found::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Found, E> {
        Ok(Found::Other)
    }

    fn visit_str<E>(self, _: &str) -> Result<Found, E> {
        Ok(Found::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut values: A) -> Result<Found, A::Error> {
        // Inside an object the first of a list tells what it is.
        let (mut is_list, mut is_first) = (self.is_top, true);
        let mut has_requests = self.is_top;
        while let Some(found) = values.next_element_seed(self.inside())? {
            match found {
                Found::Object(object) if is_list || (is_first && object.is_request()) => {
                    (is_list, has_requests) = (true, true);
                    object.take(self.intake);
                }
                Found::Object(object) => has_requests |= object.is_envelope,
                Found::Requests => has_requests = true,
                Found::Nothing | Found::Other if is_list => {
                    return Err(A::Error::custom(NO_OBJECTS));
                }
                Found::Nothing | Found::Other => {}
            }
            is_first = false;
        }
        Ok(if has_requests {
            Found::Requests
        } else {
            Found::Other
        })
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut members: A) -> Result<Found, A::Error> {
        let mut object = Object {
            line: self.line.get(),
            values: Values::default(),
            fault: None,
            dropped: Vec::new(),
            is_envelope: false,
        };
        let outer = self.open.replace(Some(object.line));
        while let Some(name) = members.next_key::<String>()? {
            match meaning(&name) {
                Meaning::Field(field) => {
                    let fault = match text(field, members.next_value()?) {
                        Ok(text) if object.values.set(field, &text) => None,
                        Ok(_) => Some("is there twice"),
                        Err(fault) => Some(fault),
                    };
                    object.fault = object.fault.or(fault.map(|fault| (field, fault)));
                }
                Meaning::Dropped(Dropped::Unknown) if !object.is_request() => {
                    match members.next_value_seed(self.inside())? {
                        Found::Nothing => {}
                        Found::Requests => object.is_envelope = true,
                        Found::Object(inner) if inner.is_envelope => object.is_envelope = true,
                        Found::Object(_) | Found::Other => object.dropped.push(Dropped::Unknown),
                    }
                }
                Meaning::Dropped(kind) => {
                    if members.next_value::<Option<IgnoredAny>>()?.is_some() {
                        object.dropped.push(kind);
                    }
                }
            }
        }
        self.open.set(outer);
        Ok(Found::Object(Box::new(object)))
    }
}

/// What a member says: a text, a number, or a list of SIP domains.
fn text(field: Field, value: Value) -> Result<String, &'static str> {
    match value {
        Value::Null => Ok(String::new()),
        Value::String(text) => Ok(text),
        // A number that a spreadsheet shows like 1.23457E+14, and has rounded to that.
        Value::Number(number) if !number.is_u64() && number.as_f64().is_some_and(|n| n >= 1e11) => {
            Ok(format!("{:e}", number.as_f64().unwrap_or_default()).replace('e', "E+"))
        }
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(yes) => Ok(yes.to_string()),
        Value::Array(names) if field == Field::Domains => {
            let mut list = String::new();
            for name in names {
                match name {
                    Value::String(name) => list = list + &name + "\n",
                    _ => return Err("is a list of something else than texts"),
                }
            }
            Ok(list)
        }
        Value::Array(_) | Value::Object(_) => Err("is neither a text nor a number"),
    }
}
