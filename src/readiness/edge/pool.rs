//! Joins what is found of each address of an Access Edge into one list.

use std::net::IpAddr;

use super::super::{Code, Evidence, Finding, Severity, catalogue::Area};

/// What was found of an address or of several alike.
type Group = (Vec<IpAddr>, Vec<Finding>);

/// One finding for each code. Where not all addresses are alike, its lines say of which they are; that
/// the certificate is fine is told where it is at all of them.
pub(super) fn joined(each: impl IntoIterator<Item = (IpAddr, Vec<Finding>)>) -> Vec<Finding> {
    let mut groups: Vec<Group> = Vec::new();
    for (address, findings) in each {
        match groups.iter_mut().find(|(_, known)| *known == findings) {
            Some((addresses, _)) => addresses.push(address),
            None => groups.push((vec![address], findings)),
        }
    }
    let all = groups.iter().flat_map(|(_, findings)| findings);
    let grave = all.clone().any(|finding| {
        finding.severity > Severity::Warning && finding.code.entry().area == Area::Certificate
    });
    let mut joined: Vec<Finding> = Vec::new();
    for finding in all {
        let is_told = joined.iter().any(|other| other.code == finding.code);
        let is_false = grave && finding.code == Code::Certificate;
        if !is_told && !is_false {
            joined.push(of_all(&groups, finding));
        }
    }
    joined
}

/// What the groups have of the code of `finding`.
fn of_all(groups: &[Group], finding: &Finding) -> Finding {
    let of = |(_, findings): &Group| {
        let found = findings.iter().find(|other| other.code == finding.code);
        found.cloned()
    };
    if groups
        .iter()
        .all(|group| of(group).as_ref() == Some(finding))
    {
        return finding.clone();
    }
    let mut lines: Vec<String> = Vec::new();
    let mut gravest = finding.clone();
    for group in groups {
        let Some(own) = of(group) else { continue };
        let addresses: Vec<_> = group.0.iter().map(ToString::to_string).collect();
        let addresses = addresses.join(", ");
        lines.extend(own.found.iter().map(|line| format!("{addresses}: {line}")));
        if own.severity > gravest.severity {
            gravest = own;
        }
    }
    // Of many lines the last are cut off: the day on which the first certificate ends is not.
    super::certificate::put_validity_first(&mut lines);
    Finding {
        found: Evidence::lines(lines),
        ..gravest
    }
}
