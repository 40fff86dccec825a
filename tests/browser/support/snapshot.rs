//! What does a screen reader get to hear, and did that change?
//!
//! The accessibility tree as lines of role and name, compared with `tests/browser/snapshots/`.
//! `UPDATE_SNAPSHOTS=1` writes them anew.

use std::{collections::HashMap, fmt::Write as _, fs};

use serde_json::{Value, json};

use super::{page::Page, repository};

/// What differs from run to run, and what stands for it.
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

impl Page {
    /// Compares what assistive technology is told of this page with the snapshot `name`.
    pub(crate) async fn assert_snapshot(&self, name: &str) {
        let now = self.accessibility_tree().await;
        let file = repository("tests/browser/snapshots").join(format!("{name}.txt"));
        if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
            fs::write(&file, now).unwrap();
            return;
        }
        let before = fs::read_to_string(&file).unwrap_or_default();
        assert!(
            before == now,
            "{name} is told otherwise than in {} (UPDATE_SNAPSHOTS=1 rewrites it):\n{}",
            file.display(),
            difference(&before, &now)
        );
    }

    async fn accessibility_tree(&self) -> String {
        let tree = self.cdp("Accessibility.getFullAXTree", json!({})).await;
        let nodes = tree["nodes"].as_array().unwrap();
        let by_id: HashMap<&str, &Value> = nodes
            .iter()
            .map(|node| (node["nodeId"].as_str().unwrap(), node))
            .collect();
        let mut lines = String::new();
        tell(&by_id, nodes.first().unwrap(), 0, "", &mut lines);
        let masks: Vec<_> = MASKS.iter().map(|(what, by)| json!([what, by])).collect();
        let masked = self
            .eval_with(
                "return arguments[1].reduce((text, [what, by]) => \
                 text.replace(new RegExp(what, 'g'), by), arguments[0])",
                vec![json!(lines), json!(masks)],
            )
            .await;
        masked.as_str().unwrap().to_owned()
    }
}

/// Writes `node` and what is in it. `around`: the name of what is around it.
fn tell(nodes: &HashMap<&str, &Value>, node: &Value, depth: usize, around: &str, out: &mut String) {
    let role = node["role"]["value"].as_str().unwrap_or_default();
    let name = node["name"]["value"].as_str().unwrap_or_default();
    let is_text = role == "StaticText";
    let silent = node["ignored"] == true
        || matches!(role, "none" | "generic" | "InlineTextBox" | "LineBreak" | "ListMarker")
        // The name of a link or heading is its text: once is enough.
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

/// The lines that went (`-`) and those that came (`+`), between the same beginning and end.
fn difference(before: &str, now: &str) -> String {
    let (old, new): (Vec<_>, Vec<_>) = (before.lines().collect(), now.lines().collect());
    let same =
        |pairs: &mut dyn Iterator<Item = (&&str, &&str)>| pairs.take_while(|(a, b)| a == b).count();
    let head = same(&mut old.iter().zip(&new));
    let rest = old.len().min(new.len()) - head;
    let tail = same(&mut old.iter().rev().zip(new.iter().rev()).take(rest));
    let gone = old[head..old.len() - tail].iter().map(|l| format!("-{l}"));
    let came = new[head..new.len() - tail].iter().map(|l| format!("+{l}"));
    let lines: Vec<_> = gone.chain(came).collect();
    format!("from line {}:\n{}", head + 1, lines.join("\n"))
}
