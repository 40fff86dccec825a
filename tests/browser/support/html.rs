//! Validates HTML against the standard.

use std::process::Command;

use tempfile::TempDir;

use super::npm_file;

/// Runs html-validate on pages, each with a name for the report.
///
/// # Panics
/// With the list of what is wrong.
pub(crate) fn assert_valid(pages: &[(String, String)]) {
    let folder = TempDir::with_prefix("pages-").unwrap();
    for (name, html) in pages {
        std::fs::write(folder.path().join(format!("{name}.html")), html).unwrap();
    }
    let rules = r#"{ "root": true, "extends": ["html-validate:standard"] }"#;
    std::fs::write(folder.path().join(".htmlvalidate.json"), rules).unwrap();
    let checked = Command::new("node")
        .arg(npm_file("html-validate/bin/html-validate.mjs"))
        .args(["--formatter", "text", "*.html"])
        .current_dir(folder.path())
        .output()
        .expect("node runs");
    let said = String::from_utf8_lossy(&checked.stdout);
    let complaint = String::from_utf8_lossy(&checked.stderr);
    assert!(checked.status.success(), "{said}{complaint}");
}
