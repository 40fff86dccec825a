//! Does a name count only where the rules of names and of name constraints let it?
//!
//! Every combination of what a leaf names and of what an authority above it may issue, of the kind that
//! the name constraint tests of `BetterTLS` have, each held against the rules as they are written down
//! in [`expected`].

use rcgen::{
    CertificateParams, CidrSubnet, DistinguishedName, DnType, GeneralSubtree, NameConstraints,
    SanType,
};

use super::{contoso, judged, tls};
use crate::support::edge::{Authority, Edge, authority, server};

/// The edge of all of these tests.
const GOOD: &str = "sip.contoso.com";
const BAD: &str = "mail.example.org";
const ADDRESS: [u8; 4] = [192, 0, 2, 7];

/// What a leaf has among its subject alternative names.
#[derive(Clone, Copy, Debug)]
struct Names {
    dns: Option<&'static str>,
    address: bool,
}

const NAMES: [Names; 6] = [
    Names {
        dns: None,
        address: false,
    },
    Names {
        dns: None,
        address: true,
    },
    Names {
        dns: Some(GOOD),
        address: false,
    },
    Names {
        dns: Some(GOOD),
        address: true,
    },
    Names {
        dns: Some(BAD),
        address: false,
    },
    Names {
        dns: Some(BAD),
        address: true,
    },
];
const SUBJECTS: [Option<&str>; 3] = [None, Some(GOOD), Some(BAD)];

/// Subtrees of an authority's constraints: of DNS names and of addresses.
const TREES: [Option<&str>; 3] = [None, Some("contoso.com"), Some("example.net")];
const NETS: [Option<[u8; 4]>; 3] = [None, Some([192, 0, 2, 0]), Some([198, 51, 100, 0])];

/// What an authority may issue.
#[derive(Clone, Copy, Debug)]
struct Limits {
    permitted: Option<&'static str>,
    excluded: Option<&'static str>,
    permitted_net: Option<[u8; 4]>,
    excluded_net: Option<[u8; 4]>,
}

impl Limits {
    fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for permitted in TREES {
            for excluded in TREES {
                for permitted_net in NETS {
                    for excluded_net in NETS {
                        all.push(Self {
                            permitted,
                            excluded,
                            permitted_net,
                            excluded_net,
                        });
                    }
                }
            }
        }
        all
    }

    fn are_none(self) -> bool {
        self.permitted.is_none()
            && self.excluded.is_none()
            && self.permitted_net.is_none()
            && self.excluded_net.is_none()
    }

    fn of(self, mut params: CertificateParams) -> CertificateParams {
        let trees = |tree: Option<&str>, net: Option<[u8; 4]>| {
            let tree = tree.map(|tree| GeneralSubtree::DnsName(tree.to_owned()));
            let net = net.map(|net| GeneralSubtree::IpAddress(CidrSubnet::from_v4_prefix(net, 24)));
            tree.into_iter().chain(net).collect()
        };
        if !self.are_none() {
            params.name_constraints = Some(NameConstraints {
                permitted_subtrees: trees(self.permitted, self.permitted_net),
                excluded_subtrees: trees(self.excluded, self.excluded_net),
            });
        }
        params
    }
}

fn leaf(names: Names, subject: Option<&str>) -> CertificateParams {
    let mut params = server(&names.dns.into_iter().collect::<Vec<_>>());
    if names.address {
        params
            .subject_alt_names
            .push(SanType::IpAddress(ADDRESS.into()));
    }
    params.distinguished_name = DistinguishedName::new();
    if let Some(subject) = subject {
        params.distinguished_name.push(DnType::CommonName, subject);
    }
    params
}

/// The rules: limits bind each alternative name of their kind (RFC 5280, 4.2.1.10); the edge has to be
/// one of the DNS names, or, where there is no alternative name at all (RFC 5922, 7.1), the subject,
/// if no authority is limited. What is told, then: fine, fine with a warning, or which one blocks.
fn expected(names: Names, subject: Option<&str>, limits: Limits) -> &'static str {
    let below = |name: &str, tree: &str| name == tree || name.ends_with(&format!(".{tree}"));
    let inside = |net: [u8; 4]| net[..3] == ADDRESS[..3];
    let dns_may = names.dns.is_none_or(|name| {
        limits.permitted.is_none_or(|tree| below(name, tree))
            && limits.excluded.is_none_or(|tree| !below(name, tree))
    });
    let address_may = !names.address
        || (limits.permitted_net.is_none_or(inside)
            && limits.excluded_net.is_none_or(|net| !inside(net)));
    let is_good = names.dns == Some(GOOD);
    let alone = names.dns.is_none() && !names.address && subject == Some(GOOD);
    match (dns_may && address_may, is_good) {
        (false, true) => "certificate-untrusted",
        (false, false) => "certificate-untrusted certificate-name",
        (true, true) => "certificate",
        (true, false) if alone && limits.are_none() => "certificate certificate-cn-only",
        (true, false) => "certificate-name",
    }
}

/// The codes of what is told, but for the names of domains.
fn codes(said: &str) -> String {
    let codes = said.lines().filter_map(|line| line.split(' ').nth(1));
    let codes: Vec<_> = codes
        .filter(|code| *code != "certificate-domain-san")
        .collect();
    codes.join(" ")
}

/// All combinations of limits of an authority between the root and the leaf with all leaves.
#[tokio::test]
async fn names_count_only_within_the_limits_of_the_authorities_above() {
    let root = Authority::root();
    let probe = tls(&root);
    let edge = Edge::start(root.issue(&server(&[GOOD]))).await;
    // All with the long tests; else those in which limits are of DNS names alone, or of addresses alone.
    let long = std::env::var_os("PIC_EVERY_LIMIT").is_some();
    let mut tried = 0;
    for limits in Limits::all() {
        let of_names = limits.permitted.is_some() || limits.excluded.is_some();
        let of_nets = limits.permitted_net.is_some() || limits.excluded_net.is_some();
        if of_names && of_nets && !long {
            continue;
        }
        let between = root.below(limits.of(authority("Limited")));
        for names in NAMES {
            for subject in SUBJECTS {
                edge.show(between.issue(&leaf(names, subject)));
                let facts = probe.probe(&contoso().0, &[edge.address()]).await;
                let said = judged(&[edge.address()], &facts);
                assert_eq!(
                    codes(&said),
                    expected(names, subject, limits),
                    "{names:?} {subject:?} {limits:?}: {said}"
                );
                tried += 1;
            }
        }
    }
    assert!(tried >= 17 * 18, "{tried}");
}

/// The limits of a root bind too.
#[tokio::test]
async fn a_root_may_be_limited_itself() {
    let limits = Limits {
        permitted: Some("contoso.com"),
        excluded: None,
        permitted_net: None,
        excluded_net: None,
    };
    let root = Authority::rooted(limits.of(authority("Limited Root")));
    let between = root.below(authority("Between"));
    for names in [NAMES[0], NAMES[2], NAMES[4]] {
        let said = super::verdict(&root, between.issue(&leaf(names, Some(GOOD)))).await;
        assert_eq!(codes(&said), expected(names, Some(GOOD), limits), "{said}");
    }
    let said = super::verdict(&root, between.issue(&leaf(NAMES[0], Some(GOOD)))).await;
    assert!(
        said.starts_with(
            "blocking certificate-name | sip.contoso.com among the subject alternative names | \
             sip.contoso.com stands in the subject alone; an authority above it may issue for some \
             names alone, and the subject cannot be held to that; no DNS name"
        ),
        "{said}"
    );
}
