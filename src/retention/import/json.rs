//! How is an export in JSON read, an object at a time?
//!
//! The file is cut into its objects here, and only one of them is looked at at a time, so that
//! neither a file nor an array of any length is ever held whole.

use std::{fmt, io::BufRead};

use serde::{
    Deserializer as _,
    de::{IgnoredAny, MapAccess, Visitor},
};
use serde_json::Value;

use super::{
    fields::{Dropped, Field, Meaning, meaning},
    reader::{Fault, Tally},
    row::{Problem, Values},
};

/// More bytes than this in one object are not an object of an export.
const LONGEST_OBJECT: usize = 1 << 20;

/// The objects of an array, or one after the other.
pub(super) struct Objects<R> {
    reader: R,
    object: Vec<u8>,
    line: u64,
    array: Option<bool>,
    ended: bool,
}

impl<R: BufRead> Objects<R> {
    pub(super) fn new(reader: R) -> Self {
        Self {
            reader,
            object: Vec::new(),
            line: 1,
            array: None,
            ended: false,
        }
    }

    /// Reads the next object into `values`; the line at which it begins.
    pub(super) fn next(
        &mut self,
        values: &mut Values,
        dropped: &mut Tally,
    ) -> Result<Option<u64>, Fault> {
        if !self.seek()? {
            return Ok(None);
        }
        let line = self.line;
        self.cut(line)?;
        let mut reader = serde_json::Deserializer::from_slice(&self.object);
        let faults = reader
            .deserialize_map(Members { values, dropped })
            .map_err(|_| Problem::new(line, None, "is no JSON object in UTF-8"));
        match faults.map(|fault| fault.map(|(field, fault)| Problem::new(line, field, fault))) {
            Ok(None) => Ok(Some(line)),
            Ok(Some(problem)) | Err(problem) => Err(Fault::Line(problem)),
        }
    }

    fn peek(&mut self) -> Result<Option<u8>, Fault> {
        let bytes = self.reader.fill_buf().map_err(Fault::Io)?;
        Ok(bytes.first().copied())
    }

    fn broken(&self, fault: &'static str) -> Fault {
        Fault::Broken(Problem::new(self.line, None, fault))
    }

    /// Goes on to the next object, if there is one.
    fn seek(&mut self) -> Result<bool, Fault> {
        while let Some(byte) = self.peek()? {
            match byte {
                b'\n' => self.line += 1,
                b' ' | b'\t' | b'\r' | 0xef | 0xbb | 0xbf => {}
                b'[' if self.array.is_none() => self.array = Some(true),
                b',' if self.array == Some(true) => {}
                b']' if self.array == Some(true) && !self.ended => self.ended = true,
                b'{' if !self.ended => {
                    self.array.get_or_insert(false);
                    return Ok(true);
                }
                _ => {
                    return Err(
                        self.broken("is neither an array of objects nor an object after the other")
                    );
                }
            }
            self.reader.consume(1);
        }
        if self.array == Some(true) && !self.ended {
            return Err(self.broken("ends before the array does: the file is cut off"));
        }
        Ok(false)
    }

    /// Takes the bytes of one object: to the brace that closes the first.
    fn cut(&mut self, began: u64) -> Result<(), Fault> {
        self.object.clear();
        let (mut depth, mut quoted, mut escaped) = (0_u32, false, false);
        loop {
            let bytes = self.reader.fill_buf().map_err(Fault::Io)?;
            if bytes.is_empty() || self.object.len() > LONGEST_OBJECT {
                let fault = "begins an object that does not end";
                return Err(Fault::Broken(Problem::new(began, None, fault)));
            }
            let mut end = None;
            for (at, &byte) in bytes.iter().enumerate() {
                match byte {
                    b'\n' => self.line += 1,
                    _ if escaped => escaped = false,
                    b'\\' if quoted => escaped = true,
                    b'"' => quoted = !quoted,
                    b'{' if !quoted => depth += 1,
                    b'}' if !quoted => depth -= 1,
                    _ => {}
                }
                if depth == 0 {
                    end = Some(at + 1);
                    break;
                }
            }
            let taken = end.unwrap_or(bytes.len());
            self.object.extend_from_slice(&bytes[..taken]);
            self.reader.consume(taken);
            if end.is_some() {
                return Ok(());
            }
        }
    }
}

/// Takes the members of one object; what is dropped is skipped without being taken.
struct Members<'a> {
    values: &'a mut Values,
    dropped: &'a mut Tally,
}

impl<'de> Visitor<'de> for Members<'_> {
    /// The first fault of a member that is known.
    type Value = Option<(Field, &'static str)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fault = None;
        while let Some(name) = map.next_key::<String>()? {
            match meaning(&name) {
                Meaning::Field(field) => {
                    let text = match text(field, map.next_value()?) {
                        Ok(text) => text,
                        Err(wrong) => {
                            fault = fault.or(Some((field, wrong)));
                            continue;
                        }
                    };
                    if !self.values.set(field, &text) {
                        fault = fault.or(Some((field, "is there twice")));
                    }
                }
                Meaning::Dropped(kind) => {
                    if map.next_value::<Option<IgnoredAny>>()?.is_some() {
                        self.dropped.add(0, &kind, || match &kind {
                            Dropped::Contact(name) => name.clone(),
                            Dropped::LikeContact => {
                                "members that are contacts' by their names".to_owned()
                            }
                            Dropped::Unknown => "members of unknown names".to_owned(),
                        });
                    }
                }
            }
        }
        Ok(fault)
    }
}

/// What a member says: a text, a whole number, or a list of SIP domains.
fn text(field: Field, value: Value) -> Result<String, &'static str> {
    match value {
        Value::Null => Ok(String::new()),
        Value::String(text) => Ok(text),
        Value::Number(number) if number.is_u64() => Ok(number.to_string()),
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
        Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            Err("is neither a text nor a whole number")
        }
    }
}
