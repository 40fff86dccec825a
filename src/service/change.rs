//! Compares two sets of routes: what an update would change.

use std::collections::BTreeMap;

use crate::names::{AccessEdge, EdgeRoutes, SipDomain};

/// One thing that an update changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The domain comes into force.
    Added {
        /// The domain.
        domain: SipDomain,
        /// Its Access Edge.
        edge: AccessEdge,
    },
    /// The domain is no longer in force.
    Removed {
        /// The domain.
        domain: SipDomain,
        /// The Access Edge it had.
        edge: AccessEdge,
    },
    /// The domain gets another Access Edge.
    Moves {
        /// The domain.
        domain: SipDomain,
        /// Its present Access Edge.
        from: AccessEdge,
        /// Its new Access Edge.
        to: AccessEdge,
    },
}

/// Routes by edge.
#[must_use]
pub fn changes(now: &[EdgeRoutes], after: &[EdgeRoutes]) -> Vec<Change> {
    let (now, after) = (by_domain(now), by_domain(after));
    let mut changes = Vec::new();
    for (&domain, &edge) in &after {
        match now.get(domain) {
            None => changes.push(Change::Added {
                domain: domain.clone(),
                edge: edge.clone(),
            }),
            Some(&from) if from != edge => changes.push(Change::Moves {
                domain: domain.clone(),
                from: from.clone(),
                to: edge.clone(),
            }),
            Some(_) => {}
        }
    }
    for (&domain, &edge) in &now {
        if !after.contains_key(domain) {
            changes.push(Change::Removed {
                domain: domain.clone(),
                edge: edge.clone(),
            });
        }
    }
    changes.sort_by(|a, b| a.domain().cmp(b.domain()));
    changes
}

impl Change {
    /// The domain that it is about.
    #[must_use]
    pub const fn domain(&self) -> &SipDomain {
        match self {
            Self::Added { domain, .. }
            | Self::Removed { domain, .. }
            | Self::Moves { domain, .. } => domain,
        }
    }

    /// Whether a domain in force gets another Access Edge FQDN: that may interrupt the service
    /// (`docs/field.md#edges-and-domains`), so it needs confirmation.
    #[must_use]
    pub const fn is_edge_change(&self) -> bool {
        match self {
            Self::Moves { .. } => true,
            Self::Added { .. } | Self::Removed { .. } => false,
        }
    }
}

fn by_domain(routes: &[EdgeRoutes]) -> BTreeMap<&SipDomain, &AccessEdge> {
    routes
        .iter()
        .flat_map(|EdgeRoutes { edge, domains }| domains.iter().map(move |domain| (domain, edge)))
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*, sample::select};

    use super::*;

    fn routes(list: &[(&str, &[&str])]) -> Vec<EdgeRoutes> {
        let domain = |d: &&str| SipDomain::parse(d).unwrap();
        list.iter()
            .map(|(e, ds)| EdgeRoutes {
                edge: AccessEdge::parse(e).unwrap(),
                domains: ds.iter().map(domain).collect(),
            })
            .collect()
    }

    #[test]
    fn each_kind_of_change_is_told_in_order_of_domains() {
        let now = routes(&[("e.test", &["a.test", "b.test"]), ("f.test", &["d.test"])]);
        let after = routes(&[("f.test", &["b.test", "d.test"]), ("e.test", &["c.test"])]);
        let told = changes(&now, &after);
        let words: Vec<_> = told
            .iter()
            .map(|c| {
                let kind = match c {
                    Change::Added { .. } => "added",
                    Change::Removed { .. } => "removed",
                    Change::Moves { .. } => "moves",
                };
                (c.domain().as_str(), kind, c.is_edge_change())
            })
            .collect();
        assert_eq!(
            words,
            [
                ("a.test", "removed", false),
                ("b.test", "moves", true),
                ("c.test", "added", false)
            ]
        );
    }

    proptest! {
        /// Applying the changes to the present routes gives the wanted ones, and no change is
        /// listed twice.
        #[test]
        fn the_changes_lead_from_the_one_to_the_other(
            now in vec((select(vec!["e.test", "f.test"]), select(vec!["a.test", "b.test", "c.test"])), 0..4),
            after in vec((select(vec!["e.test", "f.test"]), select(vec!["a.test", "b.test", "c.test"])), 0..4),
        ) {
            let unique = |list: &[(&'static str, &'static str)]| -> BTreeMap<&'static str, &'static str> {
                list.iter().map(|(e, d)| (*d, *e)).collect()
            };
            let made = |map: &BTreeMap<&str, &str>| {
                map.iter().flat_map(|(d, e)| routes(&[(e, &[d])])).collect::<Vec<_>>()
            };
            let (now, after) = (unique(&now), unique(&after));
            let told = changes(&made(&now), &made(&after));
            prop_assert_eq!(told.is_empty(), now == after);
            let mut applied: BTreeMap<String, String> = now.iter().map(|(d, e)| ((*d).into(), (*e).into())).collect();
            for change in &told {
                match change {
                    Change::Added { domain, edge } => {
                        prop_assert_eq!(applied.insert(domain.to_string(), edge.to_string()), None);
                    }
                    Change::Removed { domain, edge } => {
                        prop_assert_eq!(applied.remove(domain.as_str()), Some(edge.to_string()));
                    }
                    Change::Moves { domain, from, to } => {
                        prop_assert_eq!(applied.insert(domain.to_string(), to.to_string()), Some(from.to_string()));
                    }
                }
            }
            let wanted: BTreeMap<String, String> = after.iter().map(|(d, e)| ((*d).into(), (*e).into())).collect();
            prop_assert_eq!(applied, wanted);
        }
    }
}
