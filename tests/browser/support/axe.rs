//! Checks the accessibility of pages, as far as a machine can.

use serde_json::{Value, json};

use super::{npm_file, page::Page};

const RUN: &str = r#"return axe.run(document, {
    runOnly: { type: "tag",
        values: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] },
    rules: { "target-size": { enabled: true } },
    resultTypes: ["violations", "incomplete"]
}).then(r => ({
    passes: r.passes.length,
    faults: [
        ...r.violations.flatMap(v => v.nodes.map(n =>
            `${v.id} (${v.impact}) ${n.target}: ${n.failureSummary}`)),
        ...r.incomplete.flatMap(v => v.nodes.map(n =>
            `undecided: ${v.id} ${n.target}: ${[...n.any, ...n.all, ...n.none].map(c => c.message)}`))
    ]
}))"#;

impl Page {
    /// The findings of axe-core for WCAG 2.2 A and AA and its best practices. What it cannot decide
    /// counts too: every page here can be decided.
    pub(crate) async fn axe(&self) -> Vec<String> {
        if self.eval("return typeof axe").await == "undefined" {
            let axe = std::fs::read_to_string(npm_file("axe-core/axe.min.js")).unwrap();
            self.eval(&axe).await;
        }
        let result = self.eval(RUN).await;
        assert!(
            result["passes"].as_u64() > Some(10),
            "axe looked at nothing"
        );
        lines(&result["faults"])
    }

    /// Checks what every page must have, whatever it is about.
    pub(crate) async fn assert_well_formed(&self, page: &str) {
        let facts = self
            .eval(
                "return { lang: document.documentElement.lang,
                    h1: document.querySelectorAll('h1').length,
                    title: document.title.endsWith(' – Federation portal'),
                    error: document.title.startsWith('Error: '),
                    summary: document.querySelector('main .govuk-error-summary') !== null,
                    ids: [...document.querySelectorAll('[id]')].map(e => e.id)
                        .filter((id, i, all) => all.indexOf(id) !== i) }",
            )
            .await;
        let error = facts["error"].clone();
        let expected = json!({ "lang": "en-GB", "h1": 1, "title": true, "error": error,
            "summary": error, "ids": [] });
        assert_eq!(facts, expected, "{page}");
    }
}

fn lines(list: &Value) -> Vec<String> {
    let list = list.as_array().unwrap().iter();
    list.map(|line| line.as_str().unwrap().to_owned()).collect()
}
