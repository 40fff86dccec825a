//! The public names and ids of requests, submissions and services.

use std::{collections::HashSet, fmt};

use uuid::Uuid;

use crate::{base32, column::text_column, secret::Secret};

/// The public, unguessable name of a request: `PIC-7K3M-9QTX-4HWD-2ZRB`, 80 bits in Crockford
/// base32 (`docs/design.md#words`). Anyone who has it may see the request.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Reference([u8; 10]);

impl Reference {
    /// The reference of the request that `submission` makes: the first 80 bits of its HMAC-SHA-256
    /// under the database's secret. The same submission has the same one, so it is stored once, and
    /// whoever made the submission's id cannot tell the reference beforehand.
    #[must_use]
    pub fn derive(secret: &Secret, submission: &SubmissionId) -> Self {
        let mac = secret.mac(b"pic-portal reference\0", submission.as_bytes());
        let mut bytes = [0; 10];
        bytes.copy_from_slice(&mac[..10]);
        Self(bytes)
    }

    /// Reads what a person typed or a link holds: any case, with or without `PIC` and hyphens, `O`
    /// for `0` and `I` or `L` for `1`. `None` if it is no reference.
    #[must_use]
    pub fn parse(typed: &str) -> Option<Self> {
        let symbols = base32::symbols(typed)?;
        let body = match symbols.len() {
            16 => symbols.as_str(),
            19 => symbols
                .strip_prefix("PIC")
                .or_else(|| symbols.strip_prefix("P1C"))?,
            _ => return None,
        };
        base32::decode(body).map(Self)
    }
}

text_column!(Reference, Self::parse, |reference| &reference.to_string());

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PIC-{}", base32::encode_grouped(&self.0))
    }
}

/// Redacted: a reference opens the request's page, so it has no place in a log.
impl fmt::Debug for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reference(..)")
    }
}

/// The random UUID of one filled-in form: the same one again is the same submission again. With the
/// database's secret it makes the reference and the management key, so SQL does not keep it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SubmissionId(Uuid);

/// The message for an invalid submission id.
pub const NOT_AN_ID: &str = "This form is damaged: its number, submission_id, is not a random UUID of version 4. Press Continue again to send it with a new number. A program makes a new random one for each request";
/// How many bytes of a submission id must differ.
const FEWEST_BYTES: usize = 8;

impl SubmissionId {
    /// A new id, for a new form.
    #[must_use]
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }

    /// The id made of these bytes, for submissions that come from no form; six of the bits are the
    /// version's.
    pub(crate) fn of(bytes: [u8; 16]) -> Self {
        Self(uuid::Builder::from_random_bytes(bytes).into_uuid())
    }

    /// Reads the form's field. `None` if it is no UUID of version 4, or not a random one
    /// ([`NOT_AN_ID`]): in a random one fewer than 8 of the 16 bytes differ once in 10^12 times, so
    /// such an id is a constant in a program, which others may use too.
    #[must_use]
    pub fn parse(typed: &str) -> Option<Self> {
        let uuid = Uuid::try_parse(typed.trim()).ok()?;
        let differ = HashSet::from(*uuid.as_bytes()).len();
        (uuid.get_version_num() == 4 && differ >= FEWEST_BYTES).then_some(Self(uuid))
    }

    /// The bytes of the id.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// The text for the form's hidden field, and for nothing else.
    #[must_use]
    pub fn to_field(&self) -> String {
        self.0.to_string()
    }
}

impl fmt::Debug for SubmissionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SubmissionId(..)")
    }
}

/// The public token of a service: a TXT record that names it gives a domain to the service
/// (`docs/design.md#whose-domain`). 80 random bits in Crockford base32.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceToken(String);

impl ServiceToken {
    /// A new random token.
    #[must_use]
    pub fn random() -> Self {
        Self(base32::encode(&base32::random::<10>()))
    }

    /// The 16 symbols of the token.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_reference_is_read_as_it_is_shown(bytes: [u8; 10]) {
            let reference = Reference(bytes);
            let shown = reference.to_string();
            prop_assert_eq!(shown.len(), 23);
            prop_assert_eq!(Reference::parse(&shown), Some(reference));
            prop_assert_eq!(Reference::parse(&shown[4..]), Some(reference));
            prop_assert_eq!(Reference::parse(&shown.to_lowercase().replace('-', " ")), Some(reference));
            prop_assert_eq!(Reference::parse(&shown.replace('0', "O").replace('1', "I")), Some(reference));
        }
    }

    #[test]
    fn other_things_are_no_reference() {
        for typed in [
            "",
            "PIC",
            "contoso.com",
            "PIC-7K3M-9QTX-4HWD",
            "XYZ-7K3M-9QTX-4HWD-2ZRB",
            "7K3M9QTX4HWD2ZRU",
        ] {
            assert_eq!(Reference::parse(typed), None, "{typed}");
        }
    }

    #[test]
    fn a_submission_id_is_a_random_uuid() {
        assert!(SubmissionId::parse("6f1c0a52-9f6e-4b1e-8a55-0d1f6f0f3c11").is_some());
        assert!(SubmissionId::parse("6F1C0A529F6E4B1E8A550D1F6F0F3C11").is_some());
        for typed in [
            "",
            "1",
            "00000000-0000-0000-0000-000000000000",
            "6f1c0a52-9f6e-1b1e-8a55-0d1f6f0f3c11",
            // A constant of version 4, as people type it into a program.
            "00000000-0000-4000-8000-000000000000",
            "11111111-1111-4111-8111-111111111111",
            "12345678-1234-4123-8123-123412341234",
        ] {
            assert!(SubmissionId::parse(typed).is_none(), "{typed}");
        }
    }

    #[test]
    fn neither_shows_itself_in_a_log() {
        assert_eq!(format!("{:?}", Reference([7; 10])), "Reference(..)");
        assert_eq!(format!("{:?}", SubmissionId::random()), "SubmissionId(..)");
    }
}
