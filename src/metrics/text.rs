//! How are metrics written for Prometheus?
//!
//! The text format 0.0.4. Each family once, with what it means; then its samples.

use std::fmt::{Display, Write as _};

/// What kind of number it is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// Only ever grows while the process lives.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts by size.
    Histogram,
}

/// Name and value of a label.
pub(super) type Label<'a> = (&'a str, &'a str);

/// The text so far.
#[derive(Debug, Default)]
pub(super) struct Text(String);

impl Text {
    /// Begins a family.
    pub(super) fn family(&mut self, name: &str, kind: Kind, help: &str) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let help = help.replace('\\', r"\\").replace('\n', r"\n");
        // Writing to a String cannot fail, here and below.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    /// A sample of the family begun last.
    pub(super) fn sample(&mut self, name: &str, labels: &[Label<'_>], value: impl Display) {
        self.0.push_str(name);
        for (place, (label, value)) in labels.iter().enumerate() {
            let before = if place == 0 { '{' } else { ',' };
            let value = value
                .replace('\\', r"\\")
                .replace('"', "\\\"")
                .replace('\n', r"\n");
            let _ = write!(self.0, "{before}{label}=\"{value}\"");
        }
        if !labels.is_empty() {
            self.0.push('}');
        }
        let _ = writeln!(self.0, " {value}");
    }

    /// A family of one sample without labels.
    pub(super) fn gauge(&mut self, name: &str, help: &str, value: impl Display) {
        self.family(name, Kind::Gauge, help);
        self.sample(name, &[], value);
    }

    /// All of it.
    pub(super) fn finish(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_ends_a_line_or_a_label_early() {
        let mut text = Text::default();
        text.family("a_total", Kind::Counter, "one\ntwo \\ three");
        text.sample("a_total", &[("b", "x\"y\\z\n"), ("c", "")], 1.5);
        text.gauge("d", "", 0);
        assert_eq!(
            text.finish(),
            "# HELP a_total one\\ntwo \\\\ three\n# TYPE a_total counter\n\
             a_total{b=\"x\\\"y\\\\z\\n\",c=\"\"} 1.5\n# HELP d \n# TYPE d gauge\nd 0\n"
        );
    }
}
