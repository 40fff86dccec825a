//! Finds Access Edges of one request that have an address in common.

use std::collections::BTreeMap;

use super::{
    super::{Code, Finding, Severity},
    AddressFacts, Addresses, Reach, alias, is_global,
};
use crate::names::AccessEdge;

/// A finding for each edge that has an address of an edge before it, in alphabetical order; `edges` are
/// all of one request. Where the order is fixed, a check that is made again finds the same.
///
/// Addresses that `reach` does not allow are a finding of their own, and those of the online service
/// are another's: neither is compared.
#[must_use]
pub fn shared(edges: &BTreeMap<AccessEdge, AddressFacts>, reach: Reach) -> Vec<Finding> {
    let own = |(edge, facts)| {
        let is_online = alias(edge, facts).is_some_and(|it| it.severity == Severity::Blocking);
        match &facts.outcome {
            Addresses::Found(addresses) if !is_online => Some((edge, addresses)),
            _ => None,
        }
    };
    let all: Vec<_> = edges.iter().filter_map(own).collect();
    let mut findings = Vec::new();
    for (place, (edge, addresses)) in all.iter().enumerate() {
        let mut found = Vec::new();
        for (other, others) in &all[..place] {
            let mut common = (*addresses).clone();
            common.retain(|address| reach.allows(*address) && others.contains(address));
            common.sort_unstable();
            let (open, closed): (Vec<_>, Vec<_>) =
                common.into_iter().partition(|it| is_global(*it));
            let named = open.iter().map(ToString::to_string);
            let hidden = "an address that is not globally reachable".to_owned();
            let hidden = (!closed.is_empty()).then_some(hidden);
            let line = |address| format!("{address} is an address of {other} too");
            found.extend(named.chain(hidden).map(line));
        }
        if !found.is_empty() {
            let expected = "an address of its own";
            let name = edge.as_fqdn();
            findings.push(Finding::new(Code::EdgeSharedAddress, name, expected, found));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;
    use crate::readiness::{Evidence, dns::Trouble};

    const OUTSIDE: Reach = Reach { private: false };
    const ANYWHERE: Reach = Reach { private: true };

    fn at(addresses: &[&str]) -> AddressFacts {
        let read = |it: &&str| it.parse::<IpAddr>().unwrap();
        AddressFacts {
            outcome: Addresses::Found(addresses.iter().map(read).collect()),
            aliases: Vec::new(),
            missed: None,
        }
    }

    /// What is found of these, as `subject: lines`.
    fn found(edges: &[(&str, AddressFacts)], reach: Reach) -> Vec<String> {
        let read = |(name, facts): &(&str, AddressFacts)| {
            (AccessEdge::parse(name).unwrap(), facts.clone())
        };
        let findings = shared(&edges.iter().map(read).collect(), reach);
        let tell = |it: &Finding| {
            assert_eq!(
                (it.code, it.severity),
                (Code::EdgeSharedAddress, Severity::Warning)
            );
            let lines: Vec<_> = it.found.iter().map(Evidence::as_str).collect();
            format!("{}: {}", it.subject, lines.join("; "))
        };
        findings.iter().map(tell).collect()
    }

    #[test]
    fn the_later_of_two_edges_at_one_address_is_told_whatever_the_order() {
        let contoso = ("sip.contoso.com", at(&["8.8.8.8", "2001:4860::1"]));
        let fabrikam = ("sip.fabrikam.com", at(&["8.8.4.4", "8.8.8.8"]));
        let told = ["sip.fabrikam.com: 8.8.8.8 is an address of sip.contoso.com too"];
        assert_eq!(found(&[contoso.clone(), fabrikam.clone()], OUTSIDE), told);
        assert_eq!(found(&[fabrikam.clone(), contoso.clone()], OUTSIDE), told);
        let litware = ("sip.litware.com", at(&["2001:4860::1", "8.8.4.4"]));
        assert_eq!(
            found(&[litware, contoso, fabrikam], OUTSIDE),
            [
                told[0],
                "sip.litware.com: 2001:4860::1 is an address of sip.contoso.com too; \
                 8.8.4.4 is an address of sip.fabrikam.com too"
            ]
        );
    }

    #[test]
    fn edges_at_addresses_of_their_own_are_fine() {
        let contoso = ("sip.contoso.com", at(&["8.8.8.8"]));
        let unknown = AddressFacts::unreachable(Trouble::Silent);
        for other in [at(&["8.8.4.4"]), at(&[]), unknown] {
            let both = [contoso.clone(), ("sip.fabrikam.com", other)];
            assert!(found(&both, ANYWHERE).is_empty());
        }
        assert!(found(&[contoso], ANYWHERE).is_empty(), "one alone");
        assert!(found(&[], ANYWHERE).is_empty());
    }

    #[test]
    fn an_address_that_is_not_globally_reachable_is_never_shown() {
        let both = [
            (
                "sip.contoso.com",
                at(&["10.1.2.3", "10.1.2.4", "8.8.8.8", "8.8.4.4"]),
            ),
            ("sip.fabrikam.com", at(&["10.1.2.3", "10.1.2.4", "8.8.8.8"])),
        ];
        let open = "sip.fabrikam.com: 8.8.8.8 is an address of sip.contoso.com too";
        assert_eq!(found(&both, OUTSIDE), [open]);
        assert_eq!(
            found(&both, ANYWHERE),
            [format!(
                "{open}; an address that is not globally reachable is an address of sip.contoso.com too"
            )]
        );
    }

    #[test]
    fn what_leads_to_the_online_service_is_told_as_that_alone() {
        let online = AddressFacts {
            aliases: vec!["sipdir.online.lync.com".to_owned()],
            ..at(&["8.8.8.8"])
        };
        let both = [
            ("sip.contoso.com", online.clone()),
            ("sip.fabrikam.com", online),
        ];
        assert!(found(&both, ANYWHERE).is_empty());
        let alias = AddressFacts {
            aliases: vec!["edge.contoso.com".to_owned()],
            ..at(&["8.8.8.8"])
        };
        let both = [
            ("sip.contoso.com", alias.clone()),
            ("sip.fabrikam.com", alias),
        ];
        assert_eq!(
            found(&both, ANYWHERE).len(),
            1,
            "their own alias is no excuse"
        );
    }
}
