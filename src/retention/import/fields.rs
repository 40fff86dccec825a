//! Says which column of an export means what, and which are contacts.
//!
//! A header is compared by its letters and digits, whatever their case; what stands in brackets, or is
//! a number in front, may be left out. What is in neither table is not let in either: nobody knows
//! what it holds.

use crate::text_enum::text_enum;

text_enum! {
    /// What a column can mean.
    Field {
        /// The old portal's own number of the request; groups the rows of one request.
        Id = "request id",
        /// Licensing programme.
        Programme = "programme",
        /// Agreement number.
        Number = "number",
        /// Access Edge FQDN.
        Edge = "access edge",
        /// SIP domains, one or several.
        Domains = "sip domain",
        /// Where the users are homed.
        Deployment = "deployment",
        /// Activated, in progress, or over.
        State = "state",
        /// When it was submitted to the old portal.
        Submitted = "submitted",
    }
}

impl Field {
    /// What every request needs.
    pub const NEEDED: [Self; 4] = [Self::Programme, Self::Number, Self::Edge, Self::Domains];

    /// The headers by which it is known, with commas (`docs/moving-in.md#columns`).
    #[must_use]
    pub const fn headers(self) -> &'static str {
        match self {
            Self::Id => {
                "request id, old request id, request number, request no, request, ticket, ticket number, case, \
                 case id, case number, reference, id"
            }
            Self::Programme => {
                "programme, program, agreement type, licensing programme, licensing program, \
                 licensing agreement type, license program, licence programme, license type"
            }
            Self::Number => {
                "number, agreement number, agreement no, agreement id, agreement, enrollment number, \
                 enrolment number, initial enrollment number, product enrollment number, partner id, hq partner id, \
                 headquarters partner id, licensing agreement number"
            }
            Self::Edge => {
                "access edge, access edge fqdn, access edge service fqdn, access edge service, access edge server, \
                 access edge server fqdn, access proxy, access proxy fqdn, edge, edge fqdn, edge server, \
                 edge server fqdn, proxy fqdn, fqdn"
            }
            Self::Domains => {
                "sip domain, sip domains, sip domain name, sip domain names, domain, domains, \
                 domain name, domain names"
            }
            Self::Deployment => "deployment, deployment type, topology, split domain",
            Self::State => {
                "state, status, request state, request status, provisioning state, provisioning status"
            }
            Self::Submitted => {
                "submitted, submitted at, submitted on, submitted date, date submitted, submission date, \
                 request date, requested at, requested on, created, created at, created on, creation date"
            }
        }
    }

    /// The field that has this header, whatever stands between its words: `proxyfqdn`.
    fn of(header: &str) -> Option<Self> {
        let header = without_gaps(header);
        let is_it = |known: &str| without_gaps(known) == header;
        let has_it = |field: &&Self| field.headers().split(", ").any(is_it);
        Self::ALL.iter().find(has_it).copied()
    }
}

/// A header with one of these words in it that is no field's is a contact's.
const CONTACT_WORDS: &str = "address administrator admin attention cell city comment comments company contact \
    contacts customer department email emails fax first firstname lastname mail mails mobile name names note \
    notes notification organisation organization owner person phone phones postcode remarks requester requestor \
    street surname tel telephone title upn user username zip";

/// Words that may stand beside those of [`CONTACT_WORDS`] in a header that is shown.
const PLAIN_WORDS: &str = "1 2 3 a alternate business by code country created domain e family for full given id \
    last middle no number of office per primary request second secondary sip submitted technical the to work";

/// What a column is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// It comes in.
    Field(Field),
    /// It is dropped at the door.
    Dropped(Dropped),
}

/// Why a column is dropped, told without repeating what anybody wrote.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dropped {
    /// A contact's, by this header, of known words alone.
    Contact(String),
    /// A contact's, by a header that has other words too.
    LikeContact,
    /// In no table.
    Unknown,
}

impl Dropped {
    /// What its values are called in the report: those of the column at `place`, or of members
    /// (place 0).
    #[must_use]
    pub fn name(&self, place: usize) -> String {
        match (self, place) {
            (Self::Contact(header), _) => header.clone(),
            (Self::LikeContact, 0) => "members that are contacts' by their names".to_owned(),
            (Self::LikeContact, _) => format!("column {place}, a contact's by its header"),
            (Self::Unknown, 0) => "members of unknown names".to_owned(),
            (Self::Unknown, _) => format!("column {place}, of an unknown header"),
        }
    }
}

/// What the column with this header is.
#[must_use]
pub fn meaning(header: &str) -> Meaning {
    // SharePoint's own name of a column has this for a space.
    let header = &header.replace("_x0020_", " ");
    let shorter = without_brackets(header);
    let (header, shorter) = (words(header), words(&shorter));
    let numbered = shorter.trim_start_matches(|c: char| c.is_ascii_digit());
    let forms = [header.as_str(), &shorter, numbered.trim_start()];
    if let Some(field) = forms.into_iter().find_map(Field::of) {
        return Meaning::Field(field);
    }
    let is_in = |list: &str, word| list.split(' ').any(|known| known == word);
    let is_contact = |word| is_in(CONTACT_WORDS, word);
    Meaning::Dropped(if !header.split(' ').any(is_contact) {
        Dropped::Unknown
    } else if header
        .split(' ')
        .all(|word| is_contact(word) || is_in(PLAIN_WORDS, word))
    {
        Dropped::Contact(header)
    } else {
        Dropped::LikeContact
    })
}

fn without_gaps(words: &str) -> String {
    words.replace(' ', "")
}

/// `text` without the parts of it that stand in brackets: `Service Provider (SPLA)`.
#[must_use]
pub fn without_brackets(text: &str) -> String {
    let (mut rest, mut depth) = (String::new(), 0_u32);
    for c in text.chars() {
        match c {
            '(' | '[' => depth += 1,
            ')' | ']' if depth > 0 => depth -= 1,
            _ if depth == 0 => rest.push(c),
            _ => {}
        }
    }
    rest
}

/// `text` in lower case, with one space between its words and none around them. `contactEmail` is
/// two words.
#[must_use]
pub fn words(text: &str) -> String {
    let mut words = String::new();
    let (mut gap, mut lower) = (false, false);
    for c in text.chars() {
        if c.is_alphanumeric() {
            if (gap || (lower && c.is_uppercase())) && !words.is_empty() {
                words.push(' ');
            }
            words.extend(c.to_lowercase());
            (gap, lower) = (false, c.is_lowercase());
        } else {
            gap = true;
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_all_spellings_are_known() {
        for (header, field) in [
            ("Access Edge service FQDN", Field::Edge),
            ("access_edge", Field::Edge),
            ("accessEdgeFqdn", Field::Edge),
            ("ProxyFqdn", Field::Edge),
            ("proxyfqdn", Field::Edge),
            ("Access Edge FQDN (external)", Field::Edge),
            ("accessedge", Field::Edge),
            ("SIPDomain", Field::Domains),
            ("SIP Domain Name(s)", Field::Domains),
            ("HQPartnerID", Field::Number),
            ("agreementnumber", Field::Number),
            ("Access_x0020_Edge_x0020_FQDN", Field::Edge),
            ("1. Programme", Field::Programme),
            ("\u{feff}SIP domain(s)", Field::Domains),
            ("Agreement-Type", Field::Programme),
            (" HQ Partner ID ", Field::Number),
            ("STATUS", Field::State),
            ("ID", Field::Id),
        ] {
            assert_eq!(meaning(header), Meaning::Field(field), "{header}");
        }
    }

    #[test]
    fn contacts_are_known_and_nothing_strange_is_repeated() {
        for header in [
            "E-Mail",
            "email",
            "contactEmail",
            "Contact e-mail per SIP domain",
            "First name",
            "phone",
            "TEL.",
            "Fax no",
            "technical contact",
            "Notes",
        ] {
            let Meaning::Dropped(Dropped::Contact(shown)) = meaning(header) else {
                panic!("{header}");
            };
            assert_eq!(shown, words(header));
        }
        // Headers that are data: a file without a line of headers.
        for (header, dropped) in [
            ("bob@contoso.com", Dropped::Unknown),
            ("Name: Bob", Dropped::LikeContact),
            ("", Dropped::Unknown),
            ("colour", Dropped::Unknown),
        ] {
            assert_eq!(meaning(header), Meaning::Dropped(dropped), "{header}");
        }
    }

    #[test]
    fn no_header_means_two_things() {
        let headers = |field: &Field| field.headers().split(", ");
        let all: Vec<_> = Field::ALL.iter().flat_map(headers).collect();
        for (at, name) in all.iter().enumerate() {
            let before = all[..at].iter().map(|known| without_gaps(known));
            assert!(
                !before.into_iter().any(|it| it == without_gaps(name)),
                "{name}"
            );
            assert_eq!(words(name), **name, "in its normal form");
        }
    }
}
