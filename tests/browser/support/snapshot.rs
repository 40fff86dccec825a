//! Compares what a screen reader is given with snapshots.
//!
//! The accessibility tree as lines of role and name, compared by `insta` with the files of
//! `tests/browser/snapshots/`: for the pages in [`PAGES`] their title and the content of `main`,
//! for those in [`SHELLS`] everything around it.
//!
//! A page that differs fails its test, and `insta` writes the new content to a `.snap.new` next to
//! the snapshot, to compare. Accept an intended change by writing the snapshots again, and read
//! them with `git diff` before the commit:
//!
//! ```text
//! INSTA_UPDATE=always cargo test --locked --test browser for_everybody
//! INSTA_UPDATE=always cargo test --locked --test browser service::
//! ```
//!
//! A new snapshot needs its page named in one of the lists; a test compares these with the files.

use std::{
    collections::{BTreeSet, HashMap},
    fmt::Write as _,
    fs,
};

use serde_json::{Value, json};

use super::{page::Page, repository};

/// The pages whose structure is compared: each form with and without errors, each standing of a
/// request, and one page of each other kind. By name: those of the gallery, and those that begin
/// with `service`, of the journey through a service.
pub(crate) const PAGES: [&str; 49] = [
    "start",
    "form",
    "form-errors",
    "answers",
    "answers-warnings",
    "answers-findings",
    "receipt",
    "status-pending",
    "status-overdue",
    "status-needs-action",
    "status-every-finding",
    "status-provisioned",
    "status-at-risk",
    "status-rejected-expired",
    "status-withdrawn",
    "status-wrong-key",
    "service-sign-in",
    "service-sign-in-error",
    "service-hub",
    "service-edit",
    "service-edit-error",
    "service-review",
    "service-review-error",
    "service-request-superseded",
    "service-request-moved",
    "service-hub-moved",
    "service-sign-in-again",
    "service-correct",
    "service-request-cancelled",
    "service-key",
    "service-key-shown",
    "service-watch",
    "service-cancel",
    "service-cancel-error",
    "check",
    "check-found",
    "check-errors",
    "find",
    "find-error",
    "error-no-page",
    "help",
    "help-finding-homed-online",
    "help-address-error",
    "staff-sign-in-error",
    "staff-overview",
    "staff-queue-rejected",
    "staff-request",
    "staff-service",
    "staff-account",
];

/// The pages whose header, notices, navigation and footer are compared: a public one, one of a
/// client that is signed in to a service, one of the desk.
pub(crate) const SHELLS: [&str; 3] = ["status-pending", "service-cancel", "staff-overview"];

/// What differs from run to run, and its replacement.
const MASKS: &[(&str, &str)] = &[
    (r"PIC(-[0-9A-HJKMNP-TV-Z]{4}){4}", "PIC-0000"),
    (r"([0-9A-HJKMNP-TV-Z]{4}-){6}[0-9A-HJKMNP-TV-Z]{2}", "KEY"),
    (r"pic-service=[0-9A-HJKMNP-TV-Z]+", "pic-service=TOKEN"),
    (r"http://127\.0\.0\.1:\d+", "http://portal"),
    (r"\d+ [A-Z][a-z]+ \d{4} at \d\d:\d\d UTC", "TIME"),
    (r"\bin \d+ (seconds?|minutes?|hours?|days?)", "in A WHILE"),
    (
        r#"(?<=support this number: "\n *text )"\w{8}""#,
        r#""INCIDENT""#,
    ),
    (
        r"(just now|\d+ (seconds?|minutes?|hours?|days?) ago)",
        "A WHILE ago",
    ),
    (r"\b\d+ (ms|seconds?|minutes?)\b", "A WHILE"),
    (
        r#"(?<=term "Public token"\n *definition\n *text )"[0-9A-HJKMNP-TV-Z]{16}""#,
        r#""TOKEN""#,
    ),
    (r#"(?<=rowheader )"\d+\.\d+\.\d+""#, r#""VERSION""#),
    // The days below the bars of a chart, and the numbers above them.
    (r#"(?<=each day\."\n)( *text "[\d.]+[a-z]?"\n)+"#, ""),
];

/// The part of a page that is compared.
#[derive(Clone, Copy)]
enum Part {
    /// The title and the content of `main`.
    Main,
    /// Everything except the content of `main`.
    Shell,
}

impl Page {
    /// Compares the accessibility tree of this page with its snapshots, if it is in [`PAGES`] or
    /// [`SHELLS`] under this name.
    pub(crate) async fn assert_snapshots(&self, name: &str) {
        if PAGES.contains(&name) {
            let told = self.told(Part::Main).await;
            compare(name, &told);
        }
        if SHELLS.contains(&name) {
            let told = self.told(Part::Shell).await;
            compare(&shell_of(name), &told);
        }
    }

    async fn told(&self, part: Part) -> String {
        let tree = self.cdp("Accessibility.getFullAXTree", json!({})).await;
        let nodes = tree["nodes"].as_array().unwrap();
        let by_id: HashMap<&str, &Value> = nodes
            .iter()
            .map(|node| (node["nodeId"].as_str().unwrap(), node))
            .collect();
        let root = nodes.first().unwrap();
        let mut lines = String::new();
        tell(&by_id, root, 0, "", &mut lines);
        let lines: Vec<_> = lines.lines().collect();
        let start = lines.iter().position(|line| *line == "  main").unwrap() + 1;
        let inside = lines[start..].iter().take_while(|l| l.starts_with("    "));
        let end = start + inside.count();
        let told = match part {
            Part::Main => {
                let title = root["name"]["value"].as_str().unwrap();
                let title = title.strip_suffix(" – Federation portal").unwrap();
                let inside = lines[start..end].iter().map(|line| &line[4..]);
                let told = [format!("title {title:?}")].into_iter();
                told.chain(inside.map(str::to_owned)).collect::<Vec<_>>()
            }
            Part::Shell => [&lines[..start], &lines[end..]]
                .concat()
                .into_iter()
                .map(str::to_owned)
                .collect(),
        };
        let masks: Vec<_> = MASKS.iter().map(|(what, by)| json!([what, by])).collect();
        let masked = self
            .eval_with(
                "return arguments[1].reduce((text, [what, by]) => \
                 text.replace(new RegExp(what, 'g'), by), arguments[0])",
                vec![json!(told.join("\n") + "\n"), json!(masks)],
            )
            .await;
        masked.as_str().unwrap().to_owned()
    }
}

fn shell_of(page: &str) -> String {
    format!("shell-of-{page}")
}

fn compare(name: &str, told: &str) {
    let mut settings = insta::Settings::new();
    settings.set_snapshot_path(repository("tests/browser/snapshots"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, told));
}

#[test]
fn there_is_a_snapshot_of_each_page_that_is_compared_and_no_other() {
    let shells = SHELLS.map(shell_of);
    let compared: BTreeSet<_> = PAGES.map(str::to_owned).into_iter().chain(shells).collect();
    assert_eq!(compared.len(), PAGES.len() + SHELLS.len());
    let files = fs::read_dir(repository("tests/browser/snapshots")).unwrap();
    let files = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    let there: BTreeSet<_> = files
        // New content, to be read and then accepted or removed; git ignores it.
        .filter(|file| !file.ends_with(".snap.new"))
        .map(|file| file.trim_end_matches(".snap").to_owned())
        .collect();
    assert_eq!(there, compared);
}

/// Writes `node` and its children. `around`: the name of its parent.
fn tell(nodes: &HashMap<&str, &Value>, node: &Value, depth: usize, around: &str, out: &mut String) {
    let role = node["role"]["value"].as_str().unwrap_or_default();
    let name = node["name"]["value"].as_str().unwrap_or_default();
    let is_text = role == "StaticText";
    let silent = node["ignored"] == true
        || matches!(role, "none" | "generic" | "InlineTextBox" | "LineBreak" | "ListMarker")
        // The name of a link or heading is its text, which is written once.
        || is_text && (around.contains(name) || name.trim().is_empty());
    let mut below = depth;
    let mut named = around;
    if !silent {
        let role = if is_text { "text" } else { role };
        let _ = write!(out, "{:indent$}{role}", "", indent = 2 * depth);
        if !name.is_empty() {
            let _ = write!(out, " {name:?}");
        }
        let description = node["description"]["value"].as_str().unwrap_or_default();
        if !description.is_empty() {
            let _ = write!(out, " ({description})");
        }
        for property in node["properties"].as_array().into_iter().flatten() {
            let value = &property["value"]["value"];
            match property["name"].as_str().unwrap_or_default() {
                "level" | "expanded" | "checked" | "required" => {
                    let _ = write!(out, " {}={value}", property["name"].as_str().unwrap());
                }
                "invalid" if value != "false" => out.push_str(" invalid"),
                _ => {}
            }
        }
        out.push('\n');
        below += 1;
        named = name;
    }
    if role == "StaticText" {
        return;
    }
    for child in node["childIds"].as_array().into_iter().flatten() {
        if let Some(child) = child.as_str().and_then(|id| nodes.get(id)) {
            tell(nodes, child, below, named, out);
        }
    }
}
