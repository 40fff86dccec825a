//! The help: what administrators have to know, a page for each topic, reason and finding.
//!
//! A [`Topic`] is a page of its own under `/help`, written in `templates/help`. Each reason of a
//! rejection and each finding has a page too, made from an [`Explanation`]. Source of it all:
//! `docs/field.md`.

pub mod address;
pub mod finding;
pub(crate) mod pages;
pub mod reason;

use std::borrow::Cow;

pub use crate::topic::{CONTENTS, Topic};

/// The explanation of a reason or of a finding, as its page shows it.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// Its heading.
    pub title: &'static str,
    /// What happened, as a sentence.
    pub means: Cow<'static, str>,
    /// Why it matters.
    pub why: Cow<'static, str>,
    /// What to do, in order.
    pub steps: &'static [&'static str],
    /// Lines to copy, each after its purpose.
    pub lines: Vec<(&'static str, String)>,
    /// A further note, or empty.
    pub note: Cow<'static, str>,
    /// What to read next.
    pub related: &'static [Topic],
}

/// Settings that explanations name.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'a> {
    /// The expiry in words, such as `30 days`.
    pub limit: &'a str,
}
