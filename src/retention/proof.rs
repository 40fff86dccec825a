//! Proves from the definition of a constraint that it excludes addresses.
//!
//! It reads the definition as PostgreSQL writes it (`pg_get_constraintdef`), so that a column with
//! ten million rows need not be scanned: a valid CHECK has tested every row already. Only two forms
//! are understood, and anything else proves nothing: a closed list of words, and a pattern that
//! spells out from `^` to `$` which characters are allowed.

/// The character that every address contains.
const AT: char = '@';

/// Whether a CHECK with this definition refuses every value that contains an `@`.
#[must_use]
pub fn excludes_at(definition: &str) -> bool {
    let Some(condition) = definition
        .strip_prefix("CHECK ((")
        .and_then(|rest| rest.strip_suffix("))"))
    else {
        return false;
    };
    if let Some((value, rest)) = condition.split_once(" ~ ") {
        return is_plain(value) && literal(rest).is_some_and(is_closed_pattern);
    }
    if let Some((value, rest)) = condition.split_once(" = ANY (ARRAY[") {
        let words = rest.strip_suffix("])");
        return is_plain(value)
            && words.is_some_and(|words| {
                words
                    .split(", ")
                    .all(|word| literal(word).is_some_and(|word| !word.contains(AT)))
            });
    }
    false
}

/// Whether this is the value itself: a column or `VALUE`, perhaps with a cast.
fn is_plain(value: &str) -> bool {
    let name = value
        .strip_prefix('(')
        .and_then(|inner| inner.strip_suffix(")::text"))
        .unwrap_or(value);
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    !name.is_empty() && name.chars().all(is_part)
}

/// The content of `'...'::text`; `None`: it is no such literal, or has a quote in it.
fn literal(text: &str) -> Option<&str> {
    let inner = text.strip_prefix('\'')?.strip_suffix("'::text")?;
    (!inner.contains('\'')).then_some(inner)
}

/// Whether a pattern is anchored at both ends and each of its characters, classes and repetitions
/// is spelt out, and none contains an `@`.
fn is_closed_pattern(pattern: &str) -> bool {
    let Some(mut rest) = pattern
        .strip_prefix('^')
        .and_then(|rest| rest.strip_suffix('$'))
        .filter(|_| pattern.is_ascii())
    else {
        return false;
    };
    let mut depth = 0_u32;
    while let Some(c) = rest.chars().next() {
        rest = &rest[1..];
        match c {
            '[' => {
                let Some((class, after)) = rest.split_once(']') else {
                    return false;
                };
                if !is_closed_class(class) {
                    return false;
                }
                rest = after;
            }
            '(' if !rest.starts_with('?') => depth += 1,
            ')' if depth > 0 => depth -= 1,
            // Outside of brackets an anchor would apply to one side only.
            '|' if depth > 0 => {}
            '\\' => {
                // Before a letter or digit the backslash would make a class, or anything else.
                let Some(escaped) = rest.chars().next().filter(char::is_ascii_punctuation) else {
                    return false;
                };
                if escaped == AT {
                    return false;
                }
                rest = &rest[1..];
            }
            AT | '.' | '(' | ')' | '|' | ']' | '^' | '$' => return false,
            _ => {}
        }
    }
    depth == 0
}

/// Whether the inside of `[...]` lists characters and ranges without an `@`.
fn is_closed_class(class: &str) -> bool {
    let listed: Vec<char> = class.chars().collect();
    if listed.first() == Some(&'^') || listed.iter().any(|c| matches!(c, '[' | '\\')) {
        return false;
    }
    let mut at = 0;
    while at < listed.len() {
        let is_range = listed.get(at + 1) == Some(&'-') && at + 2 < listed.len();
        let (first, last) = (listed[at], listed[if is_range { at + 2 } else { at }]);
        if (first..=last).contains(&AT) {
            return false;
        }
        at += if is_range { 3 } else { 1 };
    }
    !listed.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_spells_everything_out_is_proof() {
        for definition in [
            r"CHECK ((VALUE ~ '^([a-z0-9-]+\.)+[a-z0-9-]+$'::text))",
            r"CHECK ((VALUE ~ '^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+$'::text))",
            "CHECK ((VALUE ~ '^[ -?A-~]*$'::text))",
            "CHECK ((number ~ '^[A-Z0-9]{1,32}$'::text))",
            "CHECK (((number)::text ~ '^(a|b)[x-]+$'::text))",
            "CHECK ((state = ANY (ARRAY['pending'::text, 'provisioned'::text])))",
            "CHECK ((code = ANY (ARRAY['domain-held'::text])))",
        ] {
            assert!(excludes_at(definition), "{definition}");
        }
    }

    #[test]
    fn what_leaves_a_gap_is_none() {
        for definition in [
            "",
            "CHECK (true)",
            "CHECK ((octet_length(VALUE) <= 300))",
            "CHECK ((number ~ '[A-Z]'::text))",
            "CHECK ((number ~ '^[A-Z]'::text))",
            "CHECK ((number ~ '[A-Z]$'::text))",
            "CHECK ((number ~ '^a|b$'::text))",
            "CHECK ((number ~ '^.*$'::text))",
            r"CHECK ((number ~ '^\S+$'::text))",
            r"CHECK ((number ~ '^\@+$'::text))",
            "CHECK ((number ~ '^[^a]+$'::text))",
            "CHECK ((number ~ '^[ -~]+$'::text))",
            "CHECK ((number ~ '^[a@]+$'::text))",
            "CHECK ((number ~ '^[[:graph:]]+$'::text))",
            "CHECK ((number ~ '^(?:a)$'::text))",
            "CHECK ((number ~ '^a@b$'::text))",
            "CHECK ((number ~* '^[a-z]+$'::text))",
            "CHECK ((number !~ '^[a-z]+$'::text))",
            "CHECK ((left(number, 1) ~ '^[A-Z]$'::text))",
            "CHECK (((number ~ '^[A-Z]+$'::text) OR (number ~~ '%'::text)))",
            "CHECK ((state = ANY (ARRAY['a@b'::text])))",
            "CHECK ((state <> ALL (ARRAY['a'::text])))",
            "CHECK ((state = ANY (ARRAY['a'::text, other])))",
            "CHECK ((number ~ '^[A-Z]+$'::text)) NOT VALID",
        ] {
            assert!(!excludes_at(definition), "{definition}");
        }
    }
}
