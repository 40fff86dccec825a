//! What does an administrator have to know, and on which page does it stand?
//!
//! A [`Topic`] is a page of its own under `/help`, written in `templates/help`. Each reason of a
//! rejection and each finding has a page too, made of one [`Explanation`]. Source of it all:
//! `docs/field.md`.

pub mod address;
pub mod finding;
pub(crate) mod pages;
pub mod reason;

use std::borrow::Cow;

pub use crate::topic::{CONTENTS, Topic};

/// What something means and what to do: the page of a reason or of a finding.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// Its heading.
    pub title: &'static str,
    /// What happened, a sentence.
    pub means: Cow<'static, str>,
    /// Why it matters.
    pub why: Cow<'static, str>,
    /// What to do, in order.
    pub steps: &'static [&'static str],
    /// Lines to copy, each after what it is for.
    pub lines: Vec<(&'static str, String)>,
    /// What else there is to know, or empty.
    pub note: Cow<'static, str>,
    /// What to read next.
    pub related: &'static [Topic],
}

/// Settings that explanations name.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'a> {
    /// The limit in words, such as `30 days`.
    pub limit: &'a str,
}
