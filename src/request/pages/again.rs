//! What a request asked for, and the form that starts again with it.

use super::view::{Again, Hidden};
use crate::{
    names::SipDomain,
    request::{Deployment, Kind, State as Stored, store::Request},
};

/// Programme, number and users of a request, each with its name.
pub(super) fn asked(request: &Request, is_own: bool) -> Vec<(&'static str, String)> {
    let number = if is_own {
        request.number.to_string()
    } else {
        request.number.masked()
    };
    let users = request.deployment.map(|deployment| match deployment {
        Deployment::OnPremises => "All on your own servers",
        Deployment::Split => "Some on your own servers, some online (split domain)",
    });
    let mut asked = vec![
        ("Programme", request.programme.label().to_owned()),
        (request.programme.number_label(), number),
    ];
    asked.extend(users.map(|users| ("Users", users.to_owned())));
    asked
}

/// The form that starts again with the names of a request that ended without its routes.
pub(super) fn again(request: &Request) -> Option<Again> {
    let has_failed = matches!(
        request.state,
        Stored::Rejected { .. } | Stored::Withdrawn { .. }
    );
    let action = match request.kind {
        Kind::Initiate => "/requests/new",
        Kind::Update => "/service/edit",
        Kind::Cancel => return None,
    };
    let names = request.routes.iter().flat_map(|of| {
        let domains: Vec<_> = of.domains.iter().map(SipDomain::as_str).collect();
        [
            Hidden::new("edge", of.edge.as_str()),
            Hidden::new("domains", domains.join("\n")),
        ]
    });
    let deployment = request.deployment.map_or("", Deployment::as_str);
    has_failed.then(|| Again {
        action,
        hidden: names
            .chain([
                Hidden::new("deployment", deployment),
                Hidden::new("action", "change"),
            ])
            .collect(),
    })
}
