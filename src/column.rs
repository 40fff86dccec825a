//! Lets values be read from columns of PostgreSQL, and be written there, without a word at each query.
//!
//! A query says which type a column has (`kind AS "kind!: Kind"`). A value that the type does not
//! allow is an error of the query that names the type and the column, never the value.

use std::any::type_name;

/// A stored value that its type does not allow. Tells nothing of the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no {0}")]
pub struct Unreadable(
    /// The type that it should have.
    pub &'static str,
);

/// What `read` makes of something stored.
pub(crate) fn read<S, T>(stored: S, read: impl FnOnce(S) -> Option<T>) -> Result<T, Unreadable> {
    read(stored).ok_or(Unreadable(type_name::<T>()))
}

/// Makes a type a column of text: `text_column!(Reference, read, |it| &it.to_string())`. What it
/// reads it gets as `&str`; without the third part it is stored as its `as_str` says. `Deserialize`
/// is for what PostgreSQL gives as JSON.
macro_rules! text_column {
    ($name:ident, $read:expr) => {
        $crate::column::text_column!($name, $read, |it| it.as_str());
    };
    ($name:ident, $read:expr, |$it:ident| $text:expr) => {
        impl ::sqlx::Type<::sqlx::Postgres> for $name {
            fn type_info() -> ::sqlx::postgres::PgTypeInfo {
                <str as ::sqlx::Type<::sqlx::Postgres>>::type_info()
            }

            fn compatible(other: &::sqlx::postgres::PgTypeInfo) -> bool {
                <str as ::sqlx::Type<::sqlx::Postgres>>::compatible(other)
            }
        }

        impl ::sqlx::postgres::PgHasArrayType for $name {
            fn array_type_info() -> ::sqlx::postgres::PgTypeInfo {
                <&str as ::sqlx::postgres::PgHasArrayType>::array_type_info()
            }
        }

        impl<'r> ::sqlx::Decode<'r, ::sqlx::Postgres> for $name {
            fn decode(
                value: ::sqlx::postgres::PgValueRef<'r>,
            ) -> ::std::result::Result<Self, ::sqlx::error::BoxDynError> {
                let text = <&str as ::sqlx::Decode<'r, ::sqlx::Postgres>>::decode(value)?;
                Ok($crate::column::read(text, $read)?)
            }
        }

        impl ::sqlx::Encode<'_, ::sqlx::Postgres> for $name {
            fn encode_by_ref(
                &self,
                buffer: &mut ::sqlx::postgres::PgArgumentBuffer,
            ) -> ::std::result::Result<::sqlx::encode::IsNull, ::sqlx::error::BoxDynError> {
                let $it = self;
                let text: &str = $text;
                <&str as ::sqlx::Encode<'_, ::sqlx::Postgres>>::encode_by_ref(&text, buffer)
            }
        }

        impl<'de> ::serde::Deserialize<'de> for $name {
            fn deserialize<D: ::serde::Deserializer<'de>>(
                json: D,
            ) -> ::std::result::Result<Self, D::Error> {
                let text = <::std::string::String as ::serde::Deserialize>::deserialize(json)?;
                $crate::column::read(text.as_str(), $read).map_err(::serde::de::Error::custom)
            }
        }
    };
}

/// Makes a type a column that is a row, `ROW(a, b)`: `row_column!(State: (A, B), read)`. What it reads
/// it gets as a tuple. A domain of PostgreSQL in the row is cast to the type below it.
macro_rules! row_column {
    ($name:ident: $parts:ty, $read:expr) => {
        impl ::sqlx::Type<::sqlx::Postgres> for $name {
            fn type_info() -> ::sqlx::postgres::PgTypeInfo {
                <$parts as ::sqlx::Type<::sqlx::Postgres>>::type_info()
            }
        }

        impl<'r> ::sqlx::Decode<'r, ::sqlx::Postgres> for $name {
            fn decode(
                value: ::sqlx::postgres::PgValueRef<'r>,
            ) -> ::std::result::Result<Self, ::sqlx::error::BoxDynError> {
                let parts = <$parts as ::sqlx::Decode<'r, ::sqlx::Postgres>>::decode(value)?;
                Ok($crate::column::read(parts, $read)?)
            }
        }
    };
}

pub(crate) use {row_column, text_column};
