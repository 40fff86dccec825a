//! Checks that pages and texts use plain words, and one word for one thing (`docs/pages.md#words`).

use std::{fs, path::Path};

/// Words that a reader may not know, or that stand for a thing with another name; and what to write.
const PLAIN: &[(&str, &str)] = &[
    ("mend", "fix"),
    ("do no harm", "you can"),
    ("will do as well", "you can also"),
    ("knock", "connect"),
    ("take away", "remove"),
    ("stands there already", "duplicate"),
    ("goes on by itself", "automatically"),
    ("again by itself", "automatically"),
    ("by ourselves", "automatically"),
    ("all the same", "still"),
    ("in vain", "failed"),
    ("looks after", "administrator"),
    ("held against", "you do not have to act"),
    ("order for the authority", "certificate request"),
    ("what others see", "check it from outside"),
    ("worth a look", "warning"),
    ("accept the terms", "confirm"),
    ("not looked at", "not checked"),
    ("looked at again", "checked again"),
    ("look again", "check again"),
    ("lets go", "releases"),
    ("seen to", "done"),
    ("insist", "require"),
    ("ask for federation", "request federation"),
    ("nothing stands against", "nothing is missing"),
    ("e-mail", "email"),
    ("we look at", "we check"),
    ("look at records", "check records"),
    ("look whether", "check whether"),
    ("looked at next", "checks run next"),
    ("first look", "first check"),
];

/// Where the words for people are.
const PLACES: [&str; 15] = [
    "templates",
    "src/agreement.rs",
    "src/names/problem.rs",
    "src/request/events.rs",
    "src/request/wording.rs",
    "src/staff.rs",
    "src/readiness/catalogue",
    "src/readiness/catalogue.rs",
    "src/readiness/wording",
    "src/readiness/wording.rs",
    "src/help",
    "src/topic.rs",
    "src/request/form",
    "src/request/pages",
    "src/web/site.rs",
];

fn texts(path: &Path, found: &mut Vec<(String, String)>) {
    if path.ends_with("tests") {
        // Of a module.
    } else if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            texts(&entry.unwrap().path(), found);
        }
    } else if path
        .extension()
        .is_some_and(|it| it == "rs" || it == "html" || it == "txt")
        && !path.ends_with("tests.rs")
    {
        let text = fs::read_to_string(path).unwrap();
        // Comments and tests are not for administrators.
        let text = text.split("#[cfg(test)]").next().unwrap_or_default();
        let lines = text
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"));
        let lines: Vec<_> = lines.map(str::to_lowercase).collect();
        found.push((path.display().to_string(), lines.join("\n")));
    }
}

#[test]
fn pages_and_texts_use_plain_words() {
    let mut all = Vec::new();
    for place in PLACES {
        texts(&Path::new(env!("CARGO_MANIFEST_DIR")).join(place), &mut all);
    }
    assert!(all.len() > 50, "there is something to read");
    let mut odd = Vec::new();
    for (path, text) in &all {
        for (word, plain) in PLAIN {
            let mut at = text.match_indices(word);
            // Inside another word it is another word: recommend.
            let is_word = |place: usize| !text[..place].ends_with(char::is_alphabetic);
            if at.any(|(place, _)| is_word(place)) {
                odd.push(format!("{path}: “{word}”, write “{plain}”"));
            }
        }
    }
    assert!(odd.is_empty(), "{}", odd.join("\n"));
}

/// Lines of evidence are ASCII, and have the straight sign.
#[test]
fn an_apostrophe_is_the_same_everywhere() {
    let mut all = Vec::new();
    for place in PLACES
        .into_iter()
        .chain(["src/error.rs", "src/staff/pages"])
    {
        texts(&Path::new(env!("CARGO_MANIFEST_DIR")).join(place), &mut all);
    }
    let is_odd = |line: &&str| {
        let mut signs = line.match_indices('\'');
        signs.any(|(at, _)| {
            line[..at].ends_with(|c: char| c.is_ascii_lowercase())
                && line[at + 1..].starts_with(|c: char| c.is_ascii_lowercase())
        })
    };
    let mut odd = Vec::new();
    for (path, text) in &all {
        // An attribute for the compiler, and words that are looked for in evidence.
        let lines = text
            .lines()
            .filter(|it| !it.contains("reason =") && !it.contains("another service's token"));
        odd.extend(lines.filter(is_odd).map(|line| format!("{path}: {line}")));
    }
    assert!(odd.is_empty(), "{}", odd.join("\n"));
}
