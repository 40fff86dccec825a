//! Reads single values of an export: words that stand for something, numbers, lists of SIP domains.

use std::borrow::Cow;

use super::{
    fields::{without_brackets, words},
    row::Fault,
};
use crate::{
    agreement::Programme,
    names::{List, NameError, SipDomain},
    request::Deployment,
};

/// Names of values, with commas, and the values.
pub(super) type Names<T> = [(&'static str, T)];

pub(super) const PROGRAMMES: &Names<Programme> = &[
    (
        "volume licensing, microsoft volume licensing, volume license, volume licence, vl",
        Programme::VolumeLicensing,
    ),
    (
        "partner network, microsoft partner network, mpn",
        Programme::PartnerNetwork,
    ),
    (
        "service provider, service provider license agreement, service provider licensing agreement, \
         service provider licensing agreement spla, spla",
        Programme::ServiceProvider,
    ),
    (
        "high volume, high volume services, hvs",
        Programme::HighVolume,
    ),
];
/// Whether the routes are in force.
pub(super) const STATES: &Names<bool> = &[
    (
        "activated, active, provisioned, complete, completed, in force",
        true,
    ),
    ("in progress, pending, submitted, new, open", false),
];
pub(super) const OVER: &Names<()> = &[(
    "cancelled, canceled, rejected, denied, declined, withdrawn, expired, deactivated, terminated, deleted, \
     closed, failed",
    (),
)];
pub(super) const DEPLOYMENTS: &Names<Deployment> = &[
    (
        "on premises, on premise, onpremises, on prem, no, false",
        Deployment::OnPremises,
    ),
    ("split, split domain, hybrid, yes, true", Deployment::Split),
];

/// The value with this name, or with the name that is left without what stands in brackets.
pub(super) fn one_of<T: Copy>(names: &Names<T>, text: &str) -> Option<T> {
    let value_of = |text: &str| {
        let text = words(text);
        let is_it = |(names, _): &&(&str, T)| names.split(", ").any(|name| name == text);
        names.iter().find(is_it).map(|(_, value)| *value)
    };
    value_of(text).or_else(|| value_of(&without_brackets(text)))
}

/// The names of a list, however a program or a person writes it: `{a, b}`, `["a","b"]`, `a|b`, `a and b`,
/// with bullets or numbers in front. `SharePoint` puts `;#` between values, each with its number in a list behind it.
/// No name is left out that stands in a note.
pub(super) fn listed(text: &str) -> Result<Vec<Result<SipDomain, NameError>>, Fault> {
    let is_bracket = |c: char| matches!(c, '{' | '}' | '[' | ']');
    let is_number = |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let parts: Vec<_> = text.split(";#").filter(|part| !is_number(part)).collect();
    let text = parts.join("\n").replace(is_bracket, ",");
    let list = List::read(&text);
    if list
        .left_out
        .iter()
        .any(|piece| !piece.is_word() && !piece.is_number())
    {
        return Err("has a note beside the names, with a name in it. Leave the SIP domains there, and nothing else".into());
    }
    let names: Vec<_> = list
        .names
        .iter()
        .map(|it| SipDomain::parse(it.text))
        .collect();
    if names.is_empty() {
        return Err("is empty".into());
    }
    Ok(names)
}

/// Whether this is what PowerShell writes of what has no text: `System.String[]`, `@{Domain=contoso.com}`,
/// `Microsoft.Rtc.Management.WritableConfig.Settings.Edge.DomainPattern`.
pub(super) fn is_type_name(text: &str) -> bool {
    let text = text.strip_prefix("Deserialized.").unwrap_or(text);
    text.starts_with("@{")
        || text.starts_with("System.") && text.contains(['[', '`'])
        || text.starts_with("System.Collections.")
        || text.starts_with("Microsoft.Rtc.")
        || text.starts_with("Microsoft.Skype.")
}

/// Whether this is what a spreadsheet shows in place of a value: `####`, `#N/A`, `#REF!`, `#NAME?`.
pub(super) fn is_no_value(text: &str) -> bool {
    text == "#N/A" || (text.starts_with('#') && text.ends_with(['#', '!', '?']))
}

/// A number without the `.0` or `.00` that programs add to whole numbers, and without the commas
/// between its thousands.
pub(super) fn whole(number: &str) -> Cow<'_, str> {
    let digits = number.trim_end_matches('0').strip_suffix('.');
    let digits = digits.unwrap_or(number);
    let are_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    let mut parts = digits.split(',');
    let begins = parts
        .next()
        .is_some_and(|part| (1..=3).contains(&part.len()) && are_digits(part));
    if digits.contains(',') && begins && parts.all(|part| part.len() == 3 && are_digits(part)) {
        return digits.replace(',', "").into();
    }
    if are_digits(digits) {
        digits.into()
    } else {
        number.into()
    }
}

/// Whether this is a number as a spreadsheet or a program shows a long one: `1.23457E+14`.
pub(super) fn is_rounded(number: &str) -> bool {
    let digits = |text: &str| {
        text.starts_with(|c: char| c.is_ascii_digit())
            && text
                .bytes()
                .all(|b| b.is_ascii_digit() || b == b'.' || b == b',')
    };
    let number = number.replace(' ', "");
    let parts = number.split_once(['e', 'E']);
    parts.is_some_and(|(number, power)| {
        digits(number) && digits(power.trim_start_matches(['+', '-']))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_all_spellings_are_read() {
        for (name, programme) in [
            ("Service Provider (SPLA)", Programme::ServiceProvider),
            ("Partner Network (MPN)", Programme::PartnerNetwork),
            ("High Volume Services (HVS)", Programme::HighVolume),
            (
                "Service Provider License Agreement (SPLA)",
                Programme::ServiceProvider,
            ),
            ("microsoft volume licensing", Programme::VolumeLicensing),
        ] {
            assert_eq!(one_of(PROGRAMMES, name), Some(programme), "{name}");
        }
        for (number, digits) in [
            ("1,234,567", "1234567"),
            ("1234567.00", "1234567"),
            ("1000", "1000"),
            ("12,34", "12,34"),
            ("A1.0", "A1.0"),
        ] {
            assert_eq!(whole(number), digits);
        }
    }

    #[test]
    fn lists_are_read_as_programs_write_them() {
        for list in [
            "a.example b.example",
            "{a.example, b.example}",
            "[\"a.example\",\"b.example\"]",
            "a.example|b.example",
            "a.example and b.example",
            "\u{2022} a.example\n\u{2022} b.example",
            "1. a.example\n2. b.example",
            "a.example / b.example",
            "a.example<br>b.example",
            "a.example;#12;#b.example;#13",
            ";#a.example;#b.example;#",
            "@a.example, @b.example",
            "a.example (main)\nb.example (since 2012)",
        ] {
            let names = listed(list).unwrap().into_iter();
            let names: Vec<_> = names.map(|name| name.unwrap().to_string()).collect();
            assert_eq!(names, ["a.example", "b.example"], "{list}");
        }
        for list in ["a.example # not b.example", "a.example (was b.example)"] {
            let is_read = listed(list).is_ok_and(|names| names.iter().all(Result::is_ok));
            assert!(!is_read, "{list}");
        }
    }
}
