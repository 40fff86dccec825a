//! The frame of every page: name, navigation, notices.

use super::about::About;
use crate::readiness::{Mode, ProofMode};

/// The portal's name, in the header and at the end of every title.
pub const NAME: &str = "Federation portal";

/// The part of the portal that a page belongs to; the navigation marks it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Section {
    /// The start page.
    Start,
    /// Checking names without a request.
    Check,
    /// Asking for federation: form, answers, receipt.
    Request,
    /// Looking up a request or a domain.
    Status,
    /// The form for a request, its review and its receipt.
    Service,
    /// The help pages.
    Help,
    /// The support desk, which no public page links to.
    Staff,
    /// The privacy page.
    Privacy,
    /// Anything else, such as an error page.
    #[default]
    None,
}

/// A link in the navigation or in the footer.
#[derive(Clone, Copy, Debug)]
pub struct Link {
    /// The link is marked as current on pages of this section.
    pub section: Section,
    /// The text of the link.
    pub label: &'static str,
    /// The path of the page.
    pub href: &'static str,
}

/// The navigation in the header; [`Shell::navigation`] leaves out what the portal does not do.
const NAVIGATION: &[Link] = &[
    Link {
        section: Section::Check,
        label: "Check a domain",
        href: "/check",
    },
    Link {
        section: Section::Request,
        label: "Request federation",
        href: "/requests/new",
    },
    Link {
        section: Section::Status,
        label: "Check status",
        href: "/status",
    },
    Link {
        section: Section::Service,
        label: "Update service",
        href: "/service",
    },
    Link {
        section: Section::Help,
        label: "Help",
        href: "/help",
    },
];

/// The links in the footer before those of the navigation.
pub const FOOTER: &[Link] = &[
    Link {
        section: Section::Privacy,
        label: "Privacy",
        href: "/privacy",
    },
    Link {
        section: Section::Start,
        label: "What you need",
        href: "/#what-you-need",
    },
];

/// What `templates/base.html` needs; every page's struct has it in a field `shell`.
#[derive(Clone, Copy, Debug)]
pub struct Shell<'a> {
    /// Name of the network people are provisioned for (`PIC_PROVIDER`).
    pub provider: &'a str,
    /// Who runs the portal, and how the network is reached.
    pub about: &'a About,
    /// A notice on every page (`PIC_NOTICE`).
    pub notice: Option<&'a str>,
    /// Says that checks are off or only advise; `None` while they are enforced.
    pub checks_notice: Option<&'a str>,
    /// How strict the readiness checks are.
    pub checks: Mode,
    /// When ownership of a domain has to be proven.
    pub proof: ProofMode,
    /// The section that the page belongs to.
    pub section: Section,
    /// Whether the title begins with "Error: ".
    pub error: bool,
}

impl Shell<'_> {
    /// The links of the navigation in the header; where checks are off, none to them.
    pub fn navigation(&self) -> impl Iterator<Item = &'static Link> + use<> {
        let checks = self.checks != Mode::Off;
        let links = NAVIGATION.iter();
        links.filter(move |link| checks || link.section != Section::Check)
    }

    /// Whether every domain has to be proven before it is provisioned.
    #[must_use]
    pub fn asks_proof(&self) -> bool {
        self.proof == ProofMode::Always
    }
}
