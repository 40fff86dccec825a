//! Compares names with the standards' own tests: UTS #46 and the list of public suffixes.
//!
//! Both files come with the crates that read names, of the version that the portal is built with. What
//! is judged otherwise, and why: `docs/field.md#names-by-the-standards`.

use std::{collections::BTreeMap, path::PathBuf, process::Command};

use pic_portal::names::{AccessEdge, Fqdn, NameProblem, SipDomain};

/// The directory of a crate that the portal is built with. Crates of other platforms are not asked for: a
/// build downloads none of them.
fn crate_dir(name: &str) -> PathBuf {
    let rustc = Command::new("rustc")
        .args(["--print", "host-tuple"])
        .output();
    let host = String::from_utf8(rustc.unwrap().stdout).unwrap();
    let metadata = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--locked", "--offline"])
        .args(["--filter-platform", host.trim()])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let metadata: serde_json::Value = serde_json::from_slice(&metadata.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap().iter();
    let found = packages
        .filter(|it| it["name"] == name)
        .filter_map(|it| it["manifest_path"].as_str())
        .collect::<Vec<_>>();
    let [manifest] = found.as_slice() else {
        panic!("one {name}: {found:?}")
    };
    PathBuf::from(manifest).parent().unwrap().into()
}

/// A column of `IdnaTestV2.txt`, with its escapes resolved.
fn unescaped(column: &str) -> Option<String> {
    if column == "\"\"" {
        return Some(String::new());
    }
    let mut text = String::new();
    let mut rest = column;
    while let Some((before, after)) = rest.split_once('\\') {
        text.push_str(before);
        let (code, after) = match after.strip_prefix("x{") {
            Some(braced) => braced.split_once('}')?,
            None => after.strip_prefix('u')?.split_at(4),
        };
        // A lone surrogate is no text in Rust.
        text.push(char::from_u32(u32::from_str_radix(code, 16).ok()?)?);
        rest = after;
    }
    Some(text + rest)
}

/// How often each class of agreement and disagreement was met.
type Counts = BTreeMap<&'static str, usize>;

#[test]
fn names_are_read_as_uts_46_says() {
    let file = crate_dir("idna").join("tests/IdnaTestV2.txt");
    let tests = std::fs::read_to_string(file).unwrap();
    let mut counts = Counts::new();
    for line in tests.lines() {
        let line = line.split('#').next().unwrap().trim();
        if line.is_empty() {
            continue;
        }
        let columns: Vec<_> = line.split(';').map(str::trim).collect();
        let class = match unescaped(columns[0]) {
            Some(source) => judged(&source, &columns).unwrap_or_else(|| panic!("{line}")),
            None => "no text: half a surrogate pair",
        };
        *counts.entry(class).or_default() += 1;
    }
    let expected = [
        ("agreed: a name", 304),
        ("agreed: no name", 5_780),
        ("accepted: a dot at the end is taken off", 26),
        ("accepted: a joiner at an end is taken off", 32),
        ("accepted: assigned in Unicode 17", 3),
        ("refused: a symbol", 110),
        ("refused: no dot", 132),
        ("no text: half a surrogate pair", 2),
    ];
    assert_eq!(counts, Counts::from(expected));
}

/// The class of a row of `IdnaTestV2.txt`, whose checks are all on.
fn judged(source: &str, columns: &[&str]) -> Option<&'static str> {
    let or = |column: &str, default: &str| match column {
        "" => Some(default.to_owned()),
        column => unescaped(column),
    };
    let unicode = or(columns[1], source)?;
    let ascii = or(columns[3], &unicode)?;
    let status = match (columns[2], columns[4]) {
        (status, "") | (_, status) => status.trim_matches(['[', ']']),
    };
    let is_joiner = |c| matches!(c, '\u{200c}' | '\u{200d}');
    Some(match (status, Fqdn::parse(source)) {
        ("", Ok(name)) if name.as_str() == ascii => "agreed: a name",
        ("", Err(error)) => match error.problem() {
            NameProblem::NoDot => "refused: no dot",
            NameProblem::ForbiddenCharacter => "refused: a symbol",
            // A symbol that ends in a sign which is taken for a bracket, and taken off.
            NameProblem::InvalidIdn if source.contains(['<', '>']) => "refused: a symbol",
            _ => return None,
        },
        (_, Err(_)) => "agreed: no name",
        ("A4_2", Ok(name)) if ascii == format!("{name}.") => {
            "accepted: a dot at the end is taken off"
        }
        (_, Ok(name))
            if Fqdn::parse(source.trim_matches(is_joiner)) == Ok(name.clone())
                && (source.starts_with(is_joiner) || source.ends_with(is_joiner)) =>
        {
            "accepted: a joiner at an end is taken off"
        }
        (status, Ok(_)) if status.contains("V7") => "accepted: assigned in Unicode 17",
        (_, Ok(_)) => return None,
    })
}

/// The file is that of <https://github.com/publicsuffix/list> (public domain).
#[test]
fn the_registrable_domain_is_that_of_the_list() {
    let tests = include_str!("../cases/public-suffix-list/test_psl.txt");
    let mut counts = Counts::new();
    for line in tests.lines() {
        let Some(columns) = line.strip_prefix("checkPublicSuffix(") else {
            continue;
        };
        let columns = columns.trim_end_matches(");").split(", ");
        let columns: Vec<_> = columns.map(|it| it.trim_matches('\'')).collect();
        let domain = |name: &str| SipDomain::parse_any(name).ok();
        let apex = domain(columns[0]).and_then(|name| name.apex());
        let class = if apex == domain(columns[1]) {
            "agreed"
        } else if columns[0].ends_with("uk.com") {
            "a company's suffix is an ordinary name"
        } else if columns[0].ends_with("example") {
            "an ending for tests is none that people register under"
        } else {
            panic!("{line}")
        };
        *counts.entry(class).or_default() += 1;
    }
    let expected = [
        ("agreed", 71),
        ("a company's suffix is an ordinary name", 4),
        ("an ending for tests is none that people register under", 3),
    ];
    assert_eq!(counts, Counts::from(expected));
}

/// Names right below each suffix of the list that the portal is built with.
#[test]
fn a_registrable_name_is_no_edge_under_any_suffix_of_a_registry() {
    let rules = std::fs::read_to_string(crate_dir("psl").join("data/rules.txt")).unwrap();
    let mut seen = 0;
    for rule in rules.lines().map(str::trim) {
        let suffix = rule.replace("*.", "any.");
        let registry = psl::suffix(suffix.as_bytes()).and_then(|it| it.typ());
        if registry != Some(psl::Type::Icann) || rule.starts_with('!') {
            continue;
        }
        seen += 1;
        let name = format!("contoso.{suffix}");
        let error = AccessEdge::parse(&name).expect_err(&name);
        let never = ["arpa", "onion"].iter().any(|it| suffix.ends_with(it));
        assert_eq!(error.problem() == NameProblem::NotAServer, !never, "{name}");
    }
    assert!(seen > 6_000, "{seen}");
    // An ending that the list lacks counts as a suffix too.
    for name in ["contoso.helsinki", "contoso.brandnew"] {
        let error = AccessEdge::parse(name).expect_err(name);
        assert_eq!(error.problem(), NameProblem::NotAServer, "{name}");
        assert!(AccessEdge::parse(&format!("sip.{name}")).is_ok());
        assert!(SipDomain::parse(name).is_ok());
    }
    // Below a suffix that a company runs stand hosts.
    for name in ["edge.westeurope.cloudapp.azure.com", "contoso.dyndns.org"] {
        assert!(AccessEdge::parse(name).is_ok(), "{name}");
    }
}
