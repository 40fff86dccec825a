//! The lines of the doctor: what was looked at, whether it is well, and what to do if it is not.

use std::fmt::Write as _;

use serde_json::{Value, json};

/// How it stands with what a line is about. The worst of all lines is the verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    /// Nothing is to be done.
    Ok,
    /// It works, and something should be looked at.
    Warning,
    /// It does not work, or data are in danger.
    Wrong,
}

impl Level {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Wrong => "wrong",
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// What it is about.
    pub(super) subject: &'static str,
    /// How it stands with that.
    pub(super) level: Level,
    /// What was found.
    pub(super) says: String,
    /// What to do; empty where nothing is to be done, or `says` has it.
    pub(super) to_do: String,
}

impl Line {
    pub(super) fn ok(subject: &'static str, says: impl Into<String>) -> Self {
        Self::new(subject, Level::Ok, says, "")
    }

    pub(super) fn warning(
        subject: &'static str,
        says: impl Into<String>,
        to_do: impl Into<String>,
    ) -> Self {
        Self::new(subject, Level::Warning, says, to_do)
    }

    pub(super) fn wrong(
        subject: &'static str,
        says: impl Into<String>,
        to_do: impl Into<String>,
    ) -> Self {
        Self::new(subject, Level::Wrong, says, to_do)
    }

    fn new(
        subject: &'static str,
        level: Level,
        says: impl Into<String>,
        to_do: impl Into<String>,
    ) -> Self {
        Self {
            subject,
            level,
            says: says.into(),
            to_do: to_do.into(),
        }
    }

    pub(super) fn machine(&self) -> Value {
        json!({
            "subject": self.subject,
            "level": self.level.as_str(),
            "says": self.says,
            "to_do": self.to_do,
        })
    }
}

/// The worst level of all.
pub(super) fn verdict(lines: &[Line]) -> Level {
    lines.iter().map(|it| it.level).max().unwrap_or(Level::Ok)
}

/// What is to be done first, in a line, and how much else there is.
pub(super) fn in_words(lines: &[Line]) -> String {
    let count = |level| lines.iter().filter(|it| it.level == level).count();
    match verdict(lines) {
        Level::Ok => "all is well".into(),
        Level::Warning => format!("it works; warnings: {}", count(Level::Warning)),
        Level::Wrong => format!(
            "wrong: {}; warnings: {}",
            count(Level::Wrong),
            count(Level::Warning)
        ),
    }
}

/// All lines for a terminal, the verdict last.
pub(super) fn text(lines: &[Line]) -> String {
    let mut text = String::new();
    for line in lines {
        let (level, subject) = (line.level.as_str(), line.subject);
        let _ = writeln!(text, "{level:<8} {subject:<15} {}", line.says);
        if !line.to_do.is_empty() {
            let _ = writeln!(text, "{:<24} -> {}", "", line.to_do);
        }
    }
    text + "\nverdict: " + &in_words(lines)
}
