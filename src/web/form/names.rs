//! Checks the names of a form's fields while the form comes in.

use axum::http::StatusCode;
use serde::{
    Deserializer,
    de::{DeserializeOwned, Error as _, Visitor, value},
    forward_to_deserialize_any,
};

use crate::{
    error::{Error, Problem},
    web::guard::decoded,
};

/// The most fields of a form: 10 edges with their domains and all others are far fewer, and each
/// takes memory even if it is empty.
const MOST: usize = 100;

/// Checks the names of a form's fields as they come.
#[derive(Debug)]
pub(super) struct Names {
    /// The names that the form has.
    known: &'static [&'static str],
    /// Where the last field begins, and how far the form has been read.
    begin: usize,
    read: usize,
    /// Whether the last field's name is complete and known.
    is_named: bool,
    fields: usize,
}

impl Names {
    /// The names of the fields of `T`, a struct.
    pub(super) fn of<T: DeserializeOwned>() -> Self {
        let mut known: &[&str] = &[];
        // Always fails: it only reports the names.
        let _ = T::deserialize(Asking(&mut known));
        Self {
            known,
            begin: 0,
            read: 0,
            is_named: false,
            fields: 0,
        }
    }

    /// Checks the new part of `form`.
    ///
    /// # Errors
    ///
    /// The problem for a form that has another field, or too many.
    pub(super) fn check(&mut self, form: &[u8]) -> Result<(), Problem> {
        for (at, byte) in form.iter().enumerate().skip(self.read) {
            match byte {
                b'&' => {
                    // An empty piece between two `&` is no field.
                    if !self.is_named && self.begin < at {
                        self.check_name(&form[self.begin..at])?;
                    }
                    (self.begin, self.is_named) = (at + 1, false);
                }
                b'=' if !self.is_named => {
                    self.check_name(&form[self.begin..at])?;
                    self.is_named = true;
                }
                _ => {}
            }
        }
        self.read = form.len();
        // Each byte may be percent-encoded.
        let longest = 3 * self.known.iter().map(|name| name.len()).max().unwrap_or(0);
        if !self.is_named && form.len() - self.begin > longest {
            return Err(Error::OtherFields.into());
        }
        Ok(())
    }

    /// Checks the last field, which may be a name without a value.
    ///
    /// # Errors
    ///
    /// As [`Names::check`].
    pub(super) fn check_end(&mut self, form: &[u8]) -> Result<(), Problem> {
        if self.is_named || self.begin == form.len() {
            return Ok(());
        }
        self.check_name(&form[self.begin..])
    }

    fn check_name(&mut self, encoded: &[u8]) -> Result<(), Problem> {
        let Some(name) = decoded(encoded) else {
            return Err(Problem::of(StatusCode::BAD_REQUEST));
        };
        if !self.known.iter().any(|known| known.as_bytes() == name) {
            return Err(Error::OtherFields.into());
        }
        self.fields += 1;
        if self.fields > MOST {
            return Err(Problem::of(StatusCode::PAYLOAD_TOO_LARGE));
        }
        Ok(())
    }
}

/// A deserializer that only notes which fields a struct has.
struct Asking<'a>(&'a mut &'static [&'static str]);

impl<'de> Deserializer<'de> for Asking<'_> {
    type Error = value::Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Self::Error> {
        Err(Self::Error::custom(""))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        *self.0 = fields;
        self.deserialize_any(visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::Deserialize;

    use super::*;
    use crate::web::form::NoFields;

    #[derive(Default, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Form {
        name: String,
        #[serde(rename = "edge")]
        edges: Vec<String>,
    }

    /// The status for a form that comes in pieces of `size` bytes, and how much of it was read.
    fn answer(form: &str, size: usize) -> (u16, usize) {
        let mut names = Names::of::<Form>();
        let mut form_so_far = Vec::new();
        for piece in form.as_bytes().chunks(size) {
            form_so_far.extend_from_slice(piece);
            if let Err(problem) = names.check(&form_so_far) {
                return (problem.status.as_u16(), form_so_far.len());
            }
        }
        let status = match names.check_end(&form_so_far) {
            Ok(()) => 200,
            Err(problem) => problem.status.as_u16(),
        };
        (status, form_so_far.len())
    }

    #[test]
    fn a_form_is_read_to_its_first_other_field() {
        for (form, status, read) in [
            ("", 200, 0),
            ("name=a&edge=b&edge=c=d&", 200, 23),
            ("&&name=%26&%65dge", 200, 17),
            ("name=a&other=b&name=c", 422, 13),
            ("other&name=c", 422, 6),
            ("=a&name=c", 422, 1),
            ("name=a&othe", 422, 11),
            ("aaaaaaaaaaaaaaaa", 422, 13),
            ("name=a&%zz=b&name=c", 400, 11),
            ("%C3=1", 400, 4),
        ] {
            assert_eq!(answer(form, 1), (status, read), "{form}");
            assert_eq!(answer(form, 1_000).0, status, "{form}");
        }
        assert_eq!(answer(&"edge=&".repeat(100), 7).0, 200);
        assert_eq!(answer(&"edge&".repeat(200), 1), (413, 505));
        let mut none = Names::of::<NoFields>();
        none.check(b"&").unwrap();
        none.check_end(b"&").unwrap();
        assert_eq!(none.check(b"&a").unwrap_err().status, 422);
    }

    proptest! {
        /// What serde accepts is accepted here too, however the form is split.
        #[test]
        fn no_field_of_the_form_is_refused(
            pairs in prop::collection::vec(("name|edge", ".{0,8}"), 0..20),
            size in 1_usize..9,
        ) {
            let form = serde_html_form::to_string(&pairs).unwrap();
            prop_assert_eq!(answer(&form, size), (200, form.len()));
        }
    }
}
