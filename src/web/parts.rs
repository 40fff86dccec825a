//! The parts that pages are made of: fields, names, times, tones.
//!
//! They have plain fields only, like the pages in `view`.

/// How urgent or good a state, a finding or a note is. The colour adds nothing to the words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tone {
    /// The matter ended, or was skipped or not checked.
    #[default]
    Neutral,
    /// In progress: there is nothing to do but wait.
    Waiting,
    /// The administrator or staff must act, or the time is up.
    Action,
    /// All is as it should be.
    Good,
    /// The matter was refused or is broken.
    Bad,
}

impl Tone {
    /// The ending of the classes `app-tone--` and `app-line--`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Neutral => "neutral",
            Self::Waiting => "waiting",
            Self::Action => "action",
            Self::Good => "good",
            Self::Bad => "bad",
        }
    }
}

/// `1 SIP domain`, `1,000 SIP domains`.
#[must_use]
pub fn count(number: usize, one: &str, many: &str) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.char_indices() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    format!("{grouped} {}", if number == 1 { one } else { many })
}

/// A field of a form, with what was typed and the messages about it.
#[derive(Clone, Debug, Default)]
pub struct Field {
    /// The element's id, which the error summary links to.
    pub id: String,
    /// What was typed, unchanged; for a checkbox `on` or empty.
    pub value: String,
    /// What is wrong; each message says what to type.
    pub errors: Vec<String>,
    /// The line of each error, from 1, where the field is a list; may be shorter than `errors`.
    pub lines: Vec<Option<usize>>,
    /// What was done with the input ("3 duplicates were merged").
    pub notes: Vec<String>,
}

impl Field {
    /// An empty field.
    #[must_use]
    pub fn new(id: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            ..Self::default()
        }
    }

    /// The lines of the error summary about this field.
    pub(crate) fn problems(&self) -> Vec<Problem> {
        let lines = self.lines.iter().copied().chain(std::iter::repeat(None));
        let errors = self.errors.iter().zip(lines);
        errors
            .map(|(text, line)| Problem {
                id: self.id.clone(),
                line,
                text: text.clone(),
            })
            .collect()
    }
}

/// A line of the error summary.
#[derive(Clone, Debug, Default)]
pub struct Problem {
    /// The id of the field that is wrong, or empty.
    pub id: String,
    /// The line of the field that is wrong, from 1.
    pub line: Option<usize>,
    /// The message, which says what to type instead.
    pub text: String,
}

/// One of several radios.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// The value that is sent; also the element's id, except for the first choice.
    pub value: String,
    /// The text beside the radio.
    pub label: String,
    /// A line below it, or empty.
    pub hint: String,
}

/// A SIP domain.
#[derive(Clone, Debug, Default)]
pub struct Domain {
    /// The name as DNS has it.
    pub name: String,
    /// The name as people read it, where that differs; else empty.
    pub readable: String,
}

/// An Access Edge and the SIP domains routed to it.
#[derive(Clone, Debug, Default)]
pub struct EdgeText {
    /// Its FQDN.
    pub access_edge: String,
    /// Its domains.
    pub domains: Vec<Domain>,
}

/// A point in time, in two forms: for people and for programs.
#[derive(Clone, Debug, Default)]
pub struct When {
    /// The time in RFC 3339, UTC.
    pub iso: String,
    /// The time as people read it, such as `5 May 2025 at 14:01 UTC`.
    pub text: String,
    /// Relative to now, such as `3 hours ago`, or empty.
    pub relative: String,
}

/// A link with its text.
#[derive(Clone, Debug, Default)]
pub struct Way {
    /// The address it leads to.
    pub href: String,
    /// The text of the link.
    pub label: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_read_well() {
        for (number, text) in [
            (0, "0 names"),
            (1, "1 name"),
            (40, "40 names"),
            (999, "999 names"),
            (1_000, "1,000 names"),
            (1_234_567, "1,234,567 names"),
        ] {
            assert_eq!(count(number, "name", "names"), text);
        }
    }
}
