//! Offers names in place of those that were refused, and fills them into the form.

use std::collections::HashSet;

use super::RequestForm;
use crate::names::{AccessEdge, List, SipDomain};

/// The boxes of one Access Edge with the offered names in them.
struct Boxes {
    edge: String,
    domains: String,
}

impl RequestForm {
    /// The names that are offered in place of refused ones, each once, in the order of the page. Each was
    /// typed whole, with something else around it.
    #[must_use]
    pub fn offers(&self) -> Vec<String> {
        let mut offers = Vec::new();
        for (edge, domains) in self.pairs() {
            offered(edge, domains, &mut offers);
        }
        let mut seen = HashSet::new();
        offers.retain(|offer| seen.insert(offer.clone()));
        offers
    }

    /// Puts all offered names in place of the refused ones; the domains of a box that changes stand one
    /// a line then.
    pub fn take_offers(&mut self) {
        let mut offers = Vec::new();
        let boxes: Vec<_> = self
            .pairs()
            .map(|(edge, domains)| offered(edge, domains, &mut offers))
            .collect();
        self.edge = boxes.iter().map(|it| it.edge.clone()).collect();
        self.domains = boxes.into_iter().map(|it| it.domains).collect();
    }
}

fn offered(edge: &str, domains: &str, offers: &mut Vec<String>) -> Boxes {
    let mut take = |offer: &str| {
        offers.push(offer.to_owned());
        offer.to_owned()
    };
    let refused = AccessEdge::parse(edge).err();
    let offer = refused.as_ref().and_then(|error| error.offer());
    let edge = offer.map_or_else(|| edge.to_owned(), &mut take);

    let list = List::read(domains);
    let read: Vec<_> = list
        .names
        .iter()
        .map(|it| (it, SipDomain::parse(it.text)))
        .collect();
    let named: HashSet<_> = read
        .iter()
        .filter(|(_, name)| name.as_ref().map_or_else(|e| e.offer().is_some(), |_| true))
        .map(|(it, _)| it.line)
        .collect();
    let mut lines = Vec::new();
    let mut right = Vec::new();
    let mut left_out = false;
    let mut taken = false;
    for (piece, name) in &read {
        match name {
            Ok(name) => {
                let name = name.unicode().unwrap_or_else(|| name.to_string());
                right.push(name.clone());
                lines.push(name);
            }
            Err(error) => match error.offer() {
                Some(offer) => {
                    taken = true;
                    lines.push(take(offer));
                }
                // A word in another column than the name.
                None if piece.alone && piece.is_word() && named.contains(&piece.line) => {
                    left_out = true;
                }
                None => lines.push(piece.text.to_owned()),
            },
        }
    }
    if left_out && !taken {
        offers.append(&mut right);
    }
    let domains = if taken || left_out {
        lines.join("\n")
    } else {
        domains.to_owned()
    };
    Boxes { edge, domains }
}
