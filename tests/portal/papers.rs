//! Checks that the documents agree with the program, and that all references to them are valid.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use clap::{Arg, Command, CommandFactory as _};
use pic_portal::{cli::Cli, readiness::Code};

/// Where files may refer to documents: folders, and files of the top folder.
const PLACES: [&str; 15] = [
    "src",
    "tests",
    "benches",
    "templates",
    "migrations",
    "docs",
    "deploy",
    ".ci",
    "Makefile",
    "Cargo.toml",
    "clippy.toml",
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "SECURITY.md",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The text files at and below `path`, by their path from the top folder.
fn collect(path: &Path, files: &mut Vec<(PathBuf, String)>) {
    let whole = root().join(path);
    // Packages of others.
    if path.ends_with("node_modules") {
        return;
    }
    if whole.is_dir() {
        for entry in fs::read_dir(whole).unwrap() {
            collect(&path.join(entry.unwrap().file_name()), files);
        }
    } else if let Ok(text) = fs::read_to_string(whole) {
        files.push((path.to_owned(), text));
    }
}

fn files() -> Vec<(PathBuf, String)> {
    let mut files = Vec::new();
    for place in PLACES {
        collect(Path::new(place), &mut files);
    }
    files
}

fn paper(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap()
}

fn is_markdown(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "md")
}

/// The anchors of the headings in a Markdown text, as code hosting sites make them.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    headings
        .map(|line| {
            let heading = line.trim_start_matches('#').trim().to_lowercase();
            let kept = heading
                .chars()
                .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
            kept.map(|c| if c == ' ' { '-' } else { c }).collect()
        })
        .collect()
}

/// The names of Markdown files in `text`, with the section that follows, as in `docs/a.md#b`.
fn named(text: &str) -> Vec<&str> {
    let in_path = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '/' | '-' | '#');
    text.split(|c| !in_path(c))
        .map(|word| word.trim_end_matches('.'))
        .filter(|word| is_markdown(Path::new(word.split('#').next().unwrap_or_default())))
        // An address elsewhere.
        .filter(|word| !word.starts_with("//"))
        .collect()
}

/// The targets of the links in a Markdown text, except for addresses elsewhere.
fn linked(text: &str) -> Vec<&str> {
    let targets = text.split("](").skip(1);
    targets
        .filter_map(|rest| rest.split_once(')'))
        .map(|(target, _)| target)
        .filter(|target| !target.contains("://"))
        .collect()
}

/// Whether `target`, a path with or without a section, exists as seen from the folder `from`.
fn is_there(from: &Path, target: &str) -> bool {
    let (path, section) = target.split_once('#').unwrap_or((target, ""));
    let path = root().join(from).join(path);
    if section.is_empty() {
        return path.exists();
    }
    fs::read_to_string(path).is_ok_and(|text| anchors(&text).contains(section))
}

/// The references of a file that lead nowhere.
fn lost(path: &Path, text: &str) -> Vec<String> {
    let folder = path.parent().unwrap();
    let mut lost = Vec::new();
    if is_markdown(path) {
        let own = path.file_name().unwrap().to_str().unwrap();
        for target in linked(text) {
            let whole = if target.starts_with('#') {
                format!("{own}{target}")
            } else {
                target.to_owned()
            };
            if !is_there(folder, &whole) {
                lost.push(target.to_owned());
            }
        }
    }
    for target in named(text) {
        // The text of a link may be a bare file name: its target is what counts.
        let near = is_markdown(path) && (!target.contains('/') || is_there(folder, target));
        if !near && !is_there(Path::new(""), target) {
            lost.push(target.to_owned());
        }
    }
    lost
}

#[test]
fn references_to_papers_lead_somewhere() {
    let files = files();
    let mut all = Vec::new();
    for (path, text) in &files {
        // The tests below name files that do not exist.
        if !path.ends_with("papers.rs") {
            let lost = lost(path, text).into_iter();
            all.extend(lost.map(|target| format!("{}: {target}", path.display())));
        }
    }
    assert!(all.is_empty(), "not there:\n{}", all.join("\n"));
    let papers = files.iter().filter(|(path, _)| is_markdown(path)).count();
    assert!(papers > 20, "there is something to follow");
}

#[test]
fn a_reference_that_leads_nowhere_is_found() {
    let code = Path::new("src/lib.rs");
    for good in [
        "(`docs/design.md#whose-domain`)",
        "as in docs/field.md.",
        "https://example.com/no/such.md",
    ] {
        assert_eq!(lost(code, good), Vec::<String>::new(), "{good}");
    }
    for bad in [
        "`docs/nothing.md`",
        "(docs/design.md#nobodys-domain)",
        "`design.md`, Words",
    ] {
        assert_eq!(lost(code, bad).len(), 1, "{bad}");
    }
    let paper = Path::new("docs/design.md");
    let good = "[a](field.md#time), [b](#words), [c](../README.md), `docs/field.md#time`";
    assert_eq!(lost(paper, good), Vec::<String>::new());
    for bad in ["[a](#nothing)", "[b](nothing.png)", "[c](field.md#times)"] {
        assert!(!lost(paper, bad).is_empty(), "{bad}");
    }
}

/// Files and folders of the code that documents name in code spans.
#[test]
fn papers_name_code_that_is_there() {
    const FOLDERS: [&str; 9] = [
        "src/",
        "tests/",
        "benches/",
        "templates/",
        "migrations/",
        "static/",
        "deploy/",
        ".ci/",
        "docs/",
    ];
    let mut gone = Vec::new();
    for (path, text) in files().iter().filter(|(path, _)| is_markdown(path)) {
        for span in text.split('`').skip(1).step_by(2) {
            let is_path = FOLDERS.iter().any(|folder| span.starts_with(folder))
                && !span.contains(char::is_whitespace);
            // `src/db/pool*` stands for several, `NNNN` for a number.
            let beginning = span.split('*').next().unwrap();
            let is_one = beginning == span && !span.contains("NNNN");
            if is_path && is_one && !is_there(Path::new(""), span) {
                gone.push(format!("{}: {span}", path.display()));
            }
        }
    }
    assert!(gone.is_empty(), "not there:\n{}", gone.join("\n"));
}

// ---------------------------------------------------------------------------------------------
// What the papers list

/// The cells of the rows that begin with a code span, of the tables in `text`.
fn rows(text: &str) -> Vec<Vec<String>> {
    text.lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| {
            let line = line.replace(r"\|", "/");
            let cells = line.trim_matches('|').split(" | ");
            cells.map(|cell| cell.trim().to_owned()).collect()
        })
        .collect()
}

/// The contents of code spans.
fn bare(cell: &str) -> String {
    cell.replace('`', "")
}

/// The default in a setting's help text.
fn default_of(arg: &Arg) -> String {
    let help = arg.get_help().unwrap().to_string();
    let told = help.split_once("[default: ").map(|(_, rest)| rest);
    told.map_or("unset".to_owned(), |rest| {
        rest.split_once(']').unwrap().0.to_owned()
    })
}

#[test]
fn every_setting_stands_in_configuration() {
    let program = Cli::command();
    let settings: BTreeSet<Vec<String>> = program
        .get_arguments()
        .filter_map(|arg| {
            let variable = arg.get_env()?.to_str().unwrap().to_owned();
            let flag = format!("--{}", arg.get_long().unwrap());
            Some(vec![variable, flag, default_of(arg)])
        })
        .collect();
    assert!(settings.len() > 20, "there is something to compare");
    let told: BTreeSet<Vec<String>> = rows(&paper("docs/configuration.md"))
        .iter()
        .filter(|row| row.len() == 4)
        .map(|row| row[..3].iter().map(|cell| bare(cell)).collect())
        .collect();
    let difference: Vec<_> = settings.symmetric_difference(&told).collect();
    assert!(difference.is_empty(), "told otherwise: {difference:#?}");
}

/// Commands without subcommands, by their words, and their flags.
fn commands(command: &Command, before: &str) -> BTreeSet<(String, BTreeSet<String>)> {
    let mut all = BTreeSet::new();
    for command in command.get_subcommands().filter(|it| !it.is_hide_set()) {
        let name = format!("{before} {}", command.get_name());
        if command.has_subcommands() {
            all.extend(commands(command, &name));
        } else {
            let flags = command.get_arguments().filter_map(Arg::get_long);
            all.insert((name, flags.map(|flag| format!("--{flag}")).collect()));
        }
    }
    all
}

#[test]
fn every_command_stands_in_configuration() {
    let known = commands(&Cli::command(), "pic-portal");
    let told: BTreeSet<_> = rows(&paper("docs/configuration.md"))
        .iter()
        .filter(|row| row.len() == 2)
        .map(|row| {
            let usage = bare(&row[0]);
            let words = usage.split([' ', '[', ']']).filter(|word| !word.is_empty());
            let name = words
                .clone()
                .take_while(|word| !word.contains(char::is_uppercase) && !word.starts_with('-'));
            let flags = words.filter(|word| word.starts_with("--"));
            (
                name.collect::<Vec<_>>().join(" "),
                flags.map(str::to_owned).collect(),
            )
        })
        .collect();
    assert_eq!(told, known);
}

#[test]
fn every_finding_stands_in_readiness() {
    let known: BTreeSet<(String, String)> = Code::ALL
        .iter()
        .map(|code| (code.as_str().into(), code.severity().as_str().into()))
        .collect();
    let text = paper("docs/readiness.md");
    let (_, findings) = text.split_once("\n## All findings\n").unwrap();
    let findings = findings.split("\n## ").next().unwrap();
    let rows = rows(findings);
    let told: BTreeSet<(String, String)> = rows
        .iter()
        .map(|row| (bare(&row[0]), row[1].clone()))
        .collect();
    assert_eq!(told, known);
    assert_eq!(rows.len(), told.len(), "each stands there once");
}
