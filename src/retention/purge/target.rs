//! Parses the name of what an operator wants to empty.
//!
//! `old.contact` is a whole table, `old.request(contact_name, contact_email)` are columns of one.
//! Names are read as PostgreSQL reads them: lower case unless they are in double quotes, where a
//! doubled quote means one. A table without a schema is one of `public`.

use std::{fmt, iter::Peekable, str::CharIndices, str::FromStr};

/// The schema if none is given.
const DEFAULT_SCHEMA: &str = "public";
/// The longest name in bytes; PostgreSQL cuts longer ones off.
const LONGEST_NAME: usize = 63;

/// A table, or columns of one, by name; whether it exists is not known yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The table's schema.
    pub schema: String,
    /// Name of the table.
    pub table: String,
    /// The columns to empty, each once; empty: the whole table.
    pub columns: Vec<String>,
}

/// The text names no table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{fault}, at character {place}. Write a table, like old.contact, or columns of one, like \
     'old.request(contact_name,contact_email)'; names that need it in double quotes"
)]
pub struct NotATarget {
    fault: &'static str,
    place: usize,
}

impl FromStr for Target {
    type Err = NotATarget;

    fn from_str(text: &str) -> Result<Self, NotATarget> {
        let mut reader = Reader {
            text,
            rest: text.char_indices().peekable(),
        };
        let first = reader.name("a table's name is missing")?;
        let (schema, table) = if reader.takes('.') {
            (first, reader.name("a name is missing after the dot")?)
        } else {
            (DEFAULT_SCHEMA.to_owned(), first)
        };
        let mut columns = Vec::new();
        if reader.takes('(') {
            loop {
                let column = reader.name("a column's name is missing")?;
                if !columns.contains(&column) {
                    columns.push(column);
                }
                if reader.takes(')') {
                    break;
                }
                if !reader.takes(',') {
                    return Err(reader.fault("a comma or a closing parenthesis is missing"));
                }
            }
        }
        match reader.peek() {
            None => Ok(Self {
                schema,
                table,
                columns,
            }),
            Some(_) => Err(reader.fault("something follows that is not understood")),
        }
    }
}

/// In PostgreSQL's syntax, every name in quotes.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quoted = |name: &String| format!("\"{}\"", name.replace('"', "\"\""));
        write!(f, "{}.{}", quoted(&self.schema), quoted(&self.table))?;
        if self.columns.is_empty() {
            return Ok(());
        }
        let columns: Vec<_> = self.columns.iter().map(quoted).collect();
        write!(f, "({})", columns.join(","))
    }
}

struct Reader<'a> {
    text: &'a str,
    rest: Peekable<CharIndices<'a>>,
}

impl Reader<'_> {
    /// The next character that is no white space.
    fn peek(&mut self) -> Option<char> {
        while self.rest.next_if(|(_, c)| c.is_whitespace()).is_some() {}
        self.rest.peek().map(|&(_, c)| c)
    }

    fn takes(&mut self, wanted: char) -> bool {
        let is_next = self.peek() == Some(wanted);
        if is_next {
            self.rest.next();
        }
        is_next
    }

    fn fault(&mut self, fault: &'static str) -> NotATarget {
        let at = self.rest.peek().map_or(self.text.len(), |&(at, _)| at);
        NotATarget {
            fault,
            place: self.text[..at].chars().count() + 1,
        }
    }

    fn name(&mut self, missing: &'static str) -> Result<String, NotATarget> {
        let mut name = String::new();
        match self.peek() {
            Some('"') => {
                self.rest.next();
                loop {
                    match self.rest.next() {
                        Some((_, '"')) if self.rest.next_if(|&(_, c)| c == '"').is_none() => break,
                        Some((_, '\0')) => return Err(self.fault("a name holds no NUL")),
                        Some((_, c)) => name.push(c),
                        None => return Err(self.fault("a closing double quote is missing")),
                    }
                }
                if name.is_empty() {
                    return Err(self.fault(missing));
                }
            }
            Some(c) if begins(c) => {
                while let Some((_, c)) = self.rest.next_if(|&(_, c)| goes_on(c)) {
                    name.push(c.to_ascii_lowercase());
                }
            }
            Some(_) | None => return Err(self.fault(missing)),
        }
        if name.len() > LONGEST_NAME {
            return Err(self.fault("a name has at most 63 bytes"));
        }
        Ok(name)
    }
}

fn begins(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_' || !c.is_ascii()
}

fn goes_on(c: char) -> bool {
    begins(c) || c.is_ascii_digit() || c == '$'
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> (String, String, Vec<String>) {
        let Target {
            schema,
            table,
            columns,
        } = text.parse().unwrap();
        (schema, table, columns)
    }

    #[test]
    fn names_are_read_as_postgresql_reads_them() {
        for (text, schema, table, columns) in [
            ("contact", "public", "contact", &[][..]),
            ("Old.Contact", "old", "contact", &[]),
            ("\"Old\".\"a.\"\"b\"\"(\"", "Old", "a.\"b\"(", &[]),
            ("old.request(email)", "old", "request", &["email"]),
            (
                " old . request ( E_Mail , \"E Mail\",e_mail ) ",
                "old",
                "request",
                &["e_mail", "E Mail"],
            ),
            ("büro.käufer$2(naïve)", "büro", "käufer$2", &["naïve"]),
        ] {
            let columns: Vec<_> = columns.iter().map(|&name| name.to_owned()).collect();
            assert_eq!(read(text), (schema.into(), table.into(), columns), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused_where_it_goes_wrong() {
        let long = format!("old.{}", "x".repeat(64));
        for (text, place) in [
            ("", 1),
            ("old.", 5),
            (".contact", 1),
            ("old.contact.email", 12),
            ("old.request()", 13),
            ("old.request(a,)", 15),
            ("old.request(a b)", 15),
            ("old.request(a", 14),
            ("old.request(a) b", 16),
            ("old.request; DROP TABLE request", 12),
            ("\"old.request", 13),
            ("\"\".request", 3),
            ("1old", 1),
            (&long, 69),
        ] {
            let fault = text.parse::<Target>().unwrap_err();
            assert_eq!(fault.place, place, "{text}: {fault}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_again(
            schema in "[^\0]{1,10}", table in "[^\0]{1,10}",
            columns in proptest::collection::hash_set("[^\0]{1,10}", 0..4),
        ) {
            let target = Target { schema, table, columns: columns.into_iter().collect() };
            prop_assert_eq!(target.to_string().parse(), Ok(target));
        }
    }
}
